//! Why a build failed, where, and what to do about it.

use std::fmt;

use dockerfile::Span;
use oci::Digest;

/// A failed build.
#[derive(Debug)]
pub struct Error {
    /// What happened, on one line, in lower case.
    pub message: String,
    /// The word or the instruction of the Dockerfile it is about.
    pub span: Option<Span>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The exit code of the RUN that failed, if one did.
    pub exit_code: Option<i32>,
    /// The blob of a cache that could not be used. Without it, the build may succeed.
    pub(crate) damaged: Option<Digest>,
}

/// The outcome of anything in a build.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error that is not about a place yet.
    pub fn new(message: impl Into<String>) -> Self {
        Error { message: message.into(), span: None, hint: None, exit_code: None, damaged: None }
    }

    /// The error of a build that was told to end. The exit code is the one a shell reports.
    pub fn ended_by(signal: i32) -> Self {
        Error { exit_code: Some(128 + signal), ..Error::new(format!("ended by signal {signal}")) }
    }

    /// An error of another kind, with its causes on the same line.
    pub fn from_chain(error: &dyn std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some errors repeat their cause in their own text.
            if !message.ends_with(&text) {
                message = format!("{message}: {text}");
            }
            cause = error.source();
        }
        Error::new(message)
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert(hint.into());
        self
    }

    /// Adds what it is about, unless that is known: what is nearer to the cause knows better.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }

    /// Says what it is about, whatever it said before.
    #[must_use]
    pub fn only_at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    /// Says what was being done.
    #[must_use]
    pub fn during(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Adds what was being done to an error of another kind.
pub(crate) trait Context<T> {
    /// `what: error`.
    fn during(self, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: std::error::Error> Context<T> for std::result::Result<T, E> {
    fn during(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Error::from_chain(&error).during(what))
    }
}

impl From<dockerfile::GraphError> for Error {
    fn from(error: dockerfile::GraphError) -> Self {
        let converted = Error::new(error.to_string());
        match error.span() {
            Some(span) => converted.at(span),
            None => converted,
        }
    }
}

macro_rules! message_only {
    ($($error:ty),*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Error::from_chain(&error)
            }
        }
    )*};
}

message_only!(
    std::io::Error,
    layer::PathError,
    layer::ReadError,
    layer::ResolveError,
    layout::LayoutError,
    oci::ManifestError,
    oci::ReferenceError,
    oci::DigestError
);
