//! Challenges: what a server asks for in `WWW-Authenticate` ([RFC 9110, section 11.6.1]).
//!
//! One header may hold several challenges and a challenge several parameters, both separated by commas,
//! so where a challenge ends is known only by looking at what follows.
//!
//! [RFC 9110, section 11.6.1]: https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1

use std::collections::BTreeMap;

/// One way to authenticate that a server offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// `basic`, `bearer`; in lower case.
    pub(crate) scheme: String,
    /// By name in lower case, unquoted.
    pub(crate) parameters: BTreeMap<String, String>,
}

/// The challenges of one header value. What follows after a mistake is dropped.
pub(crate) fn parse(header: &str) -> Vec<Challenge> {
    let mut scanner = Scanner { rest: header };
    let mut challenges: Vec<Challenge> = Vec::new();
    loop {
        scanner.skip(|c| c == ',' || c.is_ascii_whitespace());
        let word = scanner.take(is_token);
        if word.is_empty() {
            return challenges;
        }
        scanner.skip(|c| c.is_ascii_whitespace());
        match (scanner.rest.strip_prefix('='), challenges.last_mut()) {
            (Some(rest), Some(challenge)) => {
                scanner.rest = rest;
                scanner.skip(|c| c.is_ascii_whitespace());
                let Some(value) = scanner.value() else { return challenges };
                challenge.parameters.entry(word.to_ascii_lowercase()).or_insert(value);
            }
            (Some(_), None) => return challenges,
            (None, _) => {
                challenges.push(Challenge { scheme: word.to_ascii_lowercase(), parameters: BTreeMap::new() });
                scanner.skip_token68();
            }
        }
    }
}

struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn skip(&mut self, belongs: impl Fn(char) -> bool) {
        self.take(belongs);
    }

    /// A token or a quoted string, in which a backslash quotes the next character.
    fn value(&mut self) -> Option<String> {
        let Some(quoted) = self.rest.strip_prefix('"') else { return Some(self.take(is_token).to_owned()) };
        let mut text = String::new();
        let mut characters = quoted.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &quoted[at + 1..];
                    return Some(text);
                }
                '\\' => text.push(characters.next()?.1),
                other => text.push(other),
            }
        }
        None
    }

    /// A scheme may be followed by one bare word instead of parameters (`Negotiate abc==`).
    fn skip_token68(&mut self) {
        let before = self.rest;
        self.skip(|c| c.is_ascii_alphanumeric() || "-._~+/".contains(c));
        self.skip(|c| c == '=');
        let after = self.rest.trim_start();
        if !after.is_empty() && !after.starts_with(',') {
            self.rest = before;
        }
    }
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(header: &str) -> String {
        let show = |challenge: &Challenge| {
            let parameters: Vec<String> =
                challenge.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("{}[{}]", challenge.scheme, parameters.join("|"))
        };
        parse(header).iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn challenges() {
        for (header, expected) in [
            (
                r#"Bearer realm="https://a.example/token",service="s",scope="repository:x:pull,push""#,
                "bearer[realm=https://a.example/token|scope=repository:x:pull,push|service=s]",
            ),
            (r#"Basic realm="a b""#, "basic[realm=a b]"),
            (r#"BASIC  realm = plain"#, "basic[realm=plain]"),
            (r#"Basic realm="x", Bearer realm="y" , service=z"#, "basic[realm=x] bearer[realm=y|service=z]"),
            (r#"Negotiate, Basic realm="x""#, "negotiate[] basic[realm=x]"),
            (r#"Negotiate abc==, Basic realm="x""#, "negotiate[] basic[realm=x]"),
            (r#"Basic realm="a\"b\\c""#, r#"basic[realm=a"b\c]"#),
            (r#", ,Basic realm="""#, "basic[realm=]"),
            (r#"Bearer realm="open"#, "bearer[]"),
            ("", ""),
            ("=x", ""),
            ("a=b", ""),
        ] {
            assert_eq!(text(header), expected, "{header}");
        }
    }
}
