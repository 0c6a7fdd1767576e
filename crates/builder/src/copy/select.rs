//! Sources by pattern: Go's `filepath.Match`, as COPY and ADD have it.

use dockerfile::{Ignore, Pattern};
use layer::TreePath;

use super::{FoundKind, Source, not_found};
use crate::error::{Error, Result};

/// The paths of a source that `written` names, in order. A pattern that matches nothing names nothing; a
/// plain path that is not there is an error. Leading slashes and `..` stop at the source's root.
///
/// `exclude` leaves out what a pattern matches, and a file that is named directly, by name or by path.
/// BuildKit does that only inside of directories (moby/buildkit#5489), although its reference promises it.
pub(crate) fn select(source: &dyn Source, written: &str, exclude: &Ignore) -> Result<Vec<TreePath>> {
    let cleaned = TreePath::root().join_clean(written)?;
    let has_wildcards = has_wildcards(&cleaned);
    let mut found = if has_wildcards { matching(source, &cleaned)? } else { vec![there(source, &cleaned)?] };
    let may_be_excluded = |path: &TreePath| -> Result<bool> {
        Ok(has_wildcards
            || source.get(&source.resolve(path)?)?.is_some_and(|found| !is_directory(&found.kind)))
    };
    let mut left = Vec::with_capacity(found.len());
    for path in found.drain(..) {
        let excluded = !path.is_root() && exclude.excludes_either(path.name(), path.as_bytes());
        if !(excluded && may_be_excluded(&path)?) {
            left.push(path);
        }
    }
    Ok(left)
}

/// True if the text is a pattern and no plain path.
pub(crate) fn has_wildcards(written: &TreePath) -> bool {
    dockerfile::has_wildcards(&String::from_utf8_lossy(written.as_bytes()))
}

/// A plain path, if something is there.
fn there(source: &dyn Source, path: &TreePath) -> Result<TreePath> {
    let real = source.resolve(path)?;
    if source.get(&real)?.is_none() {
        return Err(not_found(path, source));
    }
    Ok(path.clone())
}

/// Parts before the first with a wildcard are a plain path, backslashes and all, and links there are
/// followed. From there on directories are looked into and links are not, as by Go's `filepath.Walk`: only
/// what has matched as a whole is followed when it is copied.
fn matching(source: &dyn Source, written: &TreePath) -> Result<Vec<TreePath>> {
    // As it is written, and where that is.
    let mut found = vec![(TreePath::root(), TreePath::root())];
    let mut plain = true;
    for part in written.parts() {
        let text = String::from_utf8_lossy(part);
        if plain && !dockerfile::has_wildcards(&text) {
            for (written, real) in &mut found {
                *written = written.child(part);
                *real = source.resolve(written)?;
            }
            continue;
        }
        plain = false;
        let pattern = Pattern::new(&text).map_err(|error| Error::new(error.to_string()))?;
        let mut next = Vec::new();
        for (written, real) in found {
            if !source.get(&real)?.is_some_and(|found| is_directory(&found.kind)) {
                continue;
            }
            for name in source.names(&real)?.iter().filter(|name| pattern.matches(name)) {
                // A directory lists what is ignored too.
                if source.get(&real.child(name))?.is_some() {
                    next.push((written.child(name), real.child(name)));
                }
            }
        }
        found = next;
    }
    Ok(found.into_iter().map(|(written, _)| written).collect())
}

fn is_directory(kind: &FoundKind) -> bool {
    *kind == FoundKind::Directory
}
