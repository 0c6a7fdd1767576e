//! Cancel: tells running processes to end, from any thread.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A switch that can be thrown once and that every clone shares.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    state: Arc<Mutex<State>>,
    /// A switch that, once thrown, counts as this one.
    parent: Option<Arc<Cancel>>,
}

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

    /// A switch for a part of the work: it is thrown with this one, and can be thrown without it.
    #[must_use]
    pub fn child(&self) -> Self {
        Cancel { state: Arc::default(), parent: Some(Arc::new(self.clone())) }
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

    /// Takes back that this switch itself was thrown, once everything that it was to end has ended.
    pub fn restore(&self) {
        self.state().signal = None;
    }

    /// The signal it was thrown with, if it was.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        let own = self.state().signal;
        own.or_else(|| self.parent.as_ref().and_then(|parent| parent.signal()))
    }

    /// Whether it was thrown.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.signal().is_some()
    }

    /// Forwards the signal to `run` until the guard is dropped; at once if it was thrown already.
    pub(crate) fn watch(&self, run: Arc<UnixStream>) -> Watch<'_> {
        for switch in self.line() {
            let mut state = switch.state();
            if let Some(signal) = state.signal {
                tell(&run, signal);
            }
            state.runs.push(run.clone());
        }
        Watch { cancel: self, run }
    }

    /// This one and those above it.
    fn line(&self) -> impl Iterator<Item = &Cancel> {
        std::iter::successors(Some(self), |switch| switch.parent.as_deref())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
        for switch in self.cancel.line() {
            switch.state().runs.retain(|run| !Arc::ptr_eq(run, &self.run));
        }
    }
}

/// Sends a signal's number to the helper of a run. What is no such number becomes SIGKILL, which cannot be
/// misunderstood.
fn tell(mut run: &UnixStream, signal: i32) {
    // A run that has just ended has nobody left to tell.
    let _ = run.write_all(&[u8::try_from(signal).unwrap_or(9)]);
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_part_ends_alone_or_with_the_whole() {
        let whole = Cancel::new();
        let (part, other) = (whole.child(), whole.child());
        let (mut told, run) = UnixStream::pair().unwrap();
        let watch = part.watch(Arc::new(run));
        part.cancel(15);
        assert_eq!((part.signal(), other.signal(), whole.signal()), (Some(15), None, None));
        part.restore();
        assert_eq!(part.signal(), None);
        whole.cancel(2);
        assert_eq!((part.signal(), other.signal(), whole.signal()), (Some(2), Some(2), Some(2)));
        part.restore();
        assert_eq!(part.signal(), Some(2), "of the whole it is not taken back");
        drop(watch);
        let mut signals = Vec::new();
        drop((part, other));
        told.read_to_end(&mut signals).unwrap();
        assert_eq!(signals, [15, 2]);
        assert!(whole.state().runs.is_empty());
    }
}
