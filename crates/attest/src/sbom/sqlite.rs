//! A table of an SQLite database, row by row: as much of the
//! [file format](https://www.sqlite.org/fileformat2.html) as it takes to read one, and no SQL.

use std::io::{self, Read, Seek, SeekFrom};

/// A value of a row. Those of other types are of no use here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Blob(Vec<u8>),
    Integer(i64),
    Other,
}

/// A row with more is not read: what is kept in such databases is much smaller.
const ROW_LIMIT: u64 = 32 << 20;
/// Deeper than a table with 2^64 rows.
const DEPTH: usize = 64;
/// The root of the table that lists all tables.
const SCHEMA: u32 = 1;

pub(crate) struct Database<F> {
    file: F,
    page_size: usize,
    /// What of a page is used.
    usable: usize,
    pages: u32,
    /// Pages that were read, of which none is read twice.
    visited: u32,
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the SQLite database is damaged: {what}"))
}

impl<F: Read + Seek> Database<F> {
    pub(crate) fn open(mut file: F) -> io::Result<Self> {
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        let mut header = [0; 100];
        file.read_exact(&mut header).map_err(|_| damaged("it is too short"))?;
        if &header[..16] != b"SQLite format 3\0" {
            return Err(damaged("it is none"));
        }
        let page_size = match u16::from_be_bytes([header[16], header[17]]) {
            1 => 65_536,
            size => usize::from(size),
        };
        let usable = page_size.checked_sub(usize::from(header[20])).filter(|usable| *usable >= 480);
        let usable = usable.filter(|_| page_size.is_power_of_two() && page_size >= 512);
        let usable = usable.ok_or_else(|| damaged("its pages have a strange size"))?;
        let pages = u32::try_from(length / page_size as u64).unwrap_or(u32::MAX);
        Ok(Database { file, page_size, usable, pages, visited: 0 })
    }

    /// Gives every row of a table to `each`; false if there is no such table.
    pub(crate) fn each_row(
        &mut self,
        table: &str,
        each: &mut dyn FnMut(Vec<Value>) -> io::Result<()>,
    ) -> io::Result<bool> {
        let mut root = None;
        self.visited = 0;
        self.walk(SCHEMA, 0, &mut |row| {
            if let [Value::Text(kind), Value::Text(name), _, Value::Integer(page), ..] = &row[..]
                && kind == "table"
                && name == table
            {
                root = u32::try_from(*page).ok();
            }
            Ok(())
        })?;
        let Some(root) = root else { return Ok(false) };
        self.visited = 0;
        self.walk(root, 0, each)?;
        Ok(true)
    }

    fn page(&mut self, number: u32) -> io::Result<Vec<u8>> {
        self.visited += 1;
        if number == 0 || number > self.pages || self.visited > self.pages {
            return Err(damaged("a page is not where it should be"));
        }
        let mut page = vec![0; self.page_size];
        self.file.seek(SeekFrom::Start(u64::from(number - 1) * self.page_size as u64))?;
        self.file.read_exact(&mut page)?;
        Ok(page)
    }

    /// The rows of a tree of pages, in order.
    fn walk(
        &mut self,
        number: u32,
        depth: usize,
        each: &mut dyn FnMut(Vec<Value>) -> io::Result<()>,
    ) -> io::Result<()> {
        if depth == DEPTH {
            return Err(damaged("its pages are too deep in one another"));
        }
        let page = self.page(number)?;
        // The first page begins with the header of the file.
        let start = if number == 1 { 100 } else { 0 };
        let (kind, count) = (page[start], u16_at(&page, start + 3)?);
        let cells = match kind {
            5 => start + 12,
            13 => start + 8,
            _ => return Err(damaged("a page is of another kind")),
        };
        for cell in 0..usize::from(count) {
            let at = usize::from(u16_at(&page, cells + 2 * cell)?);
            if kind == 5 {
                self.walk(u32_at(&page, at)?, depth + 1, each)?;
            } else {
                let payload = self.payload(&page, at)?;
                each(record(&payload)?)?;
            }
        }
        if kind == 5 {
            self.walk(u32_at(&page, start + 8)?, depth + 1, each)?;
        }
        Ok(())
    }

    /// What a cell holds, with what of it is on other pages.
    fn payload(&mut self, page: &[u8], at: usize) -> io::Result<Vec<u8>> {
        let (length, at) = varint(page, at)?;
        let (_, at) = varint(page, at)?;
        if length > ROW_LIMIT {
            return Err(damaged("a row is too large"));
        }
        let length = usize::try_from(length).map_err(|_| damaged("a row is too large"))?;
        let most = self.usable - 35;
        let here = if length <= most {
            length
        } else {
            let least = (self.usable - 12) * 32 / 255 - 23;
            let fitting = least + (length - least) % (self.usable - 4);
            if fitting <= most { fitting } else { least }
        };
        let mut payload = part(page, at, here)?.to_vec();
        let mut next = if here < length { u32_at(page, at + here)? } else { 0 };
        while payload.len() < length {
            let page = self.page(next)?;
            let more = (length - payload.len()).min(self.usable - 4);
            payload.extend_from_slice(part(&page, 4, more)?);
            next = u32_at(&page, 0)?;
        }
        Ok(payload)
    }
}

