//! A tree on disk: safe paths inside a root, layers made into directories, and what a command changed.
//!
//! A [`Workspace`] is a stage's tree as a directory; a [`Root`] is how anything in a tree is reached. What
//! images and archives say about paths is never joined to a path of the host.
#![forbid(unsafe_code)]

mod apply;
mod changes;
mod descent;
mod filler;
mod kept_owners;
mod logged;
mod lower;
mod node;
mod ownership;
mod record;
mod remove;
mod resolve;
mod root;
mod scan;
mod source;
mod stat;
mod stub;
mod transcript;
mod whole;
mod workspace;
mod xattr;

pub use apply::Applier;
pub use kept_owners::OwnersInUse;
pub use ownership::{Ownership, Shared};
pub use remove::remove_tree;
pub use root::{Resolver, Root};
pub use source::{Source, SourceDirectory, SourceKind};
pub use stat::Stat;
pub use stub::{Stub, StubKind};
pub use whole::{Look, Whole};
pub use workspace::{Run, RunRoot, Shape, Snapshot, Workspace, WorkspaceError};
