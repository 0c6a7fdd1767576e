//! The bako binary.
#![forbid(unsafe_code)]
fn main() {}
