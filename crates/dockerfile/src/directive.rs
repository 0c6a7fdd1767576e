//! Parser directives: the comments before everything else that change how the rest is read.

use crate::lines::{Line, Lines};
use crate::mount::boolean;
use crate::{ParseError, Span, Spanned};

/// The character that continues lines and takes the meaning from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Escape {
    /// `\`
    #[default]
    Backslash,
    /// `` ` ``, for Windows paths.
    Backtick,
}

/// What the directives of a Dockerfile say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directives {
    /// `# syntax=`: the frontend the author had in mind.
    pub syntax: Option<Spanned<Syntax>>,
    /// `# escape=`
    pub escape: Escape,
    /// `# check=`: which lints to run.
    pub check: Option<Spanned<Check>>,
}

/// The frontend named by `# syntax=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syntax {
    /// The image reference of the frontend.
    pub image: String,
    /// What follows the reference: arguments to the frontend.
    pub arguments: String,
}

/// The value of `# check=` or of the build argument `BUILDKIT_DOCKERFILE_CHECK`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Check {
    /// Rules not to run.
    pub skip: Rules,
    /// Rules to run though they are experimental.
    pub experimental: Rules,
    /// A warning fails the build.
    pub error: bool,
}

/// A choice of lint rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rules {
    /// Every one.
    All,
    /// Those named.
    Named(Vec<String>),
}

impl Default for Rules {
    fn default() -> Self {
        Rules::Named(Vec::new())
    }
}

impl Rules {
    /// True if the rule is among them; case does not count.
    #[must_use]
    pub fn contains(&self, rule: &str) -> bool {
        match self {
            Rules::All => true,
            Rules::Named(names) => names.iter().any(|name| name.eq_ignore_ascii_case(rule)),
        }
    }

    fn parse(text: &str) -> Self {
        if text.trim().eq_ignore_ascii_case("all") {
            return Rules::All;
        }
        Rules::Named(
            text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        )
    }
}

impl Escape {
    /// The character.
    #[must_use]
    pub fn as_char(self) -> char {
        match self {
            Escape::Backslash => '\\',
            Escape::Backtick => '`',
        }
    }
}

impl Syntax {
    /// Reads what follows `# syntax=`, or the value of the build argument `BUILDKIT_SYNTAX`.
    #[must_use]
    pub fn parse(value: &str) -> Self {
        let (image, arguments) = value.split_once(' ').unwrap_or((value, ""));
        Syntax { image: image.to_owned(), arguments: arguments.trim().to_owned() }
    }
}

impl Check {
    /// Reads `skip=A,B;error=true;experimental=all`.
    pub fn parse(value: &str) -> Result<Self, String> {
        let mut check = Check::default();
        for part in value.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            match part.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
                Some(("skip", rules)) => check.skip = Rules::parse(rules),
                Some(("experimental", rules)) => check.experimental = Rules::parse(rules),
                Some(("error", value)) => {
                    check.error =
                        boolean(value).ok_or_else(|| format!("failed to parse check option {part:?}"))?;
                }
                Some((key, _)) => return Err(format!("invalid check option {key:?}")),
                None => return Err(format!("invalid check option {part:?}")),
            }
        }
        Ok(check)
    }
}

impl Directives {
    /// Reads the directives at the start of a text; the first line that is none ends them.
    pub(crate) fn parse(source: &str) -> Result<Self, ParseError> {
        let mut directives = Directives::default();
        let mut lines = Lines::new(source);
        let mut escape = None;
        while let Some(line) = lines.next()? {
            let Some((key, value)) = split(line.text, "#") else { break };
            let key = key.to_ascii_lowercase();
            let seen = match key.as_str() {
                "syntax" => directives.syntax.is_some(),
                "escape" => escape.is_some(),
                "check" => directives.check.is_some(),
                _ => break,
            };
            if seen {
                let message = format!("only one {key} parser directive can be used");
                return Err(ParseError::new(line.span(), message));
            }
            let span = value_span(line, value);
            match key.as_str() {
                "syntax" => directives.syntax = Some(Spanned { value: Syntax::parse(value), span }),
                "escape" => {
                    escape = Some(match value {
                        "\\" => Escape::Backslash,
                        "`" => Escape::Backtick,
                        _ => {
                            let message = format!("invalid escape token '{value}' does not match ` or \\");
                            return Err(ParseError::new(span, message));
                        }
                    });
                }
                _ => {
                    let value = Check::parse(value).map_err(|message| ParseError::new(span, message))?;
                    directives.check = Some(Spanned { value, span });
                }
            }
        }
        directives.escape = escape.unwrap_or_default();
        Ok(directives)
    }
}

