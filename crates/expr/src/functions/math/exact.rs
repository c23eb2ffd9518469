//! Exact functions of integers and numerics: divisors, factorials, buckets.

use super::super::Declarations;
use crate::compare::compare;
use crate::registry::FunctionDesc;
use crate::value::eval;
use everview_repr::numeric::Numeric;
use everview_repr::{Array, Datum, EvalError, SqlState};

fn gcd(a: i64, b: i64) -> i128 {
    let (mut a, mut b) = (i128::from(a).abs(), i128::from(b).abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn lcm(a: i64, b: i64) -> i128 {
    match gcd(a, b) {
        0 => 0,
        divisor => (i128::from(a) / divisor * i128::from(b)).abs(),
    }
}

fn int4(v: i128) -> Result<i32, EvalError> {
    i32::try_from(v).map_err(|_| EvalError::out_of_range("integer"))
}

fn int8(v: i128) -> Result<i64, EvalError> {
    i64::try_from(v).map_err(|_| EvalError::out_of_range("bigint"))
}

fn bad_bucket(message: &str) -> EvalError {
    EvalError::new(
        SqlState::INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION,
        message,
    )
}

/// The bucket of `operand` among `count` equal ones between two bounds, 0 below, `count + 1` above.
fn width_bucket(operand: f64, low: f64, high: f64, count: i32) -> Result<i32, EvalError> {
    if count <= 0 {
        return Err(bad_bucket("count must be greater than zero"));
    }
    if operand.is_nan() || low.is_nan() || high.is_nan() {
        return Err(bad_bucket(
            "operand, lower bound, and upper bound cannot be NaN",
        ));
    }
    if low.is_infinite() || high.is_infinite() {
        return Err(bad_bucket("lower and upper bounds must be finite"));
    }
    if low == high {
        return Err(bad_bucket("lower bound cannot equal upper bound"));
    }
    let ascending = low < high;
    let (below, above) = if ascending {
        (operand < low, operand >= high)
    } else {
        (operand > low, operand <= high)
    };
    if below {
        return Ok(0);
    }
    if above {
        return count
            .checked_add(1)
            .ok_or_else(|| EvalError::out_of_range("integer"));
    }
    // Halved where the range is beyond the format.
    let (position, range) = if (high - low).is_infinite() {
        (operand / 2.0 - low / 2.0, high / 2.0 - low / 2.0)
    } else {
        (operand - low, high - low)
    };
    let bucket = (f64::from(count) * (position / range)) as i32;
    // Rounding can reach the bound that `operand` is below.
    Ok(bucket.min(count - 1) + 1)
}

/// The number of thresholds at or below the operand; they are ascending.
fn threshold_bucket(operand: Datum<'_>, thresholds: Array<'_>) -> Result<i32, EvalError> {
    if thresholds.dimensions().len() > 1 {
        let message = "thresholds must be one-dimensional array";
        return Err(EvalError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message));
    }
    let elements: Vec<_> = thresholds.elements().collect();
    if elements.iter().any(Datum::is_null) {
        let message = "thresholds array must not contain NULLs";
        return Err(EvalError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message));
    }
    Ok(elements.partition_point(|t| compare(*t, operand).is_le()) as i32)
}

pub(super) fn declare(out: &mut Declarations) {
    let mut push =
        |name, signature, doc, eval| out.push(FunctionDesc::new(name, signature, doc, eval));
    let doc = "Greatest common divisor.";
    push(
        "gcd",
        "int4, int4 -> int4",
        doc,
        eval!(|a: i32, b: i32| int4(gcd(a.into(), b.into()))),
    );
    push(
        "gcd",
        "int8, int8 -> int8",
        doc,
        eval!(|a: i64, b: i64| int8(gcd(a, b))),
    );
    push(
        "gcd",
        "numeric, numeric -> numeric",
        doc,
        eval!(|a: Numeric, b: Numeric| a.gcd(&b)),
    );
    let doc = "Least common multiple.";
    push(
        "lcm",
        "int4, int4 -> int4",
        doc,
        eval!(|a: i32, b: i32| int4(lcm(a.into(), b.into()))),
    );
    push(
        "lcm",
        "int8, int8 -> int8",
        doc,
        eval!(|a: i64, b: i64| int8(lcm(a, b))),
    );
    push(
        "lcm",
        "numeric, numeric -> numeric",
        doc,
        eval!(|a: Numeric, b: Numeric| a.lcm(&b)),
    );
    push(
        "factorial",
        "int8 -> numeric",
        "Factorial.",
        eval!(|n: i64| Numeric::factorial(n)),
    );
    let doc = "The bucket of a value among equally wide ones between two bounds.";
    push(
        "width_bucket",
        "float8, float8, float8, int4 -> int4",
        doc,
        eval!(|x: f64, low: f64, high: f64, n: i32| width_bucket(x, low, high, n)),
    );
    push(
        "width_bucket",
        "numeric, numeric, numeric, int4 -> int4",
        doc,
        eval!(
            |x: Numeric, low: Numeric, high: Numeric, n: i32| Numeric::width_bucket(
                &x, &low, &high, n
            )
        ),
    );
    push(
        "width_bucket",
        "anycompatible, anycompatiblearray -> int4",
        "The bucket of a value by the lower bounds of buckets, ascending.",
        eval!(|x: Datum<'_>, bounds: Array<'_>| threshold_bucket(x, bounds)),
    );
}
