//! Planning, tested over a small catalog.

mod corpus;
mod ddl;
mod errors;
mod queries;
mod soup;
mod support;
