//! PAX records: what does not fit into a tar header ([pax(1)], "pax Extended Header").
//!
//! Keys that are understood: the standard ones that a layer has a use for, extended attributes as star and
//! GNU tar (`SCHILY.xattr.`) and as libarchive (`LIBARCHIVE.xattr.`) write them, and GNU tar's sparse files.
//! What a *global* header says is ignored, as every container runtime does.
//!
//! [pax(1)]: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html

use std::collections::BTreeMap;

use crate::sparse::Extent;
use crate::windows;

/// What the extended header of one entry says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pax {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) mtime: Option<i64>,
    pub(crate) xattrs: BTreeMap<Box<[u8]>, Box<[u8]>>,
    pub(crate) sparse: Sparse,
    /// It has attributes of Windows.
    pub(crate) is_for_windows: bool,
}

/// GNU tar's records about sparse files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sparse {
    /// Version 1.0: the map is in front of the data.
    pub(crate) map_in_data: bool,
    /// Version 0.0 and 0.1: the map itself.
    pub(crate) map: Option<Vec<Extent>>,
    /// The file's name; the entry's is made up.
    pub(crate) name: Option<Vec<u8>>,
    /// The file's length; the entry's is that of the data.
    pub(crate) size: Option<u64>,
}

/// What is wrong with a record, in words.
type Fault = String;

impl Pax {
    /// Reads the contents of an extended header.
    pub(crate) fn parse(mut records: &[u8]) -> Result<Self, Fault> {
        let mut pax = Pax::default();
        // Libarchive writes attributes twice, once in star's way, which is the plainer one.
        let mut libarchive = BTreeMap::new();
        let (mut major, mut minor, mut offset) = (None, None, None);
        while !records.is_empty() {
            let (key, value, rest) = split(records).ok_or("malformed pax record")?;
            records = rest;
            let fault = || format!("pax record {:?} has no meaning", String::from_utf8_lossy(key));
            let number = || decimal::<u64>(value).ok_or_else(fault);
            if value.is_empty() && !key.starts_with(b"SCHILY.xattr.") {
                // "No value" takes back what a global header says.
                continue;
            }
            match key {
                b"path" => pax.path = Some(value.into()),
                b"linkpath" => pax.link = Some(value.into()),
                b"size" => pax.size = Some(number()?),
                b"uid" => pax.uid = Some(decimal(value).ok_or_else(fault)?),
                b"gid" => pax.gid = Some(decimal(value).ok_or_else(fault)?),
                b"mtime" => pax.mtime = Some(seconds(value).ok_or_else(fault)?),
                windows::ATTRIBUTES => pax.is_for_windows = true,
                b"GNU.sparse.major" => major = Some(number()?),
                b"GNU.sparse.minor" => minor = Some(number()?),
                b"GNU.sparse.name" => pax.sparse.name = Some(value.into()),
                b"GNU.sparse.size" | b"GNU.sparse.realsize" => pax.sparse.size = Some(number()?),
                b"GNU.sparse.map" => pax.sparse.map = Some(map(value).ok_or_else(fault)?),
                b"GNU.sparse.offset" => offset = Some(number()?),
                b"GNU.sparse.numbytes" => {
                    let extent = Extent { offset: offset.take().ok_or_else(fault)?, length: number()? };
                    pax.sparse.map.get_or_insert_default().push(extent);
                }
                b"GNU.sparse.numblocks" => drop(pax.sparse.map.get_or_insert_default()),
                _ => {
                    if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                        pax.xattrs.insert(xattr_name(name).ok_or_else(fault)?, value.into());
                    } else if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
                        let name = percent_decoded(name).as_deref().and_then(xattr_name);
                        let value = base64_decoded(value);
                        libarchive.insert(name.ok_or_else(fault)?, value.ok_or_else(fault)?.into());
                    }
                }
            }
        }
        pax.sparse.map_in_data = match (major, minor) {
            (Some(1), Some(0)) => true,
            (None, None) | (Some(0), Some(0 | 1)) => false,
            _ => return Err("unknown version of GNU sparse file".to_owned()),
        };
        for (name, value) in libarchive {
            pax.xattrs.entry(name).or_insert(value);
        }
        Ok(pax)
    }
}

/// Adds one record.
pub(crate) fn append(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    // The length counts its own digits.
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(length.to_string().as_bytes());
    records.push(b' ');
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

/// The first record's key and value, and what follows it.
fn split(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let digits = records.iter().position(|&byte| byte == b' ')?;
    let length: usize = decimal(&records[..digits])?;
    let record = records.get(digits + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|&byte| byte == b'=')?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    (!key.is_empty() && !key.contains(&0)).then_some((key, value, &records[length..]))
}

/// A number in decimal, of digits alone.
pub(crate) fn decimal<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A time in decimal with a sign and a fraction, rounded down to seconds.
fn seconds(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let mut parts = digits.splitn(2, |&byte| byte == b'.');
    let whole: i64 = decimal(parts.next()?)?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    match (negative, fraction.iter().all(|&digit| digit == b'0')) {
        (false, _) => Some(whole),
        (true, true) => Some(-whole),
        (true, false) => Some(-whole - 1),
    }
}

/// The map of version 0.1: offsets and lengths with commas between.
fn map(text: &[u8]) -> Option<Vec<Extent>> {
    let numbers: Vec<u64> = text.split(|&byte| byte == b',').map(decimal).collect::<Option<Vec<u64>>>()?;
    let pairs = numbers.chunks_exact(2);
    pairs
        .remainder()
        .is_empty()
        .then(|| pairs.map(|pair| Extent { offset: pair[0], length: pair[1] }).collect())
}

/// The name if it can be one (xattr(7)).
fn xattr_name(name: &[u8]) -> Option<Box<[u8]>> {
    (!name.is_empty() && name.len() <= 255 && !name.contains(&0)).then(|| name.into())
}

fn percent_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            out.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            out.push(byte);
        }
    }
    Some(out)
}

