//! Mathematical functions (manual, section 9.3). Transcendental ones come from `libm`: the same on every machine.

mod exact;
mod trigonometry;

use super::Declarations;
use super::arithmetic::{overflow, underflow};
use crate::registry::{Eval, FunctionDesc};
use crate::value::eval;
use everview_repr::numeric::Numeric;
use everview_repr::{EvalError, SqlState};

fn bad_power(message: &str) -> EvalError {
    EvalError::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message)
}

fn bad_logarithm(x: f64) -> Option<EvalError> {
    let what = if x == 0.0 {
        "zero"
    } else {
        "a negative number"
    };
    (x <= 0.0).then(|| {
        let message = format!("cannot take logarithm of {what}");
        EvalError::new(SqlState::INVALID_ARGUMENT_FOR_LOGARITHM, message)
    })
}

fn sqrt(x: f64) -> Result<f64, EvalError> {
    if x < 0.0 {
        return Err(bad_power("cannot take square root of a negative number"));
    }
    Ok(libm::sqrt(x))
}

fn exp(x: f64) -> Result<f64, EvalError> {
    let result = libm::exp(x);
    if result.is_infinite() && !x.is_infinite() {
        Err(overflow())
    } else if result == 0.0 && x.is_finite() {
        Err(underflow())
    } else {
        Ok(result)
    }
}

fn ln(x: f64) -> Result<f64, EvalError> {
    bad_logarithm(x).map_or_else(|| Ok(libm::log(x)), Err)
}

fn log10(x: f64) -> Result<f64, EvalError> {
    bad_logarithm(x).map_or_else(|| Ok(libm::log10(x)), Err)
}

/// `dpow` of Postgres: POSIX's special cases first, then range checks.
fn power(x: f64, y: f64) -> Result<f64, EvalError> {
    if x == 1.0 || y == 0.0 {
        return Ok(1.0);
    }
    if x.is_nan() || y.is_nan() {
        return Ok(f64::NAN);
    }
    if x == 0.0 && y < 0.0 {
        return Err(bad_power("zero raised to a negative power is undefined"));
    }
    if x < 0.0 && y.is_finite() && libm::floor(y) != y {
        let message = "a negative number raised to a non-integer power yields a complex result";
        return Err(bad_power(message));
    }
    let result = libm::pow(x, y);
    if x.is_infinite() || y.is_infinite() {
        return Ok(result);
    }
    if result.is_infinite() {
        Err(overflow())
    } else if result == 0.0 && x != 0.0 {
        Err(underflow())
    } else {
        Ok(result)
    }
}

fn sign(x: f64) -> f64 {
    // NaN is neither above nor below.
    f64::from(i8::from(x > 0.0) - i8::from(x < 0.0))
}

fn truncate(x: f64) -> f64 {
    if x >= 0.0 {
        libm::floor(x)
    } else {
        -libm::floor(-x)
    }
}

fn degrees(x: f64) -> Result<f64, EvalError> {
    let result = x / trigonometry::RADIANS_PER_DEGREE;
    if result.is_infinite() && !x.is_infinite() {
        Err(overflow())
    } else {
        Ok(result)
    }
}

macro_rules! double {
    ($out:ident, $($name:literal, $doc:literal, $x:ident => $result:expr;)*) => {
        $($out.push(FunctionDesc::new($name, "float8 -> float8", $doc, eval!(|$x: f64| $result)));)*
    };
}

macro_rules! numeric {
    ($out:ident, $($name:literal, $doc:literal, $x:ident => $result:expr;)*) => {
        $($out.push(FunctionDesc::new($name, "numeric -> numeric", $doc, eval!(|$x: Numeric| $result)));)*
    };
}

