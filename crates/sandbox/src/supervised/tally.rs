//! The tally: what is counted of the calls that are answered, if that was asked for.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

use nix::errno::Errno as Name;
use rustix::io::Errno;

use super::calls;
use super::task::lock;
use crate::trace::ServedCalls;

/// What is counted, by the number of the call; nothing if nobody wants to know.
#[derive(Debug, Default)]
pub(super) struct Tally(Option<Mutex<HashMap<i64, Counted>>>);

#[derive(Debug, Default)]
struct Counted {
    count: u64,
    nanoseconds: u64,
    errors: HashMap<i32, u64>,
}

impl Tally {
    /// One that counts.
    pub(super) fn counting() -> Self {
        Tally(Some(Mutex::default()))
    }

    /// When a call was received; nothing if that is not counted.
    pub(super) fn begin(&self) -> Option<Instant> {
        self.0.is_some().then(Instant::now)
    }

    /// A call was answered.
    pub(super) fn end(&self, begin: Option<Instant>, number: i64, error: Option<Errno>) {
        let (Some(counted), Some(begin)) = (&self.0, begin) else { return };
        let nanoseconds = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut counted = lock(counted);
        let of_call = counted.entry(number).or_default();
        of_call.count += 1;
        of_call.nanoseconds = of_call.nanoseconds.saturating_add(nanoseconds);
        if let Some(error) = error {
            *of_call.errors.entry(error.raw_os_error()).or_default() += 1;
        }
    }

    /// Everything that was counted, at the end.
    pub(super) fn take(&self) -> Option<Vec<ServedCalls>> {
        let counted = std::mem::take(&mut *lock(self.0.as_ref()?));
        let calls = counted.into_iter().map(|(number, Counted { count, nanoseconds, errors })| ServedCalls {
            name: calls::name(number).map_or_else(|| number.to_string(), str::to_owned),
            count,
            nanoseconds,
            errors: errors
                .into_iter()
                .map(|(error, count)| (format!("{:?}", Name::from_raw(error)), count))
                .collect(),
        });
        Some(calls.collect())
    }
}

#[cfg(test)]
mod tests {
    use nix::libc;

    use super::*;

    #[test]
    fn calls_have_names() {
        let tally = Tally::counting();
        for (number, error) in
            [(libc::SYS_openat, Some(Errno::NOENT)), (libc::SYS_openat, None), (libc::SYS_execve, None)]
        {
            tally.end(tally.begin(), number, error);
        }
        let mut calls = tally.take().unwrap_or_default();
        calls.sort_by(|one, other| one.name.cmp(&other.name));
        let seen: Vec<_> =
            calls.iter().map(|call| (call.name.as_str(), call.count, call.errors.get("ENOENT"))).collect();
        assert_eq!(seen, [("execve", 1, None), ("openat", 2, Some(&1))]);
        assert!(Tally::default().begin().is_none() && Tally::default().take().is_none());
    }

    #[test]
    fn every_call_that_is_answered_has_a_name() {
        for (_, number, _) in calls::SERVED {
            assert!(calls::name(*number).is_some(), "{number}");
        }
    }
}
