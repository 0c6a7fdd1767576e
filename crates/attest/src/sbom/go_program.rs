//! Programs of Go: the modules that they are built of, which the linker notes in them.
//!
//! The note begins at a multiple of sixteen with a sign of its own; since Go 1.18 the texts follow it ([debug/buildinfo]).
//!
//! [debug/buildinfo]: https://pkg.go.dev/debug/buildinfo

use std::io::{self, Read};

use super::Package;
use super::languages::named;

/// What the note begins with.
const SIGN: &[u8; 14] = b"\xff Go buildinf:";
/// Where notes may begin.
const ALIGNMENT: usize = 16;
/// Sign, size of a pointer, flags, and room.
const HEADER: usize = 32;
/// A flag: the texts follow.
const TEXTS_FOLLOW: u8 = 2;
/// The modules of a program; the largest have some thousands.
const LONGEST: u64 = 4 << 20;
/// What is looked at in one go.
const BUFFER: usize = 1 << 16;

/// The modules of a program, if it is one of Go.
pub(crate) fn packages(mut data: &mut dyn Read) -> io::Result<Vec<Package>> {
    let mut buffer = vec![0; BUFFER];
    let mut is_first = true;
    loop {
        let filled = fill(data, &mut buffer)?;
        if std::mem::take(&mut is_first) && !(buffer.starts_with(b"\x7fELF") || buffer.starts_with(b"MZ")) {
            return Ok(Vec::new());
        }
        let note = (0..filled).step_by(ALIGNMENT).find(|at| buffer[*at..filled].starts_with(SIGN));
        if let Some(note) = note {
            let mut rest = buffer[note..filled].chain(&mut data);
            return read(&mut rest);
        }
        if filled < buffer.len() {
            return Ok(Vec::new());
        }
    }
}

fn read(note: &mut dyn Read) -> io::Result<Vec<Package>> {
    let mut header = [0; HEADER];
    note.read_exact(&mut header)?;
    if header[15] & TEXTS_FOLLOW == 0 {
        return Err(invalid("it was linked by a Go before 1.18, whose notes are not read"));
    }
    let version = text(note)?;
    let modules = text(note)?;
    // Sixteen bytes before and behind it are for those who look for it without knowing where it is.
    let modules = modules.get(16..modules.len().saturating_sub(16)).unwrap_or_default();
    let mut found = Vec::new();
    let version = String::from_utf8_lossy(&version);
    if let Some(version) = version.split(' ').next().and_then(|version| version.strip_prefix("go")) {
        found.push(Package::new("golang", "stdlib", version));
    }
    for line in String::from_utf8_lossy(modules).lines() {
        let mut fields = line.split('\t');
        match (fields.next(), fields.next(), fields.next()) {
            (Some("mod" | "dep"), Some(module), Some(version)) => {
                // What was built where it is developed has none.
                let version = if version == "(devel)" { "" } else { version };
                found.push(named("golang", module, version));
            }
            // In place of the one before.
            (Some("=>"), Some(module), Some(version)) => {
                found.pop();
                found.push(named("golang", module, version));
            }
            _ => {}
        }
    }
    Ok(found)
}

/// A text, behind its length as Go writes such numbers: seven bits in each byte, the lowest first.
fn text(note: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut length = 0u64;
    for shift in (0..64).step_by(7) {
        let mut byte = [0];
        note.read_exact(&mut byte)?;
        length |= u64::from(byte[0] & 0x7f) << shift;
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    if length > LONGEST {
        return Err(invalid("what Go has noted in it is damaged"));
    }
    let mut text = Vec::new();
    note.take(length).read_to_end(&mut text)?;
    Ok(text)
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Reads until the buffer is full, or at the end.
fn fill(data: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match data.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program with the note at a place.
    fn program(start: &[u8], at: usize, flags: u8, modules: &str) -> Vec<u8> {
        let mut out = start.to_vec();
        out.resize(at, 1);
        out.extend(SIGN);
        out.extend([8, flags]);
        out.resize(at + HEADER, 0);
        let framed = format!("0123456789abcdef{modules}0123456789abcdef");
        for text in ["go1.22.1 X:none", &framed] {
            let mut length = text.len();
            while length > 0x7f {
                out.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
                length >>= 7;
            }
            out.push(u8::try_from(length).unwrap());
            out.extend(text.as_bytes());
        }
        out.extend([1; 100]);
        out
    }

    #[test]
    fn what_the_linker_has_noted() {
        let modules = "path\texample.org/app\nmod\texample.org/app\t(devel)\t\ndep\ta.example/b\tv1.0.0\th1:x=\n\
                       dep\tc.example/d\tv1.0.0\n=>\te.example/f\tv2.0.0\th1:y=\nbuild\tCGO_ENABLED=0\n";
        let all = "pkg:golang/stdlib@1.22.1 pkg:golang/example.org/app pkg:golang/a.example/b@v1.0.0 \
                   pkg:golang/e.example/f@v2.0.0";
        for (program, expected) in [
            (program(b"\x7fELF", 64, 2, modules), all),
            (program(b"MZ", 4096, 2, modules), all),
            // At the edge of what is looked at in one go, and beyond.
            (program(b"\x7fELF", BUFFER - ALIGNMENT, 2, modules), all),
            (program(b"\x7fELF", 3 * BUFFER, 2, modules), all),
            (program(b"\x7fELF", 65, 2, modules), ""),
            (program(b"#!/bin/sh", 64, 2, modules), ""),
            (b"\x7fELF".to_vec(), ""),
        ] {
            let found = packages(&mut &program[..]).unwrap();
            assert_eq!(found.iter().map(Package::purl).collect::<Vec<_>>().join(" "), expected);
        }
        for (program, message) in [
            (program(b"\x7fELF", 64, 0, ""), "before 1.18"),
            (program(b"\x7fELF", 64, 2, "")[..90].to_vec(), "fill whole buffer"),
            ([&program(b"\x7fELF", 64, 2, "")[..96], &[0xff; 9], &[0x7f]].concat(), "is damaged"),
        ] {
            let error = packages(&mut &program[..]).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
