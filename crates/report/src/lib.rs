//! A build as one page: when its steps ran and what they took, what the image's layers hold, why a cache had no use,
//! and what was warned of.
//!
//! A function of values: [`BuildReport`] in, HTML out. The page asks for nothing from anywhere, and a policy in it says so
//! to the browser; of what it shows, everything comes from outside and is escaped.
#![forbid(unsafe_code)]

mod layers;
mod model;
mod page;
pub mod text;
mod timeline;
mod treemap;

pub use model::{BuildReport, Explanation, Layer, Origin, Outcome, Step, StepState};
pub use page::render;
