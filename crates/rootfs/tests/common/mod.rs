//! A tree as text, from a directory and from a value: what tests compare.
#![allow(dead_code, clippy::unwrap_used, clippy::print_stdout, reason = "each test uses its own part")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use layer::{Change, ContentHash, Inode, Kind, LayerIndex, Tree, TreePath};
use oci::Compression;
use rootfs::{Workspace, WorkspaceError};

/// Later than everything that tests make on purpose: what happens now is shown as this.
pub(crate) const CLAMP: i64 = 2_000_000;

/// A directory as text: one line for each path, without those below `hidden`.
pub(crate) fn directory(root: &Path, hidden: &[&str]) -> String {
    let mut lines = Vec::new();
    let mut first = BTreeMap::new();
    let mut stack = vec![root.to_path_buf()];
    let mut all = Vec::new();
    while let Some(directory) = stack.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let below = TreePath::new(path.strip_prefix(root).unwrap().as_os_str().as_bytes()).unwrap();
            if hidden.iter().any(|hidden| below.to_string() == **hidden) {
                continue;
            }
            if path.symlink_metadata().unwrap().is_dir() {
                stack.push(path.clone());
            }
            all.push((below, path));
        }
    }
    all.sort();
    for (below, path) in all {
        let metadata = path.symlink_metadata().unwrap();
        let file_type = metadata.file_type();
        if file_type.is_socket() {
            continue;
        }
        let (major, minor) = (rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev()));
        let mut group = None;
        if !metadata.is_dir() && metadata.nlink() > 1 {
            group = Some(first.entry(metadata.ino()).or_insert_with(|| below.clone()).clone());
        }
        let kind = if metadata.is_dir() {
            "d".into()
        } else if metadata.is_symlink() {
            format!("l -> {}", fs::read_link(&path).unwrap().as_os_str().as_bytes().escape_ascii())
        } else if file_type.is_fifo() {
            "p".into()
        } else if file_type.is_char_device() {
            format!("c {major}:{minor}")
        } else if file_type.is_block_device() {
            format!("b {major}:{minor}")
        } else {
            let bytes = fs::read(&path).unwrap();
            format!("f {} {}", bytes.len(), &ContentHash::of(&bytes).to_string()[..8])
        };
        let mut xattrs = Vec::new();
        if metadata.is_dir() || metadata.is_file() {
            xattrs = read_xattrs(&path);
        }
        lines.push(line(
            &below,
            metadata.mode() & 0o7777,
            (metadata.uid(), metadata.gid()),
            metadata.mtime(),
            &kind,
            &xattrs,
            group.filter(|group| *group != below),
        ));
    }
    lines.concat()
}

/// A tree as text, in the same form.
pub(crate) fn tree(tree: &Tree, hidden: &[&str]) -> String {
    let mut first: BTreeMap<*const Inode, TreePath> = BTreeMap::new();
    let mut lines = Vec::new();
    for (path, inode) in tree.iter() {
        if hidden.iter().any(|hidden| path.is_within(&TreePath::new(hidden).unwrap())) {
            continue;
        }
        let group = first.entry(std::sync::Arc::as_ptr(inode)).or_insert_with(|| path.clone()).clone();
        let metadata = &inode.node.metadata;
        let xattrs: Vec<_> =
            metadata.xattrs.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        lines.push(line(
            path,
            metadata.mode,
            (metadata.uid, metadata.gid),
            metadata.mtime,
            &kind(&inode.node.kind),
            &xattrs,
            (group != *path).then_some(group),
        ));
    }
    lines.concat()
}

