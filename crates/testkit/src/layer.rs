//! Layers for tests: a tar, written from a text with one entry on each line.
//!
//! ```text
//! /bin dir
//! /bin/tool file 4755 0:0 = #!/bin/sh\necho hello\n
//! /bin/alias symlink -> tool
//! /bin/other link -> /bin/tool
//! /dev/null char 0666 0:0 1:3
//! /var/big file * 1000000
//! /etc/.wh.passwd file
//! ```
//!
//! After the path and the type come, in any order, a mode (octal, four digits), an owner (`uid:gid`), for
//! devices a second such pair, `mtime=SECONDS`, `xattr:NAME=VALUE` and `pax:NAME=VALUE`; at the end stands
//! where a link leads (`-> TARGET`), what a file contains (`= TEXT`, with `\n`, `\t`, `\0`, `\\` and `\s`
//! for a blank) or how much of it there is (`* BYTES`). Entries are written in the order of the text.
//!
//! A path with one slash at its front is written as everybody writes it, without. Any other is written as
//! it stands (`../x`, `./x`), and `//x` becomes `/x`.

use std::io::Write;

use oci::Compression;
use tar::{EntryType, Header};

/// A tar that grows by entries.
#[derive(Debug, Default, Clone)]
pub struct Layer(Vec<u8>);

impl Layer {
    /// A layer without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the entries that a text describes.
    #[must_use]
    pub fn tree(mut self, text: &str) -> Self {
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            Entry::parse(line).write(&mut self.0);
        }
        self
    }

    /// Appends a file with a content of any kind; the line is as in a text, without the content.
    #[must_use]
    pub fn file(mut self, line: &str, content: &[u8]) -> Self {
        let mut entry = Entry::parse(line);
        entry.content = content.to_vec();
        entry.write(&mut self.0);
        self
    }

    /// Appends bytes as they are, for what no tar should have.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The whole tar, with its end.
    #[must_use]
    pub fn tar(&self) -> Vec<u8> {
        [&self.0[..], &[0; 1024]].concat()
    }

    /// The tar without its end.
    #[must_use]
    pub fn unfinished(&self) -> Vec<u8> {
        self.0.clone()
    }
}

/// Packs a tar.
#[must_use]
pub fn pack(tar: &[u8], compression: Compression) -> Vec<u8> {
    match compression {
        Compression::None => tar.to_vec(),
        Compression::Gzip => {
            let mut encoder = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::new(6));
            encoder.write_all(tar).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Zstd => zstd::encode_all(tar, 3).unwrap(),
    }
}

/// One line of a text.
struct Entry {
    path: String,
    kind: EntryType,
    mode: u32,
    owner: (u64, u64),
    device: (u32, u32),
    mtime: u64,
    link: String,
    pax: Vec<(String, Vec<u8>)>,
    content: Vec<u8>,
}

