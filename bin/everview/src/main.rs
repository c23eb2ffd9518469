//! everview
fn main() {}
