//! Physical lines: the source cut at its newlines, each line knowing where it began.

use crate::{ParseError, Span};

/// BuildKit reads with a 64 KiB scanner; longer lines would make a Dockerfile that works only here.
const LONGEST: usize = 65_535;

/// One line of the source.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    /// With its line ending.
    pub(crate) raw: &'a str,
    /// Without its line ending, whether LF or CRLF.
    pub(crate) text: &'a str,
    /// Offset of the first byte.
    pub(crate) start: usize,
    /// Counted from 1.
    pub(crate) number: usize,
}

impl Line<'_> {
    /// The line without its ending.
    pub(crate) fn span(&self) -> Span {
        Span {
            start: self.start,
            end: self.start + self.text.len(),
            first_line: self.number,
            last_line: self.number,
        }
    }

    /// `#` is the first thing on it that is not blank.
    pub(crate) fn is_comment(&self) -> bool {
        self.text.trim_start().starts_with('#')
    }

    pub(crate) fn is_blank(&self) -> bool {
        self.text.trim_start().is_empty()
    }
}

/// The lines of a text, without the byte order mark it may start with.
#[derive(Debug, Clone)]
pub(crate) struct Lines<'a> {
    source: &'a str,
    position: usize,
    number: usize,
    last: Span,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(source: &'a str) -> Self {
        let position = if source.starts_with('\u{feff}') { 3 } else { 0 };
        Lines { source, position, number: 0, last: Span::default() }
    }

    /// The line that was read last.
    pub(crate) fn last(&self) -> Span {
        self.last
    }

    pub(crate) fn next(&mut self) -> Result<Option<Line<'a>>, ParseError> {
        let rest = &self.source[self.position..];
        if rest.is_empty() {
            return Ok(None);
        }
        let raw = rest.find('\n').map_or(rest, |newline| &rest[..=newline]);
        let text = raw.trim_end_matches(['\r', '\n']);
        self.number += 1;
        let line = Line { raw, text, start: self.position, number: self.number };
        self.position += raw.len();
        self.last = line.span();
        if raw.strip_suffix('\n').unwrap_or(raw).len() > LONGEST {
            let message = format!("dockerfile line greater than max allowed size of {LONGEST}");
            return Err(ParseError::new(line.span(), message));
        }
        Ok(Some(line))
    }
}
