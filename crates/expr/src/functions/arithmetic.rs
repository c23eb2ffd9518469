//! Arithmetic on numbers (manual, section 9.3): operators by their symbols.
//!
//! Integers are computed a width wider and narrowed, so that overflow is found and named by the result's type.

use super::Declarations;
use crate::registry::FunctionDesc;
use crate::value::eval;
use everview_repr::numeric::Numeric;
use everview_repr::{Datum, EvalError, SqlState};

/// 22003 for smallint.
pub(super) fn int2(v: i64) -> Result<i16, EvalError> {
    i16::try_from(v).map_err(|_| EvalError::out_of_range("smallint"))
}

/// 22003 for integer.
pub(super) fn int4(v: i64) -> Result<i32, EvalError> {
    i32::try_from(v).map_err(|_| EvalError::out_of_range("integer"))
}

fn bigint(v: Option<i64>) -> Result<i64, EvalError> {
    v.ok_or_else(|| EvalError::out_of_range("bigint"))
}

fn add(a: i64, b: i64) -> Result<i64, EvalError> {
    bigint(a.checked_add(b))
}

fn subtract(a: i64, b: i64) -> Result<i64, EvalError> {
    bigint(a.checked_sub(b))
}

fn multiply(a: i64, b: i64) -> Result<i64, EvalError> {
    bigint(a.checked_mul(b))
}

fn divide(a: i64, b: i64) -> Result<i64, EvalError> {
    if b == 0 {
        Err(EvalError::division_by_zero())
    } else {
        bigint(a.checked_div(b))
    }
}

fn remainder(a: i64, b: i64) -> Result<i64, EvalError> {
    if b == 0 {
        Err(EvalError::division_by_zero())
    } else {
        Ok(a.wrapping_rem(b))
    }
}

/// 22003, as Postgres words a float result beyond the range.
pub(crate) fn overflow() -> EvalError {
    EvalError::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        "value out of range: overflow",
    )
}

/// 22003, as Postgres words a float result too close to zero.
pub(crate) fn underflow() -> EvalError {
    EvalError::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        "value out of range: underflow",
    )
}

/// A float of either width, for rules that are the same.
trait Float: Copy + PartialEq {
    const ZERO: Self;
    fn infinite(self) -> bool;
    fn nan(self) -> bool;
}

impl Float for f32 {
    const ZERO: f32 = 0.0;
    fn infinite(self) -> bool {
        self.is_infinite()
    }
    fn nan(self) -> bool {
        self.is_nan()
    }
}

impl Float for f64 {
    const ZERO: f64 = 0.0;
    fn infinite(self) -> bool {
        self.is_infinite()
    }
    fn nan(self) -> bool {
        self.is_nan()
    }
}

/// A sum or difference: infinite only if an operand is.
fn float_sum<T: Float>(a: T, b: T, result: T) -> Result<T, EvalError> {
    if result.infinite() && !a.infinite() && !b.infinite() {
        Err(overflow())
    } else {
        Ok(result)
    }
}

fn float_product<T: Float>(a: T, b: T, result: T) -> Result<T, EvalError> {
    if result.infinite() && !a.infinite() && !b.infinite() {
        Err(overflow())
    } else if result == T::ZERO && a != T::ZERO && b != T::ZERO {
        Err(underflow())
    } else {
        Ok(result)
    }
}

fn float_quotient<T: Float + std::ops::Div<Output = T>>(a: T, b: T) -> Result<T, EvalError> {
    // NaN divided by zero is NaN.
    if b == T::ZERO && !a.nan() {
        return Err(EvalError::division_by_zero());
    }
    let result = a / b;
    if result.infinite() && !a.infinite() {
        Err(overflow())
    } else if result == T::ZERO && a != T::ZERO && !b.infinite() {
        Err(underflow())
    } else {
        Ok(result)
    }
}

macro_rules! integers {
    ($out:ident, $name:literal, $doc:literal, $f:ident) => {
        let mut push = |signature, eval| $out.push(FunctionDesc::new($name, signature, $doc, eval));
        push(
            "int4, int4 -> int4",
            eval!(|a: i32, b: i32| $f(a.into(), b.into()).and_then(int4)),
        );
        push("int8, int8 -> int8", eval!(|a: i64, b: i64| $f(a, b)));
        push(
            "int2, int2 -> int2",
            eval!(|a: i16, b: i16| $f(a.into(), b.into()).and_then(int2)),
        );
    };
}

/// Integers of two widths: the wider is the result's.
macro_rules! mixed_integers {
    ($out:ident, $name:literal, $doc:literal, $f:ident) => {
        let mut push = |signature, eval| $out.push(FunctionDesc::new($name, signature, $doc, eval));
        push(
            "int2, int4 -> int4",
            eval!(|a: i16, b: i32| $f(a.into(), b.into()).and_then(int4)),
        );
        push(
            "int4, int2 -> int4",
            eval!(|a: i32, b: i16| $f(a.into(), b.into()).and_then(int4)),
        );
        push(
            "int2, int8 -> int8",
            eval!(|a: i16, b: i64| $f(a.into(), b)),
        );
        push(
            "int8, int2 -> int8",
            eval!(|a: i64, b: i16| $f(a, b.into())),
        );
        push(
            "int4, int8 -> int8",
            eval!(|a: i32, b: i64| $f(a.into(), b)),
        );
        push(
            "int8, int4 -> int8",
            eval!(|a: i64, b: i32| $f(a, b.into())),
        );
    };
}

