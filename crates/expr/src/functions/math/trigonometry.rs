//! Trigonometric and hyperbolic functions. Those over degrees are exact where the true result is, by Postgres's
//! method (`float.c`): a reduction to the first octants and division by the computed value at 30 and 60 degrees.

use super::super::Declarations;
use crate::registry::FunctionDesc;
use crate::value::eval;
use everview_repr::{EvalError, SqlState};

/// One degree.
pub(super) const RADIANS_PER_DEGREE: f64 = 0.017_453_292_519_943_295;

fn domain() -> EvalError {
    EvalError::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        "input is out of range",
    )
}

/// Applies a function that is undefined at infinities.
fn finite(x: f64, f: impl Fn(f64) -> f64) -> Result<f64, EvalError> {
    if x.is_infinite() {
        Err(domain())
    } else {
        Ok(f(x))
    }
}

/// Applies a function defined on an interval.
fn within(x: f64, low: f64, high: f64, f: impl Fn(f64) -> f64) -> Result<f64, EvalError> {
    if x < low || x > high {
        Err(domain())
    } else {
        Ok(f(x))
    }
}

fn sin_30() -> f64 {
    libm::sin(30.0 * RADIANS_PER_DEGREE)
}

fn one_minus_cos_60() -> f64 {
    1.0 - libm::cos(60.0 * RADIANS_PER_DEGREE)
}

fn sind_0_to_30(x: f64) -> f64 {
    libm::sin(x * RADIANS_PER_DEGREE) / sin_30() / 2.0
}

fn cosd_0_to_60(x: f64) -> f64 {
    let one_minus_cos = 1.0 - libm::cos(x * RADIANS_PER_DEGREE);
    1.0 - one_minus_cos / one_minus_cos_60() / 2.0
}

fn sind_q1(x: f64) -> f64 {
    if x <= 30.0 {
        sind_0_to_30(x)
    } else {
        cosd_0_to_60(90.0 - x)
    }
}

fn cosd_q1(x: f64) -> f64 {
    if x <= 60.0 {
        cosd_0_to_60(x)
    } else {
        sind_0_to_30(90.0 - x)
    }
}

/// The angle folded into the first quadrant, with the signs that sine and cosine take.
fn fold(x: f64) -> (f64, f64, f64) {
    let mut x = libm::fmod(x, 360.0);
    let (mut sin, mut cos) = (1.0, 1.0);
    if x < 0.0 {
        x = -x;
        sin = -sin;
    }
    if x > 180.0 {
        x = 360.0 - x;
        sin = -sin;
    }
    if x > 90.0 {
        x = 180.0 - x;
        cos = -cos;
    }
    (x, sin, cos)
}

fn sind(x: f64) -> Result<f64, EvalError> {
    finite(x, |x| {
        let (x, sign, _) = fold(x);
        sign * sind_q1(x)
    })
}

fn cosd(x: f64) -> Result<f64, EvalError> {
    finite(x, |x| {
        let (x, _, sign) = fold(x);
        sign * cosd_q1(x)
    })
}

fn tand(x: f64) -> Result<f64, EvalError> {
    finite(x, |x| {
        let (x, sin, cos) = fold(x);
        let tan_45 = sind_q1(45.0) / cosd_q1(45.0);
        let result = sin * cos * ((sind_q1(x) / cosd_q1(x)) / tan_45);
        if result == 0.0 { 0.0 } else { result }
    })
}

fn cotd(x: f64) -> Result<f64, EvalError> {
    finite(x, |x| {
        let (x, sin, cos) = fold(x);
        let cot_45 = cosd_q1(45.0) / sind_q1(45.0);
        let result = sin * cos * ((cosd_q1(x) / sind_q1(x)) / cot_45);
        if result == 0.0 { 0.0 } else { result }
    })
}

fn asind_q1(x: f64) -> f64 {
    if x <= 0.5 {
        libm::asin(x) / libm::asin(0.5) * 30.0
    } else {
        90.0 - libm::acos(x) / libm::acos(0.5) * 60.0
    }
}

fn acosd_q1(x: f64) -> f64 {
    if x <= 0.5 {
        90.0 - libm::asin(x) / libm::asin(0.5) * 30.0
    } else {
        libm::acos(x) / libm::acos(0.5) * 60.0
    }
}

fn asind(x: f64) -> f64 {
    if x >= 0.0 { asind_q1(x) } else { -asind_q1(-x) }
}

fn acosd(x: f64) -> f64 {
    if x >= 0.0 {
        acosd_q1(x)
    } else {
        90.0 + asind_q1(-x)
    }
}

fn atand(x: f64) -> f64 {
    libm::atan(x) / libm::atan(1.0) * 45.0
}

fn atan2d(y: f64, x: f64) -> f64 {
    libm::atan2(y, x) / libm::atan(1.0) * 45.0
}

macro_rules! declare {
    ($out:ident, $($name:literal, $doc:literal, $x:ident => $result:expr;)*) => {
        $($out.push(FunctionDesc::new($name, "float8 -> float8", $doc, eval!(|$x: f64| $result)));)*
    };
}

pub(super) fn declare(out: &mut Declarations) {
    declare!(out,
        "sin", "Sine, of radians.", x => finite(x, libm::sin);
        "cos", "Cosine, of radians.", x => finite(x, libm::cos);
        "tan", "Tangent, of radians.", x => finite(x, libm::tan);
        "cot", "Cotangent, of radians.", x => finite(x, |x| 1.0 / libm::tan(x));
        "asin", "Inverse sine, in radians.", x => within(x, -1.0, 1.0, libm::asin);
        "acos", "Inverse cosine, in radians.", x => within(x, -1.0, 1.0, libm::acos);
        "atan", "Inverse tangent, in radians.", x => libm::atan(x);
        "sind", "Sine, of degrees.", x => sind(x);
        "cosd", "Cosine, of degrees.", x => cosd(x);
        "tand", "Tangent, of degrees.", x => tand(x);
        "cotd", "Cotangent, of degrees.", x => cotd(x);
        "asind", "Inverse sine, in degrees.", x => within(x, -1.0, 1.0, asind);
        "acosd", "Inverse cosine, in degrees.", x => within(x, -1.0, 1.0, acosd);
        "atand", "Inverse tangent, in degrees.", x => atand(x);
        "sinh", "Hyperbolic sine.", x => libm::sinh(x);
        "cosh", "Hyperbolic cosine.", x => libm::cosh(x);
        "tanh", "Hyperbolic tangent.", x => libm::tanh(x);
        "asinh", "Inverse hyperbolic sine.", x => libm::asinh(x);
        "acosh", "Inverse hyperbolic cosine.", x => within(x, 1.0, f64::INFINITY, libm::acosh);
        "atanh", "Inverse hyperbolic tangent.", x => within(x, -1.0, 1.0, libm::atanh);
    );
    let two = "float8, float8 -> float8";
    let doc = "Inverse tangent of the first over the second, in radians.";
    out.push(FunctionDesc::new(
        "atan2",
        two,
        doc,
        eval!(|y: f64, x: f64| libm::atan2(y, x)),
    ));
    let doc = "Inverse tangent of the first over the second, in degrees.";
    out.push(FunctionDesc::new(
        "atan2d",
        two,
        doc,
        eval!(|y: f64, x: f64| atan2d(y, x)),
    ));
}
