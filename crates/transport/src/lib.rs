//! How servers are met over HTTP, whatever is then said: TLS and whom it trusts, proxies, trying again, secrets.
//!
//! What a protocol adds (authentication, what a status means, what is resumed) is its own crate's. Nothing here reads
//! the environment or a file but the system's certificates.
#![forbid(unsafe_code)]

mod client;
mod failure;
mod network;
mod origin;
mod proxy;
mod retry;
mod secret;
mod tls;
mod words;

pub use client::client;
pub use failure::{Cause, Failure, reason_of};
pub use network::{Clients, GetError, Network};
pub use origin::{is_loopback, is_near, same_origin, take_credentials};
pub use proxy::Proxies;
pub use retry::{Backoff, RetryPolicy, is_retriable, retry_after};
pub use secret::Secret;
pub use tls::{ClientCertificate, Trust, config as tls_config, system_roots};
pub use words::{element, words};
