//! Parse errors: what is wrong, where, and what may have been meant.

use std::fmt;

use crate::{Span, did_you_mean};

/// Why a text is no Dockerfile. The wording is BuildKit's, which people know and search for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong, without the place.
    pub message: String,
    /// What may have been meant, as `did you mean RUN?`.
    pub hint: Option<String>,
    /// The word or instruction to blame; `None` if it is the file as a whole.
    pub span: Option<Span>,
}

impl ParseError {
    pub(crate) fn new(span: Span, message: impl Into<String>) -> Self {
        ParseError { message: message.into(), hint: None, span: Some(span) }
    }

    pub(crate) fn whole(message: impl Into<String>) -> Self {
        ParseError { message: message.into(), hint: None, span: None }
    }

    /// Adds the nearest of `candidates` as a hint, if one is near.
    pub(crate) fn suggest<'a>(self, wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        let hint = did_you_mean(wrong, candidates).map(|near| format!("did you mean {near}?"));
        ParseError { hint, ..self }
    }
}

impl std::error::Error for ParseError {}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(span) = self.span {
            write!(f, "dockerfile parse error on line {}: ", span.first_line)?;
        }
        f.write_str(&self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}
