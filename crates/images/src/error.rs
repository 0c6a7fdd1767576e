//! What can go wrong with whole images.

/// The result of what is done here.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an image could not be copied or joined.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A message that is whole.
    #[error("{0}")]
    Message(String),
    /// A registry would not.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// A layout could not be read or written.
    #[error(transparent)]
    Layout(#[from] layout::LayoutError),
    /// A document is malformed.
    #[error("{what}: {source}")]
    Json {
        /// Which one.
        what: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Input or output.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Error::Message(text.into())
    }
}

/// Says what was being done.
pub(crate) fn during(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
    let what = what.into();
    move |source| Error::Io { what, source }
}

/// An error with its causes, as one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}
