//! What a run may have changed, as whoever served it has logged it: then nobody has to look at the rest.

use std::collections::{BTreeSet, HashSet};
use std::io;

use layer::TreePath;
use owners::{Identity, Log};
use rustix::io::Errno;

use crate::changes::Excluded;
use crate::root::Root;
use crate::scan::Walk;
use crate::stat::Stat;

/// Candidates, by their paths.
#[derive(Debug, Default)]
pub(crate) struct Logged {
    /// These themselves.
    paths: BTreeSet<TreePath>,
    /// These with all that is in them.
    whole: BTreeSet<TreePath>,
}

impl Logged {
    /// The candidates of a log. `others` are some besides.
    pub(crate) fn new(
        log: &Log,
        others: impl Iterator<Item = TreePath>,
        root: &Root,
        excluded: &Excluded,
    ) -> io::Result<Self> {
        let path = |bytes: &[u8]| TreePath::new(bytes).map_err(io::Error::other);
        let mut logged = Logged {
            paths: log.paths().map(|bytes| path(&bytes)).collect::<io::Result<_>>()?,
            whole: log.wholes().map(path).collect::<io::Result<_>>()?,
        };
        logged.paths.extend(others);
        let linked = logged.linked(root, excluded)?;
        if log.has_linked() || !linked.is_empty() {
            logged.add_names(|file| log.is_linked(file) || linked.contains(&file), root, excluded)?;
        }
        Ok(logged)
    }

    /// True for a candidate.
    pub(crate) fn has(&self, path: &TreePath) -> bool {
        self.paths.contains(path) || self.has_as_whole(path)
    }

    /// True if there is a candidate below this directory.
    pub(crate) fn has_below(&self, path: &TreePath) -> bool {
        // What is below a path comes right after it.
        let mut after = self.paths.range(path.clone()..).filter(|next| *next != path);
        after.next().is_some_and(|next| next.is_within(path)) || self.has_as_whole(path)
    }

    fn has_as_whole(&self, path: &TreePath) -> bool {
        !self.whole.is_empty()
            && (self.whole.contains(path) || path.ancestors().iter().any(|above| self.whole.contains(above)))
    }

    /// Candidates that have several names.
    fn linked(&self, root: &Root, excluded: &Excluded) -> io::Result<HashSet<Identity>> {
        let mut linked = HashSet::new();
        for path in self.paths.iter().filter(|path| !excluded.has(path)) {
            if let Some(stat) = look(root, path)?
                && !stat.is_directory()
                && stat.nlink > 1
            {
                linked.insert(stat.identity());
            }
        }
        for path in self.whole.iter().filter(|path| !excluded.has(path)) {
            // It may be gone, or something else by now.
            if !look(root, path)?.is_some_and(|stat| stat.is_directory()) {
                continue;
            }
            let mut walk = Walk::new(root.open_directory(path)?, path.clone())?;
            while let Some(found) = walk.next()? {
                if found.stat.is_directory() {
                    walk.enter(&found)?;
                } else if found.stat.nlink > 1 {
                    linked.insert(found.stat.identity());
                }
            }
        }
        Ok(linked)
    }

    /// Makes every name of some files a candidate.
    fn add_names(
        &mut self,
        is_meant: impl Fn(Identity) -> bool,
        root: &Root,
        excluded: &Excluded,
    ) -> io::Result<()> {
        let mut walk = Walk::new(root.open_directory(&TreePath::root())?, TreePath::root())?;
        while let Some(found) = walk.next()? {
            if excluded.has(&found.path) {
                continue;
            }
            if found.stat.is_directory() {
                walk.enter(&found)?;
            } else if is_meant(found.stat.identity()) {
                self.paths.insert(found.path);
            }
        }
        Ok(())
    }
}

/// What is at a path. A directory above it may have become a link by now, to itself even.
fn look(root: &Root, path: &TreePath) -> io::Result<Option<Stat>> {
    match root.stat(path) {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::LOOP) => Ok(None),
        looked => looked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_and_what_leads_to_them() {
        let path = |text: &str| TreePath::new(text).expect("the table has paths");
        let logged = Logged {
            paths: ["", "etc", "etc/passwd", "usr/lib/x"].map(path).into(),
            whole: ["opt/new"].map(path).into(),
        };
        for (at, has, below) in [
            ("", true, true),
            ("etc", true, true),
            ("etc/passwd", true, false),
            ("etc/passwd-", false, false),
            ("usr", false, true),
            ("usr/lib", false, true),
            ("usr/lib/x", true, false),
            ("usr/lib/xy", false, false),
            ("opt/new", true, true),
            ("opt/new/a/b", true, true),
            ("opt/newer", false, false),
        ] {
            assert_eq!((logged.has(&path(at)), logged.has_below(&path(at))), (has, below), "{at}");
        }
    }
}
