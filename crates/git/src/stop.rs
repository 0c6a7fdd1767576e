//! Ending early: one switch that both the threads that compute and the waits for the network look at.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Off until somebody throws it, and then for ever.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    thrown: AtomicBool,
    notify: Notify,
}

/// Throws the switch when dropped: the future that waits for the work is gone.
#[derive(Debug)]
pub(crate) struct StopOnDrop(pub(crate) Stop);

impl Stop {
    pub(crate) fn throw(&self) {
        self.inner.thrown.store(true, Ordering::SeqCst);
        self.inner.notify.notify_waiters();
    }

    pub(crate) fn is_thrown(&self) -> bool {
        self.inner.thrown.load(Ordering::SeqCst)
    }

    /// The switch as gix looks at it.
    pub(crate) fn flag(&self) -> &AtomicBool {
        &self.inner.thrown
    }

    /// What the future gives, or `None` as soon as the switch is thrown.
    pub(crate) async fn or<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let thrown = self.inner.notify.notified();
        tokio::pin!(thrown);
        // Whoever throws it between here and the wait is noticed by this.
        thrown.as_mut().enable();
        if self.is_thrown() {
            return None;
        }
        tokio::select! {
            value = future => Some(value),
            () = thrown => None,
        }
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.throw();
    }
}
