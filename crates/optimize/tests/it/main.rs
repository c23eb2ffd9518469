//! Whole queries, from SQL text to the physical plan.

mod plans;
mod support;
mod tpch;
