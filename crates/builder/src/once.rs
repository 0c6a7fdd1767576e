//! Once: what several stages want at the same time is done by the first that comes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Locks by name. Who has one looks first whether the thing is done.
#[derive(Default)]
pub(crate) struct Once(Mutex<BTreeMap<String, Arc<Mutex<()>>>>);

impl Once {
    /// Does `work` while nobody else does work of that name. Nobody asks for two names in another order than
    /// others do: what a name is for is made of things of fewer parts.
    pub(crate) fn alone<T>(&self, name: String, work: impl FnOnce() -> T) -> T {
        let turn = lock(&self.0).entry(name).or_default().clone();
        let _turn = lock(&turn);
        work()
    }
}

/// What these locks of a build guard is never left half done, so a panic elsewhere does not spoil it.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
