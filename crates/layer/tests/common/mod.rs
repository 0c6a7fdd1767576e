//! Layers for tests.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses a part of these helpers"
)]

use std::io;

use layer::{Content, LayerWriter, Metadata, TreePath, WriteOptions, Written};
use proptest::prelude::*;

/// An entry with its contents.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    Directory,
    File(Metadata, Vec<u8>),
    Symlink(Vec<u8>),
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
    /// To the file before it.
    Link,
    Remove,
    Clear,
}

impl Entry {
    pub(crate) fn file(bytes: &[u8]) -> Self {
        Entry::File(Metadata { mode: 0o644, ..Metadata::default() }, bytes.to_vec())
    }

    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Entry::File(..))
    }
}

pub(crate) fn write(
    writer: &mut LayerWriter<Vec<u8>>,
    path: &TreePath,
    entry: &Entry,
    last_file: Option<&TreePath>,
) -> io::Result<()> {
    let metadata = Metadata { mode: 0o755, mtime: 1_700_000_000, ..Metadata::default() };
    let mut put = |metadata: &Metadata, content: Content<'_>| writer.put(path, metadata, content).map(drop);
    match entry {
        Entry::Directory => put(&metadata, Content::Directory),
        Entry::File(metadata, bytes) => {
            put(metadata, Content::File { size: bytes.len() as u64, data: &mut &bytes[..] })
        }
        Entry::Symlink(target) => put(&metadata, Content::Symlink { target }),
        &Entry::CharDevice(major, minor) => put(&metadata, Content::CharDevice { major, minor }),
        &Entry::BlockDevice(major, minor) => put(&metadata, Content::BlockDevice { major, minor }),
        Entry::Fifo => put(&metadata, Content::Fifo),
        Entry::Link => last_file.map_or(Ok(()), |target| writer.link(path, target)),
        Entry::Remove => writer.remove(path),
        Entry::Clear => writer.clear(path),
    }
}

/// A layer of files.
pub(crate) fn layer_of(options: WriteOptions, files: &[(&str, &[u8])]) -> Written<Vec<u8>> {
    let mut writer = LayerWriter::new(Vec::new(), options).unwrap();
    for (name, bytes) in files {
        write(&mut writer, &TreePath::new(name).unwrap(), &Entry::file(bytes), None).unwrap();
    }
    writer.finish().unwrap()
}

/// Bytes that do not compress.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(length + 32);
    let mut state = *blake3::hash(b"noise").as_bytes();
    while out.len() < length {
        state = *blake3::hash(&state).as_bytes();
        out.extend_from_slice(&state);
    }
    out.truncate(length);
    out
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let ids = || prop_oneof![Just(0), 0..70_000u32, any::<u32>()];
    let times =
        prop_oneof![0..2_000_000_000i64, -100..100i64, any::<i32>().prop_map(|time| i64::from(time) * 1000)];
    let xattrs = prop::collection::btree_map(
        "user\\.[a-z]{1,8}".prop_map(|name| name.into_bytes().into_boxed_slice()),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Vec::into_boxed_slice),
        0..3,
    );
    (0..0o10000u32, ids(), ids(), times, xattrs).prop_map(|(mode, uid, gid, mtime, xattrs)| Metadata {
        mode,
        uid,
        gid,
        mtime,
        xattrs,
    })
}

/// Entries of every kind.
pub(crate) fn entries() -> impl Strategy<Value = Entry> {
    let links =
        prop_oneof!["[a-z./]{1,20}".prop_map(String::into_bytes), prop::collection::vec(1..=255u8, 1..300),];
    prop_oneof![
        2 => Just(Entry::Directory),
        6 => (metadata(), prop::collection::vec(any::<u8>(), 0..3000)).prop_map(|(metadata, bytes)| Entry::File(metadata, bytes)),
        2 => links.prop_map(Entry::Symlink),
        1 => (0..4096u32, 0..1_048_576u32).prop_map(|(major, minor)| Entry::CharDevice(major, minor)),
        1 => (0..4096u32, 0..1_048_576u32).prop_map(|(major, minor)| Entry::BlockDevice(major, minor)),
        1 => Just(Entry::Fifo),
        2 => Just(Entry::Link),
        1 => Just(Entry::Remove),
        1 => Just(Entry::Clear),
    ]
}
