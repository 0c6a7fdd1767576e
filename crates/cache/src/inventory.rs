//! Inventories: what is in a cache directory, for those who want to know, or want room.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::Prunable;
use crate::pending::at;

/// Something in a cache directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// What it is.
    pub kind: InventoryKind,
    /// Its name: hex digits.
    pub key: String,
    /// Where it is.
    pub path: PathBuf,
    /// What it takes, in bytes.
    pub size: u64,
    /// When it was last of use as far as the filesystem knows, in seconds since 1970.
    pub used: i64,
    /// The id of a mount.
    pub what: String,
}

/// What there is in a cache directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InventoryKind {
    /// A layer as a registry has it, or a file that ADD has downloaded.
    Blob,
    /// What a layer says.
    Index,
    /// A small file of a layer.
    Content,
    /// What is known of a file that ADD has downloaded.
    Download,
    /// A cache mount of RUN.
    Mount,
}

impl InventoryKind {
    const ALL: [(Self, &'static str); 5] = [
        (InventoryKind::Blob, "blobs/sha256"),
        (InventoryKind::Index, "indexes/sha256"),
        (InventoryKind::Content, "contents/blake3"),
        (InventoryKind::Download, "downloads"),
        (InventoryKind::Mount, "mounts"),
    ];

    /// Its name, for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            InventoryKind::Blob => "blob",
            InventoryKind::Index => "index",
            InventoryKind::Content => "content",
            InventoryKind::Download => "download",
            InventoryKind::Mount => "mount",
        }
    }
}

/// Everything that is in a cache directory, what was of use last first. Directories that are not there are empty.
pub fn inventory(directory: &Path) -> io::Result<Vec<Inventory>> {
    let mut found = Vec::new();
    for (kind, below) in InventoryKind::ALL {
        let below = directory.join(below);
        let entries = match std::fs::read_dir(&below) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(at(&below, &error)),
        };
        for entry in entries {
            let path = entry.map_err(|error| at(&below, &error))?.path();
            let item = match kind {
                InventoryKind::Mount => mount(&path),
                kind => path.symlink_metadata().map(|metadata| file(kind, &path, &metadata)),
            };
            match item {
                Ok(item) => found.push(item),
                // Somebody has removed it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(at(&path, &error)),
            }
        }
    }
    found.sort_by(|a, b| (b.used, a.kind, &a.key).cmp(&(a.used, b.kind, &b.key)));
    Ok(found)
}

fn file(kind: InventoryKind, path: &Path, metadata: &Metadata) -> Inventory {
    Inventory {
        kind,
        key: name(path),
        path: path.to_owned(),
        size: metadata.len(),
        used: metadata.mtime().max(metadata.atime()),
        what: String::new(),
    }
}

fn mount(path: &Path) -> io::Result<Inventory> {
    let key = std::fs::read_to_string(path.join("key")).unwrap_or_default();
    let (mut size, mut used) = (0, path.symlink_metadata()?.mtime());
    let mut is_there = false;
    for place in std::fs::read_dir(path)? {
        let place = place?.path();
        let data = place.join("data");
        if data.is_dir() {
            is_there = true;
            size += size_of(&data)?;
            // Whoever takes a mount touches its lock.
            used = used.max(place.join("lock").symlink_metadata().map_or(used, |lock| lock.mtime()));
        }
    }
    // What was removed has left its locks.
    if !is_there {
        return Err(io::ErrorKind::NotFound.into());
    }
    let what = key.lines().next().unwrap_or_default().to_owned();
    Ok(Inventory { kind: InventoryKind::Mount, key: name(path), path: path.to_owned(), size, used, what })
}

/// What is in a directory, links not followed.
fn size_of(directory: &Path) -> io::Result<u64> {
    let mut size = 0;
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            // It may belong to somebody whom we are not: then it counts for nothing.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                pending.push(entry.path());
            } else {
                size += metadata.len();
            }
        }
    }
    Ok(size)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

impl Inventory {
    /// What it takes of the directory.
    #[must_use]
    pub fn prunable(&self) -> Prunable {
        Prunable { used: Some(self.used), parts: vec![(self.path.display().to_string(), self.size)] }
    }

    /// Removes it; false if a build is using it.
    pub fn remove(&self) -> io::Result<bool> {
        let outcome = match self.kind {
            InventoryKind::Mount => return self.remove_mount().map_err(|error| at(&self.path, &error)),
            _ => std::fs::remove_file(&self.path),
        };
        match outcome {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&self.path, &error)),
            _ => Ok(true),
        }
    }

    fn remove_mount(&self) -> io::Result<bool> {
        let mut places = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            // The file `key` lies beside them.
            if entry.file_type()?.is_dir() {
                places.push(entry.path());
            }
        }
        let mut locks = Vec::new();
        for place in &places {
            for file in ["lock", "in-use"] {
                let Ok(file) = File::open(place.join(file)) else { continue };
                match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                    Ok(()) => locks.push(file),
                    Err(Errno::WOULDBLOCK) => return Ok(false),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        // The locks stay: whoever waits for one would else hold another one than whoever comes after.
        for place in &places {
            let data = place.join("data");
            match std::fs::remove_dir_all(&data) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&data, &error)),
                _ => {}
            }
        }
        drop(locks);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_and_what_goes() {
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        assert_eq!(inventory(directory.path()).unwrap(), Vec::new());
        write("blobs/sha256/aa", "blob");
        write("indexes/sha256/bb", "index!");
        write("mounts/cc/key", "/root/.cache\n0755 0:0\n\n");
        write("mounts/cc/0/data/deep/file", "twelve bytes");
        write("mounts/cc/0/lock", "");
        let list = || {
            let mut list: Vec<String> = inventory(directory.path())
                .unwrap()
                .iter()
                .map(|item| format!("{} {} {} {}", item.kind.name(), item.key, item.size, item.what))
                .collect();
            list.sort();
            list
        };
        assert_eq!(list(), ["blob aa 4 ", "index bb 6 ", "mount cc 12 /root/.cache"]);
        let lock = File::open(directory.path().join("mounts/cc/0/lock")).unwrap();
        flock(&lock, FlockOperation::LockShared).unwrap();
        let of =
            |kind| inventory(directory.path()).unwrap().into_iter().find(|item| item.kind == kind).unwrap();
        assert!(!of(InventoryKind::Mount).remove().unwrap(), "a build is using it");
        drop(lock);
        assert!(of(InventoryKind::Mount).remove().unwrap());
        assert!(of(InventoryKind::Blob).remove().unwrap());
        assert_eq!(list(), ["index bb 6 "]);
    }
}
