//! The declarations of all scalar functions, by family.
//!
//! A family is a function that appends its declarations to the list; [`all`] is the one place that names them. A
//! function's position in that list is its identity within one build and is stored nowhere.

mod arithmetic;
mod array;
mod array_edit;
mod bits;
mod bytea;
mod cast;
mod comparison;
pub(crate) mod context;
mod datetime;
mod format;
mod json;
mod math;
mod number_template;
pub(crate) mod pattern;
mod quantified;
mod random;
mod record;
mod session;
mod string;
mod string_parts;
mod typmod;
mod uuid;

#[cfg(test)]
mod tests;

pub use string_parts::{quote_ident, quote_literal};

use crate::registry::FunctionDesc;

/// What a family appends to.
pub(crate) type Declarations = Vec<FunctionDesc>;

/// Every scalar function, in a fixed order.
pub(crate) fn all() -> Declarations {
    let mut out = Vec::new();
    for family in [
        comparison::declare,
        quantified::declare,
        arithmetic::declare,
        bits::declare,
        math::declare,
        cast::declare,
        typmod::declare,
        string::declare,
        string_parts::declare,
        format::declare,
        pattern::declare,
        bytea::declare,
        datetime::declare,
        number_template::declare,
        array::declare,
        array_edit::declare,
        json::declare,
        record::declare,
        uuid::declare,
        random::declare,
        session::declare,
    ] {
        family(&mut out);
    }
    out
}
