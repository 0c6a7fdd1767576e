//! A filesystem tree as text: one line a path, so that two trees can be compared and read.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use anyhow::{Context as _, Result};

/// Paths from the root, each with what is there.
pub type Tree = BTreeMap<String, String>;

/// Reads the tree below `root`.
///
/// A line is `TYPE MODE UID:GID`, then for a file its size and, when short and readable, its contents,
/// for a link its target, for a device its numbers, and at the end the extended attributes. A second name
/// of a file names the first one. Times are left out: most of them are the build's own.
pub fn read(root: &Path) -> Result<Tree> {
    let mut tree = Tree::new();
    walk(root, root, &mut HashMap::new(), &mut tree)?;
    Ok(tree)
}

fn walk(root: &Path, path: &Path, inodes: &mut HashMap<u64, String>, tree: &mut Tree) -> Result<()> {
    let metadata = path.symlink_metadata().with_context(|| path.display().to_string())?;
    let name = shown(root, path);
    let kind = metadata.file_type();
    let (mode, owner) = (metadata.mode() & 0o7777, format!("{}:{}", metadata.uid(), metadata.gid()));
    let mut line = if kind.is_dir() {
        format!("dir {mode:04o} {owner}")
    } else if let Some(first) = inodes.get(&metadata.ino()) {
        format!("hardlink {first}")
    } else if kind.is_symlink() {
        format!("symlink {owner} -> {}", path.read_link()?.display())
    } else if kind.is_file() {
        format!("file {mode:04o} {owner} {}{}", metadata.len(), contents(path, metadata.len())?)
    } else if kind.is_fifo() {
        format!("fifo {mode:04o} {owner}")
    } else if kind.is_socket() {
        format!("socket {mode:04o} {owner}")
    } else {
        let letter = if kind.is_char_device() { "char" } else { "block" };
        let device = metadata.rdev();
        let numbers = (rustix::fs::major(device), rustix::fs::minor(device));
        format!("{letter} {mode:04o} {owner} {}:{}", numbers.0, numbers.1)
    };
    if !kind.is_dir() && metadata.nlink() > 1 {
        inodes.entry(metadata.ino()).or_insert_with(|| name.clone());
    }
    line.push_str(&attributes(path)?);
    tree.insert(name, line);

    if kind.is_dir() {
        let mut names: Vec<_> = std::fs::read_dir(path)?.collect::<Result<_, _>>()?;
        names.sort_by_key(std::fs::DirEntry::file_name);
        for entry in names {
            walk(root, &entry.path(), inodes, tree)?;
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

fn attributes(path: &Path) -> Result<String> {
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
    Ok(if shown.is_empty() { String::new() } else { format!(" [{}]", shown.join(" ")) })
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
