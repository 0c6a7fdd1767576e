//! Expansion: the value of a word, its variables replaced and its quotes and escapes removed.
//!
//! The language is a part of the POSIX shell's: `$x`, `${x}`, `${x:-w}` and its kin, prefix, suffix and
//! pattern removal, single and double quotes. What BuildKit does in the corners is what is done here.

use crate::substitution::{Greed, Substitution};
use crate::{Escape, Word};

/// Looks up a variable; `None` if it is not set.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The value of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expansion {
    /// The value.
    pub text: String,
    /// Variables that were not set and became nothing, for a lint; those with a default are not named.
    pub unset: Vec<String>,
}

/// The values of a word that may stand for several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// The values; never empty ones.
    pub words: Vec<String>,
    /// As in [`Expansion`].
    pub unset: Vec<String>,
}

/// Why a word has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to process {word:?}: {problem}")]
pub struct ExpandError {
    /// The word as it was written.
    pub word: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What can be wrong in a word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Problem {
    #[error("unexpected end of statement while looking for matching {0}")]
    Unterminated(&'static str),
    #[error("syntax error: missing '}}'")]
    MissingBrace,
    #[error("syntax error: missing '/' in ${{}}")]
    MissingSlash,
    #[error("syntax error: bad substitution")]
    BadSubstitution,
    #[error("unsupported modifier ({0}) in substitution")]
    UnsupportedModifier(String),
    #[error("invalid pattern ({pattern}) in substitution: {reason}")]
    InvalidPattern { pattern: String, reason: String },
    #[error("{name}: {message}")]
    Required { name: String, message: String },
    #[error("substitutions are nested too deeply")]
    TooDeep,
}

/// The value of a word in an environment.
pub fn expand(word: &Word, escape: Escape, env: Env) -> Result<Expansion, ExpandError> {
    expand_text(&word.text, escape, env)
}

/// The values of a word that is split at the blanks it has after its variables were replaced, as in
/// `EXPOSE $PORTS`. Quotes keep a value together.
pub fn expand_words(word: &Word, escape: Escape, env: Env) -> Result<Words, ExpandError> {
    let mode = Mode { escape: escape.as_char(), ..Mode::default() };
    run(&word.text, mode, env).map(|result| Words { words: result.words, unset: result.unset })
}

pub(crate) fn expand_text(text: &str, escape: Escape, env: Env) -> Result<Expansion, ExpandError> {
    let mode = Mode { escape: escape.as_char(), ..Mode::default() };
    run(text, mode, env).map(|result| Expansion { text: result.text, unset: result.unset })
}

/// Expands a file's content: quotes are part of the file, and the escape is always the backslash.
pub(crate) fn expand_content(content: &str, env: Env) -> Result<Expansion, ExpandError> {
    let mode = Mode { quotes: Quotes::Plain, ..Mode::default() };
    run(content, mode, env).map(|result| Expansion { text: result.text, unset: result.unset })
}

/// The words of a line with everything left as it is written: the way heredocs are looked for. `None` if
/// the line is no sequence of words, as with a quote that is not closed.
pub(crate) fn raw_words(line: &str) -> Option<Vec<String>> {
    let mode = Mode {
        quotes: Quotes::Kept,
        raw_escapes: true,
        keep_unset: true,
        join_heredocs: true,
        ..Mode::default()
    };
    run(line, mode, &|_| None).ok().map(|result| result.words)
}

/// The words of a heredoc's delimiter, with or without their quotes.
pub(crate) fn delimiter_words(text: &str, quotes: Quotes) -> Option<Vec<String>> {
    let mode = Mode { quotes, keep_unset: true, ..Mode::default() };
    run(text, mode, &|_| None).ok().map(|result| result.words)
}

/// What quotes mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quotes {
    /// They quote, and go.
    Removed,
    /// They quote, and stay.
    Kept,
    /// They are characters like others.
    Plain,
}

#[derive(Debug, Clone, Copy)]
struct Mode {
    escape: char,
    quotes: Quotes,
    /// Escape characters stay in the result.
    raw_escapes: bool,
    /// `$x` stays as it is if `x` is not set.
    keep_unset: bool,
    /// The blanks after `<<` do not end the word.
    join_heredocs: bool,
}

impl Default for Mode {
    fn default() -> Self {
        let quotes = Quotes::Removed;
        Mode { escape: '\\', quotes, raw_escapes: false, keep_unset: false, join_heredocs: false }
    }
}

/// `${a:-${b:-${c…}}}`: nobody writes more, and the stack has an end.
const DEEPEST: usize = 64;

struct Outcome {
    text: String,
    words: Vec<String>,
    unset: Vec<String>,
}

fn run(word: &str, mode: Mode, env: Env) -> Result<Outcome, ExpandError> {
    let mut lexer = Lexer { rest: word, mode, env, unset: Vec::new(), depth: 0 };
    match lexer.until(None, mode.raw_escapes) {
        Ok((text, words)) => Ok(Outcome { text, words, unset: lexer.unset }),
        Err(problem) => Err(ExpandError { word: word.to_owned(), problem }),
    }
}

struct Lexer<'a> {
    rest: &'a str,
    mode: Mode,
    env: Env<'a>,
    unset: Vec<String>,
    depth: usize,
}

