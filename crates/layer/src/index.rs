//! The file form of an index: small enough to be kept and shipped beside its layer.
//!
//! Lines of JSON, compressed with zstd. The first line is
//!
//! ```json
//! {"bako-index":1,"diff_id":"sha256:…","size":10240,"entries":3}
//! ```
//!
//! and then there is one line for each entry, in the order of the layer:
//!
//! ```json
//! {"t":"d","p":"etc","m":493}
//! {"t":"f","p":"etc/hosts","m":420,"w":1700000000,"s":12,"h":"af13…"}
//! {"t":"h","p":"etc/hosts2","l":"etc/hosts"}
//! ```
//!
//! | key | meaning |
//! |---|---|
//! | `t` | `d` directory, `f` file, `l` symbolic link, `c` character device, `b` block device, `p` named pipe; `h` hard link; `-` whiteout, `!` opaque whiteout |
//! | `p` | path, without a leading slash |
//! | `m`, `u`, `g`, `w` | mode, owner, group, and when it was modified (seconds since 1970); 0 if left out |
//! | `x` | extended attributes, names and values |
//! | `s`, `h` | size of a file, and BLAKE3 of what it holds |
//! | `l` | text of a symbolic link; target of a hard link |
//! | `d` | major and minor number of a device |
//!
//! Paths, links and attributes need not be UTF-8. In the strings that hold them a backslash is written as
//! two, and a byte that belongs to no character as `\x` and two hex digits (before what JSON itself does to
//! backslashes).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};

use oci::DiffId;
use serde::{Deserialize, Serialize};

use crate::{Change, ContentHash, Kind, LayerIndex, Metadata, Node, TreePath};

/// Why some bytes are no index that can be used; whoever meets it makes the index anew from the layer.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The source of the bytes failed, or they cannot be decompressed.
    #[error("cannot read layer index")]
    Read(#[from] io::Error),
    /// Written in a form that is not known here.
    #[error("layer index is of version {0}, which is not known here")]
    Version(u64),
    /// Not what an index looks like.
    #[error("layer index, line {line}: {fault}")]
    Malformed {
        /// The line, counted from one.
        line: u64,
        /// What is wrong with it.
        fault: String,
    },
}

/// The version that is written, and the only one that is read.
const VERSION: u64 = 1;
/// A line with the longest path, the longest link and a mebibyte of attributes, all of it escaped, is shorter.
const LINE_MAX: u64 = 8 << 20;
/// An index holds little that is worth more effort.
const LEVEL: i32 = 3;

#[derive(Serialize, Deserialize)]
struct Header {
    #[serde(rename = "bako-index")]
    version: u64,
    diff_id: DiffId,
    size: u64,
    entries: u64,
}

/// The part of a header that every version will have.
#[derive(Deserialize)]
struct AnyHeader {
    #[serde(rename = "bako-index")]
    version: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    t: char,
    #[serde(borrow)]
    p: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "is_zero")]
    m: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    u: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    g: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    w: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    s: u64,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    h: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    l: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    d: Option<(u32, u32)>,
    #[serde(borrow, default, skip_serializing_if = "BTreeMap::is_empty")]
    x: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl LayerIndex {
    /// Writes the file form. The same index gives the same bytes.
    pub fn encode(&self, destination: impl Write) -> io::Result<()> {
        let mut out = BufWriter::with_capacity(1 << 16, zstd::Encoder::new(destination, LEVEL)?);
        let header = Header {
            version: VERSION,
            diff_id: self.diff_id,
            size: self.size,
            entries: self.changes.len() as u64,
        };
        serde_json::to_writer(&mut out, &header)?;
        for change in &self.changes {
            out.write_all(b"\n")?;
            serde_json::to_writer(&mut out, &Line::of(change))?;
        }
        out.write_all(b"\n")?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.finish()?.flush()
    }

    /// Of which layer the file form says that it is, without reading further.
    pub fn decode_diff_id(source: impl Read) -> Result<DiffId, IndexError> {
        let mut source = BufReader::with_capacity(1 << 12, zstd::Decoder::new(source)?);
        Ok(read_header(&mut source, &mut Vec::new())?.diff_id)
    }

    /// Reads the file form.
    pub fn decode(source: impl Read) -> Result<Self, IndexError> {
        let mut source = BufReader::with_capacity(1 << 16, zstd::Decoder::new(source)?);
        let mut text = Vec::new();
        let Header { diff_id, size, entries, .. } = read_header(&mut source, &mut text)?;
        let mut changes = Vec::new();
        for number in 2..entries.saturating_add(2) {
            read_line(&mut source, number, &mut text)?;
            let line: Line<'_> =
                serde_json::from_slice(&text).map_err(|error| malformed(number, &error.to_string()))?;
            changes.push(line.change().map_err(|fault| malformed(number, &fault))?);
        }
        if !source.fill_buf()?.is_empty() {
            return Err(malformed(entries.saturating_add(2), "there are more lines than the header says"));
        }
        Ok(LayerIndex { diff_id, size, changes })
    }
}