fn line(
    path: &TreePath,
    mode: u32,
    (uid, gid): (u32, u32),
    mtime: i64,
    kind: &str,
    xattrs: &[(Vec<u8>, Vec<u8>)],
    group: Option<TreePath>,
) -> String {
    let mode = if kind.starts_with('l') { 0o777 } else { mode };
    let mut line = format!("{path} {mode:04o} {uid}:{gid} {} {kind}", mtime.min(CLAMP));
    for (name, value) in xattrs {
        line += &format!(" {}={}", name.escape_ascii(), value.escape_ascii());
    }
    if let Some(group) = group {
        line += &format!(" = {group}");
    }
    line + "\n"
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Directory => "d".into(),
        Kind::File { size, content } => format!("f {size} {}", &content.to_string()[..8]),
        Kind::Symlink { target } => format!("l -> {}", target.escape_ascii()),
        Kind::CharDevice { major, minor } => format!("c {major}:{minor}"),
        Kind::BlockDevice { major, minor } => format!("b {major}:{minor}"),
        Kind::Fifo => "p".into(),
    }
}

/// What a layer says, in short: a sign and a path for each change.
pub(crate) fn changes(index: &LayerIndex) -> String {
    let shown = index.changes.iter().map(|change| match change {
        Change::Put { path, node } => match node.is_directory() {
            true => format!("+{path}/"),
            false => format!("+{path}"),
        },
        Change::Link { path, target } => format!("{path}={target}"),
        Change::Remove { path } => format!("-{path}"),
        Change::Clear { path } => format!("--{path}"),
    });
    shown.collect::<Vec<_>>().join(" ")
}

pub(crate) fn read_xattrs(path: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut buffer = vec![0; 65536];
    let length = rustix::fs::llistxattr(path, &mut buffer[..]).unwrap_or(0);
    let mut all = Vec::new();
    for name in buffer[..length].split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        if name.starts_with(b"user.") || name == b"security.capability" {
            let mut value = vec![0; 65536];
            let length = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
            all.push((name.to_vec(), value[..length].to_vec()));
        }
    }
    all.sort();
    all
}

/// Runs lines of shell in a directory. A line `xattr PATH NAME VALUE` sets an attribute.
pub(crate) fn script(directory: &Path, text: &str) {
    let mut shell = String::new();
    for line in text.lines().chain(["xattr"]) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first() != Some(&"xattr") {
            shell += line;
            shell += "\n";
            continue;
        }
        if !shell.trim().is_empty() {
            let run = Command::new("sh").arg("-euc").arg(&shell).current_dir(directory).output().unwrap();
            assert!(run.status.success(), "{shell}\n{}", String::from_utf8_lossy(&run.stderr));
        }
        shell.clear();
        if let [_, path, name, value] = words[..] {
            let path = directory.join(path);
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::lsetxattr(&path, name, value.as_bytes(), flags).unwrap();
        }
    }
}

/// A directory as a tar, made by GNU tar.
pub(crate) fn tar(directory: &Path) -> Vec<u8> {
    let run = Command::new("tar")
        .args(["--create", "--format=pax", "--numeric-owner", "--sort=name", "--xattrs"])
        .args(["--xattrs-include=*", "."])
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    run.stdout
}

/// Lays a layer on top of the tree in a workspace.
pub(crate) fn apply(
    workspace: &mut Workspace,
    layer: &[u8],
    beneath: &Tree,
) -> Result<LayerIndex, WorkspaceError> {
    workspace.with_sink(beneath, |sink| Ok(layer::read_layer(layer, Compression::None, sink)?))
}

/// True if this can be tested here; else says why not.
pub(crate) fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("skipped: only root can own files as others");
    }
    root
}

/// A mounted overlay, until it is dropped.
pub(crate) struct Overlay {
    pub(crate) at: PathBuf,
}

impl Overlay {
    pub(crate) fn mount(at: &Path, lower: &[PathBuf], upper: &Path, work: &Path) -> Result<Self, String> {
        fs::create_dir_all(at).unwrap();
        let lower: Vec<String> = lower.iter().map(|path| path.display().to_string()).collect();
        let options = format!(
            "lowerdir={},upperdir={},workdir={},index=off,redirect_dir=nofollow,metacopy=off,volatile",
            lower.join(":"),
            upper.display(),
            work.display()
        );
        let run = Command::new("mount").args(["-t", "overlay", "overlay", "-o", &options]).arg(at).output();
        match run {
            Ok(run) if run.status.success() => Ok(Overlay { at: at.into() }),
            Ok(run) => Err(String::from_utf8_lossy(&run.stderr).into_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}
