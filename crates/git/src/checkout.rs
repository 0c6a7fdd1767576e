//! From an index to files: contents, then modes and times.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use gix::attrs::Search;
use gix::attrs::search::MetadataCollection;
use gix::bstr::{BStr, ByteSlice as _};
use gix::index::State;
use gix::index::entry::{Mode, Stat};
use gix::progress::Discard;
use gix::worktree::stack::state::Attributes;
use gix::worktree::stack::state::attributes::Source;
use gix_worktree_state::checkout::Options;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, chmodat, utimensat};

use crate::error::{ErrorKind, words};
use crate::stop::Stop;

/// Writes the files of an index below an empty directory. Line ends and encodings are as `.gitattributes` has them;
/// filters, which are programs, are not run, so what git-lfs stores elsewhere is there as its pointer.
pub(crate) fn write_files(
    repository: &gix::Repository,
    index: &mut State,
    directory: &Path,
    stop: &Stop,
) -> Result<(), ErrorKind> {
    let failed = |error: gix::Error| ErrorKind::protocol(words(error.error()));
    let filter_options = gix::filter::Pipeline::options(repository).map_err(failed)?;
    let command = gix::command::Context::default();
    let filters = gix::filter::plumbing::Pipeline::new(command, gix::hash::Kind::Sha1, filter_options);
    let mut options = Options::new(filters);
    options.fs = gix::fs::Capabilities {
        precompose_unicode: false,
        ignore_case: false,
        executable_bit: true,
        symlink: true,
    };
    options.validate.protect_windows = false;
    // Each thread would hold a file of its own in memory.
    options.thread_limit = Some(1);
    options.destination_is_initially_empty = true;
    let mut collection = MetadataCollection::default();
    let none: [std::path::PathBuf; 0] = [];
    let globals = Search::new_globals(none, &mut Vec::new(), &mut collection)
        .expect("no file is read for git's own attributes");
    options.attributes = Attributes::new(globals, None, Source::IdMapping, collection);

    let objects = repository
        .objects
        .clone()
        .into_arc()
        .map_err(|error| ErrorKind::write(repository.git_dir(), error))?;
    let outcome =
        gix_worktree_state::checkout(index, directory, objects, &Discard, &Discard, stop.flag(), options);
    let outcome = outcome.map_err(failed)?;
    if stop.is_thrown() {
        return Err(ErrorKind::Cancelled);
    }
    if let Some(collision) = outcome.collisions.first() {
        let path = shown(collision.path.as_bstr());
        return Err(ErrorKind::Hostile { path, reason: "something else is there already".to_owned() });
    }
    Ok(())
}

/// Gives every file the mode that git knows and, if given, a time: seconds since 1970. Then the index is told.
pub(crate) fn settle(index: &mut State, directory: &Path, time: Option<i64>) -> Result<(), ErrorKind> {
    let root = File::open(directory).map_err(|error| ErrorKind::write(directory, error))?;
    let times = time.map(|seconds| {
        let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
        Timestamps { last_access: time, last_modification: time }
    });
    let mut directories: BTreeSet<Vec<u8>> = BTreeSet::new();
    let (entries, paths) = index.entries_mut_and_pathbacking();
    for entry in entries {
        let path: &BStr = entry.path_in(paths);
        let mut parent: &[u8] = path;
        while let Some(end) = parent.rfind_byte(b'/') {
            parent = &parent[..end];
            if !directories.insert(parent.to_owned()) {
                break;
            }
        }
        let name: &[u8] = path;
        let failed = |error: rustix::io::Errno| ErrorKind::Write {
            path: directory.join(name.to_path_lossy()),
            source: error.into(),
        };
        match entry.mode {
            Mode::FILE => chmodat(&root, name, 0o644.into(), AtFlags::empty()).map_err(failed)?,
            Mode::FILE_EXECUTABLE => chmodat(&root, name, 0o755.into(), AtFlags::empty()).map_err(failed)?,
            Mode::COMMIT => {
                directories.insert(name.to_owned());
                continue;
            }
            _ => {}
        }
        if let Some(times) = &times {
            utimensat(&root, name, times, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        }
        let on_disk = directory.join(name.to_path_lossy());
        let metadata = gix::index::fs::Metadata::from_path_no_follow(&on_disk)
            .map_err(|error| ErrorKind::write(&on_disk, error))?;
        if let Ok(stat) = Stat::from_fs(&metadata) {
            entry.stat = stat;
        }
    }
    for path in &directories {
        let failed = |error: rustix::io::Errno| ErrorKind::Write {
            path: directory.join(path.to_path_lossy()),
            source: error.into(),
        };
        chmodat(&root, &**path, 0o755.into(), AtFlags::empty()).map_err(failed)?;
        if let Some(times) = &times {
            utimensat(&root, &**path, times, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        }
    }
    Ok(())
}

/// Mode and time of the checkout's own directory, when all in it is done.
pub(crate) fn settle_root(directory: &Path, time: Option<i64>) -> Result<(), ErrorKind> {
    let failed = |error: rustix::io::Errno| ErrorKind::write(directory, error.into());
    chmodat(CWD, directory, 0o755.into(), AtFlags::empty()).map_err(failed)?;
    if let Some(seconds) = time {
        let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
        let times = Timestamps { last_access: time, last_modification: time };
        utimensat(CWD, directory, &times, AtFlags::empty()).map_err(failed)?;
    }
    Ok(())
}

/// A path of a repository, as a terminal may show it.
pub(crate) fn shown(path: &BStr) -> String {
    path.to_str_lossy().chars().take(200).flat_map(char::escape_debug).collect()
}