/// The frontend a file asks for, also where the file is not written for a Dockerfile's parser: below a
/// `#!` line, as a `//` comment, or as the member `syntax` of a JSON object.
#[must_use]
pub fn detect_syntax(source: &str) -> Option<Spanned<Syntax>> {
    let mark = source.len() - source.trim_start_matches('\u{feff}').len();
    let program = source[mark..].starts_with("#!");
    let start =
        if program { source[mark..].find('\n').map_or(source.len(), |at| mark + at + 1) } else { mark };
    let text = &source[start..];
    let found = |value: &str, span: Span| {
        let (first_line, last_line) =
            (span.first_line + usize::from(program), span.last_line + usize::from(program));
        let span = Span { start: span.start + start, end: span.end + start, first_line, last_line };
        Some(Spanned { value: Syntax::parse(value), span })
    };
    if let Ok(Directives { syntax: Some(syntax), .. }) = Directives::parse(text) {
        return found(&text[syntax.span.range()], syntax.span);
    }
    let mut lines = Lines::new(text);
    let mut first = None;
    while let Ok(Some(line)) = lines.next() {
        first = first.or(Some(line.span()));
        let Some((key, value)) = split(line.text, "//") else { break };
        if key.eq_ignore_ascii_case("syntax") {
            return found(value, value_span(line, value));
        }
    }
    #[derive(serde::Deserialize)]
    struct Object {
        syntax: String,
    }
    let object = serde_json::from_str::<Object>(text).ok()?;
    found(&object.syntax, first?)
}

/// `# key = value`
fn split<'a>(line: &'a str, comment: &str) -> Option<(&'a str, &'a str)> {
    let (key, value) = line.trim().strip_prefix(comment)?.split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    let is_key = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (is_key && !value.is_empty()).then_some((key, value))
}

fn value_span(line: Line, value: &str) -> Span {
    let end = line.start + line.text.trim_end().len();
    Span { start: end - value.len(), end, ..line.span() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syntax_is_found() {
        for (text, image, arguments) in [
            ("# syntax=docker/dockerfile:1\nFROM x", "docker/dockerfile:1", ""),
            ("#syntax = a b c \nFROM x", "a", "b c"),
            ("#!/usr/bin/env x\n# syntax=a\nFROM x", "a", ""),
            ("//syntax=a\n", "a", ""),
            ("// Syntax = a\n{}", "a", ""),
            ("{\"syntax\": \"a\", \"other\": 1}", "a", ""),
            ("\u{feff}# syntax=a", "a", ""),
        ] {
            let expected = Syntax { image: image.to_owned(), arguments: arguments.to_owned() };
            let found = detect_syntax(text).unwrap();
            assert_eq!(found.value, expected, "{text}");
            assert!(text[found.span.range()].contains(image), "{text}");
            assert!(text.lines().nth(found.span.first_line - 1).unwrap().contains(image), "{text}");
        }
        for text in
            ["", "FROM x", "# a comment\n# syntax=a", "\n# syntax=a", "# syntax=", "{}", "//x\n//syntax=a"]
        {
            assert_eq!(detect_syntax(text), None, "{text}");
        }
    }

    #[test]
    fn check_is_read() {
        let check = Check::parse("skip=A, b;error=true;experimental=all").unwrap();
        assert!(check.skip.contains("a") && check.skip.contains("B") && !check.skip.contains("C"));
        assert_eq!((check.error, check.experimental), (true, Rules::All));
        for (text, error) in [
            ("foo=1", "invalid check option \"foo\""),
            ("foo", "invalid check option \"foo\""),
            ("error=maybe", "failed to parse check option \"error=maybe\""),
        ] {
            assert_eq!(Check::parse(text), Err(error.to_owned()));
        }
    }

    #[test]
    fn values_know_their_place() {
        let text = "#  syntax =  a b  \n# check=skip=all\nFROM x";
        let directives = Directives::parse(text).unwrap();
        let spans = [directives.syntax.unwrap().span, directives.check.unwrap().span];
        assert_eq!(spans.map(|span| &text[span.range()]), ["a b", "skip=all"]);
    }
}
