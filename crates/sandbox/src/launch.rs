//! Launch: starts the helper, hands it a job, and carries its output and its reports back.

use std::io::{self, PipeReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::io::retry_on_intr;

use crate::cancel::Cancel;
use crate::isolation::RunError;
use crate::job::{self, HELPER_WORD, Job, Report};
use crate::process::{Exit, Stream};
use crate::trace::Trace;

/// Bytes taken from an output at a time: what a pipe holds.
const CHUNK: usize = 64 * 1024;

/// Runs a process through a helper; see [`crate::Isolation::run`].
pub(crate) fn run(
    job: &Job,
    output: &mut dyn FnMut(Stream, &[u8]),
    cancel: &Cancel,
) -> Result<Exit, RunError> {
    run_traced(job, output, cancel, None)
}

/// The same; what is reported of its calls is added to a trace.
pub(crate) fn run_traced(
    job: &Job,
    output: &mut dyn FnMut(Stream, &[u8]),
    cancel: &Cancel,
    trace: Option<&Trace>,
) -> Result<Exit, RunError> {
    if let Some(signal) = cancel.signal() {
        return Ok(Exit::Signal(signal));
    }
    let (ours, theirs) = UnixStream::pair().map_err(RunError::Helper)?;
    let ours = Arc::new(ours);
    let (stdout, stdout_end) = io::pipe().map_err(RunError::Helper)?;
    let (stderr, stderr_end) = io::pipe().map_err(RunError::Helper)?;
    let mut helper = start(theirs, stdout_end.into(), stderr_end.into()).map_err(RunError::Helper)?;
    let sent = job::send_job(&*ours, job);
    // Not before the whole job is sent: a signal is a byte on the same socket.
    let _watch = cancel.watch(ours.clone());
    let pumped = pump(&ours, [(Stream::Stdout, stdout), (Stream::Stderr, stderr)], output);
    let status = helper.wait().map_err(RunError::Helper)?;
    let reports = pumped.map_err(RunError::Helper)?;
    if reports.is_empty() {
        sent.map_err(RunError::Helper)?;
    }
    verdict(reports, status, trace)
}

/// Asks a helper that runs nothing: its reports.
pub(crate) fn ask(job: &Job) -> Result<Vec<Report>, RunError> {
    let (ours, theirs) = UnixStream::pair().map_err(RunError::Helper)?;
    let mut helper = start(theirs, Stdio::null(), Stdio::null()).map_err(RunError::Helper)?;
    let sent = job::send_job(&ours, job);
    let mut text = Vec::new();
    let read = (&ours).read_to_end(&mut text);
    let status = helper.wait().map_err(RunError::Helper)?;
    sent.and(read).map_err(RunError::Helper)?;
    let reports = parse(&text).map_err(RunError::Helper)?;
    if reports.is_empty() { Err(RunError::HelperDied { status }) } else { Ok(reports) }
}

/// Starts the helper. It has no environment: nothing of ours can be read from it, or pass to what it runs.
fn start(socket: UnixStream, stdout: Stdio, stderr: Stdio) -> io::Result<Child> {
    Command::new("/proc/self/exe")
        .arg0("isolation-helper")
        .arg(HELPER_WORD)
        .env_clear()
        .stdin(OwnedFd::from(socket))
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
}

/// Hands on what arrives until the helper has closed its socket; the reports it wrote there.
fn pump(
    socket: &UnixStream,
    outputs: [(Stream, PipeReader); 2],
    output: &mut dyn FnMut(Stream, &[u8]),
) -> io::Result<Vec<Report>> {
    let mut outputs = Vec::from(outputs);
    let mut buffer = vec![0; CHUNK];
    let mut text = Vec::new();
    loop {
        let ready = wait_readable(socket, &outputs)?;
        let mut ended = Vec::new();
        for (index, (stream, pipe)) in
            outputs.iter_mut().enumerate().filter(|(index, _)| ready.outputs[*index])
        {
            match pipe.read(&mut buffer)? {
                0 => ended.push(index),
                length => output(*stream, &buffer[..length]),
            }
        }
        ended.into_iter().rev().for_each(|index| drop(outputs.remove(index)));
        if ready.socket {
            match (&*socket).read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => text.extend_from_slice(&buffer[..length]),
                // The helper died with bytes of ours unread.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
                Err(error) => return Err(error),
            }
        }
    }
    // Nobody is left to write. A descriptor that was handed to a process outside does not keep us waiting.
    for (stream, pipe) in &mut outputs {
        rustix::fs::fcntl_setfl(&*pipe, OFlags::NONBLOCK)?;
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            output(*stream, &buffer[..length]);
        }
    }
    parse(&text)
}

/// What has something to read.
struct Ready {
    socket: bool,
    /// In the order of the outputs.
    outputs: Vec<bool>,
}

fn wait_readable(socket: &UnixStream, outputs: &[(Stream, PipeReader)]) -> io::Result<Ready> {
    let pipes = outputs.iter().map(|(_, pipe)| PollFd::new(pipe, PollFlags::IN));
    let mut fds: Vec<PollFd<'_>> = pipes.chain([PollFd::new(socket, PollFlags::IN)]).collect();
    retry_on_intr(|| poll(&mut fds, None))?;
    let mut outputs: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
    let socket = outputs.pop().expect("the socket was put last");
    Ok(Ready { socket, outputs })
}

fn parse(text: &[u8]) -> io::Result<Vec<Report>> {
    let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).map_err(io::Error::from)).collect()
}

/// What the reports amount to. A root that is not as it was outweighs how the process ended; that the program
/// could not be executed explains the exit code that follows.
fn verdict(reports: Vec<Report>, status: ExitStatus, trace: Option<&Trace>) -> Result<Exit, RunError> {
    let mut exec = None;
    let mut exited = None;
    for report in reports {
        match report {
            Report::Failed(failure) => return Err(RunError::SetUp(failure)),
            Report::NotRestored(failure) => return Err(RunError::CleanUp(failure)),
            Report::Exec(error) => exec = Some(error),
            Report::Exited(exit) => exited = Some(exit),
            Report::Served(calls) => {
                if let Some(trace) = trace {
                    trace.add(calls);
                }
            }
            Report::NamespacesWork(_) | Report::ChrootWorks | Report::SupervisedWorks => {}
        }
    }
    match (exec, exited) {
        (Some(error), _) => Err(error.into()),
        (None, Some(exit)) => Ok(exit),
        (None, None) => Err(RunError::HelperDied { status }),
    }
}
