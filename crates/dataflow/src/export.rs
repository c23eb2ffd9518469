//! How results leave a dataflow.
//!
//! * [`index`]: arranged, published, and importable by other dataflows; [`reader`] reads it from any thread.
//! * [`subscribe`]: each closed time's changes to one reader.
//! * [`peek`]: the rows as of one time to one reader.

pub mod index;
pub mod peek;
pub mod reader;
pub mod subscribe;
