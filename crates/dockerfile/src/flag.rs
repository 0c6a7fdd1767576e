//! Flags: the `--name=value` words between an instruction's keyword and its arguments.

use crate::logical::Fragment;
use crate::{Escape, Literal, ParseError, Span, Spanned, Word};

/// A flag as it was written, its quotes and escapes removed.
#[derive(Debug)]
struct Flag {
    name: String,
    value: Option<String>,
    span: Span,
}

/// The flags of one instruction.
#[derive(Debug)]
pub(crate) struct Flags {
    flags: Vec<Flag>,
}

impl Flags {
    /// Takes the flags off the front of an instruction's text; a lone `--` ends them.
    pub(crate) fn split(text: Fragment, escape: Escape) -> (Self, Fragment) {
        let mut flags = Vec::new();
        let mut rest = text.trim();
        while rest.as_str().starts_with("--") {
            let (word, length) = unquoted_word(rest.as_str(), escape);
            let span = rest.slice(0, length).span();
            rest = rest.from(length).trim();
            let Some(word) = word.strip_prefix("--").filter(|word| !word.is_empty()) else { break };
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word, None),
            };
            flags.push(Flag { name: name.to_owned(), value, span });
        }
        (Flags { flags }, rest)
    }

    /// Refuses flags that are not among those the instruction has, and repeated ones.
    pub(crate) fn check(&self, once: &[&str], repeated: &[&str]) -> Result<(), ParseError> {
        for (index, Flag { name, span, .. }) in self.flags.iter().enumerate() {
            if repeated.contains(&name.as_str()) {
                continue;
            }
            if !once.contains(&name.as_str()) {
                let known = once.iter().chain(repeated).copied();
                return Err(ParseError::new(*span, format!("unknown flag: --{name}")).suggest(name, known));
            }
            if self.flags[..index].iter().any(|earlier| earlier.name == *name) {
                return Err(ParseError::new(*span, format!("duplicate flag specified: --{name}")));
            }
        }
        Ok(())
    }

    /// The value of a flag whose text is final.
    pub(crate) fn literal(&self, name: &str) -> Result<Option<Literal>, ParseError> {
        Ok(self.literals(name)?.pop())
    }

    /// The values of a flag that may be repeated.
    pub(crate) fn literals(&self, name: &str) -> Result<Vec<Literal>, ParseError> {
        let named = self.flags.iter().filter(|flag| flag.name == name);
        named.map(|flag| Ok(Literal { value: flag.required()?, span: flag.span })).collect()
    }

    /// The value of a flag that is expanded.
    pub(crate) fn word(&self, name: &str) -> Result<Option<Word>, ParseError> {
        Ok(self.literal(name)?.map(|literal| Word { text: literal.value, span: literal.span }))
    }

    /// `--name`, `--name=true` or `--name=false`
    pub(crate) fn boolean(&self, name: &str) -> Result<Option<Spanned<bool>>, ParseError> {
        let Some(flag) = self.flags.iter().find(|flag| flag.name == name) else { return Ok(None) };
        let value = match flag.value.as_deref().map(str::to_lowercase).as_deref() {
            None | Some("true") => true,
            Some("false") => false,
            Some("") => return Err(flag.missing_value()),
            Some(_) => {
                let value = flag.value.as_deref().unwrap_or_default();
                let message = format!("expecting boolean value for flag --{name}, not: {value}");
                return Err(ParseError::new(flag.span, message));
            }
        };
        Ok(Some(Spanned { value, span: flag.span }))
    }
}

impl Flag {
    fn required(&self) -> Result<String, ParseError> {
        self.value.clone().ok_or_else(|| self.missing_value())
    }

    fn missing_value(&self) -> ParseError {
        ParseError::new(self.span, format!("missing a value on flag: --{}", self.name))
    }
}

/// The first word with its quotes and escapes removed, and how much of the text it takes.
fn unquoted_word(text: &str, escape: Escape) -> (String, usize) {
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match quote {
            None if c.is_whitespace() => return (word, at),
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ if c == escape.as_char() => word.extend(chars.next().map(|(_, escaped)| escaped)),
            _ => word.push(c),
        }
    }
    (word, text.len())
}
