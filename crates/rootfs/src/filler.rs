//! Filler: contents and attributes of new files, written on a thread of its own.
//!
//! Making a file decides what later entries of a layer find, so it is done in their order. What is in the
//! file does not, so the next ones can be made meanwhile. The kernel's work on small files is what unpacking
//! a layer waits for; this spreads it over two cores.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use layer::Metadata;

use crate::ownership::Ownership;

/// Files that wait to be filled. With those of the largest size that is taken, some megabytes.
const WAITING: usize = 16;

/// A file that was made, and what belongs in it.
#[derive(Debug)]
pub(crate) struct Unfilled {
    pub(crate) name: CString,
    pub(crate) file: File,
    pub(crate) bytes: Vec<u8>,
    pub(crate) metadata: Metadata,
}

/// Fills files in the background. Dropped, it waits for those it has.
#[derive(Debug)]
pub(crate) struct Filler {
    work: Option<(SyncSender<Unfilled>, JoinHandle<io::Result<()>>)>,
    used: Receiver<Vec<u8>>,
}

impl Filler {
    pub(crate) fn start(ownership: Ownership) -> Self {
        let (sender, unfilled) = sync_channel::<Unfilled>(WAITING);
        let (give_back, used) = sync_channel(WAITING);
        let thread = std::thread::spawn(move || {
            for Unfilled { name, mut file, mut bytes, metadata } in unfilled {
                file.write_all(&bytes)
                    .and_then(|()| ownership.describe(OwnedFd::from(file), &metadata))
                    .map_err(|error| {
                        io::Error::new(error.kind(), format!("{}: {error}", name.to_string_lossy()))
                    })?;
                bytes.clear();
                // There are enough already, or nobody wants more.
                drop(give_back.try_send(bytes));
            }
            Ok(())
        });
        Filler { work: Some((sender, thread)), used }
    }

    /// An empty buffer, one that was used if there is one.
    pub(crate) fn buffer(&self) -> Vec<u8> {
        self.used.try_recv().unwrap_or_default()
    }

    /// Takes a file over. An error may be about one before it.
    pub(crate) fn fill(&mut self, unfilled: Unfilled) -> io::Result<()> {
        let sent = self.work.as_ref().map(|(sender, _)| sender.send(unfilled).is_ok());
        if sent == Some(true) {
            return Ok(());
        }
        // The thread is gone before its time, which it is for one reason.
        Err(self.finish().err().unwrap_or_else(|| io::Error::other("the files' writer is gone")))
    }

    /// Waits until every file is filled.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        let Some((sender, thread)) = self.work.take() else { return Ok(()) };
        drop(sender);
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        // Whoever drops it unfinished has an error already.
        let _ = self.finish();
    }
}
