//! Kept owners: what a table says of a directory that outlives it, in a file beside the directory.
//!
//! Several may use the directory at the same time, each with a table of its own, and each keeps what it knows when it is
//! done. Who had the directory alone knows all. Else a file that somebody changed may have been changed by another: then
//! only what was said of it anew counts.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use layer::TreePath;
use owners::{Entry, FileError, Identity, Kept, Table, Version, mode_on_disk, remembered_mode};
use rustix::fs::{FlockOperation, Gid, Mode, OFlags, Uid, flock};
use rustix::io::Errno;

use crate::ownership::{Ownership, Shared};
use crate::root::Root;
use crate::scan::Walk;
use crate::stat::Stat;

impl Ownership {
    /// Gives a directory another owner and mode.
    pub fn give(&self, directory: &Path, owner: Option<(u32, u32)>, mode: Option<u32>) -> io::Result<()> {
        let opened = Root::open(directory)?.open_directory(&TreePath::root())?;
        let on_disk = match self {
            Ownership::Kernel => {
                if let Some((uid, gid)) = owner {
                    rustix::fs::fchown(&opened, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
                }
                mode.map(|mode| mode & 0o7777)
            }
            Ownership::Table(shared) => {
                let stat = Stat::of(&opened)?;
                let mode = mode.map(|mode| stat.mode & !0o7777 | mode & 0o7777);
                shared.table().change(stat.identity(), |entry| {
                    (entry.uid, entry.gid) = owner.unwrap_or((entry.uid, entry.gid));
                    entry.mode = mode.map_or(entry.mode, |mode| remembered_mode(mode, stat.mode));
                });
                mode.map(mode_on_disk)
            }
        };
        match on_disk {
            Some(mode) => Ok(rustix::fs::fchmod(&opened, Mode::from_raw_mode(mode))?),
            None => Ok(()),
        }
    }

    /// Takes up what `file` says of a directory and all that is in it, which nobody changes meanwhile.
    pub fn recall(&self, directory: &Path, file: &Path) -> io::Result<()> {
        let Ownership::Table(shared) = self else { return Ok(()) };
        let kept = load(file)?;
        if kept == Kept::default() {
            return Ok(());
        }
        each(directory, |stat| drop(say(shared, &kept, stat)))
    }

    /// Keeps in `file` all that is said of a directory and what is in it, which nobody changes meanwhile.
    pub fn keep(&self, directory: &Path, file: &Path) -> io::Result<()> {
        let Ownership::Table(shared) = self else { return Ok(()) };
        let mut kept = Kept::default();
        each(directory, |stat| {
            if let Some(entry) = shared.table().get(stat.identity()) {
                kept.insert(version(stat), entry.clone());
            }
        })?;
        if kept == load(file)? { Ok(()) } else { kept.save(file) }
    }
}

/// A directory in use whose owners are kept.
#[derive(Debug)]
pub struct OwnersInUse {
    directory: PathBuf,
    file: PathBuf,
    /// Shared by all who use the directory.
    presence: File,
    /// Nobody else used it when this began, and which the kept file was.
    alone_with: Option<Which>,
    /// What was said in the beginning.
    recalled: HashMap<Identity, (Version, Entry)>,
    /// The directory itself was not known.
    is_unknown: bool,
}

/// Which file it is, if there is one: each that is kept is a new one.
type Which = Option<(Identity, (i64, i64))>;

impl OwnersInUse {
    /// Takes up what is kept in `file` of a directory and all that is in it. Nothing where the kernel keeps the owners.
    pub fn begin(ownership: &Ownership, directory: &Path, file: &Path) -> io::Result<Option<Self>> {
        let Ownership::Table(shared) = ownership else { return Ok(None) };
        let mut name = file.as_os_str().to_owned();
        name.push(".lock");
        let presence = File::create(name)?;
        let is_alone = try_alone(&presence)?;
        flock(&presence, FlockOperation::LockShared)?;
        let mut in_use = OwnersInUse {
            directory: directory.to_owned(),
            file: file.to_owned(),
            presence,
            alone_with: if is_alone { Some(which(file)?) } else { None },
            recalled: HashMap::new(),
            is_unknown: true,
        };
        let kept = load(file)?;
        let mut is_top = true;
        each(directory, |stat| {
            let said = say(shared, &kept, stat);
            in_use.is_unknown &= !(std::mem::take(&mut is_top) && said.is_some());
            if let Some(entry) = said {
                in_use.recalled.insert(stat.identity(), (version(stat), entry));
            }
        })?;
        Ok(Some(in_use))
    }