fn malformed(line: u64, fault: &str) -> IndexError {
    IndexError::Malformed { line, fault: fault.to_owned() }
}

fn read_header(source: &mut impl BufRead, text: &mut Vec<u8>) -> Result<Header, IndexError> {
    read_line(source, 1, text)?;
    let AnyHeader { version } =
        serde_json::from_slice(text).map_err(|_| malformed(1, "not the header of an index"))?;
    if version != VERSION {
        return Err(IndexError::Version(version));
    }
    serde_json::from_slice(text).map_err(|error| malformed(1, &error.to_string()))
}

fn read_line(source: &mut impl BufRead, number: u64, line: &mut Vec<u8>) -> Result<(), IndexError> {
    line.clear();
    source.take(LINE_MAX).read_until(b'\n', line)?;
    if line.pop() == Some(b'\n') {
        return Ok(());
    }
    let fault = "it is missing, cut off or too long".to_owned();
    Err(IndexError::Malformed { line: number, fault })
}

impl<'a> Line<'a> {
    fn of(change: &'a Change) -> Self {
        let mut line = Line {
            t: '-',
            p: escape(change.path().as_bytes()),
            m: 0,
            u: 0,
            g: 0,
            w: 0,
            s: 0,
            h: None,
            l: None,
            d: None,
            x: BTreeMap::new(),
        };
        match change {
            Change::Put { node: Node { metadata, kind }, .. } => {
                (line.m, line.u, line.g, line.w) =
                    (metadata.mode, metadata.uid, metadata.gid, metadata.mtime);
                line.x = metadata.xattrs.iter().map(|(name, value)| (escape(name), escape(value))).collect();
                match *kind {
                    Kind::Directory => line.t = 'd',
                    Kind::File { size, content } => {
                        line.t = 'f';
                        line.s = size;
                        line.h = Some(content.to_string().into());
                    }
                    Kind::Symlink { ref target } => {
                        line.t = 'l';
                        line.l = Some(escape(target));
                    }
                    Kind::CharDevice { major, minor } => {
                        line.t = 'c';
                        line.d = Some((major, minor));
                    }
                    Kind::BlockDevice { major, minor } => {
                        line.t = 'b';
                        line.d = Some((major, minor));
                    }
                    Kind::Fifo => line.t = 'p',
                }
            }
            Change::Link { target, .. } => {
                line.t = 'h';
                line.l = Some(escape(target.as_bytes()));
            }
            Change::Remove { .. } => {}
            Change::Clear { .. } => line.t = '!',
        }
        line
    }

    fn change(self) -> Result<Change, String> {
        let path = |text: &str| TreePath::new(unescape(text)?).map_err(|error| error.to_string());
        let at = path(&self.p)?;
        let link = || self.l.as_deref().ok_or("a link without l");
        let device = || self.d.ok_or("a device without d");
        let kind = match self.t {
            'd' => Kind::Directory,
            'f' => {
                let hash = self.h.as_deref().and_then(hash).ok_or("a file without h, or with a bad one")?;
                Kind::File { size: self.s, content: hash }
            }
            'l' => Kind::Symlink { target: unescape(link()?)?.into() },
            'c' => device().map(|(major, minor)| Kind::CharDevice { major, minor })?,
            'b' => device().map(|(major, minor)| Kind::BlockDevice { major, minor })?,
            'p' => Kind::Fifo,
            'h' => return Ok(Change::Link { path: at, target: path(link()?)? }),
            '-' => return Ok(Change::Remove { path: at }),
            '!' => return Ok(Change::Clear { path: at }),
            unknown => return Err(format!("entries of type {unknown:?} are not known here")),
        };
        let xattrs = self
            .x
            .iter()
            .map(|(name, value)| Ok((unescape(name)?.into(), unescape(value)?.into())))
            .collect::<Result<_, String>>()?;
        let metadata = Metadata { mode: self.m, uid: self.u, gid: self.g, mtime: self.w, xattrs };
        Ok(Change::Put { path: at, node: Node { metadata, kind } })
    }
}

/// Bytes as text, without loss.
fn escape(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\\') => text.into(),
        _ => {
            let mut out = String::with_capacity(bytes.len() + 8);
            for chunk in bytes.utf8_chunks() {
                out.push_str(&chunk.valid().replace('\\', r"\\"));
                for byte in chunk.invalid() {
                    out.push_str(&format!(r"\x{byte:02x}"));
                }
            }
            out.into()
        }
    }
}

