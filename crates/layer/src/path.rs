//! Paths inside a tree: never on the host, never outside the root.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A path below the root of a tree: bytes, without a leading slash, with no empty, `.` or `..` part.
/// The root itself is the empty path.
///
/// Paths are ordered part by part, so that a directory comes right before everything below it.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct TreePath(Box<[u8]>);

/// Why some bytes are no path inside a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A part is `..`.
    #[error("path {0:?} leads outside with '..'")]
    Parent(String),
    /// A byte is NUL, which no filesystem can hold.
    #[error("path {0:?} has a NUL byte")]
    Nul(String),
    /// Longer than `PATH_MAX`, or a part longer than `NAME_MAX`.
    #[error("path {0:?}… is too long")]
    TooLong(String),
}

/// `PATH_MAX` of Linux, less the NUL.
const PATH_MAX: usize = 4095;
/// `NAME_MAX` of Linux.
const NAME_MAX: usize = 255;
/// What is compared at once.
const STRIDE: usize = 16;

impl TreePath {
    /// The root.
    #[must_use]
    pub fn root() -> Self {
        TreePath::default()
    }

    /// A path as a tar or an index has it: leading and doubled slashes and `.` parts mean nothing, and
    /// `..` is refused.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let bytes = bytes.as_ref();
        let shown = || String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        if bytes.contains(&0) {
            return Err(PathError::Nul(shown()));
        }
        let mut out = Vec::with_capacity(bytes.len());
        for part in bytes.split(|&byte| byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => return Err(PathError::Parent(shown())),
                part => {
                    if part.len() > NAME_MAX {
                        return Err(PathError::TooLong(shown()));
                    }
                    if !out.is_empty() {
                        out.push(b'/');
                    }
                    out.extend_from_slice(part);
                }
            }
        }
        if out.len() > PATH_MAX {
            return Err(PathError::TooLong(shown()));
        }
        Ok(TreePath(out.into()))
    }

    /// A path as a user writes it: cleaned by its text alone, `..` at the root staying there, relative to
    /// `self` unless it starts with a slash.
    pub fn join_clean(&self, text: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let text = text.as_ref();
        let mut parts: Vec<&[u8]> =
            if text.first() == Some(&b'/') { Vec::new() } else { self.parts().collect() };
        for part in text.split(|&byte| byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        TreePath::new(parts.join(&b'/'))
    }

    /// The path of `name` in this directory. `name` is one part, as a directory lists it.
    #[must_use]
    pub fn child(&self, name: &[u8]) -> Self {
        let mut out = Vec::with_capacity(self.0.len() + 1 + name.len());
        out.extend_from_slice(&self.0);
        if !out.is_empty() {
            out.push(b'/');
        }
        out.extend_from_slice(name);
        TreePath(out.into())
    }

    /// The path of `below`, taken as relative to this directory.
    #[must_use]
    pub fn join(&self, below: &TreePath) -> Self {
        if below.is_root() { self.clone() } else { self.child(&below.0) }
    }

    /// The directory it is in; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        Some(TreePath(self.0[..end].into()))
    }

    /// The last part; empty for the root.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.0.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
    }

    /// The parts, from the root down.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&byte| byte == b'/').filter(|part| !part.is_empty())
    }

    /// The directories above it, from the root (included) down to its parent.
    #[must_use]
    pub fn ancestors(&self) -> Vec<Self> {
        let mut all: Vec<Self> = std::iter::successors(self.parent(), TreePath::parent).collect();
        all.reverse();
        all
    }

    /// True if this is `above` or lies below it.
    #[must_use]
    pub fn is_within(&self, above: &TreePath) -> bool {
        above.is_root()
            || self.0.strip_prefix(&above.0[..]).is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
    }

    /// The rest of the path below `above`.
    #[must_use]
    pub fn relative_to(&self, above: &TreePath) -> Option<Self> {
        if above.is_root() {
            return Some(self.clone());
        }
        match self.0.strip_prefix(&above.0[..])? {
            [] => Some(TreePath::root()),
            [b'/', rest @ ..] => Some(TreePath(rest.into())),
            _ => None,
        }
    }

    /// True for the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes, without a leading slash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The least path that comes after this one and everything below it.
    pub(crate) fn after_everything_below(&self) -> Self {
        // One is the least byte that a name can have, and the slash sorts before it.
        TreePath([&self.0, &b"\x01"[..]].concat().into())
    }

    /// The path relative to the root directory, for system calls on a descriptor of it; `.` for the root.
    #[must_use]
    pub fn as_relative(&self) -> &Path {
        Path::new(OsStr::from_bytes(if self.is_root() { b"." } else { &self.0 }))
    }
}

