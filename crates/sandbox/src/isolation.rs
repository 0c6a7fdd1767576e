//! An isolation: one way to run a process so that it sees a root and nothing of ours.

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cancel::Cancel;
use crate::failure::Failure;
use crate::process::{Exit, Network, Process, Stream};

/// One way to run a process inside a root.
///
/// Nothing here says how: a kernel mount, a real owner or a real root may or may not exist behind it.
pub trait Isolation: Send + Sync + Debug {
    /// The name it is chosen by: `ns`, `chroot`, `supervised`.
    fn name(&self) -> &'static str;

    /// How it wants its root.
    fn shape(&self) -> RootShape;

    /// Whether it can give what `process` asks for, in a root below `directory`. That can be asked before there is
    /// a root; [`Isolation::run`] refuses the same.
    fn check(&self, process: &Process, directory: &Path) -> Result<(), RunError> {
        let _ = (process, directory);
        Ok(())
    }

    /// Runs `process` in `root` until it and every process it left behind are gone.
    ///
    /// `output` gets what is written as it arrives, in the calling thread; while it does not return, the
    /// process waits. After an error other than [`RunError::Exec`] a root in place is to be thrown away.
    fn run(
        &self,
        process: &Process,
        root: &RootFiles,
        output: &mut dyn FnMut(Stream, &[u8]),
        cancel: &Cancel,
    ) -> Result<Exit, RunError>;
}

/// Refuses a process that wants a network of its own, for isolations that cannot give one.
pub(crate) fn refuse_own_network(isolation: &'static str, process: &Process) -> Result<(), RunError> {
    match process.network {
        Network::None => Err(RunError::Unsupported {
            isolation,
            what: "--network=none".to_owned(),
            why: "it shares the network of the container, which only a network namespace could change",
        }),
        _ => Ok(()),
    }
}

/// How an isolation wants its root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootShape {
    /// As layers: what the process changes is found in the upper directory, in overlayfs's form.
    Stacked,
    /// As one directory, which the process changes.
    InPlace,
    /// As one directory, and a table of what the kernel does not hold of its files: `owners::Table`. The files
    /// belong to this program, and have modes as `owners::mode_on_disk` says.
    Described,
}

/// The files of a root. The directories `/proc`, `/sys` and `/dev`, and the target of every mount, exist in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootFiles {
    /// One directory with everything in it.
    InPlace {
        /// Its path. The directory it lies in is ours too, and on the same filesystem.
        dir: PathBuf,
    },
    /// One directory with everything in it, and what its files are said to be.
    Described {
        /// Its path. The directory it lies in is ours too, and on the same filesystem.
        dir: PathBuf,
        /// The file with the table. The run changes it.
        owners: PathBuf,
        /// Where the run writes down what it may have changed: `owners::Log`.
        log: PathBuf,
    },
    /// Directories on top of each other.
    Stacked {
        /// What is only read, the topmost first.
        lower: Vec<PathBuf>,
        /// Where changes go. Its own mode, owner and times are those that `/` has.
        upper: PathBuf,
        /// An empty directory on the filesystem of `upper`, for the kernel's use; a fresh one for each run.
        work: PathBuf,
    },
}

/// Why a process did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The program cannot be executed; it is the image's or the Dockerfile's fault.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// This isolation cannot give what the process asks for.
    #[error("{what} is not possible with the isolation {isolation}: {why}")]
    Unsupported {
        /// The isolation's name.
        isolation: &'static str,
        /// What was asked for.
        what: String,
        /// The reason.
        why: &'static str,
    },
    /// The root could not be set up.
    #[error("set up the root: {0}")]
    SetUp(Failure),
    /// What was put into a root in place for the time of the run could not be taken out again.
    #[error("clean up the root: {0}")]
    CleanUp(Failure),
    /// The helper could not be started or spoken to.
    #[error("start the helper process: {0}")]
    Helper(#[source] std::io::Error),
    /// The helper ended without a word: killed from outside, for lack of memory for example.
    #[error("the helper process died: {status}")]
    HelperDied {
        /// How it ended.
        status: std::process::ExitStatus,
    },
}

/// Why a program cannot be executed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("exec {program:?}: {kind}")]
pub struct ExecError {
    /// The first word of the command.
    pub program: String,
    /// What is wrong with it.
    pub kind: ExecErrorKind,
}

impl ExecError {
    /// The exit code that Docker and BuildKit report for it: 127 if there is nothing to run, else 126.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self.kind {
            ExecErrorKind::NotFound | ExecErrorKind::NotInPath(_) => 127,
            _ => 126,
        }
    }
}

/// The ways in which a program cannot be executed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ExecErrorKind {
    /// There is no such file.
    #[error("not found in the image")]
    NotFound,
    /// No directory of `PATH` has it.
    #[error("not found in the image's PATH {0:?}")]
    NotInPath(String),
    /// It is there, without permission to execute it.
    #[error("not executable by this user")]
    NotExecutable,
    /// It is a directory.
    #[error("is a directory")]
    Directory,
    /// The interpreter that its first line or its ELF header names does not exist.
    #[error("its interpreter {0:?} was not found in the image")]
    NoInterpreter(String),
    /// The kernel does not know how to execute it.
    #[error("neither a program for this machine nor a script with a #! line")]
    Format,
    /// Something else the kernel said.
    #[error("{}", std::io::Error::from_raw_os_error(*.0))]
    Other(i32),
    /// The working directory cannot be entered.
    #[error("working directory {dir:?}: {}", std::io::Error::from_raw_os_error(*.errno))]
    WorkingDirectory {
        /// The directory.
        dir: String,
        /// What the kernel said.
        errno: i32,
    },
}
