//! Bitwise operators on integers (manual, section 9.3).

use super::Declarations;
use crate::registry::FunctionDesc;
use crate::value::eval;

macro_rules! bitwise {
    ($out:ident, $name:literal, $doc:literal, $a:ident, $b:ident, $result:expr) => {
        let mut push = |signature, eval| {
            $out.push(FunctionDesc::new($name, signature, $doc, eval).infallible());
        };
        push("int2, int2 -> int2", eval!(|$a: i16, $b: i16| $result));
        push("int4, int4 -> int4", eval!(|$a: i32, $b: i32| $result));
        push("int8, int8 -> int8", eval!(|$a: i64, $b: i64| $result));
    };
}

pub(super) fn declare(out: &mut Declarations) {
    bitwise!(out, "&", "Bitwise AND.", a, b, a & b);
    bitwise!(out, "|", "Bitwise OR.", a, b, a | b);
    bitwise!(out, "#", "Bitwise exclusive OR.", a, b, a ^ b);
    let mut unary = |signature, eval| {
        out.push(FunctionDesc::new("~", signature, "Bitwise NOT.", eval).infallible());
    };
    unary("int2 -> int2", eval!(|a: i16| !a));
    unary("int4 -> int4", eval!(|a: i32| !a));
    unary("int8 -> int8", eval!(|a: i64| !a));
    // Shifts by a count beyond the width take it modulo the width, as C on the usual machines does; a smallint is
    // shifted as an integer and cut.
    let mut left = |signature, eval| {
        out.push(FunctionDesc::new("<<", signature, "Bitwise shift left.", eval).infallible());
    };
    left(
        "int2, int4 -> int2",
        eval!(|a: i16, n: i32| i32::from(a).wrapping_shl(n as u32) as i16),
    );
    left(
        "int4, int4 -> int4",
        eval!(|a: i32, n: i32| a.wrapping_shl(n as u32)),
    );
    left(
        "int8, int4 -> int8",
        eval!(|a: i64, n: i32| a.wrapping_shl(n as u32)),
    );
    let mut right = |signature, eval| {
        out.push(
            FunctionDesc::new(
                ">>",
                signature,
                "Bitwise shift right, keeping the sign.",
                eval,
            )
            .infallible(),
        );
    };
    right(
        "int2, int4 -> int2",
        eval!(|a: i16, n: i32| i32::from(a).wrapping_shr(n as u32) as i16),
    );
    right(
        "int4, int4 -> int4",
        eval!(|a: i32, n: i32| a.wrapping_shr(n as u32)),
    );
    right(
        "int8, int4 -> int8",
        eval!(|a: i64, n: i32| a.wrapping_shr(n as u32)),
    );
}
