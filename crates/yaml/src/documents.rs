//! Documents: a stream of text, cut where one ends and the next begins, one held at a time.
//!
//! Cut as Kubernetes' reader does it: at lines that begin with `---`, after which only a comment may follow.

use std::io::{self, BufRead, Read};

use crate::Error;

/// The longest document.
const LIMIT: u64 = 64 << 20;

/// A document as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What stands before it: the line that separates it from the one before, and a byte-order mark.
    pub lead: String,
    /// Its text.
    pub body: String,
    /// The line of the stream on which the text begins, from 1.
    pub line: usize,
}

/// The documents of a stream.
#[derive(Debug)]
pub struct Documents<R> {
    reader: R,
    /// The separator of the next document, already read.
    lead: String,
    line: usize,
    done: bool,
}

impl<R: BufRead> Documents<R> {
    /// Reads from the beginning of a stream.
    pub fn new(reader: R) -> Self {
        Documents { reader, lead: String::new(), line: 1, done: false }
    }

    /// The next document. What is between two separators is one, even if it is empty.
    pub fn next_part(&mut self) -> io::Result<Option<Result<Part, Error>>> {
        if self.done {
            return Ok(None);
        }
        let mut part = Part { lead: std::mem::take(&mut self.lead), body: String::new(), line: self.line };
        let mut bytes = Vec::new();
        loop {
            let start = bytes.len();
            let left = LIMIT + 1 - start as u64;
            (&mut self.reader).take(left).read_until(b'\n', &mut bytes)?;
            if bytes.len() as u64 > LIMIT {
                self.done = true;
                return Ok(Some(Err(Error::Size((LIMIT >> 20) as usize))));
            }
            let mut line = &bytes[start..];
            if line.is_empty() {
                self.done = true;
                break;
            }
            let mut mark = "";
            if self.line == 1 && line.starts_with("\u{feff}".as_bytes()) {
                mark = "\u{feff}";
                line = &line[mark.len()..];
            }
            if let Some(rest) = line.strip_prefix(b"---") {
                let rest = String::from_utf8_lossy(rest);
                let rest = rest.trim();
                if !rest.is_empty() && !rest.starts_with('#') {
                    self.done = true;
                    return Ok(Some(Err(Error::Separator(rest.to_owned()))));
                }
                self.line += 1;
                let Ok(separator) = std::str::from_utf8(line) else {
                    self.done = true;
                    return Ok(Some(Err(Error::NotText)));
                };
                let separator = format!("{mark}{separator}");
                bytes.truncate(start);
                if start == 0 && part.lead.is_empty() && self.line == 2 {
                    // Nothing is before the first separator.
                    part.lead = separator;
                    part.line = self.line;
                    continue;
                }
                self.lead = separator;
                break;
            }
            if !mark.is_empty() {
                part.lead = mark.to_owned();
                bytes.drain(..mark.len());
            }
            self.line += 1;
        }
        match String::from_utf8(bytes) {
            Ok(text) => part.body = text,
            Err(_) => return Ok(Some(Err(Error::NotText))),
        }
        if self.done && part.lead.is_empty() && part.body.is_empty() {
            return Ok(None);
        }
        Ok(Some(Ok(part)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<String> {
        let mut documents = Documents::new(text.as_bytes());
        let mut found = Vec::new();
        while let Some(part) = documents.next_part().unwrap() {
            found.push(match part {
                Ok(part) => format!("{}|{}|{}", part.line, part.lead, part.body),
                Err(error) => error.to_string(),
            });
        }
        found
    }

    #[test]
    fn cuts_and_keeps_every_byte() {
        for (text, expected) in [
            ("", &[][..]),
            ("a: 1", &["1||a: 1"][..]),
            ("---\na: 1\n---\nb: 2\n", &["2|---\n|a: 1\n", "4|---\n|b: 2\n"][..]),
            ("a: 1\n--- # c\nb: 2\n", &["1||a: 1\n", "3|--- # c\n|b: 2\n"][..]),
            ("# c\n---\n---\n", &["1||# c\n", "3|---\n|", "4|---\n|"][..]),
            ("\u{feff}a: 1\r\n---\r\nb: 2", &["1|\u{feff}|a: 1\r\n", "3|---\r\n|b: 2"][..]),
            ("a: 1\n--- foo\n", &["invalid Yaml document separator: foo"][..]),
            (" ---\n", &["1|| ---\n"][..]),
        ] {
            assert_eq!(cut(text), expected, "{text:?}");
        }
    }
}
