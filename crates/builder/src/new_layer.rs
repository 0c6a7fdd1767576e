//! A layer being made: what every step that changes files writes to.

use std::io::{self, Read};

use cache::{Pending, Store};
use layer::{Content, Form, LayerIndex, LayerWriter, Metadata, Sink, TreePath, WriteOptions};
use oci::{Descriptor, MediaType};
use sandbox::Cancel;

use crate::engine::Engine;
use crate::error::{Context, Result};
use crate::image::{Layer, LayerOrigin};
use crate::interruptible::Interruptible;

/// Entries in, a blob of the store and an index out, in one pass.
pub(crate) struct NewLayer {
    writer: LayerWriter<Pending>,
    store: Store,
    /// Times after this one become it, so that equal inputs give equal bytes.
    clamp: Option<i64>,
    cancel: Cancel,
}

impl NewLayer {
    pub(crate) fn create(engine: &Engine<'_>, form: Form) -> Result<Self> {
        let asked = engine.options;
        let (compression, level) = (asked.compression, asked.compression_level);
        let mut options = WriteOptions { compression, level, form, ..WriteOptions::default() };
        if engine.member.family.jobs.are_several() {
            // The others have something to do for every core.
            options.threads = 1;
        }
        let store = engine.store().clone();
        let writer = LayerWriter::new(store.pending()?, options)?;
        Ok(NewLayer { writer, store, clamp: engine.clamp(), cancel: engine.cancel().clone() })
    }

    /// Completes the blob and keeps it.
    pub(crate) fn finish(self) -> Result<(Layer, LayerIndex)> {
        let written = self.writer.finish().during("write layer")?;
        let descriptor =
            Descriptor::new(MediaType::oci_layer(written.compression), written.digest, written.size);
        self.store.commit_blob(written.digest, written.destination)?;
        self.store.put_index(&written.index)?;
        let layer =
            Layer { descriptor, diff_id: written.index.diff_id, origin: LayerOrigin::Built, made: None };
        Ok((layer, written.index))
    }
}

impl Sink for NewLayer {
    fn put(&mut self, path: &TreePath, metadata: &Metadata, content: Content<'_>) -> io::Result<()> {
        let clamped;
        let metadata = match self.clamp {
            Some(limit) if metadata.mtime > limit => {
                clamped = Metadata { mtime: limit, ..metadata.clone() };
                &clamped
            }
            _ => metadata,
        };
        let mut accounts = KeepAccounts { store: &self.store, sink: &mut self.writer };
        match content {
            Content::File { size, data } => {
                let mut data = Interruptible { inner: data, cancel: &self.cancel };
                accounts.put(path, metadata, Content::File { size, data: &mut data })
            }
            content => accounts.put(path, metadata, content),
        }
    }

    fn link(&mut self, path: &TreePath, target: &TreePath) -> io::Result<()> {
        Sink::link(&mut self.writer, path, target)
    }

    fn remove(&mut self, path: &TreePath) -> io::Result<()> {
        Sink::remove(&mut self.writer, path)
    }

    fn clear(&mut self, path: &TreePath) -> io::Result<()> {
        Sink::clear(&mut self.writer, path)
    }
}

/// Hands everything on, and keeps the contents of the two files that turn names into numbers, so that
/// `--chown=name` needs no layer.
pub(crate) struct KeepAccounts<'a> {
    pub(crate) store: &'a Store,
    pub(crate) sink: &'a mut dyn Sink,
}

/// The files that name users and groups.
pub(crate) const ACCOUNT_FILES: [&str; 2] = ["etc/passwd", "etc/group"];

/// What is larger is no list of users that anybody made on purpose.
pub(crate) const ACCOUNT_FILE_LIMIT: u64 = 1 << 20;

impl Sink for KeepAccounts<'_> {
    fn put(&mut self, path: &TreePath, metadata: &Metadata, content: Content<'_>) -> io::Result<()> {
        let named = ACCOUNT_FILES.iter().any(|file| file.as_bytes() == path.as_bytes());
        match content {
            Content::File { size, data } if named && size <= ACCOUNT_FILE_LIMIT => {
                let mut bytes = Vec::new();
                data.take(size).read_to_end(&mut bytes)?;
                self.store.put_content(&bytes)?;
                self.sink.put(path, metadata, Content::File { size, data: &mut bytes.as_slice() })
            }
            content => self.sink.put(path, metadata, content),
        }
    }

    fn link(&mut self, path: &TreePath, target: &TreePath) -> io::Result<()> {
        self.sink.link(path, target)
    }

    fn remove(&mut self, path: &TreePath) -> io::Result<()> {
        self.sink.remove(path)
    }

    fn clear(&mut self, path: &TreePath) -> io::Result<()> {
        self.sink.clear(path)
    }
}
