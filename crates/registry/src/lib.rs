//! The distribution protocol as a client: challenge and token, retries, pull, push, mount.
//!
//! A [`Client`] is made once from [`ClientOptions`] and cloned to wherever it is needed. Everything that is downloaded
//! is checked against its digest and size, everything that fails for a passing reason is tried again within the
//! [`RetryPolicy`], and nothing is held in memory but a few chunks. It reads no file but the system's certificates and
//! what it is told to push; it prints nothing.
//!
//! The protocol is that of the [distribution spec]; authentication is that of Docker's registries.
//!
//! [distribution spec]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
#![forbid(unsafe_code)]

mod auth;
mod call;
mod challenge;
mod client;
mod download;
mod endpoint;
mod error;
mod manifest;
mod mirror;
mod options;
mod payload;
mod read;
mod tried;
mod upload;

pub use client::Client;
pub use credentials::{Credential, Keychain, KeychainError};
pub use download::BlobReader;
pub use error::{Error, ErrorKind, Result};
pub use manifest::ImageManifest;
pub use options::{
    Access, ClientOptions, Direction, Exemption, Progress, Timeouts, Transferred, UploadMethod,
};
pub use payload::BlobSource;
pub use read::BlobRead;
pub use transport::{Cause, ClientCertificate, Proxies, RetryPolicy, Secret};
pub use tried::{Refused, Tried};
pub use upload::Pushed;
