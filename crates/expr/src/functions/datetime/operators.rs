//! Arithmetic on dates, times and intervals (manual, table 9.32).

use crate::functions::Declarations;
use crate::functions::context::zone;
use crate::registry::FunctionDesc;
use crate::value::{Date, Time, Ts, TsTz, eval};
use everview_repr::datetime as dt;
use everview_repr::{EvalError, Interval};

fn date_add_interval(d: Date, v: &Interval) -> Result<Ts, EvalError> {
    dt::timestamp_add(dt::date_to_timestamp(d.0)?, v).map(Ts)
}

fn date_sub_interval(d: Date, v: &Interval) -> Result<Ts, EvalError> {
    dt::timestamp_sub(dt::date_to_timestamp(d.0)?, v).map(Ts)
}

fn declare_sums(out: &mut Declarations) {
    let mut push = |signature, eval| {
        let doc = "Later by an interval, or so many days.";
        out.push(FunctionDesc::new("+", signature, doc, eval));
    };
    push(
        "date, int4 -> date",
        eval!(|d: Date, n: i32| dt::date_add(d.0, n).map(Date)),
    );
    push(
        "int4, date -> date",
        eval!(|n: i32, d: Date| dt::date_add(d.0, n).map(Date)),
    );
    push(
        "date, interval -> timestamp",
        eval!(|d: Date, v: Interval| date_add_interval(d, &v)),
    );
    push(
        "interval, date -> timestamp",
        eval!(|v: Interval, d: Date| date_add_interval(d, &v)),
    );
    push(
        "date, time -> timestamp",
        eval!(|d: Date, t: Time| dt::date_at_time(d.0, t.0).map(Ts)),
    );
    push(
        "time, date -> timestamp",
        eval!(|t: Time, d: Date| dt::date_at_time(d.0, t.0).map(Ts)),
    );
    push(
        "interval, interval -> interval",
        eval!(|a: Interval, b: Interval| a.add(&b)),
    );
    push(
        "timestamp, interval -> timestamp",
        eval!(|t: Ts, v: Interval| dt::timestamp_add(t.0, &v).map(Ts)),
    );
    push(
        "interval, timestamp -> timestamp",
        eval!(|v: Interval, t: Ts| dt::timestamp_add(t.0, &v).map(Ts)),
    );
    push(
        "timestamptz, interval -> timestamptz",
        eval!(types, _arena; |t: TsTz, v: Interval| {
            dt::timestamptz_add(t.0, &v, &zone(types)?.time_zone).map(TsTz)
        }),
    );
    push(
        "interval, timestamptz -> timestamptz",
        eval!(types, _arena; |v: Interval, t: TsTz| {
            dt::timestamptz_add(t.0, &v, &zone(types)?.time_zone).map(TsTz)
        }),
    );
    push(
        "time, interval -> time",
        eval!(|t: Time, v: Interval| Time(dt::time_add(t.0, &v))),
    );
    push(
        "interval, time -> time",
        eval!(|v: Interval, t: Time| Time(dt::time_add(t.0, &v))),
    );
}

fn declare_differences(out: &mut Declarations) {
    let mut push = |signature, eval| {
        let doc = "Earlier by an interval, or the span between.";
        out.push(FunctionDesc::new("-", signature, doc, eval));
    };
    push(
        "date, date -> int4",
        eval!(|a: Date, b: Date| dt::date_diff(a.0, b.0)),
    );
    push(
        "date, int4 -> date",
        eval!(|d: Date, n: i32| dt::date_sub(d.0, n).map(Date)),
    );
    push(
        "date, interval -> timestamp",
        eval!(|d: Date, v: Interval| date_sub_interval(d, &v)),
    );
    push(
        "interval, interval -> interval",
        eval!(|a: Interval, b: Interval| a.sub(&b)),
    );
    push(
        "time, interval -> time",
        eval!(|t: Time, v: Interval| Time(dt::time_sub(t.0, &v))),
    );
    push(
        "time, time -> interval",
        eval!(|a: Time, b: Time| dt::time_diff(a.0, b.0)),
    );
    push(
        "timestamp, interval -> timestamp",
        eval!(|t: Ts, v: Interval| dt::timestamp_sub(t.0, &v).map(Ts)),
    );
    push(
        "timestamp, timestamp -> interval",
        eval!(|a: Ts, b: Ts| dt::timestamp_diff(a.0, b.0)),
    );
    push(
        "timestamptz, interval -> timestamptz",
        eval!(types, _arena; |t: TsTz, v: Interval| {
            dt::timestamptz_sub(t.0, &v, &zone(types)?.time_zone).map(TsTz)
        }),
    );
    push(
        "timestamptz, timestamptz -> interval",
        eval!(|a: TsTz, b: TsTz| dt::timestamp_diff(a.0, b.0)),
    );
    push("interval -> interval", eval!(|v: Interval| v.neg()));
}

pub(super) fn declare(out: &mut Declarations) {
    declare_sums(out);
    declare_differences(out);
    let mut push =
        |name, signature, doc, eval| out.push(FunctionDesc::new(name, signature, doc, eval));
    push(
        "*",
        "interval, float8 -> interval",
        "The interval so many times.",
        eval!(|v: Interval, n: f64| v.mul(n)),
    );
    push(
        "*",
        "float8, interval -> interval",
        "The interval so many times.",
        eval!(|n: f64, v: Interval| v.mul(n)),
    );
    push(
        "/",
        "interval, float8 -> interval",
        "The interval divided.",
        eval!(|v: Interval, n: f64| v.div(n)),
    );
}
