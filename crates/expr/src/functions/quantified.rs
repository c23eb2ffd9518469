//! `x op ANY (array)` and `x op ALL (array)` (manual, section 9.24): functions named `any=`, `all<` and so on.

use super::comparison::test;
use super::{Declarations, pattern};
use crate::compare::compare;
use crate::registry::FunctionDesc;
use crate::value::{FromDatum, mismatch};
use everview_repr::{Array, Datum, EvalError};

/// Three-valued ANY (`decisive` true) or ALL (`decisive` false) of one value against an array's elements.
fn quantify<'a>(
    args: &[Datum<'a>],
    decisive: bool,
    mut holds: impl FnMut(Datum<'a>, Datum<'a>) -> Result<bool, EvalError>,
) -> Result<Datum<'a>, EvalError> {
    let [left, array, ..] = args else {
        return Err(mismatch());
    };
    if array.is_null() {
        return Ok(Datum::Null);
    }
    let array = Array::from_datum(*array)?;
    if array.is_empty() {
        return Ok(Datum::Bool(!decisive));
    }
    if left.is_null() {
        return Ok(Datum::Null);
    }
    let mut null = false;
    for element in array.elements() {
        if element.is_null() {
            null = true;
        } else if holds(*left, element)? == decisive {
            return Ok(Datum::Bool(decisive));
        }
    }
    Ok(if null {
        Datum::Null
    } else {
        Datum::Bool(!decisive)
    })
}

macro_rules! comparison {
    ($out:ident, $any:literal, $all:literal, $symbol:literal) => {
        let signature = "anycompatible, anycompatiblearray -> bool";
        $out.push(
            FunctionDesc::new(
                $any,
                signature,
                "Whether the comparison holds for an element.",
                |_, args, _| {
                    quantify(args, true, |a, b| {
                        test($symbol, compare(a, b)).ok_or_else(mismatch)
                    })
                },
            )
            .lenient()
            .infallible(),
        );
        $out.push(
            FunctionDesc::new(
                $all,
                signature,
                "Whether the comparison holds for all elements.",
                |_, args, _| {
                    quantify(args, false, |a, b| {
                        test($symbol, compare(a, b)).ok_or_else(mismatch)
                    })
                },
            )
            .lenient()
            .infallible(),
        );
    };
}

macro_rules! matching {
    ($out:ident, $any:literal, $all:literal, $matches:path, $expected:literal) => {
        $out.push(
            FunctionDesc::new(
                $any,
                "text, text[] -> bool",
                "Whether a pattern of the array matches.",
                |_, args, _| {
                    quantify(args, true, |a, b| {
                        Ok(
                            $matches(FromDatum::from_datum(a)?, FromDatum::from_datum(b)?)?
                                == $expected,
                        )
                    })
                },
            )
            .lenient(),
        );
        $out.push(
            FunctionDesc::new(
                $all,
                "text, text[] -> bool",
                "Whether all patterns of the array match.",
                |_, args, _| {
                    quantify(args, false, |a, b| {
                        Ok(
                            $matches(FromDatum::from_datum(a)?, FromDatum::from_datum(b)?)?
                                == $expected,
                        )
                    })
                },
            )
            .lenient(),
        );
    };
}

pub(super) fn declare(out: &mut Declarations) {
    comparison!(out, "any=", "all=", "=");
    comparison!(out, "any<>", "all<>", "<>");
    comparison!(out, "any<", "all<", "<");
    comparison!(out, "any<=", "all<=", "<=");
    comparison!(out, "any>", "all>", ">");
    comparison!(out, "any>=", "all>=", ">=");
    matching!(out, "any~~", "all~~", pattern::like, true);
    matching!(out, "any!~~", "all!~~", pattern::like, false);
    matching!(out, "any~~*", "all~~*", pattern::ilike, true);
    matching!(out, "any!~~*", "all!~~*", pattern::ilike, false);
    matching!(out, "any~", "all~", pattern::regex_matches, true);
    matching!(out, "any!~", "all!~", pattern::regex_matches, false);
    matching!(
        out,
        "any~*",
        "all~*",
        pattern::regex_matches_insensitive,
        true
    );
    matching!(
        out,
        "any!~*",
        "all!~*",
        pattern::regex_matches_insensitive,
        false
    );
}
