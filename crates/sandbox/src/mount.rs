//! Mounts, as a process asks for them: what is to be seen where. How it gets there is the isolation's business.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::process::raw_path;

/// Something that is shown in the root for the time of a run and that the image does not keep.
///
/// Its target is absolute inside the root and has no links in it. It exists there and is of the same kind, or it
/// lies in a mount that comes before, where what is missing is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mount {
    /// A file, a directory or a socket of the builder's.
    Bind {
        /// Where it is on the builder's side: absolute, and no part of it is a link.
        #[serde(with = "raw_path")]
        source: PathBuf,
        /// Where it appears.
        #[serde(with = "raw_path")]
        target: PathBuf,
        /// What becomes of what is written to it.
        writes: Writes,
    },
    /// An empty directory that is forgotten afterwards.
    Tmpfs {
        /// Where it appears.
        #[serde(with = "raw_path")]
        target: PathBuf,
        /// The most it may hold, in bytes. Not every isolation can see to that.
        size: Option<u64>,
        /// Its permission bits.
        mode: u32,
        /// Whether writes are refused.
        read_only: bool,
    },
    /// A file that is on no disk at any time, and cannot be written to.
    Secret {
        /// Where it appears.
        #[serde(with = "raw_path")]
        target: PathBuf,
        /// What is in it.
        content: Secret,
        /// Its permission bits.
        mode: u32,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    },
}

/// What becomes of what is written to a [`Mount::Bind`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Writes {
    /// The process cannot write; where an isolation cannot see to that, the source stays as it is all the same.
    Refused,
    /// It is lost, and the source stays as it is.
    Discarded {
        /// An empty directory that the isolation may use for it. What is left in it is of no use.
        #[serde(with = "raw_path")]
        scratch: PathBuf,
    },
    /// It is written to the source.
    Kept {
        /// A file that is locked by flock(2) while the source may be changing, also after the death of the
        /// program that asked: shared, or exclusively where the source is moved elsewhere meanwhile.
        #[serde(with = "raw_path")]
        in_use: PathBuf,
    },
}

/// Bytes that are for one process to see. There is no `Display`, and `Debug` does not tell.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes in.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Secret(bytes.into())
    }

    /// The bytes, for whoever hands them over.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Mount {
    /// Where it appears.
    #[must_use]
    pub fn target(&self) -> &Path {
        match self {
            Mount::Bind { target, .. } | Mount::Tmpfs { target, .. } | Mount::Secret { target, .. } => target,
        }
    }
}
