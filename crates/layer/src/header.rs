//! Header blocks: the 512 bytes in front of each entry of a tar ([tar(5)]), in both directions.
//!
//! What is written is what Go's `archive/tar` writes, which most images were made with: USTAR where
//! everything fits, and PAX records for what does not and for nothing else. Numbers that do not fit are
//! zero in a header that a record corrects.
//!
//! [tar(5)]: https://man.freebsd.org/cgi/man.cgi?query=tar&sektion=5

use tar::{EntryType, Header};

use crate::windows::Extra;
use crate::{Metadata, pax};

/// The unit of a tar.
pub(crate) const BLOCK: usize = 512;
/// One of them.
pub(crate) type Block = [u8; BLOCK];

/// Records longer than this are neither written nor read; Go's limit, and so every runtime's.
pub(crate) const MAX_RECORDS: u64 = 1 << 20;

/// What a header is made from.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    /// The name, with a slash at the end for a directory.
    pub(crate) name: &'a [u8],
    /// What it is.
    pub(crate) kind: EntryType,
    /// Who owns it and so on.
    pub(crate) metadata: &'a Metadata,
    /// The text of a link, or the name that a hard link is another name of.
    pub(crate) link: &'a [u8],
    /// The length of a file.
    pub(crate) size: u64,
    /// Major and minor number of a device.
    pub(crate) device: (u32, u32),
    /// What the system needs beyond that.
    pub(crate) extra: &'a Extra,
}

/// True if the block's checksum says that it is a header. The sum of signed bytes, which some old programs
/// wrote, will do as well.
pub(crate) fn is_header(block: &Block) -> bool {
    let sums = block.iter().enumerate().fold((0i64, 0i64), |(unsigned, signed), (index, &byte)| {
        let byte = if (148..156).contains(&index) { b' ' } else { byte };
        (unsigned + i64::from(byte), signed + i64::from(byte.cast_signed()))
    });
    number(&block[148..156]).is_some_and(|sum| sum == sums.0 || sum == sums.1)
}

/// A number in a header: octal digits amid blanks, or binary as GNU tar and star write what does not fit.
pub(crate) fn number(field: &[u8]) -> Option<i64> {
    let (&first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        // Big-endian two's complement with the topmost bit spent on the mark.
        let sign = i128::from((first << 1).cast_signed() >> 1);
        let value = rest
            .iter()
            .try_fold(sign, |value, &byte| value.checked_mul(256).map(|value| value | i128::from(byte)))?;
        return value.try_into().ok();
    }
    let blank = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|byte| !blank(byte)).unwrap_or(field.len());
    let digits = &field[start..];
    let digits = &digits[..digits.iter().position(blank).unwrap_or(digits.len())];
    digits.iter().try_fold(0i64, |value, &digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(digit - b'0')),
        _ => None,
    })
}

