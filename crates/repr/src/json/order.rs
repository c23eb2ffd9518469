//! Comparing jsonb: order, keys, containment.

use super::{Json, Kind, Value};
use crate::key::push_terminated;
use crate::numeric::Numeric;
use std::cmp::Ordering;

mod marker {
    /// Postgres's quirk: at the top an empty array sorts below everything.
    pub const TOP_EMPTY_ARRAY: u8 = 0;
    pub const NULL: u8 = 1;
    pub const STRING: u8 = 2;
    pub const NUMBER: u8 = 3;
    pub const FALSE: u8 = 4;
    pub const TRUE: u8 = 5;
    pub const ARRAY: u8 = 6;
    pub const OBJECT: u8 = 7;
}

/// Appends the value's key: bytes compare as [`compare`] does, and are equal exactly where it says so.
pub fn push_key(out: &mut Vec<u8>, value: Json<'_>) {
    match value.value() {
        Value::Array(array) if array.is_empty() => out.push(marker::TOP_EMPTY_ARRAY),
        _ => push_inner_key(out, value),
    }
}

fn push_inner_key(out: &mut Vec<u8>, value: Json<'_>) {
    match value.value() {
        Value::Null => out.push(marker::NULL),
        Value::String(s) => {
            out.push(marker::STRING);
            push_terminated(out, s.as_bytes());
        }
        Value::Number(n) => {
            out.push(marker::NUMBER);
            crate::numeric::push_key(out, n);
        }
        Value::Boolean(false) => out.push(marker::FALSE),
        Value::Boolean(true) => out.push(marker::TRUE),
        Value::Array(array) => {
            out.push(marker::ARRAY);
            out.extend((array.len() as u32).to_be_bytes());
            array
                .iter()
                .for_each(|element| push_inner_key(out, element));
        }
        Value::Object(object) => {
            out.push(marker::OBJECT);
            out.extend((object.len() as u32).to_be_bytes());
            for (key, value) in object.iter() {
                push_terminated(out, key.as_bytes());
                push_inner_key(out, value);
            }
        }
    }
}

/// Postgres's order: Object > Array > Boolean > Number > String > null; containers by their number of members
/// first; strings by bytes; the empty array, at the top only, below everything.
pub fn compare(a: Json<'_>, b: Json<'_>) -> Ordering {
    let empty = |j: Json<'_>| j.as_array().is_some_and(|array| array.is_empty());
    match (empty(a), empty(b)) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => compare_inner(a, b),
    }
}

fn compare_inner(a: Json<'_>, b: Json<'_>) -> Ordering {
    match (a.value(), b.value()) {
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => compare_numbers(a, b),
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(&b),
        (Value::Array(a), Value::Array(b)) => a.len().cmp(&b.len()).then_with(|| {
            let pairs = a.iter().zip(b.iter());
            first_difference(pairs.map(|(x, y)| compare_inner(x, y)))
        }),
        (Value::Object(a), Value::Object(b)) => a.len().cmp(&b.len()).then_with(|| {
            let pairs = a.iter().zip(b.iter());
            first_difference(
                pairs.map(|((ka, va), (kb, vb))| ka.cmp(kb).then_with(|| compare_inner(va, vb))),
            )
        }),
        _ => a.kind().cmp(&b.kind()),
    }
}

fn first_difference(mut orders: impl Iterator<Item = Ordering>) -> Ordering {
    orders
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn compare_numbers(a: &[u8], b: &[u8]) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    match (Numeric::from_bytes(a), Numeric::from_bytes(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.cmp(b),
    }
}

/// `a @> b`: every part of `b` is in `a` at the same place, whatever the order and number of array elements. At the
/// top an array contains a scalar that is one of its elements.
pub fn contains(a: Json<'_>, b: Json<'_>) -> bool {
    match (a.value(), b.value()) {
        (Value::Array(array), _) if b.is_scalar() => array.iter().any(|x| compare(x, b).is_eq()),
        _ => contains_inner(a, b),
    }
}

fn contains_inner(a: Json<'_>, b: Json<'_>) -> bool {
    match (a.value(), b.value()) {
        (Value::Object(a), Value::Object(b)) => {
            b.len() <= a.len()
                && b.iter()
                    .all(|(key, y)| a.get(key).is_some_and(|x| contains_inner(x, y)))
        }
        (Value::Array(a), Value::Array(b)) => b.iter().all(|y| {
            a.iter()
                .any(|x| x.kind() == y.kind() && contains_inner(x, y))
        }),
        _ => a.kind() == b.kind() && a.kind() < Kind::Array && compare_inner(a, b).is_eq(),
    }
}

/// `a ? key`: a member of that key, an element that is that string, or that string itself.
pub fn exists(a: Json<'_>, key: &str) -> bool {
    let is_key = |j: Json<'_>| matches!(j.value(), Value::String(s) if s == key);
    match a.value() {
        Value::Object(object) => object.get(key).is_some(),
        Value::Array(array) => array.iter().any(is_key),
        _ => is_key(a),
    }
}
