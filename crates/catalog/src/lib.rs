//! Named objects and what they depend on.
//!
//! * [`object`]: what there is: schemas, tables, views, materialized views, indexes.
//! * [`catalog`]: an immutable snapshot of all of it, changed only by [`catalog::Catalog::apply`].
//! * [`builtin`]: system tables, and the SQL text of pg_catalog and information_schema over them.
//!
//! The catalog is a function of the log: every object is one row of the system collection
//! [`catalog::CATALOG_COLLECTION`]. It knows no sessions, no planning and no storage.

pub mod builtin;
pub mod catalog;
pub mod object;

pub use catalog::{Catalog, CatalogError};
pub use object::{Object, ObjectKind};