/// Gathers words while their characters arrive.
#[derive(Default)]
struct Splitter {
    word: String,
    words: Vec<String>,
}

impl Splitter {
    fn split(&mut self, text: &str) {
        for c in text.chars() {
            if !c.is_whitespace() {
                self.word.push(c);
            } else if !self.word.is_empty() {
                self.words.push(std::mem::take(&mut self.word));
            }
        }
    }

    fn finish(mut self) -> Vec<String> {
        if !self.word.is_empty() {
            self.words.push(self.word);
        }
        self.words
    }
}

impl<'a> Lexer<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    /// Reads to the `stop` character, or to the end: the text as one, and as words.
    fn until(&mut self, stop: Option<char>, raw_escapes: bool) -> Result<(String, Vec<String>), Problem> {
        if self.depth == DEEPEST {
            return Err(Problem::TooDeep);
        }
        self.depth += 1;
        let outer = std::mem::replace(&mut self.mode.raw_escapes, raw_escapes);
        let result = self.read(stop);
        self.mode.raw_escapes = outer;
        self.depth -= 1;
        result
    }

    fn read(&mut self, stop: Option<char>) -> Result<(String, Vec<String>), Problem> {
        let mut text = String::new();
        let mut words = Splitter::default();
        while let Some(c) = self.peek() {
            if stop == Some(c) {
                self.next();
                return Ok((text, words.finish()));
            }
            match c {
                '$' => {
                    let value = self.dollar()?;
                    words.split(&value);
                    text.push_str(&value);
                }
                '\'' | '"' if self.mode.quotes != Quotes::Plain => {
                    let value = if c == '"' { self.double_quoted()? } else { self.single_quoted()? };
                    words.word.push_str(&value);
                    text.push_str(&value);
                }
                '<' if self.mode.join_heredocs => {
                    let value = self.less_than();
                    words.word.push_str(value);
                    text.push_str(value);
                }
                c if c == self.mode.escape => {
                    self.next();
                    if self.mode.raw_escapes {
                        words.word.push(c);
                        text.push(c);
                    }
                    // At the very end it escapes nothing, and goes.
                    let Some(escaped) = self.next() else { break };
                    words.word.push(escaped);
                    text.push(escaped);
                }
                c => {
                    self.next();
                    words.split(c.encode_utf8(&mut [0; 4]));
                    text.push(c);
                }
            }
        }
        match stop {
            None => Ok((text, words.finish())),
            Some('/') => Err(Problem::MissingSlash),
            Some(_) => Err(Problem::MissingBrace),
        }
    }

    /// `<`, or `<<` with the blanks behind it.
    fn less_than(&mut self) -> &'a str {
        let start = self.rest;
        self.next();
        if self.peek() == Some('<') {
            self.rest = self.rest[1..].trim_start_matches([' ', '\t', '\r', '\n']);
        }
        &start[..start.len() - self.rest.len()]
    }

    fn single_quoted(&mut self) -> Result<String, Problem> {
        let quoted = &self.rest[1..];
        let end = quoted.find('\'').ok_or(Problem::Unterminated("single-quote"))?;
        self.rest = &quoted[end + 1..];
        let quoted = &quoted[..end];
        Ok(if self.mode.quotes == Quotes::Kept { format!("'{quoted}'") } else { quoted.to_owned() })
    }

    fn double_quoted(&mut self) -> Result<String, Problem> {
        let mut text = String::new();
        let keep = self.mode.quotes == Quotes::Kept;
        self.next();
        if keep {
            text.push('"');
        }
        loop {
            match self.peek().ok_or(Problem::Unterminated("double-quote"))? {
                '"' => {
                    self.next();
                    if keep {
                        text.push('"');
                    }
                    return Ok(text);
                }
                '$' => text.push_str(&self.dollar()?),
                c if c == self.mode.escape => {
                    self.next();
                    if self.mode.raw_escapes {
                        text.push(c);
                    }
                    match self.peek() {
                        None => {}
                        Some(escaped) if escaped == '"' || escaped == '$' || escaped == c => {
                            self.next();
                            text.push(escaped);
                        }
                        // Before anything else it is a character like others.
                        Some(_) if !self.mode.raw_escapes => text.push(c),
                        Some(_) => {}
                    }
                }
                c => {
                    self.next();
                    text.push(c);
                }
            }
        }
    }

    /// A name, a positional parameter's number, or one of the shell's special parameters.
    fn name(&mut self) -> &'a str {
        let rest = self.rest;
        let end = match self.peek() {
            Some(c) if c.is_numeric() => rest.find(|c: char| !c.is_numeric()),
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => Some(1),
            _ => rest.find(|c: char| !c.is_alphanumeric() && c != '_'),
        };
        let (name, rest) = rest.split_at(end.unwrap_or(rest.len()));
        self.rest = rest;
        name
    }

    /// The value, or nothing, which is noted.
    fn value(&mut self, name: &str) -> String {
        (self.env)(name).unwrap_or_else(|| {
            let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
            if is_name && !self.unset.iter().any(|known| known == name) {
                self.unset.push(name.to_owned());
            }
            String::new()
        })
    }

    /// `$x` or `${…}`
    fn dollar(&mut self) -> Result<String, Problem> {
        let start = self.rest;
        self.next();
        if self.peek() == Some('{') {
            self.next();
            let name = self.name();
            let value = self.substitution(name)?;
            if self.mode.keep_unset && (self.env)(name).is_none() {
                return Ok(start[..start.len() - self.rest.len()].to_owned());
            }
            return Ok(value);
        }
        match self.name() {
            "" => Ok("$".to_owned()),
            name if self.mode.keep_unset && (self.env)(name).is_none() => Ok(format!("${name}")),
            name => Ok(self.value(name)),
        }
    }

    /// What follows the name in `${name…}`.
    fn substitution(&mut self, name: &str) -> Result<String, Problem> {
        if self.peek().is_none() {
            return Err(Problem::MissingBrace);
        }
        if name.is_empty() {
            return Err(Problem::BadSubstitution);
        }
        match self.next().ok_or(Problem::MissingBrace)? {
            '}' => Ok(self.value(name)),
            ':' => match self.next().ok_or(Problem::MissingBrace)? {
                modifier @ ('-' | '+' | '?') => self.alternative(name, modifier, true),
                other => Err(Problem::UnsupportedModifier(format!(":{other}"))),
            },
            modifier @ ('-' | '+' | '?') => self.alternative(name, modifier, false),
            modifier @ ('#' | '%') => self.strip(name, modifier),
            '/' => self.replace(name),
            other => Err(Problem::UnsupportedModifier(other.to_string())),
        }
    }

    /// `${name-word}`, `${name+word}`, `${name?word}`, and with a colon, where empty is as good as unset.
    fn alternative(&mut self, name: &str, modifier: char, empty_is_unset: bool) -> Result<String, Problem> {
        let (word, _) = self.until(Some('}'), false)?;
        let value = (self.env)(name);
        let given = value.as_ref().is_some_and(|value| !(empty_is_unset && value.is_empty()));
        match modifier {
            '-' if given => Ok(value.unwrap_or_default()),
            '-' => Ok(word),
            '+' if given => Ok(word),
            '+' => Ok(String::new()),
            _ if given || self.mode.keep_unset => Ok(value.unwrap_or_default()),
            _ => {
                let default = if value.is_none() { "unset" } else { "empty" };
                let message = if word.is_empty() { format!("is not allowed to be {default}") } else { word };
                Err(Problem::Required { name: name.to_owned(), message })
            }
        }
    }

    /// `${name#pattern}`, `${name##pattern}`, `${name%pattern}`, `${name%%pattern}`
    fn strip(&mut self, name: &str, side: char) -> Result<String, Problem> {
        let (pattern, _) = self.until(Some('}'), true)?;
        let (pattern, greed) = match pattern.strip_prefix(side) {
            Some(pattern) => (pattern, Greed::Longest),
            None => (pattern.as_str(), Greed::Shortest),
        };
        let substitution = self.pattern(pattern)?;
        let value = self.value(name);
        Ok(match side {
            '#' => substitution.strip_prefix(&value, greed),
            _ => substitution.strip_suffix(&value, greed),
        })
    }

    /// `${name/pattern/replacement}`, `${name//pattern/replacement}`
    fn replace(&mut self, name: &str) -> Result<String, Problem> {
        let every = self.peek() == Some('/');
        if every {
            self.next();
        }
        let (pattern, _) = self.until(Some('/'), true)?;
        let (replacement, _) = self.until(Some('}'), true)?;
        let substitution = self.pattern(&pattern)?;
        let value = self.value(name);
        Ok(substitution.replace(&value, &replacement, every))
    }

    fn pattern(&self, text: &str) -> Result<Substitution, Problem> {
        let invalid = |reason| Problem::InvalidPattern { pattern: text.to_owned(), reason };
        Substitution::parse(text).map_err(invalid)
    }
}
