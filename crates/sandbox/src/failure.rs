//! A step the kernel refused: what was tried, and the error number it answered with.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

/// One step that failed on the way to a running process; small enough to be sent from the helper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What was tried, with its subject: `mount overlay on /work/3/upper`.
    pub step: String,
    /// What the kernel said, or 0 when the reason is in [`Failure::step`].
    pub errno: i32,
}

impl Failure {
    /// A failure that no system call reported.
    pub(crate) fn because(step: impl Into<String>) -> Self {
        Failure { step: step.into(), errno: 0 }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errno {
            0 => f.write_str(&self.step),
            errno => write!(f, "{}: {}", self.step, io::Error::from_raw_os_error(errno)),
        }
    }
}

impl std::error::Error for Failure {}

/// Names the step at which a system call failed.
pub(crate) trait During<T> {
    /// The same result, its error told as a [`Failure`] of `step`.
    fn during(self, step: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> During<T> for Result<T, E> {
    fn during(self, step: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| {
            let error: io::Error = error.into();
            match error.raw_os_error() {
                Some(errno) => Failure { step: step.to_string(), errno },
                None => Failure::because(format!("{step}: {error}")),
            }
        })
    }
}