macro_rules! floats {
    ($out:ident, $name:literal, $doc:literal, $a:ident, $b:ident, $result:expr) => {
        let mut push = |signature, eval| $out.push(FunctionDesc::new($name, signature, $doc, eval));
        push(
            "float8, float8 -> float8",
            eval!(|$a: f64, $b: f64| $result),
        );
        push(
            "float4, float4 -> float4",
            eval!(|$a: f32, $b: f32| $result),
        );
        push(
            "float4, float8 -> float8",
            eval!(|x: f32, $b: f64| {
                let $a = f64::from(x);
                $result
            }),
        );
        push(
            "float8, float4 -> float8",
            eval!(|$a: f64, y: f32| {
                let $b = f64::from(y);
                $result
            }),
        );
    };
}

macro_rules! unary {
    ($out:ident, $name:literal, $doc:literal, $($signature:literal, $x:ident: $ty:ty => $result:expr;)*) => {
        $($out.push(FunctionDesc::new($name, $signature, $doc, eval!(|$x: $ty| $result)));)*
    };
}

fn declare_binary(out: &mut Declarations) {
    integers!(out, "+", "Sum.", add);
    mixed_integers!(out, "+", "Sum.", add);
    floats!(out, "+", "Sum.", a, b, float_sum(a, b, a + b));
    integers!(out, "-", "Difference.", subtract);
    mixed_integers!(out, "-", "Difference.", subtract);
    floats!(out, "-", "Difference.", a, b, float_sum(a, b, a - b));
    integers!(out, "*", "Product.", multiply);
    mixed_integers!(out, "*", "Product.", multiply);
    floats!(out, "*", "Product.", a, b, float_product(a, b, a * b));
    integers!(
        out,
        "/",
        "Quotient; of integers, truncated towards zero.",
        divide
    );
    mixed_integers!(
        out,
        "/",
        "Quotient; of integers, truncated towards zero.",
        divide
    );
    floats!(out, "/", "Quotient.", a, b, float_quotient(a, b));
    integers!(out, "%", "Remainder, of the dividend's sign.", remainder);
    integers!(out, "mod", "Remainder, of the dividend's sign.", remainder);
    let mut numeric = |name, doc, eval| {
        out.push(FunctionDesc::new(
            name,
            "numeric, numeric -> numeric",
            doc,
            eval,
        ));
    };
    numeric("+", "Sum.", eval!(|a: Numeric, b: Numeric| a.add(&b)));
    numeric(
        "-",
        "Difference.",
        eval!(|a: Numeric, b: Numeric| a.sub(&b)),
    );
    numeric("*", "Product.", eval!(|a: Numeric, b: Numeric| a.mul(&b)));
    numeric("/", "Quotient.", eval!(|a: Numeric, b: Numeric| a.div(&b)));
    numeric(
        "%",
        "Remainder, of the dividend's sign.",
        eval!(|a: Numeric, b: Numeric| a.rem(&b)),
    );
    numeric(
        "mod",
        "Remainder, of the dividend's sign.",
        eval!(|a: Numeric, b: Numeric| a.rem(&b)),
    );
    numeric(
        "div",
        "Quotient truncated towards zero.",
        eval!(|a: Numeric, b: Numeric| a.div_trunc(&b)),
    );
}

fn declare_unary(out: &mut Declarations) {
    unary!(out, "-", "Negation.",
        "int4 -> int4", x: i32 => int4(-i64::from(x));
        "int8 -> int8", x: i64 => bigint(x.checked_neg());
        "int2 -> int2", x: i16 => int2(-i64::from(x));
        "float8 -> float8", x: f64 => -x;
        "float4 -> float4", x: f32 => -x;
        "numeric -> numeric", x: Numeric => x.neg();
    );
    unary!(out, "+", "The same number.",
        "int4 -> int4", x: i32 => x;
        "int8 -> int8", x: i64 => x;
        "int2 -> int2", x: i16 => x;
        "float8 -> float8", x: f64 => x;
        "float4 -> float4", x: f32 => x;
        "numeric -> numeric", x: Numeric => x;
    );
    macro_rules! absolute {
        ($name:literal) => {
            unary!(out, $name, "Absolute value.",
                "int4 -> int4", x: i32 => int4(i64::from(x).abs());
                "int8 -> int8", x: i64 => bigint(x.checked_abs());
                "int2 -> int2", x: i16 => int2(i64::from(x).abs());
                "float8 -> float8", x: f64 => x.abs();
                "float4 -> float4", x: f32 => x.abs();
                "numeric -> numeric", x: Numeric => x.abs();
            );
        };
    }
    absolute!("@");
    absolute!("abs");
}

pub(super) fn declare(out: &mut Declarations) {
    let start = out.len();
    declare_binary(out);
    // Of the integers only zero fails as a divisor, and -1 under the least dividend.
    let quotients = out[start..]
        .iter_mut()
        .filter(|f| matches!(f.name, "/" | "%"));
    quotients.for_each(|f| f.total_if = Some(divides_integers));
    declare_unary(out);
}

fn divides_integers(args: &[Option<Datum<'_>>]) -> bool {
    match args {
        [_, Some(Datum::Int16(v))] => !matches!(v, 0 | -1),
        [_, Some(Datum::Int32(v))] => !matches!(v, 0 | -1),
        [_, Some(Datum::Int64(v))] => !matches!(v, 0 | -1),
        _ => false,
    }
}
