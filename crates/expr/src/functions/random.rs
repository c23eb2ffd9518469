//! Random numbers: volatile, so never part of a maintained view.
//!
//! Each thread has its own generator (xoshiro256**, D. Blackman and S. Vigna 2018), seeded by the process's random
//! hash keys, or by `setseed` from there on. Not for secrets.

use super::Declarations;
use crate::registry::{Eval, FunctionDesc};
use crate::value::eval;
use everview_repr::{Datum, EvalError, SqlState};
use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

thread_local! {
    static STATE: Cell<Option<[u64; 4]>> = const { Cell::new(None) };
}

/// SplitMix64, which spreads a seed over the state.
fn spread(seed: u64) -> [u64; 4] {
    let mut x = seed;
    std::array::from_fn(|_| {
        x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

/// The next 64 random bits of this thread.
pub(super) fn next() -> u64 {
    let [a, b, c, d] = STATE
        .get()
        .unwrap_or_else(|| spread(RandomState::new().hash_one(0u8)));
    let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
    let (c, d) = (c ^ a, d ^ b);
    let (b2, a2) = (b ^ c, a ^ d);
    STATE.set(Some([a2, b2, c ^ (b << 17), d.rotate_left(45)]));
    result
}

fn set_seed(seed: f64) -> Result<Datum<'static>, EvalError> {
    if !(-1.0..=1.0).contains(&seed) {
        let message = format!("setseed parameter {seed} is out of allowed range [-1,1]");
        return Err(EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    STATE.set(Some(spread(seed.to_bits())));
    Ok(Datum::Null)
}

pub(super) fn declare(out: &mut Declarations) {
    // 53 bits: every double in [0, 1) of that spacing is as likely.
    let eval: Eval = |_, _, _| Ok(Datum::Float64((next() >> 11) as f64 / (1u64 << 53) as f64));
    let doc = "A random number of at least 0 and below 1.";
    out.push(
        FunctionDesc::new("random", "-> float8", doc, eval)
            .volatile()
            .infallible(),
    );
    let doc = "Seeds random() for this thread.";
    let eval: Eval = eval!(|seed: f64| set_seed(seed));
    out.push(
        FunctionDesc::new("setseed", "float8 -> void", doc, eval)
            .volatile()
            .nullable(),
    );
}