/// The blocks in front of an entry's data. Fails, in words, on what no record can hold.
pub(crate) fn encode(fields: &Fields<'_>) -> Result<Vec<u8>, String> {
    let Fields { name, kind, metadata, link, size, device, extra } = *fields;
    let mut records: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut needs = |key: &[u8], value: &[u8]| records.push((key.into(), value.into()));
    let split = split(name);
    if split.is_none() {
        needs(b"path", name);
    }
    if !is_plain(link) || link.len() > 100 {
        needs(b"linkpath", link);
    }
    if !fits(12, size) {
        needs(b"size", size.to_string().as_bytes());
    }
    for (key, id) in [(&b"uid"[..], metadata.uid), (b"gid", metadata.gid)] {
        if !fits(8, id.into()) {
            needs(key, id.to_string().as_bytes());
        }
    }
    let mtime = u64::try_from(metadata.mtime).ok().filter(|&mtime| fits(12, mtime));
    if mtime.is_none() {
        needs(b"mtime", metadata.mtime.to_string().as_bytes());
    }
    for (key, value) in &metadata.xattrs {
        if key.is_empty() || key.contains(&b'=') || key.contains(&0) {
            return Err(format!(
                "a tar cannot hold the extended attribute {:?}",
                key.escape_ascii().to_string()
            ));
        }
        needs(&[b"SCHILY.xattr.", &key[..]].concat(), value);
    }
    for (key, value) in &extra.records {
        needs(key, value.as_bytes());
    }
    if !fits(8, device.0.into()) || !fits(8, device.1.into()) {
        return Err(format!("a tar cannot hold the device number {}:{}", device.0, device.1));
    }

    let header = |prefix: &[u8], name: &[u8], link: &[u8]| {
        let mut header = Header::new_ustar();
        let ustar = header.as_ustar_mut().expect("it was made as one");
        text(&mut ustar.prefix, prefix);
        text(&mut ustar.name, name);
        text(&mut ustar.linkname, link);
        octal(&mut ustar.mode, (metadata.mode & 0o7777 | extra.mode).into());
        octal(&mut ustar.uid, metadata.uid.into());
        octal(&mut ustar.gid, metadata.gid.into());
        octal(&mut ustar.size, size);
        octal(&mut ustar.mtime, mtime.unwrap_or(0));
        octal(&mut ustar.dev_major, device.0.into());
        octal(&mut ustar.dev_minor, device.1.into());
        seal(&mut header, kind)
    };
    if records.is_empty() {
        let (prefix, name) = split.expect("a name that cannot be split has a record");
        return Ok(header(prefix, name, link).to_vec());
    }
    if name.len() > 100 && split.is_some() {
        // Where there are records, the prefix is not used.
        records.push((b"path".to_vec(), name.to_vec()));
    }
    records.sort();
    let mut data = Vec::new();
    for (key, value) in &records {
        pax::append(&mut data, key, value);
    }
    if data.len() as u64 > MAX_RECORDS {
        return Err(format!("its name and extended attributes take {} bytes, more than 1 MiB", data.len()));
    }
    let mut out = records_header(name, data.len() as u64).to_vec();
    let padding = data.len().next_multiple_of(BLOCK) - data.len();
    out.append(&mut data);
    out.resize(out.len() + padding, 0);
    out.extend_from_slice(&header(b"", &ascii(name), &ascii(link)));
    Ok(out)
}

/// The header of the records of an entry. Only its name has to do with the entry, for those who look.
fn records_header(name: &[u8], size: u64) -> Block {
    let name = name.strip_suffix(b"/").unwrap_or(name);
    let slash = name.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    let (directory, base) = name.split_at(slash);
    let mut name = ascii(&[directory, b"PaxHeaders.0/", base].concat());
    name.truncate(100);
    while name.last() == Some(&b'/') {
        name.pop();
    }
    let mut header = Header::new_ustar();
    let ustar = header.as_ustar_mut().expect("it was made as one");
    text(&mut ustar.name, &name);
    for field in [&mut ustar.mode, &mut ustar.uid, &mut ustar.gid] {
        octal(field, 0);
    }
    for field in [&mut ustar.dev_major, &mut ustar.dev_minor] {
        octal(field, 0);
    }
    octal(&mut ustar.size, size);
    octal(&mut ustar.mtime, 0);
    seal(&mut header, EntryType::XHeader)
}

/// Sets the type and the checksum.
fn seal(header: &mut Header, kind: EntryType) -> Block {
    header.set_entry_type(kind);
    let old = header.as_old_mut();
    old.cksum = [b' '; 8];
    let sum: u64 = header.as_bytes().iter().map(|&byte| u64::from(byte)).sum();
    // Six digits, NUL, blank: as every tar has done it since the seventh edition of Unix.
    octal(&mut header.as_old_mut().cksum[..7], sum);
    *header.as_bytes()
}

/// Prefix and name of a name that a USTAR header can hold.
fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if !is_plain(name) {
        return None;
    }
    if name.len() <= 100 {
        return Some((b"", name));
    }
    // A slash at the end, or one beyond the prefix's 155 bytes, is not the one to split at.
    let reach = if name.len() > 156 { 156 } else { name.strip_suffix(b"/").unwrap_or(name).len() };
    let slash = name[..reach].iter().rposition(|&byte| byte == b'/').filter(|&slash| slash > 0)?;
    let (prefix, rest) = (&name[..slash], &name[slash + 1..]);
    (!rest.is_empty() && rest.len() <= 100 && prefix.len() <= 155).then_some((prefix, rest))
}

/// True for text that a header may hold: ASCII without NUL.
fn is_plain(text: &[u8]) -> bool {
    text.iter().all(|&byte| byte != 0 && byte.is_ascii())
}

/// What of a text a header may hold.
fn ascii(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|&byte| byte != 0 && byte.is_ascii()).collect()
}

