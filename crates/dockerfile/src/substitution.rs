//! Substitution patterns: the `*` and `?` of `${x#p}`, `${x%p}` and `${x/p/r}`.
//!
//! They are those of the [POSIX shell] without bracket expressions. The backslash escapes in them whatever
//! the Dockerfile's escape character is.
//!
//! [POSIX shell]: https://pubs.opengroup.org/onlinepubs/9699919799/utilities/V3_chap02.html#tag_18_13

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    One,
    Many,
}

/// A pattern to find in a variable's value.
#[derive(Debug)]
pub(crate) struct Substitution {
    tokens: Vec<Token>,
}

/// How much a `*` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Greed {
    Shortest,
    Longest,
}

impl Substitution {
    /// Reads a pattern; the error is the reason alone.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut tokens = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' => Token::Many,
                '?' => Token::One,
                '\\' => match chars.next() {
                    // A brace and a slash end the pattern unless escaped; the escape is no part of it.
                    Some(c @ ('*' | '?' | '\\' | '}' | '/')) => Token::Char(c),
                    Some(other) => return Err(format!("invalid escape '\\{other}'")),
                    None => return Err("invalid escape '\\'".to_owned()),
                },
                c => Token::Char(c),
            });
        }
        Ok(Substitution { tokens })
    }

    /// The value without the beginning that matches.
    pub(crate) fn strip_prefix(&self, value: &str, greed: Greed) -> String {
        let chars: Vec<char> = value.chars().collect();
        let end = ends(&self.tokens, &chars, greed).unwrap_or(0);
        chars[end..].iter().collect()
    }

    /// The value without the end that matches.
    pub(crate) fn strip_suffix(&self, value: &str, greed: Greed) -> String {
        // Read backwards, a suffix is a prefix.
        let tokens: Vec<Token> = self.tokens.iter().rev().copied().collect();
        let chars: Vec<char> = value.chars().rev().collect();
        let end = ends(&tokens, &chars, greed).unwrap_or(0);
        chars[end..].iter().rev().collect()
    }

    /// The value with the first match, or every match, replaced; a match is as long as can be. `None` if that
    /// gives more than `limit` bytes: replacements in replacements multiply.
    pub(crate) fn replace(
        &self,
        value: &str,
        replacement: &str,
        every: bool,
        limit: usize,
    ) -> Option<String> {
        let chars: Vec<char> = value.chars().collect();
        let mut result = String::new();
        let mut at = 0;
        // An empty match right behind another match is none.
        let mut after_match = false;
        while at <= chars.len() {
            match ends(&self.tokens, &chars[at..], Greed::Longest) {
                Some(length) if length > 0 || !after_match => {
                    result.push_str(replacement);
                    if result.len() > limit {
                        return None;
                    }
                    at += length;
                    if !every {
                        break;
                    }
                    after_match = length > 0;
                    if after_match {
                        continue;
                    }
                }
                _ => after_match = false,
            }
            result.extend(chars.get(at));
            at += 1;
        }
        result.extend(chars.iter().skip(at));
        Some(result)
    }
}

/// Where a match that begins at the first character ends.
fn ends(tokens: &[Token], chars: &[char], greed: Greed) -> Option<usize> {
    // `states[i]`: the first `i` tokens have matched what was read so far.
    let mut states = vec![false; tokens.len() + 1];
    states[0] = true;
    let mut found = None;
    for at in 0..=chars.len() {
        for i in 0..tokens.len() {
            if states[i] && tokens[i] == Token::Many {
                states[i + 1] = true;
            }
        }
        if states[tokens.len()] {
            found = Some(at);
            if greed == Greed::Shortest {
                break;
            }
        }
        let Some(c) = chars.get(at) else { break };
        for i in (0..=tokens.len()).rev() {
            let arrived = i > 0
                && states[i - 1]
                && match tokens[i - 1] {
                    Token::Char(wanted) => wanted == *c,
                    Token::One => true,
                    Token::Many => false,
                };
            let stayed = states[i] && tokens.get(i) == Some(&Token::Many);
            states[i] = arrived || stayed;
        }
        if !states.contains(&true) {
            break;
        }
    }
    found
}
