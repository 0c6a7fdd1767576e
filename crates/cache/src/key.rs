//! Keys: what the result of a step depends on, as one digest.
//!
//! ```text
//! key      = SHA-256( frame("bako-cache-key") frame("1") frame(DOMAIN) { frame(NAME) frame(VALUE) }* )
//! frame(b) = the length of b as 8 bytes, little-endian, then b
//! ```
//!
//! Everything has its length before it, so that no two lists of inputs give the same bytes; every use of keys
//! has its own domain, so that a key of one kind is never one of another; and the version stands in front, so
//! that a change of the rules is a change of every key.

use std::fmt;
use std::str::FromStr;

use layer::{Change, ContentHash, Kind, LayerIndex, Node};
use oci::{Digest, DigestError, Hasher};

/// The version of the rules by which keys are made, here and in what `builder` puts into them.
pub const KEY_VERSION: &str = "1";

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Domain {
    /// What a stage starts from.
    Root,
    /// What a step says, and what it takes besides the files beneath it.
    Step,
    /// A step on what is beneath it, by how both are made. Known before anything runs.
    Definition,
    /// A step on what is beneath it, by the files that are there. Known when those are.
    Content,
    /// What a layer holds, without times.
    Layer,
    /// The layers of an image whose indexes are kept together.
    Indexes,
    /// A build, for those who want to know why a later one is different.
    Build,
    /// A cache mount of RUN, for one platform.
    Mount,
}

/// What the result of a step depends on, as one digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Digest);

/// One thing that a key depends on: its name and a mark of its value, by which two values are told apart and
/// from which none can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// As people know it: `command`, `variable CC`, `file src/main.c`.
    pub name: String,
    /// The first eight bytes of the BLAKE3 of the value.
    pub mark: [u8; 8],
}

/// Makes a key of inputs, in the order in which they are given.
#[derive(Debug, Clone)]
pub struct KeyWriter {
    hasher: Hasher,
    /// `None` if nobody wants to know.
    inputs: Option<Vec<Input>>,
}

impl Domain {
    fn name(self) -> &'static str {
        match self {
            Domain::Root => "root",
            Domain::Step => "step",
            Domain::Definition => "definition",
            Domain::Content => "content",
            Domain::Layer => "layer",
            Domain::Indexes => "indexes",
            Domain::Build => "build",
            Domain::Mount => "mount",
        }
    }

    /// The letter that its tags begin with.
    fn letter(self) -> char {
        match self {
            Domain::Root => 'r',
            Domain::Step => 's',
            Domain::Definition => 'd',
            Domain::Content => 'c',
            Domain::Layer => 'l',
            Domain::Indexes => 'i',
            Domain::Build => 'b',
            Domain::Mount => 'm',
        }
    }
}

impl Domain {
    /// What a tag of this version is for; `None` for a tag that is none of ours.
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        let (kind, hex) = tag.split_once('-')?;
        let is_key = hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let all = [Domain::Definition, Domain::Content, Domain::Indexes, Domain::Build, Domain::Mount];
        let is_its = |domain: &Domain| kind == format!("{}{KEY_VERSION}", domain.letter());
        all.into_iter().find(is_its).filter(|_| is_key)
    }
}

impl Key {
    /// The tag under which something with this key is kept in a repository: legal in every registry.
    #[must_use]
    pub fn tag(&self, domain: Domain) -> String {
        format!("{}{KEY_VERSION}-{}", domain.letter(), self.0.hex())
    }

    /// The 64 hex digits.
    #[must_use]
    pub fn hex(&self) -> String {
        self.0.hex()
    }

    /// The first twelve hex digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        self.0.short()
    }

    /// The same digits as bytes, to be the input of another key.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.hex().into_bytes()
    }

    /// What a layer holds: every entry but for its time, in the layer's order.
    #[must_use]
    pub fn of_layer(index: &LayerIndex) -> Self {
        let mut writer = KeyWriter { inputs: None, ..KeyWriter::new(Domain::Layer) };
        for change in &index.changes {
            let path = change.path().as_bytes();
            match change {
                Change::Put { node, .. } => writer.node(b"put", path, node, true),
                Change::Link { target, .. } => writer.pair(b"link", path, target.as_bytes()),
                Change::Remove { .. } => writer.pair(b"remove", path, b""),
                Change::Clear { .. } => writer.pair(b"clear", path, b""),
            }
        }
        writer.finish().0
    }
}