impl Entry {
    fn parse(line: &str) -> Self {
        let bad = || -> ! { panic!("not an entry of a layer: {line}") };
        let (head, tail) = [" -> ", " = ", " * "]
            .iter()
            .filter_map(|mark| Some((line.find(mark)?, *mark)))
            .min()
            .map_or((line, None), |(at, mark)| (&line[..at], Some((mark, &line[at + mark.len()..]))));
        let mut words = head.split_whitespace();
        let (Some(path), Some(kind)) = (words.next(), words.next()) else { bad() };
        let kind = match kind {
            "dir" => EntryType::Directory,
            "file" => EntryType::Regular,
            "symlink" => EntryType::Symlink,
            "link" => EntryType::Link,
            "char" => EntryType::Char,
            "block" => EntryType::Block,
            "fifo" => EntryType::Fifo,
            _ => bad(),
        };
        let mode = match kind {
            EntryType::Directory => 0o755,
            EntryType::Symlink => 0o777,
            _ => 0o644,
        };
        let mut entry = Entry {
            path: unescape(path),
            kind,
            mode,
            owner: (0, 0),
            device: (0, 0),
            mtime: 0,
            link: String::new(),
            pax: Vec::new(),
            content: Vec::new(),
        };
        let mut pairs = Vec::new();
        for word in words {
            if let Some((name, value)) = word.strip_prefix("xattr:").and_then(|word| word.split_once('=')) {
                entry.pax.push((format!("SCHILY.xattr.{name}"), unescape(value).into_bytes()));
            } else if let Some((name, value)) =
                word.strip_prefix("pax:").and_then(|word| word.split_once('='))
            {
                entry.pax.push((name.to_owned(), unescape(value).into_bytes()));
            } else if let Some(mtime) = word.strip_prefix("mtime=") {
                entry.mtime = mtime.parse().unwrap_or_else(|_| bad());
            } else if let Some((first, second)) = word.split_once(':') {
                let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| bad());
                pairs.push((number(first), number(second)));
            } else {
                entry.mode = u32::from_str_radix(word, 8).unwrap_or_else(|_| bad());
            }
        }
        match pairs[..] {
            [] => {}
            [owner] => entry.owner = owner,
            [owner, (major, minor)] => {
                entry.owner = owner;
                entry.device = (major.try_into().unwrap(), minor.try_into().unwrap());
            }
            _ => bad(),
        }
        match tail {
            None => {}
            Some((" -> ", target)) => entry.link = unescape(target),
            Some((" = ", text)) => entry.content = unescape(text).into_bytes(),
            Some((_, size)) => entry.content = noise(size.trim().parse().unwrap_or_else(|_| bad())),
        }
        entry
    }

    fn write(mut self, tar: &mut Vec<u8>) {
        let mut path = as_written(&self.path).to_owned();
        if self.kind == EntryType::Directory && !path.ends_with('/') {
            path.push('/');
        }
        let link = match self.kind {
            EntryType::Link => as_written(&self.link).to_owned(),
            _ => self.link,
        };
        // Names that do not fit a header are in a PAX record, as in the layers of all current tools.
        let mut header = Header::new_ustar();
        let fields = header.as_ustar_mut().expect("it was made one");
        for (field, name, text) in
            [(&mut fields.name, "path", path), (&mut fields.linkname, "linkpath", link)]
        {
            let length = text.len().min(100);
            field[..length].copy_from_slice(&text.as_bytes()[..length]);
            if text.len() > 100 {
                self.pax.push((name.to_owned(), text.into_bytes()));
            }
        }
        if !self.pax.is_empty() {
            let records: Vec<u8> =
                self.pax.iter().flat_map(|(name, value)| pax_record(name, value)).collect();
            let mut extension = Header::new_ustar();
            extension.set_entry_type(EntryType::XHeader);
            extension.set_path("PaxHeaders.0/entry").expect("it is a short path");
            extension.set_mode(0o644);
            write(tar, extension, &records);
        }
        header.set_entry_type(self.kind);
        header.set_mode(self.mode);
        header.set_uid(self.owner.0);
        header.set_gid(self.owner.1);
        header.set_mtime(self.mtime);
        header.set_device_major(self.device.0).expect("it is a ustar header");
        header.set_device_minor(self.device.1).expect("it is a ustar header");
        write(tar, header, &self.content);
    }
}

fn write(tar: &mut Vec<u8>, mut header: Header, content: &[u8]) {
    header.set_size(content.len() as u64);
    header.set_cksum();
    tar.extend_from_slice(header.as_bytes());
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

/// `LENGTH NAME=VALUE\n`, where the length counts itself too.
fn pax_record(name: &str, value: &[u8]) -> Vec<u8> {
    let rest = name.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [format!("{length} {name}=").as_bytes(), value, b"\n"].concat()
}

fn as_written(path: &str) -> &str {
    path.strip_prefix('/').unwrap_or(path)
}

fn unescape(text: &str) -> String {
    let mut unescaped = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        unescaped.push(match character {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('0') => '\0',
                Some('s') => ' ',
                Some('\\') => '\\',
                other => panic!("unknown escape {other:?} in {text}"),
            },
            other => other,
        });
    }
    unescaped
}

/// Bytes that do not compress, the same for the same number.
fn noise(size: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(size as u64);
    std::iter::repeat_with(|| random.u8(..)).take(size).collect()
}
