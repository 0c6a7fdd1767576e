//! A commit's tree as an index: what a checkout will write, looked through before anything is written.
//!
//! gix's own conversion trusts the shape of trees. Ours does not: names are what git would check out, no name is there
//! twice (so nothing is a link and a directory at once), and a tree that unfolds without end is refused.

use std::collections::HashSet;

use gix::ObjectId;
use gix::bstr::{BStr, BString, ByteSlice as _};
use gix::index::State;
use gix::index::entry::{Flags, Mode, Stat};
use gix::objs::tree::EntryKind;
use gix::prelude::FindExt as _;
use gix::validate::path::component;

use crate::checkout::shown;
use crate::error::{ErrorKind, words};
use crate::stop::Stop;

/// The most files and directories in one repository: several times those of the largest there are. A few objects can
/// name billions.
const ENTRIES: usize = 2_000_000;

/// The most bytes in all paths together, which are held in memory.
const PATH_BYTES: usize = 256 << 20;

/// The longest path: what Linux takes (`PATH_MAX`), less its final zero and some room for where the checkout is.
const PATH_LENGTH: usize = 3800;

/// What git itself protects against on all systems. Names that Windows alone dislikes are left alone.
const NAMES: component::Options =
    component::Options { protect_windows: false, protect_hfs: true, protect_ntfs: true };

/// The files of a tree, sorted, as an index that has not seen a file yet.
pub(crate) fn index_of(
    repository: &gix::Repository,
    tree: ObjectId,
    stop: &Stop,
) -> Result<State, ErrorKind> {
    let mut index = State::new(gix::hash::Kind::Sha1);
    let mut pending: Vec<(BString, ObjectId)> = vec![(BString::default(), tree)];
    let mut buffer = Vec::new();
    let (mut entries, mut path_bytes) = (0, 0);
    while let Some((directory, id)) = pending.pop() {
        if stop.is_thrown() {
            return Err(ErrorKind::Cancelled);
        }
        let tree = repository
            .objects
            .find_tree_iter(&id, &mut buffer)
            .map_err(|error| ErrorKind::protocol(format!("tree {id}: {}", words(error.error()))))?;
        let mut names: HashSet<&BStr> = HashSet::new();
        for entry in tree {
            let entry =
                entry.map_err(|error| ErrorKind::protocol(format!("tree {id}: {}", words(error.error()))))?;
            let kind = entry.mode.kind();
            let mut path = directory.clone();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(entry.filename);
            let is_link = (kind == EntryKind::Link).then_some(component::Mode::Symlink);
            if let Err(error) = gix::validate::path::component(entry.filename, is_link, NAMES) {
                return Err(hostile(path.as_bstr(), &lower(&error.to_string())));
            }
            if !names.insert(entry.filename) {
                return Err(hostile(path.as_bstr(), "it is there twice"));
            }
            entries += 1;
            path_bytes += path.len();
            if path.len() > PATH_LENGTH {
                return Err(hostile(path.as_bstr(), "its path is longer than what Linux takes"));
            }
            if entries > ENTRIES || path_bytes > PATH_BYTES {
                return Err(hostile(path.as_bstr(), "the repository has more files than can be checked out"));
            }
            let id = entry.oid.to_owned();
            let mode = match kind {
                EntryKind::Tree => {
                    pending.push((path, id));
                    continue;
                }
                EntryKind::Blob => Mode::FILE,
                EntryKind::BlobExecutable => Mode::FILE_EXECUTABLE,
                EntryKind::Link => Mode::SYMLINK,
                EntryKind::Commit => Mode::COMMIT,
            };
            index.dangerously_push_entry(Stat::default(), id, Flags::empty(), mode, path.as_bstr());
        }
    }
    index.sort_entries();
    Ok(index)
}

fn hostile(path: &BStr, reason: &str) -> ErrorKind {
    ErrorKind::Hostile { path: shown(path), reason: reason.to_owned() }
}

fn lower(text: &str) -> String {
    match text.split_at_checked(1) {
        Some((first, rest)) => first.to_ascii_lowercase() + rest,
        None => text.to_owned(),
    }
}
