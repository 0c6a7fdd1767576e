//! Lints: what is allowed and probably not meant.

use crate::Span;

/// Something to reconsider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The rule's name, which is BuildKit's.
    pub rule: &'static str,
    /// What was found.
    pub message: String,
    /// Where.
    pub span: Span,
}

impl Warning {
    pub(crate) fn new(rule: &'static str, message: impl Into<String>, span: Span) -> Self {
        Warning { rule, message: message.into(), span }
    }
}