impl KeyWriter {
    /// A writer that has seen nothing.
    #[must_use]
    pub fn new(domain: Domain) -> Self {
        let mut hasher = Hasher::new();
        for header in ["bako-cache-key", KEY_VERSION, domain.name()] {
            frame(&mut hasher, header.as_bytes());
        }
        KeyWriter { hasher, inputs: Some(Vec::new()) }
    }

    /// Takes an input in.
    pub fn field(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let (name, value) = (name.as_ref(), value.as_ref());
        frame(&mut self.hasher, name);
        frame(&mut self.hasher, value);
        if let Some(inputs) = &mut self.inputs {
            inputs.push(Input::new(name, value));
        }
    }

    /// Takes something of a filesystem in: its kind, owner, attributes and what it holds, and its mode unless
    /// that does not count. Its time never does.
    pub fn node(&mut self, what: &[u8], path: &[u8], node: &Node, with_mode: bool) {
        self.pair(what, path, &node_bytes(node, with_mode));
    }

    /// Takes something about a path in.
    pub fn pair(&mut self, what: &[u8], path: &[u8], value: &[u8]) {
        self.field([what, b" ", path].concat(), value);
    }

    /// The key, and what it was made of.
    #[must_use]
    pub fn finish(self) -> (Key, Vec<Input>) {
        (Key(self.hasher.finish()), self.inputs.unwrap_or_default())
    }
}

impl Input {
    fn new(name: &[u8], value: &[u8]) -> Self {
        let mut mark = [0; 8];
        mark.copy_from_slice(&ContentHash::of(value).0[..8]);
        Input { name: String::from_utf8_lossy(name).into_owned(), mark }
    }

    /// The mark as sixteen hex digits.
    #[must_use]
    pub fn mark_text(&self) -> String {
        self.mark.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn frame(hasher: &mut Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

/// ```text
/// letter mode uid gid count-of-attributes { frame(name) frame(value) }* rest
/// ```
///
/// The letter is the one of the index (`d f l c b p`); mode, uid and gid are four bytes, the count eight, all
/// little-endian; a mode that does not count is `ffffffff`. The rest is, for a file, its size in eight bytes
/// and the BLAKE3 of its contents; for a symbolic link, its text in a frame; for a device, major and minor in
/// four bytes each.
fn node_bytes(node: &Node, with_mode: bool) -> Vec<u8> {
    let letter = match node.kind {
        Kind::Directory => b'd',
        Kind::File { .. } => b'f',
        Kind::Symlink { .. } => b'l',
        Kind::CharDevice { .. } => b'c',
        Kind::BlockDevice { .. } => b'b',
        Kind::Fifo => b'p',
    };
    let metadata = &node.metadata;
    // A link has no mode of its own.
    let mode = if with_mode && letter != b'l' { metadata.mode & 0o7777 } else { u32::MAX };
    let mut bytes = vec![letter];
    for number in [mode, metadata.uid, metadata.gid] {
        bytes.extend(number.to_le_bytes());
    }
    let framed = |bytes: &mut Vec<u8>, value: &[u8]| {
        bytes.extend((value.len() as u64).to_le_bytes());
        bytes.extend(value);
    };
    bytes.extend((metadata.xattrs.len() as u64).to_le_bytes());
    for (name, value) in &metadata.xattrs {
        framed(&mut bytes, name);
        framed(&mut bytes, value);
    }
    match &node.kind {
        Kind::Directory | Kind::Fifo => {}
        Kind::File { size, content } => {
            bytes.extend(size.to_le_bytes());
            bytes.extend(content.0);
        }
        Kind::Symlink { target } => framed(&mut bytes, target),
        Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            bytes.extend(major.to_le_bytes());
            bytes.extend(minor.to_le_bytes());
        }
    }
    bytes
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key:{}", self.short())
    }
}

impl FromStr for Key {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        format!("sha256:{text}").parse().map(Key)
    }
}

#[cfg(test)]
mod tests {
    use layer::{Metadata, TreePath};
    use oci::DiffId;

    use super::*;

