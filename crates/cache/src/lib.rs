//! What is kept by digest on this disk, during a build and between builds.
//!
//! Everything in a [`Store`] can be made again from a registry, so nothing here is precious: a file that
//! is damaged or missing costs time, never a build. Several builds may use one store at once.
#![forbid(unsafe_code)]

mod pending;
mod store;

pub use pending::Pending;
pub use store::Store;
