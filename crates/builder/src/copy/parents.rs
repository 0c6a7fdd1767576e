//! `COPY --parents`: what is copied keeps the path it has below its pivot, the first `/./` of the source.

use dockerfile::{Ignore, Pattern};
use layer::TreePath;

use super::filter::{Filter, Wanted};
use super::select::has_wildcards;
use super::{Destination, FoundKind, Plan, Source, not_found, select};
use crate::error::{Error, Result};

impl<'a> Plan<'a> {
    /// Plans the copy of what `written` names. Before the pivot it is a source as any other, and names
    /// directories; behind it `**` stands for any number of directories, and no link is followed. Without
    /// a pivot, paths are kept from the root on. Returns false if nothing is named.
    pub(crate) fn copy_with_parents(
        &mut self,
        source: &'a dyn Source,
        written: &str,
        to: &Destination,
    ) -> Result<bool> {
        let (top, kept) = written.split_once("/./").unwrap_or(("/", written));
        let kept = TreePath::root().join_clean(kept)?;
        let tops = select(source, top, &Ignore::default())?;
        // A plain path has to be there; what a pattern matches need not.
        let is_plain = !dockerfile::has_wildcards(top) && !has_wildcards(&kept);
        let mut found_any = false;
        for top in tops {
            let real = source.resolve(&top)?;
            if !source.get(&real)?.is_some_and(|found| found.kind == FoundKind::Directory) {
                if is_plain {
                    return Err(Error::new(format!("{top}: not a directory")));
                }
                continue;
            }
            if is_plain {
                require(source, &real, &kept)?;
            }
            self.make_directory(&to.path)?;
            let wanted = if kept.is_root() {
                Wanted::Everything
            } else if has_wildcards(&kept) {
                let text = String::from_utf8_lossy(kept.as_bytes());
                let pattern = Pattern::with_double_stars(&text);
                Wanted::Matching(pattern.map_err(|error| Error::new(error.to_string()))?)
            } else {
                Wanted::Path(kept.clone())
            };
            let filter = Filter { wanted, exclude: self.exclude() };
            found_any |= self.copy_below(source, &filter, &real, &to.path)?;
        }
        Ok(found_any)
    }
}

/// Fails unless a path is there without following a link.
fn require(source: &dyn Source, top: &TreePath, kept: &TreePath) -> Result<()> {
    let mut at = top.clone();
    for part in kept.parts() {
        if source.get(&at)?.is_some_and(|found| matches!(found.kind, FoundKind::Symlink { .. })) {
            return Err(Error::new(format!("{at} is a symbolic link, which --parents does not follow"))
                .hint("name what it leads to, or end the part that is not kept with /./ behind it"));
        }
        at = at.child(part);
    }
    match source.get(&at)? {
        Some(_) => Ok(()),
        None => Err(not_found(&at, source)),
    }
}
