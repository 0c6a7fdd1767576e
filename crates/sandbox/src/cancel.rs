//! Cancel: tells running processes to end, from any thread.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A switch that can be thrown once and that every clone shares.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    signal: Option<i32>,
    /// The sockets of the runs under way; a byte written to one is a signal for its processes.
    runs: Vec<Arc<UnixStream>>,
}

impl Cancel {
    /// A switch nobody has thrown.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends `signal` to the processes of every run that has this switch; those which are still there a few
    /// seconds later are killed. A run that starts afterwards ends at once.
    pub fn cancel(&self, signal: i32) {
        let mut state = self.state();
        state.signal.get_or_insert(signal);
        for run in &state.runs {
            tell(run, signal);
        }
    }

    /// The signal it was thrown with, if it was.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        self.state().signal
    }

    /// Whether it was thrown.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.signal().is_some()
    }

    /// Forwards the signal to `run` until the guard is dropped; at once if it was thrown already.
    pub(crate) fn watch(&self, run: Arc<UnixStream>) -> Watch<'_> {
        let mut state = self.state();
        if let Some(signal) = state.signal {
            tell(&run, signal);
        }
        state.runs.push(run.clone());
        Watch { cancel: self, run }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As long as it lives, its run is told about a cancel.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    cancel: &'a Cancel,
    run: Arc<UnixStream>,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.cancel.state().runs.retain(|run| !Arc::ptr_eq(run, &self.run));
    }
}

/// Sends a signal's number to the helper of a run. What is no such number becomes SIGKILL, which cannot be
/// misunderstood.
fn tell(mut run: &UnixStream, signal: i32) {
    // A run that has just ended has nobody left to tell.
    let _ = run.write_all(&[u8::try_from(signal).unwrap_or(9)]);
}
