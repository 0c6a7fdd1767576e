//! Layers, as bytes and as values.
//!
//! As bytes a layer is a tar, usually compressed ([`read_layer`], [`LayerWriter`]). As a value it is a
//! [`LayerIndex`]: the list of what the tar says, without the contents of files. Indexes merged bottom to
//! top give a [`Tree`]: a filesystem that can be looked up, resolved and compared without a file on disk.
#![forbid(unsafe_code)]

mod deflate;
mod entries;
mod entry;
mod header;
mod index;
mod inflate;
mod pack;
mod path;
mod pax;
mod read;
mod sink;
mod sparse;
mod stream;
mod tree;
mod windows;
mod write;

pub use entry::{Change, ContentHash, Kind, LayerIndex, Metadata, Node, carries_xattr};
pub use index::IndexError;
pub use pack::gzip;
pub use path::{PathError, TreePath};
pub use read::{ReadError, is_archive, read_archive, read_layer};
pub use sink::{Content, FilesOnly, Sink, discard};
pub use tree::{Inode, ResolveError, Resolved, Tree};
pub use windows::Form;
pub use write::{LayerWriter, WriteOptions, Written};
