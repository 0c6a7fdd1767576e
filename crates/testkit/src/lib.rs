//! For tests only: a registry with faults to order, image and layer builders, a tree as text.
//!
//! ```
//! use testkit::{Fault, ImageBuilder, Kind, TestRegistry};
//!
//! let registry = TestRegistry::start();
//! ImageBuilder::new().layer("/etc/motd file = hello\\n").push(&registry, "team/app", "1");
//! registry.order(Fault::status(503).on(Kind::Manifest).times(2));
//! assert_eq!(registry.reference("team/app", "1").to_string(), format!("{}/team/app:1", registry.address()));
//! ```
//!
//! What goes wrong in here is the test's own fault, so it panics.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it skips"
)]

mod bearer;
mod busybox;
mod fault;
mod image;
mod layer;
mod program;
mod record;
mod registry;
mod tree;

pub use bearer::Bearer;
pub use busybox::busybox;
pub use fault::{Action, Fault};
pub use image::{ImageBuilder, StoredImage, store_index};
pub use layer::{Layer, pack};
pub use program::available;
pub use record::{Kind, Port, Recorded};
pub use registry::{Access, TestRegistry};
pub use tree::Tree;