    /// The bytes as they are documented, put together by hand; the digest is that of another program.
    #[test]
    fn the_bytes_are_as_documented() {
        let mut bytes = Vec::new();
        for part in ["bako-cache-key", "1", "definition", "command", "make", "user", ""] {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part.as_bytes());
        }
        let mut writer = KeyWriter::new(Domain::Definition);
        writer.field("command", "make");
        writer.field("user", "");
        let (key, inputs) = writer.finish();
        assert_eq!(key, Key(Digest::of(&bytes)));
        assert_eq!(key.hex(), "01ed374cb5ad2e9bcf82581404133d6fadf0679f0073a044fa346e64e6632a6a");
        assert_eq!(inputs.len(), 2);
        assert_eq!(inputs[0].name, "command");
        assert_eq!(key.tag(Domain::Definition), format!("d1-{}", key.hex()));
        assert_eq!(key.hex().parse::<Key>(), Ok(key));
    }

    #[test]
    fn nothing_runs_into_its_neighbour() {
        let key = |domain, fields: &[(&str, &str)]| {
            let mut writer = KeyWriter::new(domain);
            fields.iter().for_each(|(name, value)| writer.field(name, value));
            writer.finish().0
        };
        let lists: &[&[(&str, &str)]] = &[
            &[],
            &[("", "")],
            &[("a", "b")],
            &[("ab", "")],
            &[("", "ab")],
            &[("a", ""), ("b", "")],
            &[("a", ""), ("", "b")],
            &[("a", "b"), ("c", "d")],
            &[("c", "d"), ("a", "b")],
            &[("a", "bc"), ("", "d")],
        ];
        let mut seen = std::collections::BTreeSet::new();
        for domain in [Domain::Root, Domain::Definition, Domain::Content] {
            for list in lists {
                assert!(seen.insert(key(domain, list)), "{domain:?} {list:?}");
            }
        }
    }

    fn index(mtime: i64, mode: u32, path: &str) -> LayerIndex {
        let kind = Kind::File { size: 1, content: ContentHash::of(b"a") };
        let node = Node { metadata: Metadata { mode, mtime, ..Metadata::default() }, kind };
        let path = TreePath::new(path).unwrap();
        LayerIndex {
            diff_id: DiffId(Digest::of(path.as_bytes())),
            size: 1,
            changes: vec![Change::Put { path, node }],
        }
    }

    #[test]
    fn what_a_layer_holds_has_no_times() {
        let key = |mtime, mode, path| Key::of_layer(&index(mtime, mode, path));
        assert_eq!(key(0, 0o644, "a"), key(9, 0o644, "a"));
        assert_ne!(key(0, 0o644, "a"), key(0, 0o600, "a"));
        assert_ne!(key(0, 0o644, "a"), key(0, 0o644, "b"));
        let removed = |change| {
            let path = TreePath::new("a").unwrap();
            let change = if change { Change::Remove { path } } else { Change::Clear { path } };
            Key::of_layer(&LayerIndex { changes: vec![change], ..index(0, 0, "a") })
        };
        assert_ne!(removed(true), removed(false));
    }

    #[test]
    fn a_node_to_the_byte() {
        let metadata = Metadata {
            mode: 0o4755,
            uid: 1,
            gid: 2,
            mtime: 99,
            xattrs: [(b"user.a"[..].into(), b"v"[..].into())].into(),
        };
        let link = Node { metadata: metadata.clone(), kind: Kind::Symlink { target: b"t"[..].into() } };
        let mut expected = b"l\xff\xff\xff\xff\x01\0\0\0\x02\0\0\0".to_vec();
        expected.extend(b"\x01\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0user.a\x01\0\0\0\0\0\0\0v");
        expected.extend(b"\x01\0\0\0\0\0\0\0t");
        assert_eq!(node_bytes(&link, true), expected);
        let device = Node { metadata: Metadata::default(), kind: Kind::CharDevice { major: 1, minor: 3 } };
        let mut expected = b"c".to_vec();
        expected.extend([0; 12 + 8]);
        expected.extend(b"\x01\0\0\0\x03\0\0\0");
        assert_eq!(node_bytes(&device, true), expected);
        let file = Node { metadata, kind: Kind::File { size: 3, content: ContentHash([7; 32]) } };
        assert_eq!(node_bytes(&file, true)[1..5], 0o4755u32.to_le_bytes());
        assert_eq!(node_bytes(&file, false)[1..5], [0xff; 4]);
        assert!(node_bytes(&file, true).ends_with(&[7; 32]));
    }
}
