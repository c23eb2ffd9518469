//! to_char, to_date and to_timestamp of dates and times by template.

use crate::functions::Declarations;
use crate::functions::context::zone;
use crate::registry::FunctionDesc;
use crate::value::{Date, Ts, TsTz, eval};
use everview_repr::Interval;
use everview_repr::datetime as dt;

pub(super) fn declare(out: &mut Declarations) {
    let doc = "A date or time as text by a template.";
    let mut push = |signature, eval| {
        out.push(FunctionDesc::new("to_char", signature, doc, eval).nullable());
    };
    push(
        "timestamp, text -> text",
        eval!(|v: Ts, t: &str| dt::to_char_timestamp(v.0, t)),
    );
    push(
        "timestamptz, text -> text",
        eval!(types, _arena; |v: TsTz, t: &str| {
            dt::to_char_timestamptz(v.0, &zone(types)?.time_zone, t)
        }),
    );
    push(
        "interval, text -> text",
        eval!(|v: Interval, t: &str| dt::to_char_interval(&v, t)),
    );
    let doc = "A date read by a template.";
    let desc = FunctionDesc::new(
        "to_date",
        "text, text -> date",
        doc,
        eval!(|s: &str, t: &str| dt::to_date(s, t).map(Date)),
    );
    out.push(desc);
    let doc = "A timestamp with time zone read by a template.";
    let desc = FunctionDesc::new(
        "to_timestamp",
        "text, text -> timestamptz",
        doc,
        eval!(types, _arena; |s: &str, t: &str| {
            dt::to_timestamp(s, t, &zone(types)?.time_zone).map(TsTz)
        }),
    );
    out.push(desc);
}
