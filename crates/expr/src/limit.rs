//! How large a value may be: as large as PostgreSQL's.
//!
//! Every call's result is held to it; a function that could make far more of its arguments asks before, or as it goes.

use everview_repr::{Datum, EvalError, SqlState};

/// The most bytes of a value.
pub(crate) const MAX_BYTES: usize = 0x3fff_ffff;

/// 54000 if so many bytes are too many for a value.
pub(crate) fn within(bytes: usize) -> Result<(), EvalError> {
    if bytes <= MAX_BYTES {
        return Ok(());
    }
    let message = format!("invalid memory alloc request size {bytes}");
    Err(detailed(EvalError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        message,
    )))
}

/// The same for a function's result.
pub(crate) fn result<'a>(datum: Datum<'a>) -> Result<Datum<'a>, EvalError> {
    within(bytes(&datum)).map(|()| datum)
}

/// The error for a length that was asked for.
pub(crate) fn requested() -> EvalError {
    let message = "requested length too large";
    EvalError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
}

/// The error for what was gathered.
pub(crate) fn gathered() -> EvalError {
    detailed(EvalError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        "out of memory",
    ))
}

fn detailed(error: EvalError) -> EvalError {
    error.with_detail(format!("A value is limited to {MAX_BYTES} bytes."))
}

/// About what a value takes.
pub(crate) fn bytes(datum: &Datum<'_>) -> usize {
    match datum {
        Datum::Text(s) | Datum::BpChar(s) => s.len(),
        Datum::Bytea(bytes) | Datum::Numeric(bytes) => bytes.len(),
        Datum::Jsonb(json) => json.bytes().len(),
        Datum::Array(array) => array.bytes().len(),
        Datum::Record(row) => row.bytes().len(),
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_at_most_a_gibibyte() {
        // Memory that nobody touches.
        let bytes = vec![0u8; MAX_BYTES + 1];
        assert!(result(Datum::Bytea(&bytes[..MAX_BYTES])).is_ok());
        let error = result(Datum::Bytea(&bytes)).map(|_| ());
        let error = error.expect_err("one byte too many");
        assert_eq!(error.code(), SqlState::PROGRAM_LIMIT_EXCEEDED);
        assert_eq!(
            error.message(),
            "invalid memory alloc request size 1073741824"
        );
    }
}
