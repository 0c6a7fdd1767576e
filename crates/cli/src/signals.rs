//! Signals that ask us to end: kept while nobody can act on them, and then what ends the build.
//!
//! As process 1 of a container a signal without a handler is lost, and elsewhere it would leave a work
//! directory behind. One that is blocked waits.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use builder::{Error, WorkDir};
use nix::sys::signal::{SigSet, Signal as Number};
use sandbox::Cancel;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::terminal::Terminal;

/// How long a build may take to end itself once it was told to.
const GRACE: Duration = Duration::from_secs(8);

/// The signals are waiting.
#[derive(Debug)]
pub(crate) struct Held(SigSet);

/// Lets signals wait from now on. To be called before the first thread is started.
pub(crate) fn hold() -> Held {
    let signals = SigSet::from_iter([Number::SIGTERM, Number::SIGINT, Number::SIGHUP]);
    // A mask of valid signals is never refused.
    let _ = signals.thread_block();
    Held(signals)
}

impl Held {
    /// Starts the runtime, with a task that ends the build at the first signal: with the RUN under way or at
    /// the next step. A build that does not end, or is told so twice, is ended with what it has on disk.
    pub(crate) fn start_runtime(
        self,
        cancel: &Cancel,
        work_dir: Weak<WorkDir>,
        terminal: &Arc<Terminal>,
    ) -> std::io::Result<Runtime> {
        // Threads, and the processes they start, must not keep the mask; nor may they lose it before there are
        // handlers.
        let handled = Arc::new(OnceLock::<()>::new());
        let (signals, wait) = (self.0, handled.clone());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .on_thread_start(move || {
                wait.wait();
                let _ = signals.thread_unblock();
            })
            .enable_all()
            .build();
        let listeners = runtime.as_ref().map(|runtime| {
            let _entered = runtime.enter();
            Listeners::new()
        });
        // Without handlers the default action ends us, and the next build collects what is left.
        if let (Ok(runtime), Ok(Ok(listeners))) = (&runtime, listeners) {
            runtime.spawn(end_at_a_signal(listeners, cancel.clone(), work_dir, terminal.clone()));
        }
        let _ = handled.set(());
        let _ = self.0.thread_unblock();
        runtime
    }
}

async fn end_at_a_signal(
    mut listeners: Listeners,
    cancel: Cancel,
    work_dir: Weak<WorkDir>,
    terminal: Arc<Terminal>,
) {
    let number = listeners.next().await;
    cancel.cancel(number);
    let _ = tokio::time::timeout(GRACE, listeners.next()).await;
    // What cannot be removed now is collected by the next build.
    let _ = work_dir.upgrade().map(|work_dir| work_dir.remove());
    let code = 128 + number;
    let error = Error::new(format!("ended by signal {number}"));
    terminal.error(&error, u8::try_from(code).unwrap_or(u8::MAX));
    std::process::exit(code);
}

/// The signals that ask a program to end.
struct Listeners {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Listeners {
    fn new() -> std::io::Result<Self> {
        Ok(Listeners {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one of them, and gives its number.
    async fn next(&mut self) -> i32 {
        let kind = tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.hangup.recv() => SignalKind::hangup(),
        };
        kind.as_raw_value()
    }
}
