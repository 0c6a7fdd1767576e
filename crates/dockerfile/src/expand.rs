//! Expansion: the value of a word, its variables replaced and its quotes and escapes removed.
//!
//! The language is a part of the POSIX shell's: `$x`, `${x}`, `${x:-w}` and its kin, prefix, suffix and
//! pattern removal, single and double quotes. What BuildKit does in the corners is what is done here.

use crate::lexer::{Lexer, Mode, Quotes};
use crate::{Escape, Word};

/// Looks up a variable; `None` if it is not set.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

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
    #[error("the variables in it come to more than 4 MiB")]
    TooLong,
}

/// The value of a word in an environment.
pub fn expand(word: &Word, escape: Escape, env: Lookup) -> Result<Expansion, ExpandError> {
    let mode = Mode { escape: escape.as_char(), ..Mode::default() };
    run(&word.text, mode, env).map(|result| Expansion { text: result.text, unset: result.unset })
}

/// The values of a word that is split at the blanks it has after its variables were replaced, as in
/// `EXPOSE $PORTS`. Quotes keep a value together.
pub fn expand_words(word: &Word, escape: Escape, env: Lookup) -> Result<Words, ExpandError> {
    let mode = Mode { escape: escape.as_char(), ..Mode::default() };
    run(&word.text, mode, env).map(|result| Words { words: result.words, unset: result.unset })
}

/// Expands a file's content: quotes are part of the file, and the escape is always the backslash.
pub(crate) fn expand_content(content: &str, env: Lookup) -> Result<Expansion, ExpandError> {
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

struct Outcome {
    text: String,
    words: Vec<String>,
    unset: Vec<String>,
}

fn run(word: &str, mode: Mode, env: Lookup) -> Result<Outcome, ExpandError> {
    let mut lexer = Lexer::new(word, mode, env);
    match lexer.whole() {
        Ok((text, words)) => Ok(Outcome { text, words, unset: lexer.unset }),
        Err(problem) => Err(ExpandError { word: word.to_owned(), problem }),
    }
}
