//! Greets everybody who is named.

use std::env;

fn main() {
    for name in env::args().skip(1) {
        println!("Hello, {name}, from Rust on {}", env::consts::OS);
    }
}
