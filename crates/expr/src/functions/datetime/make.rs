//! Dates, times and intervals from their fields.

use crate::functions::Declarations;
use crate::functions::context::zone;
use crate::registry::{Eval, FunctionDesc};
use crate::value::{Date, FromDatum, Time, Ts, TsTz, eval, mismatch};
use everview_repr::datetime::{self as dt, Zone};
use everview_repr::{Datum, EvalError, Interval};

/// `make_interval`: years, months, weeks, days, hours, minutes, seconds; what is left out is 0.
fn make_interval<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, EvalError> {
    let field = |i: usize| args.get(i).map_or(Ok(0), |d| i32::from_datum(*d));
    let seconds = args.get(6).map_or(Ok(0.0), |d| f64::from_datum(*d))?;
    let made = Interval::make(
        field(0)?,
        field(1)?,
        field(2)?,
        field(3)?,
        field(4)?,
        field(5)?,
        seconds,
    );
    made.map(Datum::Interval)
}

fn make_timestamptz<'a>(args: &[Datum<'a>], zone: &Zone) -> Result<Datum<'a>, EvalError> {
    let [year, month, day, hour, minute, seconds, ..] = args else {
        return Err(mismatch());
    };
    let field = |d: &Datum<'a>| i32::from_datum(*d);
    let date = (field(year)?, field(month)?, field(day)?);
    let time = (field(hour)?, field(minute)?, f64::from_datum(*seconds)?);
    dt::make_timestamptz(date, time, zone).map(Datum::TimestampTz)
}

pub(super) fn declare(out: &mut Declarations) {
    let mut push =
        |name, signature: &str, doc, eval| out.push(FunctionDesc::new(name, signature, doc, eval));
    push(
        "make_date",
        "int4, int4, int4 -> date",
        "A date of year, month and day.",
        eval!(|y: i32, m: i32, d: i32| dt::make_date(y, m, d).map(Date)),
    );
    push(
        "make_time",
        "int4, int4, float8 -> time",
        "A time of hour, minute and seconds.",
        eval!(|h: i32, m: i32, s: f64| dt::make_time(h, m, s).map(Time)),
    );
    push(
        "make_timestamp",
        "int4, int4, int4, int4, int4, float8 -> timestamp",
        "A timestamp of its fields.",
        eval!(
            |y: i32, mo: i32, d: i32, h: i32, m: i32, s: f64| dt::make_timestamp(y, mo, d, h, m, s)
                .map(Ts)
        ),
    );
    let doc = "A timestamp with time zone of its fields.";
    let session: Eval = |types, args, _| make_timestamptz(args, &zone(types)?.time_zone);
    push(
        "make_timestamptz",
        "int4, int4, int4, int4, int4, float8 -> timestamptz",
        doc,
        session,
    );
    let named: Eval = |_, args, _| match args.get(6) {
        Some(zone) => make_timestamptz(args, &Zone::parse(FromDatum::from_datum(*zone)?)?),
        None => Err(mismatch()),
    };
    push(
        "make_timestamptz",
        "int4, int4, int4, int4, int4, float8, text -> timestamptz",
        doc,
        named,
    );
    let doc = "An interval of its fields: years, months, weeks, days, hours, minutes, seconds.";
    let params = ["int4", "int4", "int4", "int4", "int4", "int4", "float8"];
    for count in 0..=params.len() {
        let signature = format!("{} -> interval", params[..count].join(", "));
        push("make_interval", &signature, doc, |_, args, _| {
            make_interval(args)
        });
    }
    let doc = "The instant so many seconds after 1970-01-01 00:00:00 UTC.";
    push(
        "to_timestamp",
        "float8 -> timestamptz",
        doc,
        eval!(|s: f64| dt::timestamptz_from_epoch(s).map(TsTz)),
    );
}
