//! Words: text that still has to be expanded, kept apart from text that is final.

use std::fmt;

use crate::{Span, Spanned};

/// Text as it was written, with its quotes, escapes and variables; [`crate::expand`] gives its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The text, continued lines joined.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// Text that means what it says: it is never expanded.
pub type Literal = Spanned<String>;

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.value)
    }
}
