//! to_char, to_date, to_timestamp, to_number.

use crate::functions::Declarations;

pub(super) fn declare(_out: &mut Declarations) {}