fn part(bytes: &[u8], at: usize, length: usize) -> io::Result<&[u8]> {
    let end = at.checked_add(length);
    end.and_then(|end| bytes.get(at..end)).ok_or_else(|| damaged("a value leads out of its page"))
}

fn u16_at(bytes: &[u8], at: usize) -> io::Result<u16> {
    let bytes = part(bytes, at, 2)?;
    Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> io::Result<u32> {
    let bytes = part(bytes, at, 4)?;
    Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// A number of one to nine bytes, and where the next thing begins.
fn varint(bytes: &[u8], at: usize) -> io::Result<(u64, usize)> {
    let mut value: u64 = 0;
    for index in 0..9 {
        let byte = part(bytes, at + index, 1)?[0];
        if index == 8 {
            return Ok((value << 8 | u64::from(byte), at + 9));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return Ok((value, at + index + 1));
        }
    }
    Err(damaged("a number is too long"))
}

/// The values of a row: their types first, then they themselves.
fn record(payload: &[u8]) -> io::Result<Vec<Value>> {
    let (header, mut at) = varint(payload, 0)?;
    let header = usize::try_from(header).map_err(|_| damaged("a row has too many types"))?;
    let mut body = header;
    let mut values = Vec::new();
    while at < header {
        let (kind, next) = varint(payload, at)?;
        at = next;
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            _ => kind.saturating_sub(12) / 2,
        };
        let length = usize::try_from(length).map_err(|_| damaged("a value is too long"))?;
        let bytes = part(payload, body, length)?;
        body += length;
        values.push(match kind {
            1..=6 => {
                // Of two's complement, so the first byte says what stands before it.
                let start = if bytes.first().is_some_and(|byte| *byte >= 0x80) { -1 } else { 0 };
                Value::Integer(bytes.iter().fold(start, |value, byte| value << 8 | i64::from(*byte)))
            }
            8 => Value::Integer(0),
            9 => Value::Integer(1),
            kind if kind >= 13 && kind % 2 == 1 => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
            kind if kind >= 12 => Value::Blob(bytes.to_vec()),
            _ => Value::Other,
        });
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// Made by SQLite's own program for this test: pages of 512 bytes, a table `t` of 80 rows with a number, a text,
    /// and a blob of as many times 87 bytes as the number modulo 12 says, and a table `other`.
    const SAMPLE: &[u8] = include_bytes!("../../tests/sbom/sample.sqlite");

    #[test]
    fn rows() {
        let mut database = Database::open(Cursor::new(SAMPLE)).unwrap();
        let mut number = 0;
        let found = database.each_row("t", &mut |row| {
            number += 1;
            assert_eq!(row[1], Value::Integer(number * 1_000 - 40_000));
            assert_eq!(row[2], Value::Text(format!("row {number}")));
            let Value::Blob(blob) = &row[3] else { panic!("a blob") };
            assert_eq!(blob.len() as i64, number % 12 * 87);
            assert!(blob.iter().all(|byte| i64::from(*byte) == number % 251));
            Ok(())
        });
        assert!(found.unwrap());
        assert_eq!(number, 80);
        assert!(!database.each_row("nothing", &mut |_| Ok(())).unwrap());
    }

    #[test]
    fn damage_is_an_error_and_ends() {
        for text in [&b""[..], b"SQLite format 3", &[0; 100]] {
            assert!(Database::open(Cursor::new(text)).is_err());
        }
        // Every byte in turn, so that a page leads to itself, a cell out of its page, and so on.
        for at in 16..SAMPLE.len().min(4 * 512) {
            for value in [0, 1, 5, 0xff] {
                let mut bytes = SAMPLE.to_vec();
                bytes[at] = value;
                let Ok(mut database) = Database::open(Cursor::new(&bytes[..])) else { continue };
                let mut rows = 0;
                let _ = database.each_row("t", &mut |_| {
                    rows += 1;
                    Ok(())
                });
                assert!(rows <= 100_000, "byte {at}");
            }
        }
        let cut = &SAMPLE[..SAMPLE.len() / 2];
        assert!(Database::open(Cursor::new(cut)).unwrap().each_row("t", &mut |_| Ok(())).is_err());
    }
}
