//! Jobs: how much of a build is done at once.
//!
//! Each stage has a thread, and works as long as it has one of the seats. Whoever waits for another stage gives the
//! seat away meanwhile, so that as many work as may, and a seat is never held by somebody who waits for one. Of
//! those that wait, the one goes on that comes first in the order of the build: with one seat, stages are
//! built one after the other.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A place in the order of the build: the platform's number, and the stage's.
pub(crate) type Turn = (usize, usize);

/// The seats of a build, of all its platforms together.
pub(crate) struct Jobs {
    count: usize,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    free: usize,
    waiting: BTreeSet<Turn>,
}

impl Jobs {
    pub(crate) fn new(count: NonZeroUsize) -> Self {
        Jobs {
            count: count.get(),
            state: Mutex::new(State { free: count.get(), waiting: BTreeSet::new() }),
            changed: Condvar::new(),
        }
    }

    /// Says who will come, so that nobody begins before those who come first.
    pub(crate) fn announce(&self, turns: impl Iterator<Item = Turn>) {
        self.lock().waiting.extend(turns);
    }

    /// Says that somebody who was announced will not come.
    pub(crate) fn withdraw(&self, turn: Turn) {
        self.lock().waiting.remove(&turn);
        self.changed.notify_all();
    }

    /// True if several work at this moment, so that each had better take less memory and fewer threads.
    pub(crate) fn are_several(&self) -> bool {
        self.count - self.lock().free > 1
    }

    /// Waits for a seat.
    pub(crate) fn begin(&self, turn: Turn) -> Seat<'_> {
        self.take(turn);
        Seat { jobs: self, turn, is_taken: Cell::new(true) }
    }

    fn take(&self, turn: Turn) {
        let mut state = self.lock();
        state.waiting.insert(turn);
        while state.free == 0 || state.waiting.first() != Some(&turn) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting.remove(&turn);
        state.free -= 1;
        // There may be a seat for the next one too.
        self.changed.notify_all();
    }

    fn give_back(&self) {
        self.lock().free += 1;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to work, until it is dropped.
pub(crate) struct Seat<'a> {
    jobs: &'a Jobs,
    turn: Turn,
    is_taken: Cell<bool>,
}

impl Seat<'_> {
    /// Waits for something that another stage does, which may want the seat.
    pub(crate) fn wait<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.jobs.give_back();
        self.is_taken.set(false);
        let result = wait();
        self.jobs.take(self.turn);
        self.is_taken.set(true);
        result
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        // Not if what it waited for panicked.
        if self.is_taken.get() {
            self.jobs.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn one_seat_is_in_order() {
        let jobs = Jobs::new(NonZeroUsize::MIN);
        let done = Mutex::new(Vec::new());
        let turns: Vec<Turn> = vec![(0, 0), (0, 1), (0, 2), (1, 0)];
        jobs.announce(turns.iter().copied());
        std::thread::scope(|scope| {
            for turn in turns.iter().rev().copied() {
                let (jobs, done) = (&jobs, &done);
                scope.spawn(move || {
                    let _seat = jobs.begin(turn);
                    done.lock().unwrap().push(turn);
                });
            }
        });
        assert_eq!(done.into_inner().unwrap(), turns);
    }

    #[test]
    fn who_waits_gives_the_seat_away() {
        let jobs = Jobs::new(NonZeroUsize::MIN);
        let meeting = Barrier::new(2);
        jobs.announce([(0, 0), (0, 1)].into_iter());
        std::thread::scope(|scope| {
            let (jobs, meeting) = (&jobs, &meeting);
            scope.spawn(move || jobs.begin((0, 0)).wait(|| meeting.wait()));
            scope.spawn(move || {
                let _seat = jobs.begin((0, 1));
                meeting.wait();
            });
        });
        assert_eq!(jobs.lock().free, 1);
    }
}
