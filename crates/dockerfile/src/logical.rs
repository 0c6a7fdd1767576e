//! Logical lines: an instruction's physical lines joined, each byte still knowing where it came from.

use crate::{Escape, Literal, ParseError, Span, Word, lines::Line, lines::Lines};

/// The text of one instruction without its continuation marks and the comments between its lines.
#[derive(Debug, Default)]
pub(crate) struct Logical {
    pub(crate) text: String,
    pieces: Vec<Piece>,
    /// Lines that held nothing between continued ones: BuildKit means to refuse them one day.
    pub(crate) empty_continuations: Vec<Span>,
}

/// A run of bytes that were copied from one place of the source.
#[derive(Debug)]
struct Piece {
    at: usize,
    source: usize,
    line: usize,
}

/// A part of a logical line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fragment<'a> {
    logical: &'a Logical,
    start: usize,
    end: usize,
}

impl Logical {
    /// Reads the instruction that starts on `first`, taking further lines while they are continued.
    pub(crate) fn read(first: Line, lines: &mut Lines, escape: Escape) -> Result<Self, ParseError> {
        let mut logical = Logical::default();
        let text = first.text.trim_start();
        let mut continued = logical.push(text, first.start + first.text.len() - text.len(), first, escape);
        while continued {
            let Some(line) = lines.next()? else { break };
            if line.is_comment() {
                continue;
            }
            if line.is_blank() {
                logical.empty_continuations.push(line.span());
                continue;
            }
            continued = logical.push(line.text, line.start, line, escape);
        }
        Ok(logical)
    }

    /// Appends a line; true if it ends in a continuation mark.
    fn push(&mut self, text: &str, source: usize, line: Line, escape: Escape) -> bool {
        let kept = without_continuation(text, escape);
        let text = kept.unwrap_or(text);
        if !text.is_empty() {
            self.pieces.push(Piece { at: self.text.len(), source, line: line.number });
            self.text.push_str(text);
        }
        kept.is_some()
    }

    pub(crate) fn all(&self) -> Fragment<'_> {
        Fragment { logical: self, start: 0, end: self.text.len() }
    }

    /// The place in the source, and its line, of a byte of the text.
    fn locate(&self, at: usize) -> (usize, usize) {
        let next = self.pieces.partition_point(|piece| piece.at <= at);
        match next.checked_sub(1).and_then(|index| self.pieces.get(index)) {
            Some(piece) => (piece.source + (at - piece.at), piece.line),
            None => (0, 1),
        }
    }
}

/// The line without its continuation mark, if it has one: an escape character, alone or after something
/// other than itself, and nothing behind it but blanks.
fn without_continuation(text: &str, escape: Escape) -> Option<&str> {
    let kept = text.trim_end_matches([' ', '\t']).strip_suffix(escape.as_char())?;
    (!kept.ends_with(escape.as_char())).then_some(kept)
}

impl<'a> Fragment<'a> {
    pub(crate) fn as_str(self) -> &'a str {
        &self.logical.text[self.start..self.end]
    }

    /// A part of this one, by offsets into it.
    pub(crate) fn slice(self, start: usize, end: usize) -> Self {
        Fragment { start: self.start + start, end: self.start + end, ..self }
    }

    pub(crate) fn from(self, start: usize) -> Self {
        Fragment { start: self.start + start, ..self }
    }

    pub(crate) fn trim(self) -> Self {
        let text = self.as_str();
        let start = text.len() - text.trim_start().len();
        self.slice(start, start + text.trim().len())
    }

    pub(crate) fn span(self) -> Span {
        let (start, first_line) =
            self.logical.locate(self.start.min(self.logical.text.len().saturating_sub(1)));
        if self.start == self.end {
            // Nothing stands there: the place after what stands before it.
            let start = start + usize::from(self.start > 0 && self.start == self.logical.text.len());
            return Span { start, end: start, first_line, last_line: first_line };
        }
        let (last, last_line) = self.logical.locate(self.end - 1);
        Span { start, end: last + 1, first_line, last_line }
    }

    pub(crate) fn word(self) -> Word {
        Word { text: self.as_str().to_owned(), span: self.span() }
    }

    pub(crate) fn literal(self) -> Literal {
        Literal { value: self.as_str().to_owned(), span: self.span() }
    }

    /// The first word and what follows it.
    pub(crate) fn split_word(self) -> (Self, Self) {
        let text = self.as_str();
        let end = text.find(is_space).unwrap_or(text.len());
        let rest = text[end..].trim_start_matches(is_space);
        (self.slice(0, end), self.from(text.len() - rest.len()))
    }

    /// The words between blanks; quotes mean nothing here.
    pub(crate) fn words(self) -> Vec<Self> {
        let mut words = Vec::new();
        let mut rest = self.trim();
        while !rest.as_str().is_empty() {
            let (word, after) = rest.split_word();
            if !word.as_str().is_empty() {
                words.push(word);
            }
            rest = after;
        }
        words
    }

    /// The words between blanks where quotes and escapes keep a word together. They stay in the words.
    pub(crate) fn quoted_words(self, escape: Escape) -> Vec<Self> {
        let text = self.as_str();
        let mut words = Vec::new();
        let mut start = None;
        let mut quote = None;
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            if quote.is_none() && c.is_whitespace() {
                words.extend(start.take().map(|start| self.slice(start, at)));
                continue;
            }
            start.get_or_insert(at);
            match quote {
                Some(open) if c == open => quote = None,
                None if c == '\'' || c == '"' => quote = Some(c),
                _ => {}
            }
            if c == escape.as_char() && quote != Some('\'') {
                chars.next();
            }
        }
        words.extend(start.map(|start| self.from(start)));
        words
    }
}

/// The blanks that part words: Unicode's other spaces do not.
fn is_space(c: char) -> bool {
    matches!(c, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ')
}
