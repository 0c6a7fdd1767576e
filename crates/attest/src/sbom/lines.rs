//! Lines of text files of any size, of which none is kept longer than it is looked at.

use std::io::{self, BufRead};

/// A line with more is cut off there: descriptions may be long, names and versions are not.
const LONGEST: usize = 64 * 1024;

/// Gives every line to `each`, without its end; bytes that are no UTF-8 are replaced.
pub(crate) fn each_line(reader: &mut dyn BufRead, mut each: impl FnMut(&str)) -> io::Result<()> {
    let mut line: Vec<u8> = Vec::new();
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            if !line.is_empty() {
                each(&String::from_utf8_lossy(&line));
            }
            return Ok(());
        }
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        line.extend_from_slice(&part[..part.len().min(LONGEST - line.len().min(LONGEST))]);
        let used = end.map_or(buffer.len(), |end| end + 1);
        if end.is_some() {
            let text = line.strip_suffix(b"\r").unwrap_or(&line);
            each(&String::from_utf8_lossy(text));
            line.clear();
        }
        reader.consume(used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_any_kind() {
        let long = "x".repeat(LONGEST + 5);
        for (text, expected) in [
            ("", vec![]),
            ("a\nb", vec!["a", "b"]),
            ("a\r\n\n", vec!["a", ""]),
            (&format!("{long}\nz\n"), vec![&long[..LONGEST], "z"]),
        ] {
            let mut found = Vec::new();
            let mut reader = io::BufReader::with_capacity(7, text.as_bytes());
            each_line(&mut reader, |line| found.push(line.to_owned())).unwrap();
            assert_eq!(found, expected);
        }
    }
}
