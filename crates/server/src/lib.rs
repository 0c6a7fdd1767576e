//! The distribution protocol as a server: a small registry that keeps its files as OCI layouts.
//!
//! It is for laptops, tests and sites without a network: one directory, no database, no configuration.
//! Every repository is a complete OCI image layout, `team/app` in the folder `team+app` (a `+` cannot be
//! part of a repository's name), so the files are of use without the server too:
//! `skopeo inspect oci:DIR/team+app:1.4`.
//!
//! It speaks version 1.1 of the [distribution spec], with manifests of OCI and of Docker. What it
//! stores it has verified: bytes that are not what their digest says are refused, and so is a manifest
//! that names what is not there.
//!
//! [distribution spec]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
#![forbid(unsafe_code)]

mod blobs;
mod credentials;
mod lists;
mod manifests;
mod refusal;
mod registry;
mod repository;
mod route;
mod serve;
mod uploads;

pub use credentials::Credentials;
pub use registry::Registry;
pub use repository::{Repository, RepositoryError};
pub use serve::{Options, ServeError, Server, serve};
