//! Row constructors and their fields.

use super::Declarations;
use crate::registry::{Eval, FunctionDesc};
use crate::value::mismatch;
use everview_repr::{Datum, Row};

pub(super) fn declare(out: &mut Declarations) {
    let row: Eval = |_, args, arena| Ok(Datum::Record(arena.row(Row::pack(args.iter().copied()))));
    let doc = "ROW(..): a composite of the arguments.";
    out.push(
        FunctionDesc::new("row", "variadic any -> record", doc, row)
            .lenient()
            .infallible(),
    );
    out.push(
        FunctionDesc::new("row", "-> record", doc, row)
            .lenient()
            .infallible(),
    );
    let field: Eval = |_, args, _| match args {
        [Datum::Record(record), Datum::Int32(n), ..] => {
            let index = usize::try_from(*n).ok().and_then(|n| n.checked_sub(1));
            Ok(index
                .and_then(|i| record.iter().nth(i))
                .unwrap_or(Datum::Null))
        }
        _ => Err(mismatch()),
    };
    let doc = "The n-th field of a composite, from 1; the call says its type.";
    out.push(FunctionDesc::new("record_get", "record, int4 -> any", doc, field).nullable());
    let all_null: Eval = |_, args, _| match args {
        [Datum::Record(record), ..] => Ok(Datum::Bool(record.iter().all(|d| d.is_null()))),
        [other, ..] => Ok(Datum::Bool(other.is_null())),
        [] => Err(mismatch()),
    };
    let doc = "IS NULL of a composite: whether all fields are NULL.";
    out.push(
        FunctionDesc::new("record_is_null", "record -> bool", doc, all_null)
            .lenient()
            .infallible(),
    );
    let none_null: Eval = |_, args, _| match args {
        [Datum::Record(record), ..] => Ok(Datum::Bool(record.iter().all(|d| !d.is_null()))),
        [other, ..] => Ok(Datum::Bool(!other.is_null())),
        [] => Err(mismatch()),
    };
    let doc = "IS NOT NULL of a composite: whether no field is NULL.";
    out.push(
        FunctionDesc::new("record_is_not_null", "record -> bool", doc, none_null)
            .lenient()
            .infallible(),
    );
}
