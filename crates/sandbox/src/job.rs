//! What the program and its helper say to each other over their socket.
//!
//! The program sends one [`Job`], as JSON after its length in four bytes, then single bytes, each the number of a
//! signal to forward. The helper answers with [`Report`]s, one line of JSON each, and closes the socket at the end.
//! If the program dies, the helper reads the end of the socket and kills what it started.

use std::ffi::OsString;
use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::isolation::ExecError;
use crate::namespaces::NamespacesPlan;
use crate::process::{Exit, Process};
use crate::trace::ServedCalls;

/// The first argument that makes this program its own helper.
pub(crate) const HELPER_WORD: &str = "--isolation-helper";

/// The argument after it, once the helper runs from a read-only mount of this program.
pub(crate) const READ_ONLY_WORD: &str = "--read-only";

/// What a helper is started for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Job {
    /// Run a process in namespaces.
    Namespaces { process: Process, root: Root, plan: NamespacesPlan },
    /// Run a process in a chroot.
    Chroot { process: Process, dir: OsString },
    /// Run a process under a supervisor; `owners` is the table of owners of its root, and `log` gets what it changes. If it
    /// is traced, the calls that were answered are reported.
    Supervised { process: Process, dir: OsString, owners: OsString, log: OsString, traced: bool },
    /// Find out whether namespaces work, in a new user namespace or without one.
    RehearseNamespaces { work_dir: OsString, user_namespace: bool },
    /// Find out whether chroot works.
    RehearseChroot { work_dir: OsString },
    /// Find out whether a supervisor works.
    RehearseSupervised { work_dir: OsString },
}

/// [`crate::RootFiles`] for the way to the helper.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Root {
    InPlace { dir: OsString },
    Stacked { lower: Vec<OsString>, upper: OsString, work: OsString },
}

/// What a helper has to say.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// A step of the preparation, or of a rehearsal, failed.
    Failed(Failure),
    /// The program could not be executed.
    Exec(ExecError),
    /// The process and all it left behind are gone.
    Exited(Exit),
    /// These calls of the process were answered.
    Served(Vec<ServedCalls>),
    /// What was changed in the root for the run could not be changed back.
    NotRestored(Failure),
    /// Namespaces work, in this way.
    NamespacesWork(NamespacesPlan),
    /// Chroot works.
    ChrootWorks,
    /// A supervisor works.
    SupervisedWorks,
}

/// Writes `job` as the helper expects it.
pub(crate) fn send_job(mut to: impl Write, job: &Job) -> io::Result<()> {
    let text = serde_json::to_vec(job)?;
    let length = u32::try_from(text.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the environment is larger than 4 GiB"))?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(&text)
}

/// Reads the job, and not one byte more: what follows are signals.
pub(crate) fn receive_job(mut from: impl Read) -> io::Result<Job> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u64::from(u32::from_le_bytes(length));
    Ok(serde_json::from_reader(io::BufReader::new(from.take(length)))?)
}

/// Writes one report.
pub(crate) fn send_report(mut to: impl Write, report: &Report) -> io::Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    to.write_all(&line)
}
