//! Registries to test against: Debian's, as a process, and one that answers as a test says, faults included.
#![allow(clippy::print_stdout, reason = "why a test is skipped has to be seen")]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file has a copy of its own, and uses another part of it"
)]

pub mod fake;
pub mod real;

use std::time::Duration;

use oci::{Descriptor, Digest, MediaType, Reference};
use registry::{Client, ClientOptions, Credential, RetryPolicy, Secret, Timeouts};

/// Options with short waits.
pub fn options() -> ClientOptions {
    ClientOptions {
        retry: RetryPolicy {
            retries: 3,
            first_delay: Duration::from_millis(1),
            max_delay: Duration::from_millis(5),
            max_elapsed: Duration::from_secs(20),
        },
        timeouts: Timeouts {
            connect: Duration::from_secs(5),
            idle: Duration::from_secs(10),
            commit: Duration::from_secs(10),
        },
        ..ClientOptions::default()
    }
}

pub fn client() -> Client {
    Client::new(options()).unwrap()
}

pub fn user(name: &str, password: &str) -> Credential {
    Credential::Basic { username: name.to_owned(), password: Secret::new(password) }
}

pub fn reference(registry: &str, rest: &str) -> Reference {
    format!("{registry}/{rest}").parse().unwrap()
}

pub fn descriptor(bytes: &[u8]) -> Descriptor {
    Descriptor::new(MediaType::OciLayer, Digest::of(bytes), bytes.len() as u64)
}

/// Bytes that repeat nowhere near.
pub fn bytes(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

pub async fn read_all(mut reader: registry::BlobReader) -> registry::Result<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(chunk) = reader.chunk().await? {
        all.extend_from_slice(&chunk);
    }
    Ok(all)
}
