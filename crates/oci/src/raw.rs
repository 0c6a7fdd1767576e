//! Bytes together with what they mean, so that what was hashed is what is sent.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Digest;

/// A JSON document as it was received or first written, and its parsed form.
#[derive(Debug, Clone, PartialEq)]
pub struct Raw<T> {
    bytes: Vec<u8>,
    digest: Digest,
    value: T,
}

impl<T: DeserializeOwned> Raw<T> {
    /// Parses a document, keeping its bytes.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, serde_json::Error> {
        let value = serde_json::from_slice(&bytes)?;
        Ok(Raw { digest: Digest::of(&bytes), bytes, value })
    }
}

impl<T: Serialize> Raw<T> {
    /// Writes a value of our own as JSON, once. Maps of ours are ordered, so equal values give equal bytes.
    #[must_use]
    pub fn write(value: T) -> Self {
        let bytes = serde_json::to_vec(&value).expect("our own documents have string keys only");
        Raw { digest: Digest::of(&bytes), bytes, value }
    }
}

impl<T> Raw<T> {
    /// The exact bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The digest of the bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The number of bytes.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The parsed form.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// The parsed form, by value.
    pub fn into_value(self) -> T {
        self.value
    }
}