    /// Whether nothing is said of the directory itself: nothing was kept, or it was changed after that, and then the
    /// program that did so was killed.
    pub fn is_unknown(&self) -> bool {
        self.is_unknown
    }

    /// Keeps what the table that was saved at `table` says now.
    pub fn keep(&self, table: &Path) -> io::Result<()> {
        let table = Table::load(table)?;
        // One after the other; the lock of the presence is held by others for long.
        let directory = self.directory.parent().unwrap_or(&self.directory);
        let turn =
            rustix::fs::open(directory, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::io::retry_on_intr(|| flock(&turn, FlockOperation::LockExclusive))?;
        let was_alone =
            self.alone_with.is_some_and(|before| which(&self.file).is_ok_and(|now| now == before))
                && try_alone(&self.presence)?;
        let before = load(&self.file)?;
        let mut kept = Kept::default();
        each(&self.directory, |stat| {
            let (file, version) = (stat.identity(), version(stat));
            let now = table.get(file);
            let is_news = || now != self.recalled.get(&file).map(|(_, entry)| entry);
            let said = match before.get(version) {
                _ if was_alone => now,
                Some(entry) => Some(entry),
                None => now.filter(|_| is_news()),
            };
            if let Some(entry) = said {
                kept.insert(version, entry.clone());
            }
        })?;
        if kept == before { Ok(()) } else { kept.save(&self.file) }
    }
}

/// Whether nobody else is present. What was held before is held no more if somebody is. flock(2)
fn try_alone(presence: &File) -> io::Result<bool> {
    match flock(presence, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn which(file: &Path) -> io::Result<Which> {
    match file.metadata() {
        Ok(found) => Ok(Some(((found.dev(), found.ino()), (found.mtime(), found.mtime_nsec())))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What is kept. Of a file that was cut off, as when a machine stops, nothing is known.
fn load(file: &Path) -> io::Result<Kept> {
    match Kept::load(file) {
        Err(FileError::Format) => Ok(Kept::default()),
        loaded => Ok(loaded?),
    }
}

/// Says of a file what is kept of it, and nothing else.
fn say(shared: &Shared, kept: &Kept, stat: &Stat) -> Option<Entry> {
    let entry = kept.get(version(stat)).cloned();
    let mut table = shared.table();
    match entry.clone() {
        Some(entry) => table.change(stat.identity(), |new| *new = entry),
        // Its inode may have been another's.
        None => table.forget(stat.identity()),
    }
    entry
}

fn version(stat: &Stat) -> Version {
    (stat.ino, stat.ctime)
}

/// A directory, and all that is in it. What others move or remove meanwhile may be left out.
fn each(directory: &Path, mut visit: impl FnMut(&Stat)) -> io::Result<()> {
    let is_moved = |error: &io::Error| {
        [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::STALE]
            .iter()
            .any(|&moved| io::Error::from(moved).kind() == error.kind())
    };
    let opened = Root::open(directory)?.open_directory(&TreePath::root())?;
    visit(&Stat::of(&opened)?);
    let mut walk = Walk::new(opened, TreePath::root())?;
    loop {
        let found = match walk.next() {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(()),
            Err(error) if is_moved(&error) => continue,
            Err(error) => return Err(error),
        };
        visit(&found.stat);
        if found.stat.is_directory() {
            match walk.enter(&found) {
                Err(error) if !is_moved(&error) => return Err(error),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn owners_outlive_the_table() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        std::fs::create_dir_all(at("data/below")).unwrap();
        for name in ["data/below/file", "data/changed"] {
            std::fs::write(at(name), "x").unwrap();
        }
        let identity = |name: &str| {
            let found = std::fs::symlink_metadata(at(name)).unwrap();
            (found.dev(), found.ino())
        };
        let ownership = Ownership::Table(Shared::default());
        ownership.give(&at("data"), Some((1000, 100)), Some(0o2750)).unwrap();
        assert_eq!(std::fs::metadata(at("data")).unwrap().mode() & 0o7777, 0o750);
        let Ownership::Table(shared) = &ownership else { unreachable!("it was made so") };
        let owned = Entry { uid: 33, ..Entry::default() };
        for name in ["data/below/file", "data/changed"] {
            shared.table().change(identity(name), |entry| *entry = owned.clone());
        }
        ownership.keep(&at("data"), &at("owners")).unwrap();

        // Somebody who knows nothing of it changes a file.
        std::fs::set_permissions(at("data/changed"), std::fs::Permissions::from_mode(0o600)).unwrap();
        let other = Ownership::Table(Shared::default());
        let in_use = OwnersInUse::begin(&other, &at("data"), &at("owners")).unwrap().unwrap();
        assert!(!in_use.is_unknown());
        let Ownership::Table(shared) = &other else { unreachable!("it was made so") };
        let said = |name: &str| shared.table().get(identity(name)).cloned();
        let top = said("data").unwrap();
        assert_eq!((top.uid, top.gid, top.mode), (1000, 100, Some(0o042_750)));
        assert_eq!((said("data/below/file"), said("data/changed")), (Some(owned.clone()), None));
    }

    struct User {
        ownership: Ownership,
        in_use: OwnersInUse,
        table: PathBuf,
    }

    impl User {
        fn new(at: &Path, name: &str) -> Self {
            let ownership = Ownership::Table(Shared::default());
            let in_use =
                OwnersInUse::begin(&ownership, &at.join("data"), &at.join("owners")).unwrap().unwrap();
            User { ownership, in_use, table: at.join(name) }
        }

        fn table(&self) -> std::sync::MutexGuard<'_, Table> {
            let Ownership::Table(shared) = &self.ownership else { unreachable!("it was made so") };
            shared.table()
        }

        /// Writes to a file, and says whose it is if it was not known.
        fn write(&self, file: &Path, uid: Option<u32>) -> Identity {
            std::fs::write(file, format!("{uid:?}")).unwrap();
            let found = std::fs::metadata(file).unwrap();
            let identity = (found.dev(), found.ino());
            if let Some(uid) = uid {
                self.table().change(identity, |entry| entry.uid = uid);
            }
            identity
        }

        fn end(self) {
            self.table().save(&self.table).unwrap();
            self.in_use.keep(&self.table).unwrap();
        }
    }

    #[test]
    fn who_is_alone_knows_all() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("data/file");
        std::fs::create_dir(scratch.path().join("data")).unwrap();
        let first = User::new(scratch.path(), "first");
        let identity = first.write(&file, Some(33));
        first.end();
        // Its content is another then, and its owner the same.
        let second = User::new(scratch.path(), "second");
        second.write(&file, None);
        second.end();
        let third = User::new(scratch.path(), "third");
        assert_eq!(third.table().get(identity).map(|entry| entry.uid), Some(33));
        third.table().forget(identity);
        std::fs::write(&file, "root's").unwrap();
        third.end();
        assert!(User::new(scratch.path(), "fourth").table().is_empty());
    }

    #[test]
    fn who_is_not_alone_takes_nothing_from_others() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join("data").join(name);
        std::fs::create_dir(scratch.path().join("data")).unwrap();
        let before = User::new(scratch.path(), "before");
        let [given, kept] = ["given", "kept"].map(|name| before.write(&at(name), Some(33)));
        before.end();
        let (one, two) = (User::new(scratch.path(), "one"), User::new(scratch.path(), "two"));
        let own = one.write(&at("own"), Some(7));
        two.write(&at("given"), Some(44));
        one.end();
        two.end();
        let after = User::new(scratch.path(), "after");
        let uid = |file| after.table().get(file).map(|entry: &Entry| entry.uid);
        assert_eq!([uid(given), uid(kept), uid(own)], [Some(44), Some(33), Some(7)]);
    }

    #[test]
    fn a_file_that_was_cut_off_says_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::create_dir(scratch.path().join("data")).unwrap();
        std::fs::write(scratch.path().join("owners"), "owners kept").unwrap();
        let user = User::new(scratch.path(), "user");
        assert!(user.in_use.is_unknown());
        let file = scratch.path().join("data/file");
        let identity = user.write(&file, Some(5));
        user.end();
        let entry = User::new(scratch.path(), "after").table().get(identity).cloned();
        assert_eq!(entry.map(|entry| entry.uid), Some(5));
    }
}
