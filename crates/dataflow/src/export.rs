//! How results leave a dataflow.
//!
//! * [`index`]: arranged, published, and importable by other dataflows; [`reader`] reads it from any thread.
//! * [`subscribe`]: each closed time's changes to one reader.
//! * [`peek`]: the rows as of one time to one reader.
//! * [`tally`]: how many rows, and their digest.

pub mod index;
pub mod peek;
pub mod reader;
pub mod subscribe;
pub mod tally;
