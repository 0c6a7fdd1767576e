//! Waiting for others that ends with the build.

use std::time::Duration;

use sandbox::Cancel;
use tokio::runtime::Handle;

use crate::error::{Error, Result};

/// Waits for a registry; in vain if it is all to end.
pub(crate) fn wait<T>(
    runtime: &Handle,
    cancel: &Cancel,
    request: impl Future<Output = registry::Result<T>>,
) -> Result<T> {
    runtime.block_on(async {
        tokio::select! {
            answer = request => answer.map_err(registry_error),
            signal = cancelled(cancel) => Err(Error::ended_by(signal)),
        }
    })
}

/// How often it is looked whether the build is to end.
const POLL: Duration = Duration::from_millis(100);

/// Waits until the build is told to end, and gives the signal.
pub async fn cancelled(cancel: &Cancel) -> i32 {
    loop {
        if let Some(signal) = cancel.signal() {
            return signal;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// A registry's error, with what to do about it.
pub(crate) fn registry_error(error: registry::Error) -> Error {
    let hint = error.hint();
    let converted = Error::new(error.to_string());
    match hint {
        Some(hint) => converted.hint(hint),
        None => converted,
    }
}
