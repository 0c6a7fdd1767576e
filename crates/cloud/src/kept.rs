//! What is kept until shortly before its end.

use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;

/// So long before its end a thing is asked for anew, since clocks differ and a transfer takes its time.
const MARGIN: Duration = Duration::from_secs(120);

/// A place for one thing with an end. Those who want it at the same time wait for one answer.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    place: Mutex<Option<T>>,
}

/// A thing with an end.
pub(crate) trait Ends {
    /// When that is; one without is good for as long as the process lives.
    fn end(&self) -> Option<SystemTime>;
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Kept { place: Mutex::default() }
    }
}

impl<T: Ends + Clone> Kept<T> {
    /// The thing that is kept, else what `make` gives. One that comes with its end already near is used, and asked
    /// for anew the next time.
    pub(crate) async fn get<E>(&self, make: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let mut place = self.place.lock().await;
        if let Some(kept) = &*place
            && kept.end().is_none_or(|end| SystemTime::now() + MARGIN < end)
        {
            return Ok(kept.clone());
        }
        let made = make.await?;
        *place = Some(made.clone());
        Ok(made)
    }

    /// Forgets it: it was refused.
    pub(crate) async fn forget(&self) {
        *self.place.lock().await = None;
    }
}

impl Ends for crate::Token {
    fn end(&self) -> Option<SystemTime> {
        self.expires
    }
}
