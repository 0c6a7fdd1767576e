//! Directories: those of the root that were found by a path before, so that a name in one of them takes one step.
//!
//! Most calls of a build look for a name in a directory that another call has just looked in. A path leads to the same
//! directory until a directory or a link is moved or removed. Who is about to do that says so with
//! [`Directories::changing`]: all are forgotten then, and none is remembered until it is done.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use rustix::io::Errno;

use super::task::lock;

/// So many are remembered, each with a descriptor.
const KEPT: usize = 256;

/// What is remembered, by the path that led there.
#[derive(Debug, Default)]
pub(super) struct Directories(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    by_path: HashMap<Box<[u8]>, Found>,
    /// So many changes are being made.
    changing: usize,
    /// So many were begun.
    changes: u64,
}

/// A directory that was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) fd: Arc<OwnedFd>,
    /// There was no link on the way.
    pub(super) straight: bool,
}

impl Directories {
    /// The directory at a path: as it is remembered, or as `find` finds it now. What `find` says otherwise is handed on.
    pub(super) fn get(
        &self,
        path: &[u8],
        find: impl FnOnce() -> Option<Result<Found, Errno>>,
    ) -> Option<Result<Found, Errno>> {
        let changes = {
            let known = lock(&self.0);
            if let Some(found) = known.by_path.get(path) {
                return Some(Ok(found.clone()));
            }
            known.changes
        };
        let found = match find()? {
            Ok(found) => found,
            Err(error) => return Some(Err(error)),
        };
        let mut known = lock(&self.0);
        // It may have been found just before it was moved.
        if known.changing == 0 && known.changes == changes {
            if known.by_path.len() >= KEPT {
                known.by_path.clear();
            }
            known.by_path.insert(path.into(), found.clone());
        }
        Some(Ok(found))
    }

    /// Whether a path is known to be that of a directory, without a link.
    pub(super) fn has_straight(&self, path: &[u8]) -> bool {
        lock(&self.0).by_path.get(path).is_some_and(|found| found.straight)
    }

    /// A directory or a link is about to be moved or removed, until what this returns is dropped.
    pub(super) fn changing(&self) -> Changing<'_> {
        let mut known = lock(&self.0);
        known.by_path.clear();
        known.changing += 1;
        known.changes += 1;
        Changing(self)
    }
}

/// A change that is being made.
#[derive(Debug)]
pub(super) struct Changing<'a>(&'a Directories);

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        lock(&self.0.0).changing -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find() -> Option<Result<Found, Errno>> {
        let fd = std::fs::File::open("/").expect("there is a root");
        Some(Ok(Found { fd: Arc::new(fd.into()), straight: true }))
    }

    #[test]
    fn a_directory_is_known_until_one_is_moved() {
        let directories = Directories::default();
        assert!(directories.get(b"/a", find).is_some());
        assert!(directories.has_straight(b"/a") && !directories.has_straight(b"/b"));
        let change = directories.changing();
        assert!(!directories.has_straight(b"/a"));
        assert!(directories.get(b"/a", find).is_some());
        assert!(!directories.has_straight(b"/a"), "nothing is learnt during a change");
        drop(change);
        assert!(directories.get(b"/a", find).is_some());
        assert!(directories.has_straight(b"/a"));
    }

    #[test]
    fn what_was_found_before_a_change_is_not_remembered_after_it() {
        let directories = Directories::default();
        let found = directories.get(b"/a", || {
            drop(directories.changing());
            find()
        });
        assert!(found.is_some() && !directories.has_straight(b"/a"));
    }

    #[test]
    fn errors_are_not_remembered() {
        let directories = Directories::default();
        for error in [Some(Err(Errno::NOENT)), None] {
            let found = directories.get(b"/a", || error);
            assert!(!matches!(found, Some(Ok(_))) && !directories.has_straight(b"/a"));
        }
    }
}