/// True if the field can hold the number in octal digits and a NUL.
fn fits(length: u32, value: u64) -> bool {
    value >> (3 * (length - 1)) == 0
}

/// Writes the number with leading zeros and a NUL; zero if it does not fit.
fn octal(field: &mut [u8], value: u64) {
    let value = if fits(field.len() as u32, value) { value } else { 0 };
    let width = field.len() - 1;
    field[..width].copy_from_slice(format!("{value:0width$o}").as_bytes());
    field[width] = 0;
}

/// Writes what of the text fits.
fn text(field: &mut [u8], text: &[u8]) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
    // Cut right behind a slash, a file would look like a directory to a reader that ignores records.
    if text.len() > field.len() {
        for byte in field.iter_mut().rev().take_while(|byte| **byte == b'/') {
            *byte = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (field, value) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"644\0junk", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"        ", Some(0)),
            (b"77777777", Some(0o77777777)),
            (b"00a", None),
            (b"-1", None),
            (b"\x80\0\0\0\0\0\0\x02\0\0\0\0", Some(8 << 30)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
            (b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"\xff", Some(-1)),
        ] {
            assert_eq!(number(field), value, "{}", field.escape_ascii());
        }
    }

    #[test]
    fn names_are_split_as_go_splits_them() {
        let long = |slashes: &[usize], length: usize| {
            let mut name = vec![b'x'; length];
            slashes.iter().for_each(|&at| name[at] = b'/');
            name
        };
        for (name, prefix) in [
            (long(&[], 100), Some(0)),
            (long(&[], 101), None),
            (long(&[50], 101), Some(50)),
            (long(&[0], 101), None),
            (long(&[100], 101), None),
            (long(&[10, 100], 101), Some(10)),
            (long(&[155], 256), Some(155)),
            (long(&[156], 256), None),
            (long(&[154], 256), None),
            (long(&[20, 155, 255], 256), Some(155)),
        ] {
            assert_eq!(split(&name).map(|(prefix, _)| prefix.len()), prefix, "{}", name.escape_ascii());
        }
        assert_eq!(split("é".as_bytes()), None);
    }

    #[test]
    fn records_only_where_they_are_needed() {
        let plain = Metadata { mode: 0o644, uid: 0o7777777, gid: 1, mtime: 1, ..Metadata::default() };
        let xattrs = [(b"user.a"[..].into(), b"1"[..].into())].into();
        let deep = [b"d/".repeat(60), b"f".to_vec()].concat();
        for (name, metadata, link, size, keys) in [
            (&b"a"[..], plain.clone(), &b""[..], 0, &[][..]),
            (&deep, plain.clone(), b"", 0o77777777777, &[]),
            (&deep, plain.clone(), b"", 8 << 30, &["path", "size"]),
            (b"a", plain.clone(), &[b'l'; 100], 0, &[]),
            (b"a", plain.clone(), &[b'l'; 101], 0, &["linkpath"]),
            (b"a", Metadata { uid: 1 << 21, ..plain.clone() }, b"", 0, &["uid"]),
            (b"a", Metadata { mtime: -1, ..plain.clone() }, b"", 0, &["mtime"]),
            (b"a", Metadata { mtime: 1 << 33, ..plain.clone() }, b"", 0, &["mtime"]),
            ("é".as_bytes(), Metadata { xattrs, ..plain.clone() }, b"", 0, &["SCHILY.xattr.user.a", "path"]),
        ] {
            let (kind, device, extra) = (EntryType::Regular, (0, 0), &Extra::default());
            let fields = Fields { name, kind, metadata: &metadata, link, size, device, extra };
            let blocks = encode(&fields).unwrap();
            let headers = if keys.is_empty() { 1 } else { 3 };
            assert_eq!(blocks.len(), headers * BLOCK);
            for block in [&blocks[..BLOCK], &blocks[blocks.len() - BLOCK..]] {
                assert!(is_header(block.try_into().unwrap()));
            }
            let found: Vec<String> =
                String::from_utf8_lossy(&blocks[BLOCK..blocks.len().max(2 * BLOCK) - BLOCK])
                    .lines()
                    .filter_map(|line| Some(line.split_once(' ')?.1.split_once('=')?.0.to_owned()))
                    .collect();
            assert_eq!(found, keys);
        }
    }
}
