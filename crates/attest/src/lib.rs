//! What is said about an image beside it: signatures in cosign's form, and attestations (provenance, bills of
//! materials) as in-toto statements in BuildKit's layout.
//!
//! Documents are made and checked here, and brought nowhere. [`signature`] needs a key, [`statement`] an image's digest,
//! [`sbom`] the files of an image as a [`layer::Sink`] sees them pass.
#![forbid(unsafe_code)]

pub mod key;
mod pem;
pub mod provenance;
pub mod sbom;
pub mod signature;
pub mod statement;
