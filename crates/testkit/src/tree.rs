//! A tree as text, so that two of them can be compared and a difference can be read.
//!
//! One line for each path, sorted: `PATH TYPE MODE UID:GID`, then for a file its size and the first digits
//! of its SHA-256, for a link `->TARGET`, for a device `MAJOR:MINOR`, then `NAME=VALUE` for each extended
//! attribute. Of several names of one file the first is the file, and the others are links to it.
//!
//! This knows of layers only what the image spec says and shares no code with the program, so it can be
//! its judge.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use layout::Layout;
use oci::{Digest, Hasher, Manifest};
use tar::EntryType;

/// The entries of a layer, of an image or of a directory. The root itself is left out.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// By path, which has no slash at either end.
    entries: BTreeMap<Vec<u8>, Entry>,
    /// The number of the next inode.
    next: usize,
}

#[derive(Debug, Clone)]
struct Entry {
    /// Names with one number are names of one file.
    inode: usize,
    mode: u32,
    owner: (u64, u64),
    mtime: i64,
    xattrs: BTreeMap<String, Vec<u8>>,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Dir,
    File {
        size: u64,
        digest: Digest,
    },
    Symlink(Vec<u8>),
    /// To a file that is not in this layer.
    Link(Vec<u8>),
    Char(u64, u64),
    Block(u64, u64),
    Fifo,
    Socket,
}

