//! What can be wrong, told as kbld tells it.

/// Why manifests could not be resolved.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A message that is whole.
    #[error("{0}")]
    Message(String),
    /// Several things are wrong.
    #[error("{}", list(.0))]
    Several(Vec<String>),
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
    /// A message.
    pub fn new(text: impl Into<String>) -> Self {
        Error::Message(text.into())
    }

    /// Says what was being done when it happened.
    #[must_use]
    pub fn during(self, what: &str) -> Self {
        Error::Message(format!("{what}: {self}"))
    }
}

fn list(messages: &[String]) -> String {
    messages.iter().map(|message| format!("\n- {message}")).collect()
}

/// A message on several lines: of the first line each `: ` before a capital letter ends a line, and each part is
/// indented two spaces more, but nothing is broken inside of brackets or quotes that brackets hold.
#[must_use]
pub fn indented(message: &str) -> String {
    let (first, rest) = message.split_at(message.find('\n').unwrap_or(message.len()));
    let (mut out, mut depth, mut level) = (String::new(), 0_usize, 0);
    let chars: Vec<char> = first.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        match chars[at] {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let breaks = depth == 0
            && chars[at] == ':'
            && chars.get(at + 1) == Some(&' ')
            && chars.get(at + 2).is_some_and(|next| next.is_uppercase());
        out.push(chars[at]);
        at += 1;
        if breaks {
            level += 1;
            out.push('\n');
            out.push_str(&"  ".repeat(level));
            at += 1;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_on_lines() {
        for (message, expected) in [
            ("unknown flag: --nope", "unknown flag: --nope"),
            (
                "Validating config/ (kbld.k14s.io/v1alpha1) cluster: Validating Overrides[0]: Expected NewImage to be non-empty",
                "Validating config/ (kbld.k14s.io/v1alpha1) cluster:\n  Validating Overrides[0]:\n    Expected NewImage to be non-empty",
            ),
            ("A (b: C): D", "A (b: C):\n  D"),
            ("\n- Resolving image 'a': B", "\n- Resolving image 'a': B"),
        ] {
            assert_eq!(indented(message), expected);
        }
    }
}
