//! Heredocs: files and scripts written inside the Dockerfile, below the instruction that uses them.

use std::borrow::Cow;

use crate::expand::{delimiter_words, expand_content, raw_words};
use crate::lexer::Quotes;
use crate::lines::Lines;
use crate::{ExpandError, Expansion, Lookup, ParseError, Span};

/// One document, as in `<<EOF`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The word that ends it; for `COPY`, the file's name.
    pub name: String,
    /// The descriptor written before it, as in `3<<EOF`.
    pub descriptor: Option<u32>,
    /// Its delimiter was not quoted, so `COPY` and `ADD` replace variables in it.
    pub expand: bool,
    /// Written `<<-`: the tabs that begin its lines are no part of it.
    pub strip_tabs: bool,
    /// The lines between, as they are in the source, line endings and leading tabs included.
    pub source: String,
    /// Where those lines are.
    pub span: Span,
}

impl Heredoc {
    /// The document without the tabs it does not want.
    #[must_use]
    pub fn content(&self) -> Cow<'_, str> {
        if !self.strip_tabs {
            return Cow::Borrowed(&self.source);
        }
        Cow::Owned(self.source.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect())
    }

    /// The document as `COPY` writes it: variables replaced, unless the delimiter was quoted.
    pub fn expanded(&self, env: Lookup) -> Result<Expansion, ExpandError> {
        let content = self.content();
        if self.expand {
            expand_content(&content, env)
        } else {
            Ok(Expansion { text: content.into_owned(), unset: Vec::new() })
        }
    }

    /// The document a word announces, still empty; `None` if the word announces none. A word that is
    /// quoted as a whole does not, nor does `<<<`.
    pub(crate) fn announced_by(word: &str) -> Option<Self> {
        let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (digits, rest) = word.split_at(digits);
        let rest = rest.strip_prefix("<<")?;
        let (strip_tabs, delimiter) = match rest.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let delimiter = delimiter.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']);
        if delimiter.is_empty() || delimiter.contains('<') {
            return None;
        }
        let name = one(delimiter_words(delimiter, Quotes::Removed)?)?;
        let quoted = one(delimiter_words(delimiter, Quotes::Kept)?)?;
        let quotes = |text: &str| text.matches(['\'', '"']).count();
        Some(Heredoc {
            descriptor: digits.parse().ok(),
            expand: quotes(&name) == quotes(&quoted),
            strip_tabs,
            name,
            source: String::new(),
            span: Span::default(),
        })
    }

    /// Reads the documents an instruction's text announces from the lines below it.
    pub(crate) fn read_all(text: &str, at: Span, lines: &mut Lines) -> Result<Vec<Self>, ParseError> {
        let mut heredocs = Vec::new();
        for word in raw_words(text).unwrap_or_default() {
            if let Some(mut heredoc) = Heredoc::announced_by(&word) {
                heredoc.read(at, lines)?;
                heredocs.push(heredoc);
            }
        }
        Ok(heredocs)
    }

    fn read(&mut self, at: Span, lines: &mut Lines) -> Result<(), ParseError> {
        let mut span: Option<Span> = None;
        loop {
            let Some(line) = lines.next()? else {
                return Err(ParseError::new(at, format!("unterminated heredoc: no line is {:?}", self.name)));
            };
            let text = if self.strip_tabs { line.text.trim_start_matches('\t') } else { line.text };
            if text == self.name {
                let empty = Span { end: line.start, ..line.span() };
                self.span = span.map_or(empty, |span| Span { end: line.start, ..span });
                return Ok(());
            }
            self.source.push_str(line.raw);
            span = Some(span.unwrap_or(line.span()).to(line.span()));
        }
    }
}

fn one(mut words: Vec<String>) -> Option<String> {
    words.pop().filter(|_| words.is_empty())
}
