//! Globs: the patterns of `COPY` and `ADD`, which are those of Go's [`filepath.Match`].
//!
//! [`filepath.Match`]: https://pkg.go.dev/path/filepath#Match

use std::str::Chars;

use crate::wildcard::{Token, Wildcard};

/// A pattern over a whole path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    wildcard: Wildcard,
}

/// Why a text is no pattern: a bracket expression that is empty, not closed or has half a range, or a
/// backslash at the end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern {0:?}")]
pub struct PatternError(pub(crate) String);

impl Pattern {
    /// Reads a pattern of `*`, `?`, `[a-z]`, `[^a-z]` and `\c`; a star does not cross a `/`.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let mut tokens = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c == '*' && tokens.last() == Some(&Token::Many) {
                continue;
            }
            tokens.push(token(c, &mut chars).ok_or_else(|| PatternError(text.to_owned()))?);
        }
        Ok(Pattern { wildcard: Wildcard::new(tokens) })
    }

    /// Reads a pattern in which `**` stands for any number of directories, as `COPY --parents` has it.
    pub fn with_double_stars(text: &str) -> Result<Self, PatternError> {
        let tokens = deep_tokens(text).ok_or_else(|| PatternError(text.to_owned()))?;
        Ok(Pattern { wildcard: Wildcard::new(tokens) })
    }

    /// True if the pattern matches the whole path.
    pub fn matches(&self, path: impl AsRef<[u8]>) -> bool {
        self.wildcard.matches(path.as_ref())
    }

    /// True if it may match a path below the directory, so that it has to be looked into.
    pub fn may_match_below(&self, directory: impl AsRef<[u8]>) -> bool {
        let directory = directory.as_ref();
        directory.is_empty() || self.wildcard.may_match_below(directory)
    }
}

/// True if a source has to be matched; otherwise it is a path, backslashes and all.
#[must_use]
pub fn has_wildcards(text: &str) -> bool {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' | '[' => return true,
            '\\' => drop(chars.next()),
            _ => {}
        }
    }
    false
}

/// The tokens of a pattern with `**`, as moby's patternmatcher reads it.
pub(crate) fn deep_tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let rest = chars.as_str();
        if c != '*' || !rest.starts_with('*') {
            tokens.push(token(c, &mut chars)?);
            continue;
        }
        let rest = &rest[1..];
        let after = rest.strip_prefix('/').unwrap_or(rest);
        chars = after.chars();
        // `**x` at the start is "ends in x" if x is plain; with anything else in it, it is `**/x`.
        let ends_in =
            tokens.is_empty() && after.len() == rest.len() && !after.contains(['*', '?', '[', ']', '\\']);
        if after.is_empty() || ends_in {
            tokens.push(Token::Anything);
        } else {
            tokens.extend([Token::Optional, Token::Directories]);
        }
    }
    Some(tokens)
}

fn token(c: char, chars: &mut Chars) -> Option<Token> {
    Some(match c {
        '*' => Token::Many,
        '?' => Token::One,
        '[' => class(chars)?,
        '\\' => Token::Char(chars.next()?),
        c => Token::Char(c),
    })
}

/// What follows `[`.
fn class(chars: &mut Chars) -> Option<Token> {
    let negated = chars.as_str().starts_with('^');
    if negated {
        chars.next();
    }
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && chars.as_str().starts_with(']') {
            chars.next();
            return Some(Token::Class { negated, ranges });
        }
        let low = class_char(chars)?;
        let mut high = low;
        if chars.as_str().starts_with('-') {
            chars.next();
            high = class_char(chars)?;
        }
        ranges.push((low, high));
    }
}

fn class_char(chars: &mut Chars) -> Option<char> {
    match chars.next()? {
        '-' | ']' => None,
        '\\' => chars.next(),
        c => Some(c),
    }
}
