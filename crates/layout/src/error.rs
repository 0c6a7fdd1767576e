//! Why a layout cannot be read or written.

use std::io;
use std::path::{Path, PathBuf};

use oci::Digest;

/// Why a layout cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The system refused.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The directory is none, or not (yet) an image layout.
    #[error("{} is not an OCI image layout: {reason}", path.display())]
    NotALayout {
        /// The directory.
        path: PathBuf,
        /// What is missing.
        reason: &'static str,
    },
    /// `oci-layout` names a version that is not known here.
    #[error("{} is an OCI image layout of version {version:?}: only 1.0.0 is supported", path.display())]
    Version {
        /// The directory.
        path: PathBuf,
        /// The version it names.
        version: String,
    },
    /// A JSON document of the layout is broken.
    #[error("malformed {}: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The bytes are not those that were promised.
    #[error("expected the blob {expected}, but got {size} bytes with the digest {actual}")]
    Mismatch {
        /// The promised digest.
        expected: Digest,
        /// The digest of the bytes.
        actual: Digest,
        /// The number of bytes.
        size: u64,
    },
    /// There is no such blob.
    #[error("no blob {digest} in {}", path.display())]
    Unknown {
        /// The digest asked for.
        digest: Digest,
        /// The layout.
        path: PathBuf,
    },
    /// A document is bigger than its reader wants to hold in memory.
    #[error("the blob {digest} has {size} bytes, more than the {limit} that are allowed here")]
    TooLarge {
        /// The blob.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
        /// The most that was allowed, in bytes.
        limit: u64,
    },
}

impl LayoutError {
    /// What the system said, if it was the system that refused.
    #[must_use]
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match self {
            LayoutError::Io { source, .. } => Some(source.kind()),
            _ => None,
        }
    }
}

/// Says what was tried when the system refuses.
pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LayoutError {
    move |source| LayoutError::Io { action, path: path.to_owned(), source }
}