/// The bytes that [`escape`] made the text from.
fn unescape(text: &str) -> Result<Cow<'_, [u8]>, String> {
    let bad = || format!("bad escape in {text:?}");
    if !text.contains('\\') {
        return Ok(text.as_bytes().into());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        match rest {
            [] => return Ok(out.into()),
            [b'\\', b'\\', after @ ..] => {
                out.push(b'\\');
                rest = after;
            }
            [b'\\', b'x', high, low, after @ ..] => {
                out.push(digit(*high).ok_or_else(bad)? << 4 | digit(*low).ok_or_else(bad)?);
                rest = after;
            }
            [b'\\', ..] => return Err(bad()),
            [byte, after @ ..] => {
                out.push(*byte);
                rest = after;
            }
        }
    }
}

fn hash(text: &str) -> Option<ContentHash> {
    let text: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(ContentHash(bytes))
}

/// The value of a lower-case hex digit.
fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(text: &str) -> Vec<u8> {
        zstd::encode_all(text.as_bytes(), 1).unwrap()
    }

    fn header(entries: u64) -> String {
        format!(
            "{{\"bako-index\":1,\"diff_id\":\"sha256:{}\",\"size\":1024,\"entries\":{entries}}}\n",
            "0a".repeat(32)
        )
    }

    #[test]
    fn the_form_is_what_it_was() {
        let hash = ContentHash::of(b"bako").to_string();
        let text = header(9)
            + &format!(
                r#"{{"t":"d","p":"","m":493}}
{{"t":"f","p":"a","m":420,"u":1,"g":2,"w":-3,"s":4,"h":"{hash}","x":{{"user.a":"1\\xff\\\\"}}}}
{{"t":"l","p":"\\xff\n\"é\\\\","l":"../t"}}
{{"t":"c","p":"c","d":[1,3]}}
{{"t":"b","p":"b","d":[8,0]}}
{{"t":"p","p":"p"}}
{{"t":"h","p":"h","l":"a"}}
{{"t":"-","p":"d/gone"}}
{{"t":"!","p":"d"}}
"#
            );
        let index = LayerIndex::decode(&packed(&text)[..]).unwrap();
        assert_eq!(index.changes[2].path().as_bytes(), b"\xff\n\"\xc3\xa9\\");
        let Change::Put { node, .. } = &index.changes[1] else { panic!("it is a file") };
        assert_eq!(node.metadata.xattrs[&b"user.a"[..]], b"1\xff\\"[..].into());

        let mut encoded = Vec::new();
        index.encode(&mut encoded).unwrap();
        let decoded = zstd::decode_all(&encoded[..]).unwrap();
        assert_eq!(String::from_utf8(decoded).unwrap(), text);
    }

    #[test]
    fn other_versions_are_told_apart_from_damage() {
        let newer = packed("{\"bako-index\":2,\"anything\":\"else\"}\nat all");
        assert!(matches!(LayerIndex::decode(&newer[..]), Err(IndexError::Version(2))));
    }

    #[test]
    fn what_is_no_index() {
        for (text, at, fault) in [
            (String::new(), 1, "missing"),
            ("{}\n".to_owned(), 1, "not the header"),
            ("{\"bako-index\":1}\n".to_owned(), 1, "diff_id"),
            (header(1), 2, "missing"),
            (header(u64::MAX), 2, "missing"),
            (header(0) + "{\"t\":\"d\",\"p\":\"d\"}\n", 2, "more lines"),
            (header(1) + "{\"t\":\"d\",\"p\":\"d\"}", 2, "cut off"),
            (header(1) + "{\"t\":\"d\"}\n", 2, "`p`"),
            (header(1) + "{\"t\":\"d\",\"p\":\"d\",\"new\":1}\n", 2, "new"),
            (header(1) + "{\"t\":\"z\",\"p\":\"d\"}\n", 2, "type 'z'"),
            (header(1) + "{\"t\":\"d\",\"p\":\"../d\"}\n", 2, "'..'"),
            (header(1) + "{\"t\":\"d\",\"p\":\"d\\\\\"}\n", 2, "escape"),
            (header(1) + "{\"t\":\"d\",\"p\":\"d\\\\xg0\"}\n", 2, "escape"),
            (header(1) + "{\"t\":\"l\",\"p\":\"d\"}\n", 2, "without l"),
            (header(1) + "{\"t\":\"c\",\"p\":\"d\"}\n", 2, "without d"),
            (header(1) + "{\"t\":\"f\",\"p\":\"d\",\"h\":\"00\"}\n", 2, "without h"),
        ] {
            match LayerIndex::decode(&packed(&text)[..]) {
                Err(IndexError::Malformed { line, fault: found }) => {
                    assert!(line == at && found.contains(fault), "{text}: line {line}: {found}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
        let whole = packed(&header(0));
        assert!(LayerIndex::decode(&whole[..]).is_ok());
        for bytes in [&b"no zstd"[..], &whole[..whole.len() - 1]] {
            assert!(matches!(LayerIndex::decode(bytes), Err(IndexError::Read(_))));
        }
    }
}
