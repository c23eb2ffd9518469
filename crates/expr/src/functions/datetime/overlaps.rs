//! `(start, end) OVERLAPS (start, end)`, where an end can be an interval after the start.

use crate::functions::Declarations;
use crate::functions::context::zone;
use crate::registry::{Eval, FunctionDesc};
use crate::scalar::CallTypes;
use crate::value::mismatch;
use everview_repr::datetime as dt;
use everview_repr::{Datum, EvalError};

/// The microseconds of one of four operands; an interval is added to the start before it.
fn operand(types: &CallTypes, args: &[Datum<'_>], at: usize) -> Result<Option<i64>, EvalError> {
    let (start, datum) = (args.get(at & !1), args.get(at));
    Ok(match (datum, start) {
        (Some(Datum::Null), _) => None,
        (Some(Datum::Time(v) | Datum::Timestamp(v) | Datum::TimestampTz(v)), _) => Some(*v),
        (Some(Datum::Interval(_)), Some(Datum::Null)) => None,
        (Some(Datum::Interval(v)), Some(Datum::Time(start))) => Some(dt::time_add(*start, v)),
        (Some(Datum::Interval(v)), Some(Datum::Timestamp(start))) => {
            Some(dt::timestamp_add(*start, v)?)
        }
        (Some(Datum::Interval(v)), Some(Datum::TimestampTz(start))) => {
            Some(dt::timestamptz_add(*start, v, &zone(types)?.time_zone)?)
        }
        _ => return Err(mismatch()),
    })
}

fn overlaps<'a>(types: &CallTypes, args: &[Datum<'a>]) -> Result<Datum<'a>, EvalError> {
    let at = |i| operand(types, args, i);
    let result = dt::overlaps((at(0)?, at(1)?), (at(2)?, at(3)?));
    Ok(result.map_or(Datum::Null, Datum::Bool))
}

pub(super) fn declare(out: &mut Declarations) {
    let eval: Eval = |types, args, _| overlaps(types, args);
    let doc = "Whether two spans of time overlap.";
    for ty in ["time", "timestamp", "timestamptz"] {
        for (first, second) in [
            (ty, ty),
            (ty, "interval"),
            ("interval", ty),
            ("interval", "interval"),
        ] {
            let signature = format!("{ty}, {first}, {ty}, {second} -> bool");
            out.push(FunctionDesc::new("overlaps", &signature, doc, eval).lenient());
        }
    }
}