impl Tree {
    /// The entries of one layer, plain or packed, whiteouts included.
    pub fn of_layer(reader: impl Read) -> Self {
        let mut reader = BufReader::new(reader);
        let magic = reader.fill_buf().unwrap();
        if magic.starts_with(&[0x1f, 0x8b]) {
            Self::of_tar(flate2::bufread::MultiGzDecoder::new(reader))
        } else if magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            Self::of_tar(zstd::stream::read::Decoder::with_buffer(reader).unwrap())
        } else {
            Self::of_tar(reader)
        }
    }

    fn of_tar(reader: impl Read) -> Self {
        let mut tree = Tree::default();
        let mut archive = tar::Archive::new(reader);
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = clean(&entry.path_bytes());
            if path.is_empty() {
                continue;
            }
            let mut xattrs = BTreeMap::new();
            for extension in entry.pax_extensions().unwrap().into_iter().flatten().map(Result::unwrap) {
                if let Some(name) = extension.key().unwrap().strip_prefix("SCHILY.xattr.") {
                    xattrs.insert(name.to_owned(), extension.value_bytes().to_vec());
                }
            }
            let header = entry.header().clone();
            let target = entry.link_name_bytes().unwrap_or_default().to_vec();
            let device = || {
                let major = header.device_major().unwrap().unwrap_or_default();
                (u64::from(major), u64::from(header.device_minor().unwrap().unwrap_or_default()))
            };
            let kind = match header.entry_type() {
                EntryType::Directory => Kind::Dir,
                EntryType::Symlink => Kind::Symlink(target),
                EntryType::Link => Kind::Link(clean(&target)),
                EntryType::Char => Kind::Char(device().0, device().1),
                EntryType::Block => Kind::Block(device().0, device().1),
                EntryType::Fifo => Kind::Fifo,
                _ => {
                    let (size, digest) = hash(&mut entry);
                    Kind::File { size, digest }
                }
            };
            tree.next += 1;
            let made = Entry {
                inode: tree.next,
                mode: header.mode().unwrap() & 0o7777,
                owner: (header.uid().unwrap(), header.gid().unwrap()),
                mtime: header.mtime().unwrap().try_into().unwrap(),
                xattrs,
                kind,
            };
            tree.put(path, made);
        }
        tree
    }

    /// What is below a directory.
    #[must_use]
    pub fn of_dir(dir: &Path) -> Self {
        let mut tree = Tree::default();
        tree.scan(dir, dir, &mut HashMap::new());
        tree
    }

    fn scan(&mut self, dir: &Path, root: &Path, inodes: &mut HashMap<(u64, u64), usize>) {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let kind = metadata.file_type();
            let device =
                (rustix::fs::major(metadata.rdev()).into(), rustix::fs::minor(metadata.rdev()).into());
            let kind = if kind.is_dir() {
                Kind::Dir
            } else if kind.is_symlink() {
                Kind::Symlink(fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec())
            } else if kind.is_char_device() {
                Kind::Char(device.0, device.1)
            } else if kind.is_block_device() {
                Kind::Block(device.0, device.1)
            } else if kind.is_fifo() {
                Kind::Fifo
            } else if kind.is_socket() {
                Kind::Socket
            } else {
                let (size, digest) = hash(&mut fs::File::open(&path).unwrap());
                Kind::File { size, digest }
            };
            self.next += 1;
            let inode = *inodes.entry((metadata.dev(), metadata.ino())).or_insert(self.next);
            let is_dir = matches!(kind, Kind::Dir);
            let made = Entry {
                inode,
                mode: metadata.mode() & 0o7777,
                owner: (metadata.uid().into(), metadata.gid().into()),
                mtime: metadata.mtime(),
                xattrs: xattrs(&path),
                kind,
            };
            self.entries.insert(path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec(), made);
            if is_dir {
                self.scan(&path, root, inodes);
            }
        }
    }

    /// The filesystem of an image in a layout.
    #[must_use]
    pub fn of_image(layout: &Layout, manifest: &Manifest) -> Self {
        manifest.layers.iter().fold(Tree::default(), |below, layer| {
            below.under(Tree::of_layer(layout.open_blob(layer.digest).unwrap().0))
        })
    }

    /// What a layer makes of the tree beneath it.
    #[must_use]
    pub fn under(mut self, layer: Tree) -> Self {
        let next = self.next;
        // Whiteouts are about what is beneath the layer, wherever in it they stand.
        for path in layer.entries.keys() {
            let (dir, name) = split(path);
            if name == b".wh..wh..opq" {
                self.remove_below(dir);
            } else if let Some(name) = name.strip_prefix(b".wh.") {
                let gone = if dir.is_empty() { name.to_vec() } else { [dir, b"/", name].concat() };
                self.remove(&gone);
            }
        }
        let lower = self.entries.clone();
        for (path, mut entry) in layer.entries {
            if split(&path).1.starts_with(b".wh.") {
                continue;
            }
            match &entry.kind {
                Kind::Link(target) => match lower.get(target) {
                    Some(found) => entry = found.clone(),
                    None => entry.inode += next,
                },
                _ => entry.inode += next,
            }
            self.put(path, entry);
        }
        self.next = next + layer.next;
        self
    }

    /// The text, without times.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines(false)
    }

    /// The text, with `@SECONDS` after the owner.
    #[must_use]
    pub fn text_with_times(&self) -> String {
        self.lines(true)
    }

    fn lines(&self, times: bool) -> String {
        let mut text = String::new();
        let mut first_names: HashMap<usize, &[u8]> = HashMap::new();
        for (path, entry) in &self.entries {
            let first = *first_names.entry(entry.inode).or_insert(path);
            let same = (first != &path[..] && !matches!(entry.kind, Kind::Dir)).then_some(first);
            let kind = match (&entry.kind, same) {
                (_, Some(_)) | (Kind::Link(_), None) => "link",
                (Kind::Dir, None) => "dir",
                (Kind::File { .. }, None) => "file",
                (Kind::Symlink(_), None) => "symlink",
                (Kind::Char(..), None) => "char",
                (Kind::Block(..), None) => "block",
                (Kind::Fifo, None) => "fifo",
                (Kind::Socket, None) => "socket",
            };
            let (uid, gid) = entry.owner;
            write!(text, "/{} {kind} {:04o} {uid}:{gid}", shown(path), entry.mode).unwrap();
            if times {
                write!(text, " @{}", entry.mtime).unwrap();
            }
            match (&entry.kind, same) {
                (_, Some(first)) => write!(text, " ->/{}", shown(first)),
                (Kind::Link(target), None) => write!(text, " ->/{}", shown(target)),
                (Kind::Symlink(target), None) => write!(text, " ->{}", shown(target)),
                (Kind::File { size, digest }, None) => write!(text, " {size} {}", digest.short()),
                (Kind::Char(major, minor) | Kind::Block(major, minor), None) => {
                    write!(text, " {major}:{minor}")
                }
                (Kind::Dir | Kind::Fifo | Kind::Socket, None) => Ok(()),
            }
            .unwrap();
            for (name, value) in &entry.xattrs {
                write!(text, " {name}={}", shown(value)).unwrap();
            }
            text.push('\n');
        }
        text
    }

    /// Puts an entry in the place of what is there.
    fn put(&mut self, path: Vec<u8>, mut entry: Entry) {
        if let Kind::Link(target) = &entry.kind
            && let Some(found) = self.entries.get(target)
        {
            entry = found.clone();
        }
        if !matches!(entry.kind, Kind::Dir) {
            self.remove_below(&path);
        }
        self.entries.insert(path, entry);
    }

    fn remove(&mut self, path: &[u8]) {
        self.entries.remove(path);
        self.remove_below(path);
    }

    fn remove_below(&mut self, dir: &[u8]) {
        let prefix = if dir.is_empty() { Vec::new() } else { [dir, b"/"].concat() };
        self.entries.retain(|path, _| !path.starts_with(&prefix));
    }
}

/// A path without `.` parts, and without slashes at its ends.
fn clean(path: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> =
        path.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    parts.join(&b'/')
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// Text as it is, if it can stand on a line.
fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(|c: char| c.is_control() || c == ' ') => text.to_owned(),
        _ => bytes.escape_ascii().to_string().replace(' ', "\\s"),
    }
}

fn hash(reader: &mut impl Read) -> (u64, Digest) {
    let (mut hasher, mut size, mut buffer) = (Hasher::new(), 0, vec![0; 64 * 1024]);
    loop {
        match reader.read(&mut buffer).unwrap() {
            0 => return (size, hasher.finish()),
            count => {
                hasher.update(&buffer[..count]);
                size += count as u64;
            }
        }
    }
}

/// The extended attributes of a file. A label that the machine's own policy adds is none of its.
fn xattrs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut names = vec![0; 64 * 1024];
    let Ok(length) = rustix::fs::llistxattr(path, &mut names) else { return BTreeMap::new() };
    names[..length]
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty() && *name != b"security.selinux")
        .map(|name| {
            let mut value = vec![0; 64 * 1024];
            let length = rustix::fs::lgetxattr(path, name, &mut value).unwrap();
            value.truncate(length);
            (String::from_utf8(name.to_vec()).unwrap(), value)
        })
        .collect()
}
