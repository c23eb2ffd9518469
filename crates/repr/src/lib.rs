//! Values and their encodings: the lingua franca of every other crate.
//!
//! * [`Datum`]: one SQL value, borrowed. [`Row`]: a packed sequence of them that keeps identity.
//! * [`key`]: bytes whose order and equality are SQL's.
//! * [`canonical`]: the versioned encoding of rows in the log and under digests.
//! * [`types`]: SQL types and relation descriptions. [`text`] and [`binary`]: their forms on the wire.
//! * [`numeric`], [`float`], [`datetime`], [`interval`], [`json`], [`mod@array`]: the values themselves.
//! * [`accumulator`]: exact sums. [`digest`]: order-free digests of collections.
//!
//! It knows no SQL text, no expressions, no log and no dataflow.

pub mod accumulator;
pub mod array;
pub mod binary;
pub mod canonical;
pub mod datetime;
pub mod datum;
pub mod digest;
pub mod error;
pub mod float;
pub mod id;
pub mod interval;
pub mod json;
pub mod key;
pub mod numeric;
#[cfg(test)]
mod oracle;
pub mod row;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod text;
pub mod time;
pub mod types;

pub use array::Array;
pub use datum::Datum;
pub use error::{EvalError, SqlState};
pub use id::GlobalId;
pub use interval::Interval;
pub use key::{ColumnOrder, Key};
pub use row::{Packer, Row, RowArena, RowRef};
pub use time::{Diff, Timestamp};
pub use types::{ColumnDesc, ColumnType, RelationDesc, ScalarType, Typmod};
