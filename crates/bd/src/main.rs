//! The bd binary.
fn main() {}
