//! Destination: where COPY and ADD put things.

use layer::{Resolved, Tree, TreePath};

use crate::error::Result;

/// Where copied things go.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    /// The path, symbolic links followed.
    pub(crate) path: TreePath,
    /// As the user wrote it, for messages.
    pub(crate) written: String,
    /// Things go *into* it: it ends with a slash, or is a directory already.
    pub(crate) is_directory: bool,
}

impl Destination {
    /// Finds out where `written` leads from `working_dir`, in the tree as it is.
    pub(crate) fn new(tree: &Tree, working_dir: &TreePath, written: &str) -> Result<Self> {
        let Resolved { path, inode } = tree.resolve(&working_dir.join_clean(written)?, true)?;
        let names_directory =
            matches!(written, "" | "." | "..") || ["/", "/.", "/.."].iter().any(|end| written.ends_with(end));
        let is_directory = names_directory || inode.is_some_and(|inode| inode.node.is_directory());
        Ok(Destination { path, written: written.to_owned(), is_directory })
    }
}
