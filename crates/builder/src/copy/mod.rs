//! COPY and ADD: which sources go where, with which owner, mode and time.
//!
//! Nothing is unpacked for it. The tree beneath says what the destination looks like, the plan says what
//! will be there, and the files' bytes stream from their source into the new layer. The rules are those of
//! BuildKit's file backend (`solver/llbsolver/file` and `fsutil/copy`).

mod archive;
mod destination;
mod directory;
mod file;
mod filter;
mod hashing;
mod look;
mod parents;
mod plan;
mod select;
mod source;
#[cfg(test)]
mod tests;

pub(crate) use archive::{Extraction, THIS_LAYER};
pub(crate) use destination::Destination;
pub(crate) use directory::DirectorySource;
pub(crate) use file::FileSource;
pub(crate) use hashing::hash_beside;
pub(crate) use look::Look;
pub(crate) use plan::{Nodes, Plan};
pub(crate) use select::select;
pub(crate) use source::{Found, FoundKind, Hashed, Opened, Source, TreeSource, not_found};
