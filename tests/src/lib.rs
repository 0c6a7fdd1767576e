//! What the tests of the whole program share: bako as a process, registries, base images, and judges
//! that are not ours (skopeo, umoci, runc) to say what an image holds.
//!
//! Nothing here calls bako's crates: the tests see what a user sees.
#![forbid(unsafe_code)]
#![allow(clippy::print_stderr, reason = "a skipped test says so, with its reason, on stderr")]

pub mod authority;
pub mod bases;
mod beginning;
pub mod browser;
pub mod case;
pub mod conventions;
pub mod expect;
pub mod host;
pub mod http;
pub mod image;
pub mod own;
pub mod pod;
pub mod process;
pub mod program;
pub mod proxy;
pub mod registry;
pub mod site;
pub mod stock;
pub mod token_server;
pub mod toolchains;
pub mod tree;
pub mod web;

pub use case::Case;
pub use expect::Expect;
pub use host::{require, skip};
pub use image::Image;
pub use program::Bako;
pub use registry::Registry;
