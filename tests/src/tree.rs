//! A filesystem tree as text: one line a path, so that two trees can be compared and read.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Paths from the root, each with what is there.
pub type Tree = BTreeMap<String, String>;

/// What is at a path.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where it was read, to look into it again.
    pub path: PathBuf,
    /// `dir`, `file`, `symlink`, `fifo`, `socket`, `char` or `block`.
    pub kind: &'static str,
    /// Permissions in octal; of a link, nothing.
    pub mode: String,
    /// `UID:GID`
    pub owner: String,
    /// A file's size and, when short and readable, its contents; a link's target; a device's numbers.
    pub what: String,
    /// The first name of this file, if it has several and this is not the first.
    pub first: Option<String>,
    /// Extended attributes, sorted.
    pub attributes: Vec<String>,
    /// When it was last changed, in seconds since 1970.
    pub time: i64,
}

impl fmt::Display for Entry {
    /// `TYPE MODE UID:GID WHAT [ATTRIBUTES]`, or the first name. Times are left out: most of them are the
    /// build's own.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.first, self.kind) {
            (Some(first), _) => write!(out, "hardlink {first}")?,
            (None, "symlink") => write!(out, "symlink {} -> {}", self.owner, self.what)?,
            (None, kind) => write!(out, "{kind} {} {}", self.mode, self.owner)?,
        }
        if self.first.is_none() && self.kind != "symlink" && !self.what.is_empty() {
            write!(out, " {}", self.what)?;
        }
        match self.attributes.as_slice() {
            [] => Ok(()),
            attributes => write!(out, " [{}]", attributes.join(" ")),
        }
    }
}

/// Reads the tree below `root` as lines.
pub fn read(root: &Path) -> Result<Tree> {
    Ok(entries(root)?.into_iter().map(|(name, entry)| (name, entry.to_string())).collect())
}

/// Reads the tree below `root`.
pub fn entries(root: &Path) -> Result<BTreeMap<String, Entry>> {
    let mut entries = BTreeMap::new();
    walk(root, root, &mut HashMap::new(), &mut entries)?;
    Ok(entries)
}

fn walk(
    root: &Path,
    path: &Path,
    inodes: &mut HashMap<u64, String>,
    entries: &mut BTreeMap<String, Entry>,
) -> Result<()> {
    let metadata = path.symlink_metadata().with_context(|| path.display().to_string())?;
    let name = shown(root, path);
    let file_type = metadata.file_type();
    let device = metadata.rdev();
    let numbers = || format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    let (kind, what) = if file_type.is_dir() {
        ("dir", String::new())
    } else if file_type.is_symlink() {
        ("symlink", path.read_link()?.display().to_string())
    } else if file_type.is_file() {
        ("file", format!("{}{}", metadata.len(), contents(path, metadata.len())?))
    } else if file_type.is_fifo() {
        ("fifo", String::new())
    } else if file_type.is_socket() {
        ("socket", String::new())
    } else if file_type.is_char_device() {
        ("char", numbers())
    } else {
        ("block", numbers())
    };
    let first = inodes.get(&metadata.ino()).cloned();
    if kind != "dir" && metadata.nlink() > 1 {
        inodes.entry(metadata.ino()).or_insert_with(|| name.clone());
    }
    let entry = Entry {
        path: path.to_owned(),
        kind,
        mode: if kind == "symlink" { String::new() } else { format!("{:04o}", metadata.mode() & 0o7777) },
        owner: format!("{}:{}", metadata.uid(), metadata.gid()),
        what,
        first,
        attributes: attributes(path)?,
        time: metadata.mtime(),
    };
    entries.insert(name, entry);

    if kind == "dir" {
        let mut names: Vec<_> = std::fs::read_dir(path)?.collect::<Result<_, _>>()?;
        names.sort_by_key(std::fs::DirEntry::file_name);
        for entry in names {
            walk(root, &entry.path(), inodes, entries)?;
        }
    }
    Ok(())
}

/// The path within the root, with a slash in front; bytes that would break a line are escaped.
fn shown(root: &Path, path: &Path) -> String {
    let inner = path.strip_prefix(root).unwrap_or(path).as_os_str().as_bytes();
    let plain = inner.iter().all(|byte| byte.is_ascii_graphic());
    if plain { format!("/{}", String::from_utf8_lossy(inner)) } else { format!("/{}", inner.escape_ascii()) }
}

/// A short text, quoted; nothing for other contents.
fn contents(path: &Path, size: u64) -> Result<String> {
    if size == 0 || size > 60 {
        return Ok(String::new());
    }
    let bytes = std::fs::read(path)?;
    let readable = bytes.iter().all(|byte| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\n' | b'\t'));
    Ok(if readable { format!(" {:?}", String::from_utf8_lossy(&bytes)) } else { String::new() })
}

fn attributes(path: &Path) -> Result<Vec<String>> {
    let mut names = vec![0; 4096];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap_or(0);
    let mut shown: Vec<String> = Vec::new();
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = OsStr::from_bytes(name);
        let mut value = vec![0; 4096];
        let length = rustix::fs::lgetxattr(path, name, &mut value[..])?;
        shown.push(format!("{}={}", name.display(), value[..length].escape_ascii()));
    }
    shown.sort();
    Ok(shown)
}

/// What `tree` has more than, or otherwise than, `base`, as lines; what it lacks has a minus in front.
#[must_use]
pub fn changes(base: &Tree, tree: &Tree) -> Vec<String> {
    let mut lines: Vec<(&String, String)> = tree
        .iter()
        .filter(|(path, line)| base.get(*path) != Some(line))
        .map(|(path, line)| (path, format!("{path} {line}")))
        .collect();
    lines
        .extend(base.keys().filter(|path| !tree.contains_key(*path)).map(|path| (path, format!("- {path}"))));
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}
