//! Where the time of a build went.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time by what it was spent on, summed over stages and platforms. Kinds may overlap, as uploads do with everything
/// else, and so may stages.
#[derive(Debug, Default)]
pub struct Timings(Mutex<BTreeMap<&'static str, Duration>>);

impl Timings {
    /// Counts the time `work` takes.
    pub(crate) fn measure<T>(&self, kind: &'static str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.add(kind, start.elapsed());
        result
    }

    /// Adds what another build has taken.
    pub(crate) fn add_all(&self, other: &Timings) {
        other.list().into_iter().for_each(|(kind, time)| self.add(kind, time));
    }

    fn add(&self, kind: &'static str, time: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default() += time;
    }

    /// Every kind with its sum, the longest first.
    pub fn list(&self) -> Vec<(&'static str, Duration)> {
        let sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<_> = sums.iter().map(|(kind, time)| (*kind, *time)).collect();
        list.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
        list
    }
}
