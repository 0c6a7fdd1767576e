//! A trace: which calls of a process the supervisor has answered, how often, and how long that took.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// What was done for the calls of one name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServedCalls {
    /// The name, as the manual has it. Calls that are older forms of another, as open(2) is of openat(2), have that one's.
    pub name: String,
    /// How many there were.
    pub count: u64,
    /// How long all of them took from the time they were received to the time they were answered, in nanoseconds.
    pub nanoseconds: u64,
    /// How many of them failed, by the names of errors in errno(3).
    pub errors: BTreeMap<String, u64>,
}

/// Where the calls of traced processes come together. Clones are the same trace.
#[derive(Debug, Clone, Default)]
pub struct Trace(Arc<Mutex<BTreeMap<String, ServedCalls>>>);

impl Trace {
    /// All calls so far, those that took the longest first.
    #[must_use]
    pub fn calls(&self) -> Vec<ServedCalls> {
        let mut calls: Vec<ServedCalls> = self.lock().values().cloned().collect();
        calls.sort_by_key(|served| std::cmp::Reverse(served.nanoseconds));
        calls
    }

    /// Adds those of a process.
    pub(crate) fn add(&self, calls: Vec<ServedCalls>) {
        let mut all = self.lock();
        for ServedCalls { name, count, nanoseconds, errors } in calls {
            let sum =
                all.entry(name.clone()).or_insert_with(|| ServedCalls { name, ..ServedCalls::default() });
            sum.count += count;
            sum.nanoseconds += nanoseconds;
            for (error, count) in errors {
                *sum.errors.entry(error).or_default() += count;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, ServedCalls>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_one_name_are_added_up() {
        let call = |name: &str, count, nanoseconds, errors: &[(&str, u64)]| ServedCalls {
            name: name.to_owned(),
            count,
            nanoseconds,
            errors: errors.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
        };
        let trace = Trace::default();
        trace.add(vec![call("openat", 3, 30, &[("ENOENT", 1)]), call("getuid", 1, 40, &[])]);
        trace.clone().add(vec![call("openat", 2, 20, &[("ENOENT", 1), ("EACCES", 1)])]);
        let expected = [call("openat", 5, 50, &[("EACCES", 1), ("ENOENT", 2)]), call("getuid", 1, 40, &[])];
        assert_eq!(trace.calls(), expected);
    }
}
