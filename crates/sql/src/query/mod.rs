//! Queries: sqlparser's AST to the hir.
//!
//! * [`body`]: WITH, set operations, VALUES, and ORDER BY with LIMIT around them.
//! * [`select`]: one SELECT, clause by clause; [`group`] and [`window`] are its middle.
//! * [`from`]: FROM items; [`join`]: how they combine.
//! * [`build`], [`collect`], [`walk`]: tools of these.

pub(crate) mod body;
pub(crate) mod build;
pub(crate) mod collect;
mod distinct;
pub(crate) mod from;
mod group;
mod items;
mod join;
pub(crate) mod limit;
pub(crate) mod order;
mod select;
mod setop;
pub(crate) mod values;
pub(crate) mod walk;
mod window;

pub(crate) use body::{Body, Output, QueryPlan};
pub(crate) use items::column_name;
