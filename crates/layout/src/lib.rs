//! An OCI image layout on disk: blobs by digest and an index of references, safe against crashes and
//! neighbours.
//!
//! What the directory holds is laid down by the [image layout] part of the image spec, so that every
//! other tool can read it. How it is written is ours: nothing gets its final name before it is whole,
//! verified and on the disk, and `index.json` is changed by one process at a time. A kill at any moment
//! leaves a valid layout and at worst a temporary file, which the next [`Layout::open`] removes.
//!
//! All of this is plain blocking I/O.
//!
//! [image layout]: https://github.com/opencontainers/image-spec/blob/main/image-layout.md
#![forbid(unsafe_code)]

mod blob_writer;
mod error;
mod index;
mod layout;
mod temporary;

pub use blob_writer::BlobWriter;
pub use error::LayoutError;
pub use index::REFERENCE_NAME;
pub use layout::{Import, Layout};
