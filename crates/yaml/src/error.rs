//! What can be wrong with a text.

/// Why a text is no document that can be read, or a tree none that can be printed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The syntax; what is wrong and where is the parser's own text.
    #[error("yaml: line {line}: {reason}")]
    Syntax {
        /// One-based line of the document.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A line that begins with `---` and goes on with something else than a comment.
    #[error("invalid Yaml document separator: {0}")]
    Separator(String),
    /// Bytes that are no text.
    #[error("it is not UTF-8")]
    NotText,
    /// Aliases that make far more of a document than was written.
    #[error("document contains excessive aliasing")]
    Aliasing,
    /// Collections in collections.
    #[error("nested more than {0} levels deep")]
    Depth(usize),
    /// More than can be held.
    #[error("a document of more than {0} MiB; split it into several")]
    Size(usize),
    /// A text that would say something else once it was changed.
    #[error("the text cannot be changed in place; print it anew with --output kbld")]
    Place,
    /// An infinity or a value that is no number, which JSON has no word for.
    #[error("json: unsupported value: {0}")]
    NoJson(&'static str),
}
