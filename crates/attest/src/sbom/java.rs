//! Packages of Java: what Maven has noted in the archives that it made, also in those within others.
//!
//! An archive is a zip file. Its directory is at its end, and it is read from front to back here; each entry has a header
//! of its own (APPNOTE.TXT of PKWARE, 4.3.7), which has all that is needed but for entries that were stored while their
//! length was not known.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::DeflateDecoder;

use super::Package;
use super::lines::each_line;

/// Archives in one another.
const NESTING: usize = 4;

/// The header of an entry, behind its signature.
struct Header {
    flags: u16,
    method: u16,
    size: u32,
    name: Vec<u8>,
}

const ENTRY: u32 = 0x0403_4b50;
const DESCRIPTOR: u32 = 0x0807_4b50;
/// The entry's length is noted behind it.
const LENGTH_BEHIND: u16 = 1 << 3;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// `.jar`, `.war`, `.ear`.
pub(crate) fn archive(reader: &mut dyn BufRead) -> io::Result<Vec<Package>> {
    let mut found = Vec::new();
    entries(reader, 0, &mut found)?;
    Ok(found)
}

/// `pom.properties`, which Maven writes into what it packs.
pub(crate) fn properties(reader: &mut dyn BufRead) -> io::Result<Vec<Package>> {
    let mut package = Package::new("maven", "", "");
    each_line(reader, |line| {
        if let Some((key, value)) = line.split_once('=') {
            let value = value.trim().to_owned();
            match key.trim() {
                "groupId" => package.namespace = value,
                "artifactId" => package.name = value,
                "version" => package.version = value,
                _ => {}
            }
        }
    })?;
    Ok(if package.name.is_empty() { Vec::new() } else { vec![package] })
}

fn entries(reader: &mut dyn BufRead, depth: usize, found: &mut Vec<Package>) -> io::Result<()> {
    if depth == NESTING {
        return Err(bad(&format!("it holds more than {NESTING} archives in one another")));
    }
    while let Some(header) = header(reader)? {
        let length_is_known = header.flags & LENGTH_BEHIND == 0;
        match header.method {
            _ if header.size == u32::MAX && length_is_known => {
                return Err(bad("an entry has more than 4 GiB, and the rest is not read"));
            }
            STORED if length_is_known => {
                let mut data = BufReader::new(reader.take(header.size.into()));
                entry(&header.name, &mut data, depth, found)?;
                io::copy(&mut data, &mut io::sink())?;
            }
            DEFLATED => {
                let mut data = BufReader::new(DeflateDecoder::new(&mut *reader));
                entry(&header.name, &mut data, depth, found)?;
                io::copy(&mut data, &mut io::sink())?;
            }
            _ if length_is_known => drop(io::copy(&mut reader.take(header.size.into()), &mut io::sink())?),
            _ => return Err(bad("an entry does not say how long it is, and the rest is not read")),
        }
        if !length_is_known && number(reader)? == DESCRIPTOR {
            reader.read_exact(&mut [0; 12])?;
        } else if !length_is_known {
            reader.read_exact(&mut [0; 8])?;
        }
    }
    Ok(())
}

fn entry(name: &[u8], data: &mut dyn BufRead, depth: usize, found: &mut Vec<Package>) -> io::Result<()> {
    if name.starts_with(b"META-INF/maven/") && name.ends_with(b"/pom.properties") {
        found.extend(properties(data)?);
    } else if is_archive(name) {
        entries(data, depth + 1, found)?;
    }
    Ok(())
}

/// True for the name of an archive of Java.
pub(crate) fn is_archive(name: &[u8]) -> bool {
    [&b".jar"[..], b".war", b".ear"].iter().any(|end| name.ends_with(end) && name.len() > end.len())
}

/// The next entry's header; none where the directory begins.
fn header(reader: &mut dyn BufRead) -> io::Result<Option<Header>> {
    if reader.fill_buf()?.is_empty() || number(reader)? != ENTRY {
        return Ok(None);
    }
    let mut fixed = [0; 26];
    reader.read_exact(&mut fixed)?;
    let short = |at: usize| u16::from_le_bytes([fixed[at], fixed[at + 1]]);
    let mut name = vec![0; short(22).into()];
    reader.read_exact(&mut name)?;
    io::copy(&mut reader.take(short(24).into()), &mut io::sink())?;
    let size = u32::from_le_bytes([fixed[14], fixed[15], fixed[16], fixed[17]]);
    Ok(Some(Header { flags: short(2), method: short(4), size, name }))
}

fn number(reader: &mut dyn BufRead) -> io::Result<u32> {
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn bad(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn deflated(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    /// One entry, packed or not, with its length before or behind it.
    fn entry(name: &str, data: &[u8], packed: bool, behind: bool) -> Vec<u8> {
        let body = if packed { deflated(data) } else { data.to_vec() };
        let size = u32::try_from(body.len()).unwrap();
        let mut out = ENTRY.to_le_bytes().to_vec();
        out.extend([20, 0]);
        out.extend((if behind { LENGTH_BEHIND } else { 0 }).to_le_bytes());
        out.extend((if packed { DEFLATED } else { STORED }).to_le_bytes());
        out.extend([0; 8]);
        out.extend((if behind { 0 } else { size }).to_le_bytes());
        out.extend([0; 4]);
        out.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        out.extend([2, 0]);
        out.extend(name.as_bytes());
        out.extend([7, 7]);
        out.extend(body);
        if behind {
            out.extend(DESCRIPTOR.to_le_bytes());
            out.extend([0; 12]);
        }
        out
    }

    const POM: &str = "META-INF/maven/org.example/a/pom.properties";

    fn pom(name: &str) -> Vec<u8> {
        format!("#Created by Maven\ngroupId=org.example\nartifactId={name}\nversion=1.0\n").into_bytes()
    }

    #[test]
    fn what_maven_has_noted() {
        let end = [0x50, 0x4b, 1, 2, 0, 0];
        let inner = [entry(POM, &pom("inner"), true, false), end.to_vec()].concat();
        for (zip, expected) in [
            (entry(POM, &pom("a"), true, true), "pkg:maven/org.example/a@1.0"),
            (entry(POM, &pom("a"), true, false), "pkg:maven/org.example/a@1.0"),
            (entry(POM, &pom("a"), false, false), "pkg:maven/org.example/a@1.0"),
            (entry("x/pom.properties", &pom("a"), true, false), ""),
            (entry("BOOT-INF/lib/inner.jar", &inner, false, false), "pkg:maven/org.example/inner@1.0"),
            (entry("WEB-INF/lib/inner.jar", &inner, true, true), "pkg:maven/org.example/inner@1.0"),
        ] {
            let zip = [entry("a.class", b"code", true, true), zip, end.to_vec()].concat();
            let found = archive(&mut &zip[..]).unwrap();
            assert_eq!(found.iter().map(Package::purl).collect::<Vec<_>>().join(" "), expected);
        }
    }

    #[test]
    fn what_is_damaged() {
        let nested = (0..6).fold(Vec::new(), |inner, _| entry("a.jar", &inner, false, false));
        let whole = entry(POM, &pom("a"), true, true);
        for (zip, message) in [
            (nested, "more than 4 archives in one another"),
            (entry("a", b"x", false, true), "does not say how long it is"),
            (whole[..whole.len() - 20].to_vec(), ""),
            (whole[..20].to_vec(), ""),
        ] {
            let error = archive(&mut &zip[..]).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        for none in [&b""[..], b"#!/bin/sh\n"] {
            assert_eq!(archive(&mut &none[..]).unwrap(), []);
        }
    }
}
