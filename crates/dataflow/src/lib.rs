//! dataflow

pub mod arrange;
pub mod layout;
pub mod operators;
