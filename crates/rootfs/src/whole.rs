//! Whole: all that is in a directory, with no tree to compare it with.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use layer::{Sink, Tree, TreePath};
use rustix::fs::FileType;

use crate::changes::{Comparison, Excluded, View};
use crate::ownership::Ownership;
use crate::record::Record;
use crate::root::Root;
use crate::scan::Walk;
use crate::stat::Stat;

/// One thing in a directory and all that is below it, if it is a directory itself.
#[derive(Debug)]
pub struct Whole {
    root: Root,
    except: Vec<TreePath>,
    ownership: Ownership,
}

/// What can be said of it without reading a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Of every name, kind, mode, owner, size and time in it: another one if something was changed since.
    pub fingerprint: [u8; 32],
    /// What its files have together, in bytes.
    pub size: u64,
}

impl Whole {
    /// What is called `name` in `directory`.
    pub fn new(directory: &Path, name: &str, ownership: Ownership) -> io::Result<Self> {
        let root = Root::open(directory)?;
        let mut except = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let other = entry?.file_name();
            if other != name {
                except.push(TreePath::root().child(other.as_bytes()));
            }
        }
        Ok(Whole { root, except, ownership })
    }

    /// What it is like now.
    pub fn look(&self) -> io::Result<Look> {
        let mut hasher = blake3::Hasher::new();
        let mut size: u64 = 0;
        let mut linked = BTreeSet::new();
        let mut walk = Walk::new(self.root.open_directory(&TreePath::root())?, TreePath::root())?;
        while let Some(found) = walk.next()? {
            if self.except.contains(&found.path) {
                continue;
            }
            let Stat { mode, uid, gid, rdev, .. } = self.ownership.seen(&found.stat);
            let Stat { ino, nlink, mtime, ctime, .. } = found.stat;
            hasher.update(&(found.path.as_bytes().len() as u64).to_le_bytes());
            hasher.update(found.path.as_bytes());
            for number in [u64::from(mode), u64::from(uid), u64::from(gid), rdev, ino, found.stat.size] {
                hasher.update(&number.to_le_bytes());
            }
            for (seconds, nanoseconds) in [mtime, ctime] {
                hasher.update(&seconds.to_le_bytes());
                hasher.update(&nanoseconds.to_le_bytes());
            }
            let is_file = found.stat.file_type() == FileType::RegularFile;
            if is_file && (nlink == 1 || linked.insert(found.stat.identity())) {
                size = size.saturating_add(found.stat.size);
            }
            if found.stat.is_directory() {
                walk.enter(&found)?;
            }
        }
        Ok(Look { fingerprint: *hasher.finalize().as_bytes(), size })
    }

    /// Hands all of it to a sink, in the order of its paths. Sockets are passed over. Something that is changed
    /// meanwhile is an error.
    pub fn write(&self, sink: &mut dyn Sink) -> io::Result<()> {
        let (tree, record, absent) = (Tree::new(), Record::default(), BTreeSet::new());
        let excluded = Excluded { ignored: self.except.clone(), ..Excluded::default() };
        let view = View::Whole { record: &record, absent: &absent };
        let ownership = self.ownership.clone();
        Comparison { tree: &tree, view, excluded: &excluded, ownership, clamp_mtime: None }
            .write(&self.root, sink)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use layer::{Content, Metadata};

    use super::*;

    /// What came, a word each.
    #[derive(Default)]
    struct Words(Vec<String>);

    impl Sink for Words {
        fn put(&mut self, path: &TreePath, metadata: &Metadata, content: Content<'_>) -> io::Result<()> {
            let size =
                if let Content::File { size, .. } = content { format!("={size}") } else { String::new() };
            self.0.push(format!("{path}:{:o}{size}", metadata.mode));
            Ok(())
        }

        fn link(&mut self, path: &TreePath, target: &TreePath) -> io::Result<()> {
            self.0.push(format!("{path}->{target}"));
            Ok(())
        }

        fn remove(&mut self, path: &TreePath) -> io::Result<()> {
            Err(io::Error::other(format!("{path} was never there")))
        }

        fn clear(&mut self, path: &TreePath) -> io::Result<()> {
            Err(io::Error::other(format!("{path} was never there")))
        }
    }

    #[test]
    fn all_of_it_and_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        // A directory whose name is the kernel's somewhere else.
        std::fs::create_dir_all(at("data/dev")).unwrap();
        std::fs::write(at("data/a"), "12345").unwrap();
        std::fs::write(at("data/dev/b"), "1").unwrap();
        std::fs::hard_link(at("data/a"), at("data/c")).unwrap();
        std::fs::write(at("lock"), "not this").unwrap();
        for (name, mode) in [("data", 0o750), ("data/dev", 0o700), ("data/a", 0o640), ("data/dev/b", 0o600)] {
            std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let whole = Whole::new(directory.path(), "data", Ownership::Kernel).unwrap();
        let look = whole.look().unwrap();
        assert_eq!(look.size, 6);
        let mut words = Words::default();
        whole.write(&mut words).unwrap();
        assert_eq!(
            words.0.join(" "),
            "/data:750 /data/a:640=5 /data/c->/data/a /data/dev:700 /data/dev/b:600=1"
        );
        std::fs::write(at("lock"), "nor this").unwrap();
        assert_eq!(whole.look().unwrap(), look);
        std::fs::write(at("data/dev/b"), "12").unwrap();
        assert_ne!(whole.look().unwrap(), look);
    }
}