fn declare_rounding(out: &mut Declarations) {
    double!(out,
        "ceil", "The nearest integer at or above.", x => libm::ceil(x);
        "ceiling", "The nearest integer at or above.", x => libm::ceil(x);
        "floor", "The nearest integer at or below.", x => libm::floor(x);
        "round", "The nearest integer; of two, the even one.", x => libm::rint(x);
        "trunc", "The integer part.", x => truncate(x);
        "sign", "-1, 0 or 1.", x => sign(x);
    );
    numeric!(out,
        "ceil", "The nearest integer at or above.", x => x.ceil();
        "ceiling", "The nearest integer at or above.", x => x.ceil();
        "floor", "The nearest integer at or below.", x => x.floor();
        "round", "The nearest integer; of two, the one away from zero.", x => x.round(0);
        "trunc", "The integer part.", x => x.trunc(0);
        "sign", "-1, 0 or 1.", x => x.sign();
        "trim_scale", "The same number without trailing zeros.", x => x.trim_scale();
    );
    let places = "numeric, int4 -> numeric";
    let doc = "Rounded to so many decimal places, ties away from zero.";
    out.push(FunctionDesc::new(
        "round",
        places,
        doc,
        eval!(|x: Numeric, n: i32| x.round(n)),
    ));
    let doc = "Truncated to so many decimal places.";
    out.push(FunctionDesc::new(
        "trunc",
        places,
        doc,
        eval!(|x: Numeric, n: i32| x.trunc(n)),
    ));
    let scale = "numeric -> int4";
    let doc = "Decimal digits in the fraction, as displayed.";
    let eval: Eval = eval!(|x: Numeric| x.scale().map(|s| s as i32));
    out.push(FunctionDesc::new("scale", scale, doc, eval).nullable());
    let doc = "The least scale that represents the number.";
    let eval: Eval = eval!(|x: Numeric| x.min_scale().map(|s| s as i32));
    out.push(FunctionDesc::new("min_scale", scale, doc, eval).nullable());
}

fn declare_powers(out: &mut Declarations) {
    double!(out,
        "sqrt", "Square root.", x => sqrt(x);
        "|/", "Square root.", x => sqrt(x);
        "cbrt", "Cube root.", x => libm::cbrt(x);
        "||/", "Cube root.", x => libm::cbrt(x);
        "exp", "e raised to a power.", x => exp(x);
        "ln", "Natural logarithm.", x => ln(x);
        "log", "Logarithm to base 10.", x => log10(x);
        "log10", "Logarithm to base 10.", x => log10(x);
        "radians", "Degrees to radians.", x => x * trigonometry::RADIANS_PER_DEGREE;
        "degrees", "Radians to degrees.", x => degrees(x);
    );
    numeric!(out,
        "sqrt", "Square root.", x => x.sqrt();
        "exp", "e raised to a power.", x => x.exp();
        "ln", "Natural logarithm.", x => x.ln();
        "log", "Logarithm to base 10.", x => x.log10();
        "log10", "Logarithm to base 10.", x => x.log10();
    );
    for name in ["power", "pow", "^"] {
        let doc = "The first raised to the power of the second.";
        let eval: Eval = eval!(|x: f64, y: f64| power(x, y));
        out.push(FunctionDesc::new(
            name,
            "float8, float8 -> float8",
            doc,
            eval,
        ));
        let eval: Eval = eval!(|x: Numeric, y: Numeric| x.power(&y));
        out.push(FunctionDesc::new(
            name,
            "numeric, numeric -> numeric",
            doc,
            eval,
        ));
    }
    let doc = "Logarithm of the second to the base of the first.";
    let eval: Eval = eval!(|b: Numeric, x: Numeric| Numeric::log(&b, &x));
    out.push(FunctionDesc::new(
        "log",
        "numeric, numeric -> numeric",
        doc,
        eval,
    ));
    let pi: crate::registry::Eval =
        |_, _, _| Ok(everview_repr::Datum::Float64(std::f64::consts::PI));
    out.push(FunctionDesc::new("pi", "-> float8", "The constant.", pi).infallible());
}

pub(super) fn declare(out: &mut Declarations) {
    declare_rounding(out);
    declare_powers(out);
    trigonometry::declare(out);
    exact::declare(out);
}
