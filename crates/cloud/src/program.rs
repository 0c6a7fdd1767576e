//! Programs that give credentials: started, given a line, waited for, and ended in time.
//!
//! Used for Docker's credential helpers and for `credential_process` of AWS. A program that hangs would hang the build,
//! so each has a time limit; what it has started itself ends with it, as it is a process group of its own.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use crate::Environment;

/// What is read of a program at most.
const LIMIT: u64 = 1 << 20;

/// A program and what it is given.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its file.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// What it reads.
    pub input: Vec<u8>,
    /// How long it may take.
    pub limit: Duration,
}

/// Why a program gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// It cannot be started.
    #[error("cannot be started: {0}")]
    Start(String),
    /// It took too long, and was ended.
    #[error("did not end within {0:?}, and was killed")]
    Time(Duration),
    /// It says that it failed.
    #[error("failed{}{}", if .output.is_empty() { "" } else { ": " }, .output)]
    Failed {
        /// What it said, on one line.
        output: String,
    },
    /// It wrote too much.
    #[error("wrote more than {LIMIT} bytes")]
    TooMuch,
}

/// A running program, which is killed when nobody waits for it any more.
struct Group {
    child: Mutex<Option<Child>>,
    ended: Condvar,
}

impl Program {
    /// Runs the program and returns what it wrote to its standard output. Dropping the future ends the program.
    pub async fn run(&self, environment: &Environment) -> Result<Vec<u8>, ProgramError> {
        let mut command = Command::new(&self.path);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(environment.iter())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command.spawn().map_err(|error| ProgramError::Start(error.to_string()))?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let group = Arc::new(Group { child: Mutex::new(Some(child)), ended: Condvar::new() });
        let guard = Guard(Arc::clone(&group));
        let (input, limit) = (self.input.clone(), self.limit);
        let waited = tokio::task::spawn_blocking(move || {
            // One that does not read is none of our business.
            std::thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
            let (output, errors) = (collect(stdout), collect(stderr));
            let timer = group.kill_after(limit);
            // What has left the group may hold the pipes for ever.
            let end = Instant::now() + limit + Duration::from_secs(1);
            let rest = || end.saturating_duration_since(Instant::now());
            let output = output.recv_timeout(rest()).unwrap_or_default();
            let errors = errors.recv_timeout(rest()).unwrap_or_default();
            let status = group.wait();
            let in_time = timer.join().unwrap_or(true);
            (output, errors, status, in_time)
        });
        let (output, errors, success, in_time) =
            waited.await.map_err(|error| ProgramError::Start(error.to_string()))?;
        drop(guard);
        if !in_time {
            return Err(ProgramError::Time(limit));
        }
        if output.len() as u64 > LIMIT {
            return Err(ProgramError::TooMuch);
        }
        if success {
            return Ok(output);
        }
        // A helper says why it failed on either of them.
        let said = [&*output, &*errors].map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned());
        let said: Vec<String> = said.into_iter().filter(|text| !text.is_empty()).collect();
        let output =
            said.join("; ").replace('\n', "; ").chars().filter(|c| !c.is_control()).take(300).collect();
        Err(ProgramError::Failed { output })
    }
}

/// Reads on a thread of its own.
fn collect(from: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(from) = from {
            // What came before a failure is what there is.
            let _ = from.take(LIMIT + 1).read_to_end(&mut bytes);
        }
        // Nobody listens any more if it took too long.
        let _ = sender.send(bytes);
    });
    receiver
}

impl Group {
    /// Kills the program and what it has started, unless it has been waited for.
    fn kill(&self) {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let id = child.as_ref().and_then(|child| rustix::process::Pid::from_raw(child.id().try_into().ok()?));
        if let Some(id) = id {
            // As long as it was not waited for, the number is its own.
            let _ = rustix::process::kill_process_group(id, rustix::process::Signal::KILL);
        }
    }

    /// A thread that kills the program after a while; it says whether the program ended before.
    fn kill_after(self: &Arc<Self>, limit: Duration) -> std::thread::JoinHandle<bool> {
        let group = Arc::clone(self);
        std::thread::spawn(move || {
            let end = Instant::now() + limit;
            let mut child = group.child.lock().unwrap_or_else(PoisonError::into_inner);
            while child.is_some() {
                let Some(left) = end.checked_duration_since(Instant::now()) else {
                    drop(child);
                    group.kill();
                    return false;
                };
                child = group.ended.wait_timeout(child, left).unwrap_or_else(PoisonError::into_inner).0;
            }
            true
        })
    }

    /// Waits for the end; true if it was a success. Its outputs are closed by now, or it was killed.
    fn wait(&self) -> bool {
        let end = Duration::from_millis(5);
        loop {
            let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(running) = child.as_mut() else { return false };
            match running.try_wait() {
                Ok(None) => {
                    // It has closed its outputs and lives on; the timer needs the lock meanwhile.
                    drop(self.ended.wait_timeout(child, end));
                }
                Ok(Some(status)) => {
                    *child = None;
                    self.ended.notify_all();
                    return status.success();
                }
                Err(_) => {
                    *child = None;
                    self.ended.notify_all();
                    return false;
                }
            }
        }
    }
}

/// Ends a program that nobody waits for.
struct Guard(Arc<Group>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.kill();
    }
}

/// The file of a program that `PATH` leads to.
#[must_use]
pub fn find(name: &str, environment: &Environment) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let is_program = |path: &Path| {
        path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let path = environment.get("PATH")?;
    // An empty entry would mean the current directory, which may be somebody's context.
    path.split(':')
        .filter(|folder| folder.starts_with('/'))
        .map(|folder| Path::new(folder).join(name))
        .find(|path| is_program(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(script: &str, limit: u64) -> String {
        let program = Program {
            path: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            input: b"asked".to_vec(),
            limit: Duration::from_millis(limit),
        };
        match program.run(&Environment::default()).await {
            Ok(output) => String::from_utf8(output).unwrap(),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn how_programs_end() {
        for (script, limit, expected) in [
            ("cat; echo !", 20_000, "asked!\n"),
            ("exit 0", 20_000, ""),
            ("echo no luck; echo really >&2; exit 1", 20_000, "failed: no luck; really"),
            ("exit 3", 20_000, "failed"),
            ("sleep 1000", 100, "did not end within 100ms, and was killed"),
            // What it has started holds the pipe.
            ("sleep 1000 & exit 0", 100, "did not end within 100ms, and was killed"),
            ("exec >&- 2>&-; sleep 1000", 100, "did not end within 100ms, and was killed"),
        ] {
            assert_eq!(run(script, limit).await, expected, "{script}");
        }
        assert!(run("yes", 20_000).await.starts_with("wrote more than"));
    }

    #[tokio::test]
    async fn one_that_nobody_waits_for_is_ended() {
        let directory = tempfile::tempdir().unwrap();
        let mark = directory.path().join("pid");
        let script = format!("echo $$ > {}.new; mv {0}.new {0}; sleep 1000", mark.display());
        let program = Program {
            path: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script],
            input: Vec::new(),
            limit: Duration::from_secs(60),
        };
        let environment = Environment::new([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
        let running = tokio::spawn(async move { program.run(&environment).await });
        while !mark.exists() {
            tokio::task::yield_now().await;
        }
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        let process = format!("/proc/{}", std::fs::read_to_string(&mark).unwrap().trim());
        let end = Instant::now() + Duration::from_secs(20);
        while Path::new(&process).exists() {
            assert!(Instant::now() < end, "{process} still runs");
            tokio::task::yield_now().await;
        }
    }
}
