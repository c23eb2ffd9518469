//! Conditions on keys, with their values, as ranges of key bytes.

use super::access::{Access, Bound, Equal};
use everview_dataflow::prefix_end;
use everview_repr::{Datum, RowArena, ScalarType, key};
use std::collections::BTreeSet;

/// The most keys of one read that are looked up one by one; more lists of values are left to the filter.
const MOST_KEYS: usize = 1 << 16;

/// Keys to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// One whole key.
    Key(Vec<u8>),
    /// Keys from the first, inclusive, to the second, exclusive; none does not bound.
    Range(Vec<u8>, Option<Vec<u8>>),
}

impl Span {
    /// All keys.
    pub fn all() -> Span {
        Span::Range(Vec::new(), None)
    }
}

/// Where a value lies among those of a key's type.
enum Place<'d> {
    /// It is one of them.
    At(Datum<'d>),
    Below,
    Above,
    Null,
    Failed,
}

/// The keys that can satisfy an access's conditions, in order and apart; `None` if a value failed: then every row
/// must meet the filter.
pub(crate) fn spans(access: &Access) -> Option<Vec<Span>> {
    let arena = RowArena::new();
    let mut prefixes = vec![Vec::new()];
    for (n, (equal, (_, ty))) in access.equal.iter().zip(access.keys.iter()).enumerate() {
        let parts = alternatives(equal, ty, &arena)?;
        if prefixes.len() * parts.len() > MOST_KEYS {
            return Some(open(prefixes, n == 0));
        }
        prefixes = prefixes
            .iter()
            .flat_map(|prefix| parts.iter().map(|part| [prefix.as_slice(), part].concat()))
            .collect();
    }
    if access.is_complete() {
        return Some(prefixes.into_iter().map(Span::Key).collect());
    }
    if access.low.is_none() && access.high.is_none() {
        return Some(open(prefixes, access.equal.is_empty()));
    }
    let ty = &access.keys[access.equal.len()].1;
    let Some((low, high)) = ends(access.low.as_ref(), access.high.as_ref(), ty, &arena)? else {
        return Some(Vec::new());
    };
    let spans = prefixes.into_iter().map(|prefix| {
        let low = [prefix.as_slice(), &low].concat();
        Span::Range(low, Some([prefix.as_slice(), &high].concat()))
    });
    Some(spans.collect())
}

/// Whatever begins with the prefixes.
fn open(prefixes: Vec<Vec<u8>>, all: bool) -> Vec<Span> {
    if all {
        return vec![Span::all()];
    }
    let spans = prefixes.into_iter().map(|prefix| {
        let end = prefix_end(&prefix);
        Span::Range(prefix, end)
    });
    spans.collect()
}

/// The encodings that a key may have, each once, in order.
fn alternatives(equal: &Equal, ty: &ScalarType, arena: &RowArena) -> Option<BTreeSet<Vec<u8>>> {
    let mut out = BTreeSet::new();
    let mut add = |place: Place<'_>| match place {
        Place::At(datum) => {
            out.insert(key::encode([datum]).0);
            true
        }
        Place::Failed => false,
        _ => true,
    };
    match equal {
        Equal::Null => drop(out.insert(key::encode([Datum::Null]).0)),
        Equal::AnyOf(values) => {
            for value in values {
                if !add(place(ty, value.eval(&[], arena))) {
                    return None;
                }
            }
        }
        Equal::Element(array) => match array.eval(&[], arena) {
            Datum::Array(array) => {
                for element in array.elements() {
                    if !add(place(ty, element)) {
                        return None;
                    }
                }
            }
            Datum::Null => {}
            _ => return None,
        },
    }
    Some(out)
}

/// The bytes between which a key lies, if there are any; the outer `None` if a value failed.
#[allow(
    clippy::option_option,
    reason = "failing and empty are different answers"
)]
fn ends(
    low: Option<&Bound>,
    high: Option<&Bound>,
    ty: &ScalarType,
    arena: &RowArena,
) -> Option<Option<(Vec<u8>, Vec<u8>)>> {
    // Values come before NULL, and NULL satisfies no comparison.
    let null = key::encode([Datum::Null]).0;
    let mut from = Vec::new();
    let mut to = null;
    if let Some(bound) = low {
        match place(ty, bound.value.eval(&[], arena)) {
            Place::At(datum) => {
                let encoded = key::encode([datum]).0;
                from = if bound.inclusive {
                    encoded
                } else {
                    prefix_end(&encoded)?
                };
            }
            Place::Below => {}
            Place::Above | Place::Null => return Some(None),
            Place::Failed => return None,
        }
    }
    if let Some(bound) = high {
        match place(ty, bound.value.eval(&[], arena)) {
            Place::At(datum) => {
                let encoded = key::encode([datum]).0;
                to = if bound.inclusive {
                    prefix_end(&encoded)?
                } else {
                    encoded
                };
            }
            Place::Above => {}
            Place::Below | Place::Null => return Some(None),
            Place::Failed => return None,
        }
    }
    Some((from < to).then_some((from, to)))
}

fn place<'d>(ty: &ScalarType, datum: Datum<'d>) -> Place<'d> {
    let value = match datum {
        Datum::Null => return Place::Null,
        Datum::Error(_) => return Place::Failed,
        Datum::Int16(v) => i64::from(v),
        Datum::Int32(v) => i64::from(v),
        Datum::Int64(v) => v,
        other => return Place::At(other),
    };
    let beyond = if value < 0 {
        Place::Below
    } else {
        Place::Above
    };
    match ty {
        ScalarType::Int16 => i16::try_from(value).map_or(beyond, |v| Place::At(Datum::Int16(v))),
        ScalarType::Int32 => i32::try_from(value).map_or(beyond, |v| Place::At(Datum::Int32(v))),
        _ => Place::At(Datum::Int64(value)),
    }
}
