//! Blobs on their way: downloaded once into the store, read while they arrive.
//!
//! A download is a task that writes a file. Whoever needs the bytes reads that file and waits for more at
//! its end, so that download, inflating and unpacking overlap, no buffer grows with the blob, and a slow
//! reader never stalls the network. The reader learns at the end whether digest and size were right.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cache::Store;
use oci::{Descriptor, Digest, Reference};
use sandbox::Cancel;

use crate::error::{Error, Result};
use crate::event::{Event, Report};

/// Fetches blobs, each at most once at a time.
#[derive(Clone)]
pub(crate) struct Fetcher {
    client: registry::Client,
    runtime: tokio::runtime::Handle,
    store: Store,
    report: Arc<dyn Report>,
    running: Arc<Mutex<HashMap<Digest, Arc<Fetch>>>>,
    cancel: Cancel,
}

/// How often a reader that waits looks whether the build is to end.
const POLL: Duration = Duration::from_millis(200);

/// A download, running or done.
pub(crate) struct Fetch {
    /// Where the bytes are, for those who open it now.
    path: Mutex<PathBuf>,
    state: Mutex<State>,
    changed: Condvar,
    cancel: Cancel,
}

#[derive(Default)]
struct State {
    written: u64,
    end: Option<Result<(), String>>,
}

impl Fetcher {
    pub(crate) fn new(
        client: registry::Client,
        runtime: tokio::runtime::Handle,
        store: Store,
        report: Arc<dyn Report>,
        cancel: Cancel,
    ) -> Self {
        Fetcher { client, runtime, store, report, running: Arc::default(), cancel }
    }

    /// Starts to fetch a blob, unless it is on its way. One that was kept from an earlier build is checked
    /// again before anybody reads it, and fetched if it is damaged: a cache costs time, never a build.
    pub(crate) fn start(&self, image: &Reference, descriptor: &Descriptor) -> Arc<Fetch> {
        let mut running = lock(&self.running);
        if let Some(fetch) = running.get(&descriptor.digest) {
            let failed = matches!(lock(&fetch.state).end, Some(Err(_)));
            if !failed {
                return fetch.clone();
            }
        }
        let fetch = Arc::new(Fetch {
            path: Mutex::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
            cancel: self.cancel.clone(),
        });
        running.insert(descriptor.digest, fetch.clone());
        let (fetcher, task) = (self.clone(), fetch.clone());
        let (image, descriptor) = (image.clone(), descriptor.clone());
        self.runtime.spawn(async move {
            let outcome = fetcher.fetch(&image, &descriptor, &task).await;
            task.finish(outcome);
        });
        fetch
    }

    /// A reader of a blob, from the store or while it arrives.
    pub(crate) fn read(&self, image: &Reference, descriptor: &Descriptor) -> FetchReader {
        FetchReader { file: None, position: 0, fetch: self.start(image, descriptor) }
    }

    /// The file of a blob, once all of it is here.
    pub(crate) fn file(&self, image: &Reference, descriptor: &Descriptor) -> Result<PathBuf> {
        self.start(image, descriptor).wait()
    }

    async fn fetch(&self, image: &Reference, descriptor: &Descriptor, fetch: &Fetch) -> Result<(), String> {
        let text = |error: &dyn std::error::Error| Error::from_chain(error).message;
        let digest = descriptor.digest;
        if let Some(path) = self.store.blob(digest, descriptor.size) {
            let kept = path.clone();
            let is_whole = tokio::task::spawn_blocking(move || is_blob(&kept, digest)).await;
            if matches!(is_whole, Ok(Ok(true))) {
                *lock(&fetch.path) = path;
                fetch.advance(descriptor.size);
                return Ok(());
            }
            self.report.event(Event::Note(format!("the kept blob {digest} is damaged, and fetched again")));
            self.store.remove_blob(digest).map_err(|error| text(&error))?;
        }
        self.report.event(Event::Pulling { digest, size: descriptor.size });
        let mut pending = self.store.pending().map_err(|error| text(&error))?;
        pending.path().clone_into(&mut lock(&fetch.path));
        let mut blob = self.client.blob(image, descriptor).await.map_err(|error| text(&error))?;
        while let Some(chunk) = blob.chunk().await.map_err(|error| text(&error))? {
            // A write to the page cache: not worth a trip to another thread.
            pending.write_all(&chunk).map_err(|error| text(&error))?;
            fetch.advance(chunk.len() as u64);
        }
        // Readers that open the file from now on must find it under its own name.
        let mut path = lock(&fetch.path);
        *path = self.store.commit_blob(digest, pending).map_err(|error| text(&error))?;
        Ok(())
    }
}

/// True if a file holds the bytes that a digest names.
pub(crate) fn is_blob(path: &Path, digest: Digest) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut hasher = oci::Hasher::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish() == digest),
            count => hasher.update(&buffer[..count]),
        }
    }
}

impl Fetch {
    /// Waits for the end, and says where the blob is.
    pub(crate) fn wait(&self) -> Result<PathBuf> {
        let mut state = lock(&self.state);
        loop {
            match &state.end {
                Some(Ok(())) => break,
                Some(Err(message)) => return Err(Error::new(message.clone())),
                None => state = self.wait_for_change(state)?,
            }
        }
        drop(state);
        Ok(lock(&self.path).clone())
    }

    /// Waits for more bytes or the end; in vain if the build is told to end.
    fn wait_for_change<'s>(&self, state: MutexGuard<'s, State>) -> io::Result<MutexGuard<'s, State>> {
        if let Some(signal) = self.cancel.signal() {
            return Err(io::Error::other(format!("ended by signal {signal}")));
        }
        let (state, _) = self.changed.wait_timeout(state, POLL).unwrap_or_else(PoisonError::into_inner);
        Ok(state)
    }

    fn advance(&self, count: u64) {
        lock(&self.state).written += count;
        self.changed.notify_all();
    }

    fn finish(&self, outcome: Result<(), String>) {
        lock(&self.state).end = Some(outcome);
        self.changed.notify_all();
    }
}

/// Reads a blob that may still be arriving.
pub(crate) struct FetchReader {
    /// Opened when there is something to read: only then is it known which file that is.
    file: Option<File>,
    position: u64,
    fetch: Arc<Fetch>,
}

impl Read for FetchReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = lock(&self.fetch.state);
        while state.written <= self.position {
            match &state.end {
                Some(Ok(())) => return Ok(0),
                Some(Err(message)) => return Err(io::Error::other(message.clone())),
                None => state = self.fetch.wait_for_change(state)?,
            }
        }
        let available = state.written - self.position;
        drop(state);
        let limit = usize::try_from(available).unwrap_or(usize::MAX).min(buffer.len());
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::open(&*lock(&self.fetch.path))?),
        };
        let count = file.read(&mut buffer[..limit])?;
        self.position += count as u64;
        Ok(count)
    }
}

/// Nothing is left half done under these locks, so a panic elsewhere does not spoil what they guard.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
