//! Whole queries, from SQL text to the physical plan.

#![allow(clippy::panic, reason = "a test fails by panicking")]

mod plans;
mod support;
mod tpch;