impl Ord for TreePath {
    fn cmp(&self, other: &Self) -> Ordering {
        // A slash sorts before every other byte, which is what comparing part by part comes to.
        let rank = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
        let alike = alike(&self.0, &other.0);
        self.0.get(alike).map(rank).cmp(&other.0.get(alike).map(rank))
    }
}

/// The number of bytes with which both begin. Paths that are compared mostly begin alike, so it goes in strides.
fn alike(ours: &[u8], theirs: &[u8]) -> usize {
    let word = |bytes: &[u8]| bytes.try_into().map(u128::from_le_bytes);
    let mut alike = 0;
    for (our, their) in ours.chunks_exact(STRIDE).zip(theirs.chunks_exact(STRIDE)) {
        let (Ok(our), Ok(their)) = (word(our), word(their)) else { break };
        if our != their {
            return alike + (our ^ their).trailing_zeros() as usize / 8;
        }
        alike += STRIDE;
    }
    let rest = ours[alike..].iter().zip(&theirs[alike..]);
    alike + rest.take_while(|(our, their)| our == their).count()
}

impl PartialOrd for TreePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// With a leading slash, as people write it; bytes that are no UTF-8 and control characters are escaped.
impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("/")?;
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                if character.is_control() {
                    write!(f, "{}", character.escape_default())?
                } else {
                    write!(f, "{character}")?
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::new(text).unwrap()
    }

    #[test]
    fn normal_form() {
        for (text, normal) in
            [("/a//b/./c/", "/a/b/c"), (".", "/"), ("", "/"), ("./a", "/a"), ("a\nb", "/a\\nb")]
        {
            assert_eq!(path(text).to_string(), normal);
        }
        for bad in ["..", "a/../b", "/a/..", "a\0b"] {
            assert!(TreePath::new(bad).is_err(), "{bad:?}");
        }
        assert!(TreePath::new("a".repeat(256)).is_err());
        assert!(TreePath::new("a/".repeat(3000)).is_err());
    }

    #[test]
    fn joins() {
        for (from, text, result) in [
            ("/w", "x", "/w/x"),
            ("/w", "/x", "/x"),
            ("/w", "../../x/..", "/"),
            ("/w", ".", "/w"),
            ("/", "..", "/"),
        ] {
            assert_eq!(path(from).join_clean(text).unwrap().to_string(), result);
        }
    }

    #[test]
    fn order_keeps_a_directory_with_its_contents() {
        let mut paths = [path("a-b"), path("a/c"), path("a"), path("a.b"), path("a/b"), path("b")];
        paths.sort();
        let shown: Vec<String> = paths.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["/a", "/a/b", "/a/c", "/a-b", "/a.b", "/b"]);
    }

    #[test]
    fn order_is_part_by_part() {
        let names: Vec<TreePath> =
            ["a", "a/b", "a/b/c", "a-b", "a-b/c", "a\u{1}", "a\u{1}/b", "é", "ab", "b"]
                .iter()
                .flat_map(|text| [path(text), path(&format!("a/directory/with/a/long/name/{text}"))])
                .collect();
        for one in &names {
            for two in &names {
                assert_eq!(one.cmp(two), one.parts().cmp(two.parts()), "{one} and {two}");
                let after = one.after_everything_below();
                assert_eq!(*two < after, one >= two || two.is_within(one), "{two} and what is after {one}");
            }
        }
    }

    #[test]
    fn relations() {
        assert_eq!(path("a/b").parent().unwrap(), path("a"));
        assert_eq!(path("a").parent().unwrap(), TreePath::root());
        assert_eq!(path("a/b/c").ancestors(), [path(""), path("a"), path("a/b")]);
        assert_eq!(path("a/b/c").relative_to(&path("a")).unwrap(), path("b/c"));
        assert!(path("ab").relative_to(&path("a")).is_none());
        for (one, two, within) in [("a/b", "a", true), ("a", "a", true), ("ab", "a", false), ("a", "", true)]
        {
            assert_eq!(path(one).is_within(&path(two)), within, "{one} in {two}");
        }
        assert_eq!(path("a/b").name(), b"b");
    }
}
