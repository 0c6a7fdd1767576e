//! Sources by pattern: Go's `filepath.Match`, as COPY and ADD have it.

use dockerfile::Pattern;
use layer::TreePath;

use super::{Source, not_found};
use crate::error::{Error, Result};

/// The paths of a source that `written` names, in order. A pattern that matches nothing names nothing; a
/// plain path that is not there is an error. Leading slashes and `..` stop at the source's root.
pub(crate) fn select(source: &dyn Source, written: &str) -> Result<Vec<TreePath>> {
    let pattern = TreePath::root().join_clean(written)?;
    if !dockerfile::has_wildcards(written) {
        let real = source.resolve(&pattern)?;
        if source.get(&real)?.is_none() {
            return Err(not_found(&pattern, source));
        }
        return Ok(vec![pattern]);
    }
    let mut found = vec![TreePath::root()];
    for part in pattern.parts() {
        let pattern =
            Pattern::new(&String::from_utf8_lossy(part)).map_err(|error| Error::new(error.to_string()))?;
        let mut next = Vec::new();
        for directory in found {
            let real = source.resolve(&directory)?;
            let is_directory =
                source.get(&real)?.is_some_and(|found| found.kind == super::FoundKind::Directory);
            if is_directory {
                for name in source.names(&real)?.iter().filter(|name| pattern.matches(name)) {
                    // A directory lists what is ignored too.
                    if source.get(&real.child(name))?.is_some() {
                        next.push(directory.child(name));
                    }
                }
            }
        }
        found = next;
    }
    Ok(found)
}