/// Base 64 of RFC 4648, padded or (as libarchive writes it) not.
fn base64_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_suffix(b"==").or(text.strip_suffix(b"=")).unwrap_or(text);
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut bits, mut count) = (0u32, 0);
    for &byte in text {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(pairs: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (key, value) in pairs {
            append(&mut out, key.as_bytes(), value.as_bytes());
        }
        out
    }

    #[test]
    fn a_records_length_counts_itself() {
        for length in (0..30).chain(80..130).chain(980..1010) {
            let mut record = Vec::new();
            append(&mut record, b"k", &vec![b'v'; length]);
            let digits = record.iter().position(|&byte| byte == b' ').unwrap();
            assert_eq!(decimal(&record[..digits]), Some(record.len()));
            let (key, value, rest) = split(&record).unwrap();
            assert_eq!((key, value.len(), rest), (&b"k"[..], length, &b""[..]));
        }
    }

    #[test]
    fn what_is_understood() {
        let pax = Pax::parse(&records(&[
            ("path", "a\nb=c"),
            ("linkpath", "d"),
            ("size", "9000000000"),
            ("uid", "4294967295"),
            ("gid", ""),
            ("mtime", "-1.5"),
            ("comment", "ignored"),
            ("SCHILY.xattr.user.a", "1\n2"),
            ("SCHILY.xattr.user.empty", ""),
            ("LIBARCHIVE.xattr.user.a", "bm90IHRoaXM"),
            ("LIBARCHIVE.xattr.user.b%20c", "dGhpcw=="),
        ]))
        .unwrap();
        assert_eq!(pax.path.as_deref(), Some(&b"a\nb=c"[..]));
        assert_eq!((pax.size, pax.uid, pax.gid), (Some(9_000_000_000), Some(u32::MAX), None));
        assert_eq!(pax.mtime, Some(-2));
        let xattrs: Vec<(&[u8], &[u8])> =
            pax.xattrs.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(xattrs, [(&b"user.a"[..], &b"1\n2"[..]), (b"user.b c", b"this"), (b"user.empty", b"")]);
    }

    #[test]
    fn sparse_files() {
        let map = Some(vec![Extent { offset: 0, length: 5 }, Extent { offset: 10, length: 7 }]);
        let old = records(&[
            ("GNU.sparse.size", "20"),
            ("GNU.sparse.numblocks", "2"),
            ("GNU.sparse.offset", "0"),
            ("GNU.sparse.numbytes", "5"),
            ("GNU.sparse.offset", "10"),
            ("GNU.sparse.numbytes", "7"),
        ]);
        assert_eq!(Pax::parse(&old).unwrap().sparse.map, map);
        let newer =
            Pax::parse(&records(&[("GNU.sparse.map", "0,5,10,7"), ("GNU.sparse.name", "x")])).unwrap();
        assert_eq!((newer.sparse.map, newer.sparse.name.as_deref()), (map, Some(&b"x"[..])));
        let newest = records(&[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0")]);
        assert!(Pax::parse(&newest).unwrap().sparse.map_in_data);
    }

    #[test]
    fn what_is_refused() {
        for (bad, fault) in [
            (&b"x"[..], "malformed"),
            (b"99 path=a\n", "malformed"),
            (b"9 path=ab\n", "malformed"),
            (b"+9 path=a\n", "malformed"),
            (b"3 \n", "malformed"),
            (b"5 =a\n", "malformed"),
            (b"4\n=a\n", "malformed"),
            (b"99999999999999999999 path=a\n", "malformed"),
            (&records(&[("size", "-1")]), "size"),
            (&records(&[("uid", "4294967296")]), "uid"),
            (&records(&[("mtime", "soon")]), "mtime"),
            (&records(&[("mtime", "1.-5")]), "mtime"),
            (&records(&[("GNU.sparse.map", "1")]), "map"),
            (&records(&[("GNU.sparse.numbytes", "1")]), "numbytes"),
            (&records(&[("GNU.sparse.major", "2")]), "version"),
            (&records(&[("SCHILY.xattr.", "1")]), "xattr"),
            (&records(&[("LIBARCHIVE.xattr.a%4", "AA")]), "xattr"),
            (&records(&[("LIBARCHIVE.xattr.a", "!")]), "xattr"),
        ] {
            let error = Pax::parse(bad).unwrap_err();
            assert!(error.contains(fault), "{}: {error}", bad.escape_ascii());
        }
    }
}
