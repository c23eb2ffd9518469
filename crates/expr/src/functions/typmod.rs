//! Length coercions: a value brought to a type modifier.

use super::Declarations;
use crate::registry::{FunctionDesc, TYPMOD, TYPMOD_ASSIGNMENT};
use crate::scalar::CallTypes;
use crate::value::mismatch;
use everview_repr::{Array, Datum, EvalError, RowArena, ScalarType, array, text};

fn apply<'a>(
    types: &CallTypes,
    args: &[Datum<'a>],
    explicit: bool,
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    let [value, ..] = args else {
        return Err(mismatch());
    };
    match (&types.result, *value) {
        (ScalarType::Array(element), Datum::Array(values)) => {
            let mut elements = Vec::with_capacity(values.len());
            for value in values.elements() {
                elements.push(if value.is_null() {
                    value
                } else {
                    text::apply_typmod(element, types.typmod, value, explicit, arena)?
                });
            }
            let packed = array::build(&values.dimensions(), elements);
            Ok(Datum::Array(Array::from_packed(arena.bytes(packed))))
        }
        (ty, value) => text::apply_typmod(ty, types.typmod, value, explicit, arena),
    }
}

pub(super) fn declare(out: &mut Declarations) {
    let signature = "anyelement -> anyelement";
    out.push(FunctionDesc::new(
        TYPMOD,
        signature,
        "Brings a value to a type modifier as CAST does: too long a string is cut.",
        |types, args, arena| apply(types, args, true, arena),
    ));
    out.push(FunctionDesc::new(
        TYPMOD_ASSIGNMENT,
        signature,
        "Brings a value to a column's type modifier: too long a string is an error unless blanks are cut.",
        |types, args, arena| apply(types, args, false, arena),
    ));
}
