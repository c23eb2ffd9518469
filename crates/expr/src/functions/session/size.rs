//! Sizes of objects, and sizes as people write them.

use crate::functions::Declarations;
use crate::functions::context::ask;
use crate::registry::{Eval, FunctionDesc};
use crate::value::eval;
use everview_repr::numeric::Numeric;
use everview_repr::{Datum, EvalError, Row, SqlState};
use num_bigint::BigInt;
use num_traits::Signed;

/// A unit's name, the bound below which it serves, whether it rounds, and its bits.
const UNITS: [(&str, i64, bool, u32); 6] = [
    ("bytes", 10 * 1024, false, 0),
    ("kB", 20 * 1024 - 1, true, 10),
    ("MB", 20 * 1024 - 1, true, 20),
    ("GB", 20 * 1024 - 1, true, 30),
    ("TB", 20 * 1024 - 1, true, 40),
    ("PB", 20 * 1024 - 1, true, 50),
];

/// `dbsize.c`: the value is kept doubled once rounding starts, and halved away from zero at the end.
fn pretty(size: BigInt) -> String {
    let mut size = size;
    for (i, (unit, limit, round, bits)) in UNITS.iter().enumerate() {
        let last = i + 1 == UNITS.len();
        if last || size.abs() < BigInt::from(*limit) {
            if *round {
                // Half away from zero.
                size = if size.is_negative() {
                    (size - 1) / 2
                } else {
                    (size + 1) / 2
                };
            }
            return format!("{size} {unit}");
        }
        let next = UNITS[i + 1];
        let shift = next.3 - bits - u32::from(next.2) + u32::from(*round);
        size /= BigInt::from(1i64 << shift);
    }
    size.to_string()
}

fn pretty_numeric(size: &Numeric) -> Result<String, EvalError> {
    // Nothing is below a bound that compares with NaN: Postgres ends at the last unit.
    if !size.is_finite() {
        return Ok(format!("{size} PB"));
    }
    let below = Numeric::from_bigint(BigInt::from(10 * 1024))?;
    if size.abs() < below {
        return Ok(format!("{size} bytes"));
    }
    let whole = size.trunc(0)?.to_bigint().unwrap_or_default();
    Ok(pretty(whole))
}

/// `pg_size_bytes`: a number and a unit.
fn bytes(text: &str) -> Result<i64, EvalError> {
    let bad = || {
        let message = format!("invalid size: \"{text}\"");
        EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message)
    };
    let trimmed = text.trim();
    let digits = trimmed
        .char_indices()
        .find(|(i, c)| !(c.is_ascii_digit() || *c == '.' || *i == 0 && matches!(c, '+' | '-')))
        .map_or(trimmed.len(), |(i, _)| i);
    let (number, unit) = trimmed.split_at(digits);
    // An exponent belongs to the number.
    let (number, unit) = match unit.strip_prefix(['e', 'E']) {
        Some(tail) => {
            let end = tail
                .char_indices()
                .find(|(i, c)| !(c.is_ascii_digit() || *i == 0 && matches!(c, '+' | '-')))
                .map_or(tail.len(), |(i, _)| i);
            if end == 0 {
                (number, unit)
            } else {
                trimmed.split_at(digits + 1 + end)
            }
        }
        None => (number, unit),
    };
    let value = Numeric::parse(number).map_err(|_| bad())?;
    let unit = unit.trim();
    let bits = UNITS
        .iter()
        .find(|(name, ..)| name.eq_ignore_ascii_case(unit))
        .map(|u| u.3);
    let bits =
        match (unit, bits) {
            ("", _) => 0,
            (_, Some(bits)) => bits,
            (unit, None) if unit.eq_ignore_ascii_case("B") => 0,
            (unit, None) => {
                return Err(bad().with_detail(format!("Invalid size unit: \"{unit}\".")).with_hint(
                "Valid units are \"bytes\", \"B\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\".",
            ));
            }
        };
    let factor = Numeric::from_bigint(BigInt::from(1i64 << bits))?;
    value.mul(&factor)?.to_i64()
}

fn size_of<'a>(datum: Datum<'a>) -> Datum<'a> {
    // The packed form, without its tag.
    Datum::Int32(Row::pack([datum]).bytes().len().saturating_sub(1) as i32)
}

pub(super) fn declare(out: &mut Declarations) {
    let doc = "A number of bytes with a unit that suits it.";
    let eval: Eval = eval!(|n: i64| pretty(BigInt::from(n)));
    out.push(FunctionDesc::new("pg_size_pretty", "int8 -> text", doc, eval).infallible());
    let eval: Eval = eval!(|n: Numeric| pretty_numeric(&n));
    out.push(FunctionDesc::new(
        "pg_size_pretty",
        "numeric -> text",
        doc,
        eval,
    ));
    let doc = "The bytes of a number with a unit.";
    out.push(FunctionDesc::new(
        "pg_size_bytes",
        "text -> int8",
        doc,
        eval!(|s: &str| bytes(s)),
    ));
    let doc = "Bytes that a value takes in a row.";
    let eval: Eval = |_, args, _| Ok(args.first().map_or(Datum::Null, |d| size_of(*d)));
    out.push(FunctionDesc::new("pg_column_size", "any -> int4", doc, eval).infallible());
    macro_rules! size {
        ($($name:literal, $signature:literal, $doc:literal;)*) => {$(
            out.push(FunctionDesc::new($name, $signature, $doc, ask!($name)).nullable().volatile());
        )*};
    }
    size! {
        "pg_relation_size", "regclass -> int8", "Bytes of a relation.";
        "pg_relation_size", "regclass, text -> int8", "Bytes of a relation's fork.";
        "pg_table_size", "regclass -> int8", "Bytes of a table without its indexes.";
        "pg_indexes_size", "regclass -> int8", "Bytes of a table's indexes.";
        "pg_total_relation_size", "regclass -> int8", "Bytes of a table with its indexes.";
        "pg_database_size", "name -> int8", "Bytes of a database.";
        "pg_database_size", "oid -> int8", "Bytes of a database.";
        "pg_tablespace_size", "name -> int8", "Bytes of a tablespace.";
        "pg_tablespace_size", "oid -> int8", "Bytes of a tablespace.";
    }
}
