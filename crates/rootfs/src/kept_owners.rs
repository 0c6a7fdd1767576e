//! Kept owners: what the table says of a directory that outlives it, in a file beside the directory.

use std::fs::File;
use std::io;
use std::path::Path;

use layer::TreePath;
use owners::{Kept, Table, Version, mode_on_disk, remembered_mode};
use rustix::fs::{FlockOperation, Gid, Mode, Uid, flock};

use crate::ownership::Ownership;
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

    /// Takes up what `file` says of a directory and all that is in it.
    pub fn recall(&self, directory: &Path, file: &Path) -> io::Result<()> {
        let Ownership::Table(shared) = self else { return Ok(()) };
        let kept = Kept::load(file)?;
        if kept == Kept::default() {
            return Ok(());
        }
        each(directory, |stat| {
            if let Some(entry) = kept.get(version(stat)) {
                shared.table().change(stat.identity(), |new| *new = entry.clone());
            }
        })
    }

    /// Keeps in `file` what is said of a directory and all that is in it. What others have kept there stays, where it still
    /// holds.
    pub fn keep(&self, directory: &Path, file: &Path) -> io::Result<()> {
        match self {
            Ownership::Kernel => Ok(()),
            Ownership::Table(shared) => keep(&shared.table(), directory, file),
        }
    }
}

/// As [`Ownership::keep`], for a table that was saved at `table`.
pub fn keep_owners(table: &Path, directory: &Path, file: &Path) -> io::Result<()> {
    keep(&Table::load(table)?, directory, file)
}

fn keep(table: &Table, directory: &Path, file: &Path) -> io::Result<()> {
    let mut lock = file.as_os_str().to_owned();
    lock.push(".lock");
    let lock = File::create(lock)?;
    flock(&lock, FlockOperation::LockExclusive)?;
    let before = Kept::load(file).unwrap_or_default();
    let mut kept = Kept::default();
    each(directory, |stat| {
        // Whoever has kept it last knew the file as it is.
        if let Some(entry) = before.get(version(stat)).or_else(|| table.get(stat.identity())) {
            kept.insert(version(stat), entry.clone());
        }
    })?;
    if kept == before { Ok(()) } else { kept.save(file) }
}

fn version(stat: &Stat) -> Version {
    (stat.ino, stat.ctime)
}

/// A directory, and all that is in it.
fn each(directory: &Path, mut visit: impl FnMut(&Stat)) -> io::Result<()> {
    let opened = Root::open(directory)?.open_directory(&TreePath::root())?;
    visit(&Stat::of(&opened)?);
    let mut walk = Walk::new(opened, TreePath::root())?;
    while let Some(found) = walk.next()? {
        visit(&found.stat);
        if found.stat.is_directory() {
            walk.enter(&found)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use owners::Entry;

    use super::*;
    use crate::ownership::Shared;

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
        ownership.save(&at("table")).unwrap();
        keep_owners(&at("table"), &at("data"), &at("owners")).unwrap();

        // Somebody who knows nothing of it changes a file.
        std::fs::set_permissions(at("data/changed"), std::fs::Permissions::from_mode(0o600)).unwrap();
        let other = Ownership::Table(Shared::default());
        other.recall(&at("data"), &at("owners")).unwrap();
        let Ownership::Table(shared) = &other else { unreachable!("it was made so") };
        let said = |name: &str| shared.table().get(identity(name)).cloned();
        let top = said("data").unwrap();
        assert_eq!((top.uid, top.gid, top.mode), (1000, 100, Some(0o042_750)));
        assert_eq!((said("data/below/file"), said("data/changed")), (Some(owned.clone()), None));

        // A build that knows of none of them takes nothing away.
        Table::new().save(&at("table")).unwrap();
        keep_owners(&at("table"), &at("data"), &at("owners")).unwrap();
        let kept = Kept::load(&at("owners")).unwrap();
        let file = std::fs::metadata(at("data/below/file")).unwrap();
        let ctime = (file.ctime(), u32::try_from(file.ctime_nsec()).unwrap());
        assert_eq!(kept.get((file.ino(), ctime)), Some(&owned));
    }
}
