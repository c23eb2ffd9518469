//! Named objects and what they depend on.
//!
//! * [`object`]: what there is: schemas, tables, views, materialized views, indexes.
//! * [`outside`]: what leads out of the database: secrets, connections, sinks.
//! * [`catalog`]: an immutable snapshot of all of it, changed only by [`catalog::Catalog::apply`].
//! * [`builtin`]: pg_catalog, information_schema and schema `everview`: rows made from a snapshot.
//!
//! The catalog is a function of the log: every object is one row of the system collection
//! [`catalog::CATALOG_COLLECTION`]. It knows no sessions, no planning and no storage.

// The order in which a hash map gives its entries must not reach a plan.
#![warn(clippy::iter_over_hash_type)]

pub mod builtin;
pub mod catalog;
mod keywords;
pub mod object;
pub mod outside;

pub use catalog::{Catalog, CatalogError};
pub use keywords::quote;
pub use object::{Object, ObjectKind};
