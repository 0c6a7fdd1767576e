//! Keys and values: what `ENV`, `LABEL` and `ARG` set.

use crate::logical::Fragment;
use crate::parse::Statement;
use crate::{Keyword, Literal, ParseError, Span, Word};

/// `ENV`: variables for this stage, for what is built upon it, and for its containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Env {
    /// In the order written. All of them are expanded with what was set before the instruction.
    pub pairs: Vec<Pair>,
    /// Written `ENV key value`, without `=`.
    pub legacy: bool,
}

/// `LABEL`: metadata of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// In the order written; a later one wins.
    pub pairs: Vec<Pair>,
    /// Written `LABEL key value`, without `=`.
    pub legacy: bool,
}

/// One key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Never empty, but it may expand to nothing.
    pub key: Word,
    /// May be empty.
    pub value: Word,
}

/// `ARG`: variables the build's caller may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// In the order written; each default sees those before it.
    pub declarations: Vec<Declaration>,
    /// The whole instruction.
    pub span: Span,
    /// The comments directly above it, without their `#`.
    pub comments: Vec<String>,
}

/// One variable of an `ARG`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// Its name.
    pub name: Literal,
    /// Its value if the caller gives none. `ARG x=` has an empty one, `ARG x` has none.
    pub default: Option<Word>,
    /// What a comment `# name text` above the instruction says of it.
    pub description: Option<String>,
}

impl Env {
    pub(crate) fn read(statement: &Statement) -> Result<Self, ParseError> {
        pairs(statement).map(|(pairs, legacy)| Env { pairs, legacy })
    }
}

impl Label {
    pub(crate) fn read(statement: &Statement) -> Result<Self, ParseError> {
        pairs(statement).map(|(pairs, legacy)| Label { pairs, legacy })
    }
}

impl Arg {
    pub(crate) fn read(statement: &Statement) -> Result<Self, ParseError> {
        statement.flags.check(&[], &[])?;
        let words = statement.arguments.quoted_words(statement.escape);
        if words.is_empty() {
            return Err(statement.at_least_one());
        }
        let declaration = |word: Fragment| {
            let (name, default) = match word.as_str().find('=') {
                Some(0) => return Err(blank(Keyword::Arg, word)),
                Some(at) => (word.slice(0, at), Some(word.from(at + 1).word())),
                None => (word, None),
            };
            let description = statement.description(name.as_str());
            Ok(Declaration { name: name.literal(), default, description })
        };
        let declarations = words.into_iter().map(declaration).collect::<Result<_, _>>()?;
        Ok(Arg { declarations, span: statement.span, comments: statement.comments.clone() })
    }
}

/// `key=value …`, or if the first word has no `=`, `key` and the rest of the line.
fn pairs(statement: &Statement) -> Result<(Vec<Pair>, bool), ParseError> {
    statement.flags.check(&[], &[])?;
    let words = statement.arguments.quoted_words(statement.escape);
    let first = words.first().ok_or_else(|| statement.at_least_one())?;
    if !first.as_str().contains('=') {
        let (key, value) = statement.arguments.split_word();
        if value.as_str().is_empty() {
            let message = format!("{} must have two arguments", statement.keyword);
            return Err(ParseError::new(statement.arguments.span(), message));
        }
        return Ok((vec![Pair { key: key.word(), value: value.word() }], true));
    }
    let pair = |word: &Fragment| match word.as_str().find('=') {
        Some(0) => Err(blank(statement.keyword, *word)),
        Some(at) => Ok(Pair { key: word.slice(0, at).word(), value: word.from(at + 1).word() }),
        None => {
            let text = word.as_str();
            let message = format!("Syntax error - can't find = in {text:?}. Must be of the form: name=value");
            Err(ParseError::new(word.span(), message))
        }
    };
    Ok((words.iter().map(pair).collect::<Result<_, _>>()?, false))
}

fn blank(keyword: Keyword, word: Fragment) -> ParseError {
    ParseError::new(word.span(), format!("{keyword} names can not be blank"))
}
