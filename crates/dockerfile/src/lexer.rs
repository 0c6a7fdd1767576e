//! The lexer of words: reads quotes, escapes and substitutions, and replaces variables while it reads.

use crate::substitution::{Greed, Substitution};
use crate::{Lookup, Problem};

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

/// How a text is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mode {
    pub(crate) escape: char,
    pub(crate) quotes: Quotes,
    /// Escape characters stay in the result.
    pub(crate) raw_escapes: bool,
    /// `$x` stays as it is if `x` is not set.
    pub(crate) keep_unset: bool,
    /// The blanks after `<<` do not end the word.
    pub(crate) join_heredocs: bool,
}

impl Default for Mode {
    fn default() -> Self {
        let quotes = Quotes::Removed;
        Mode { escape: '\\', quotes, raw_escapes: false, keep_unset: false, join_heredocs: false }
    }
}

/// `${a:-${b:-${c…}}}`: nobody writes more, and the stack has an end.
const DEEPEST: usize = 64;

/// How many bytes the variables of one text may come to. A process takes no argument of more than 128 KiB
/// ([execve(2)]), while `ENV a=$a$a` a few dozen times, or `${a//?/${a//?/…}}`, would fill any memory.
///
/// [execve(2)]: https://man7.org/linux/man-pages/man2/execve.2.html
const LONGEST: usize = 4 << 20;

/// Reads one text.
pub(crate) struct Lexer<'a> {
    rest: &'a str,
    mode: Mode,
    env: Lookup<'a>,
    /// Variables that were not set and became nothing.
    pub(crate) unset: Vec<String>,
    depth: usize,
    /// Bytes that came from variables so far.
    substituted: usize,
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
    pub(crate) fn new(text: &'a str, mode: Mode, env: Lookup<'a>) -> Self {
        Lexer { rest: text, mode, env, unset: Vec::new(), depth: 0, substituted: 0 }
    }

    /// Reads all of it: the text as one, and as words.
    pub(crate) fn whole(&mut self) -> Result<(String, Vec<String>), Problem> {
        self.until(None, self.mode.raw_escapes)
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    /// Reads to the `stop` character, or to the end.
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
        let value = self.variable()?;
        self.substituted += value.len();
        if self.substituted > LONGEST { Err(Problem::TooLong) } else { Ok(value) }
    }

    fn variable(&mut self) -> Result<String, Problem> {
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
        substitution.replace(&value, &replacement, every, LONGEST).ok_or(Problem::TooLong)
    }

    fn pattern(&self, text: &str) -> Result<Substitution, Problem> {
        let invalid = |reason| Problem::InvalidPattern { pattern: text.to_owned(), reason };
        Substitution::parse(text).map_err(invalid)
    }
}
