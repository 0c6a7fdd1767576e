//! What is kept between builds: what is found again, what is not, what it costs, and what happens when a cache
//! is not what it should be; and what is built side by side. All of it without a RUN, which needs the whole program.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod concurrent;
mod explained;
mod faults;
mod fixture;
mod listing;
mod matrix;
mod property;
mod reuse;
mod side_by_side;
mod signed;
