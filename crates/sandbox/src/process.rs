//! What is to be run, and how it ended: a process as a `RUN` describes it.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::mount::Mount;

/// One process to be run inside a root.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The program and its arguments. A program without a slash is looked up in the `PATH` of [`Process::env`].
    pub argv: Vec<OsString>,
    /// The whole environment; nothing is added to it.
    pub env: Vec<(OsString, OsString)>,
    /// The working directory, absolute inside the root.
    #[serde(with = "raw_path")]
    pub cwd: PathBuf,
    /// Who runs it.
    pub user: User,
    /// The host name, where the isolation can give one: `ns`, unless a seccomp profile refuses it.
    pub hostname: String,
    /// What it may reach.
    pub network: Network,
    /// What else is visible in the root, in this order.
    pub mounts: Vec<Mount>,
}

impl fmt::Debug for Process {
    /// Values of the environment may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&OsString> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("Process")
            .field("argv", &self.argv)
            .field("env", &names)
            .field("cwd", &self.cwd)
            .field("user", &self.user)
            .field("mounts", &self.mounts)
            .finish_non_exhaustive()
    }
}

/// Numeric ids; names are looked up in the image by whoever makes the [`Process`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct User {
    /// The user id.
    pub uid: u32,
    /// The primary group id.
    pub gid: u32,
    /// All supplementary groups.
    pub groups: Vec<u32>,
}

/// The network of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Network {
    /// The network that the builder itself has.
    #[default]
    Host,
    /// Only a loopback interface of its own; it is up if the builder has CAP_NET_ADMIN, as root outside of a
    /// container and in a user namespace have.
    None,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// It exited with this status.
    Code(i32),
    /// It was ended by this signal.
    Signal(i32),
}

impl Exit {
    /// The status a shell reports: the exit code, or 128 and the signal's number.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128 + signal,
        }
    }
}

/// Which of the two outputs some bytes were written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// File descriptor 1.
    Stdout,
    /// File descriptor 2.
    Stderr,
}

/// Paths are bytes; serde's own form of a [`PathBuf`] is refused when those are not UTF-8.
pub(crate) mod raw_path {
    use super::{Deserialize, OsString, Path, PathBuf, Serialize};

    pub(crate) fn serialize<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_os_str().serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<PathBuf, D::Error> {
        OsString::deserialize(deserializer).map(PathBuf::from)
    }
}
