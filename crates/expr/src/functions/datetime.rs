//! Dates, times and intervals (manual, section 9.9): a layer over [`everview_repr::datetime`] that knows the
//! session's zone.

mod make;
mod operators;
mod overlaps;
mod template;

use super::Declarations;
use super::context::zone;
use crate::registry::FunctionDesc;
use crate::value::{Date, Time, Ts, TsTz, eval};
use everview_repr::datetime::{self, Zone};
use everview_repr::{EvalError, Interval};

fn declare_extract(out: &mut Declarations) {
    let mut push = |signature, eval| {
        let doc = "A field of a date, time or interval.";
        out.push(FunctionDesc::new("extract", signature, doc, eval).nullable());
    };
    push(
        "text, timestamp -> numeric",
        eval!(|f: &str, v: Ts| datetime::extract_timestamp(f, v.0)),
    );
    push(
        "text, timestamptz -> numeric",
        eval!(types, _arena; |f: &str, v: TsTz| {
            datetime::extract_timestamptz(f, v.0, &zone(types)?.time_zone)
        }),
    );
    push(
        "text, date -> numeric",
        eval!(|f: &str, v: Date| datetime::extract_date(f, v.0)),
    );
    push(
        "text, time -> numeric",
        eval!(|f: &str, v: Time| datetime::extract_time(f, v.0)),
    );
    push(
        "text, interval -> numeric",
        eval!(|f: &str, v: Interval| datetime::extract_interval(f, &v)),
    );
    let mut push = |signature, eval| {
        let doc = "A field of a date, time or interval, as a double.";
        out.push(FunctionDesc::new("date_part", signature, doc, eval).nullable());
    };
    push(
        "text, timestamp -> float8",
        eval!(|f: &str, v: Ts| datetime::date_part_timestamp(f, v.0)),
    );
    push(
        "text, timestamptz -> float8",
        eval!(types, _arena; |f: &str, v: TsTz| {
            datetime::date_part_timestamptz(f, v.0, &zone(types)?.time_zone)
        }),
    );
    push(
        "text, date -> float8",
        eval!(|f: &str, v: Date| {
            datetime::date_part_timestamp(f, datetime::date_to_timestamp(v.0)?)
        }),
    );
    push(
        "text, time -> float8",
        eval!(|f: &str, v: Time| datetime::date_part_time(f, v.0)),
    );
    push(
        "text, interval -> float8",
        eval!(|f: &str, v: Interval| datetime::date_part_interval(f, &v)),
    );
}

fn declare_truncation(out: &mut Declarations) {
    let mut push =
        |name, signature, doc, eval| out.push(FunctionDesc::new(name, signature, doc, eval));
    let doc = "Truncated to a field.";
    push(
        "date_trunc",
        "text, timestamp -> timestamp",
        doc,
        eval!(|f: &str, v: Ts| { datetime::date_trunc_timestamp(f, v.0).map(Ts) }),
    );
    push(
        "date_trunc",
        "text, timestamptz -> timestamptz",
        doc,
        eval!(types, _arena; |f: &str, v: TsTz| {
            datetime::date_trunc_timestamptz(f, v.0, &zone(types)?.time_zone).map(TsTz)
        }),
    );
    push(
        "date_trunc",
        "text, timestamptz, text -> timestamptz",
        doc,
        eval!(|f: &str, v: TsTz, z: &str| {
            datetime::date_trunc_timestamptz(f, v.0, &Zone::parse(z)?).map(TsTz)
        }),
    );
    push(
        "date_trunc",
        "text, interval -> interval",
        doc,
        eval!(|f: &str, v: Interval| { datetime::date_trunc_interval(f, &v) }),
    );
    let doc =
        "The start of the bin, of so long a stride and from an origin, that holds a timestamp.";
    push(
        "date_bin",
        "interval, timestamp, timestamp -> timestamp",
        doc,
        eval!(|s: Interval, v: Ts, o: Ts| { datetime::date_bin(&s, v.0, o.0).map(Ts) }),
    );
    push(
        "date_bin",
        "interval, timestamptz, timestamptz -> timestamptz",
        doc,
        eval!(|s: Interval, v: TsTz, o: TsTz| { datetime::date_bin(&s, v.0, o.0).map(TsTz) }),
    );
    let doc = "The interval between two timestamps by calendar fields.";
    push(
        "age",
        "timestamp, timestamp -> interval",
        doc,
        eval!(|a: Ts, b: Ts| datetime::age(a.0, b.0)),
    );
    push(
        "age",
        "timestamptz, timestamptz -> interval",
        doc,
        eval!(types, _arena; |a: TsTz, b: TsTz| {
            datetime::age_timestamptz(a.0, b.0, &zone(types)?.time_zone)
        }),
    );
    push(
        "justify_days",
        "interval -> interval",
        "30 days as a month.",
        eval!(|v: Interval| v.justify_days()),
    );
    push(
        "justify_hours",
        "interval -> interval",
        "24 hours as a day.",
        eval!(|v: Interval| v.justify_hours()),
    );
    push(
        "justify_interval",
        "interval -> interval",
        "Both, and all fields of one sign.",
        eval!(|v: Interval| v.justify_interval()),
    );
}

/// `AT TIME ZONE`.
fn declare_zones(out: &mut Declarations) {
    let mut push =
        |signature, doc, eval| out.push(FunctionDesc::new("timezone", signature, doc, eval));
    fn to_local(zone: Result<Zone, EvalError>, v: TsTz) -> Result<Ts, EvalError> {
        zone?.to_local(v.0).map(Ts)
    }
    fn to_utc(zone: Result<Zone, EvalError>, v: Ts) -> Result<TsTz, EvalError> {
        zone?.to_utc(v.0).map(TsTz)
    }
    let doc = "AT TIME ZONE: the local time of an instant.";
    push(
        "text, timestamptz -> timestamp",
        doc,
        eval!(|z: &str, v: TsTz| to_local(Zone::parse(z), v)),
    );
    push(
        "interval, timestamptz -> timestamp",
        doc,
        eval!(|z: Interval, v: TsTz| to_local(Zone::from_interval(&z), v)),
    );
    let doc = "AT TIME ZONE: the instant of a local time.";
    push(
        "text, timestamp -> timestamptz",
        doc,
        eval!(|z: &str, v: Ts| to_utc(Zone::parse(z), v)),
    );
    push(
        "interval, timestamp -> timestamptz",
        doc,
        eval!(|z: Interval, v: Ts| to_utc(Zone::from_interval(&z), v)),
    );
}

pub(super) fn declare(out: &mut Declarations) {
    operators::declare(out);
    declare_extract(out);
    declare_truncation(out);
    declare_zones(out);
    make::declare(out);
    overlaps::declare(out);
    template::declare(out);
    let mut push = |signature, eval| {
        let doc = "Whether it is no infinity.";
        out.push(FunctionDesc::new("isfinite", signature, doc, eval).infallible());
    };
    push(
        "date -> bool",
        eval!(|v: Date| datetime::date_is_finite(v.0)),
    );
    push(
        "timestamp -> bool",
        eval!(|v: Ts| datetime::timestamp_is_finite(v.0)),
    );
    push(
        "timestamptz -> bool",
        eval!(|v: TsTz| datetime::timestamp_is_finite(v.0)),
    );
    push("interval -> bool", eval!(|_v: Interval| true));
}
