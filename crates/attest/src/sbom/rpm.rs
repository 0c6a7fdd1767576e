//! rpm's database, as an SQLite database, which it is since rpm 4.16: a row with a header for each package.
//!
//! A header is a list of tags, each of which says where in the data behind the list its values are (rpm's
//! [manual](https://rpm.org/docs/latest/manual/hregions.html)). Berkeley DB and ndb, which older systems and SUSE's
//! have, are other formats, and not read.

use std::io::{self, Read, Seek};

use super::Package;
use super::sqlite::{Database, Value};

const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const VENDOR: u32 = 1011;
const LICENSE: u32 = 1014;
const ARCH: u32 = 1022;
const SOURCE: u32 = 1044;

const INT32: u32 = 4;
const STRING: u32 = 6;
const I18N_STRING: u32 = 9;

/// The packages of a database.
pub(crate) fn packages(file: impl Read + Seek) -> io::Result<Vec<Package>> {
    let mut found = Vec::new();
    let mut database = Database::open(file)?;
    let is_rpms = database.each_row("Packages", &mut |row| {
        if let Some(Value::Blob(header)) = row.get(1) {
            // Keys to verify packages with are listed among them.
            found.extend(package(header).filter(|package| package.name != "gpg-pubkey"));
        }
        Ok(())
    })?;
    match is_rpms {
        true => Ok(found),
        false => Err(io::Error::new(io::ErrorKind::InvalidData, "it has no table of packages")),
    }
}

/// What a header says; `None` if it is damaged.
fn package(header: &[u8]) -> Option<Package> {
    let number = |at: usize| Some(u32::from_be_bytes(header.get(at..at.checked_add(4)?)?.try_into().ok()?));
    let count = usize::try_from(number(0)?).ok()?;
    let entries = header.get(8..8usize.checked_add(count.checked_mul(16)?)?)?;
    let data = header.get(8 + entries.len()..)?;
    let text = |offset: usize| {
        let bytes = data.get(offset..)?;
        let end = bytes.iter().position(|&byte| byte == 0)?;
        Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
    };
    let mut package = Package::new("rpm", "", "");
    let (mut release, mut epoch, mut arch) = (String::new(), String::new(), String::new());
    for entry in entries.chunks_exact(16) {
        let word = |index: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| entry[4 * index + byte]));
        let (tag, kind, offset) = (word(0), word(1), usize::try_from(word(2)).ok()?);
        let field = match tag {
            NAME => &mut package.name,
            VERSION => &mut package.version,
            RELEASE => &mut release,
            VENDOR => &mut package.maintainer,
            LICENSE => &mut package.license,
            ARCH => &mut arch,
            SOURCE => &mut package.source,
            EPOCH if kind == INT32 => {
                let bytes = data.get(offset..offset.checked_add(4)?)?;
                epoch = u32::from_be_bytes(bytes.try_into().ok()?).to_string();
                continue;
            }
            _ => continue,
        };
        if matches!(kind, STRING | I18N_STRING) {
            *field = text(offset)?;
        }
    }
    package.version = format!("{}-{release}", package.version);
    package.qualifiers = vec![("arch", arch), ("epoch", epoch)];
    Some(package).filter(|package| !package.name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of these texts, and an epoch.
    fn header(texts: &[(u32, &str)], epoch: u32) -> Vec<u8> {
        let (mut entries, mut data) = (Vec::new(), Vec::new());
        let mut entry = |tag: u32, kind: u32, offset: usize| {
            for word in [tag, kind, offset as u32, 1] {
                entries.extend(word.to_be_bytes());
            }
        };
        entry(EPOCH, INT32, 0);
        data.extend(epoch.to_be_bytes());
        for (tag, text) in texts {
            entry(*tag, STRING, data.len());
            data.extend(text.as_bytes());
            data.push(0);
        }
        let mut header = Vec::new();
        header.extend((entries.len() as u32 / 16).to_be_bytes());
        header.extend((data.len() as u32).to_be_bytes());
        [header, entries, data].concat()
    }

    #[test]
    fn headers() {
        let texts = [
            (NAME, "bash"),
            (VERSION, "5.2"),
            (RELEASE, "1.fc40"),
            (ARCH, "x86_64"),
            (LICENSE, "GPL"),
            (VENDOR, "F"),
        ];
        let bytes = header(&texts, 2);
        let found = package(&bytes).unwrap();
        assert_eq!(found.purl(), "pkg:rpm/bash@5.2-1.fc40?arch=x86_64&epoch=2");
        assert_eq!((found.license.as_str(), found.maintainer.as_str()), ("GPL", "F"));
        assert_eq!(package(&header(&[(VERSION, "1")], 0)), None);
        for end in 0..bytes.len() {
            package(&bytes[..end]);
        }
        assert_eq!(package(&[0xff; 64]), None);
    }
}
