//! UUIDs (manual, section 9.14).

use super::{Declarations, random};
use crate::registry::{Eval, FunctionDesc};
use everview_repr::Datum;

pub(super) fn declare(out: &mut Declarations) {
    let eval: Eval = |_, _, _| {
        let (high, low) = (random::next().to_be_bytes(), random::next().to_be_bytes());
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&high);
        bytes[8..].copy_from_slice(&low);
        // RFC 4122: version 4, variant 1.
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Ok(Datum::Uuid(bytes))
    };
    let doc = "A random UUID, of version 4.";
    out.push(
        FunctionDesc::new("gen_random_uuid", "-> uuid", doc, eval)
            .volatile()
            .infallible(),
    );
}
