//! Wildcards: the machine that matches paths, for globs and for `.dockerignore`.
//!
//! Paths are bytes, patterns are text: a byte that is no UTF-8 counts as one character of its own.

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// This character.
    Char(char),
    /// `?`: any character but `/`.
    One,
    /// `*`: any number of characters but `/`.
    Many,
    /// `[a-z]`, `[^a-z]`: one of these, or none of these. As in Go, `/` is like any other.
    Class { negated: bool, ranges: Vec<(char, char)> },
    /// `**` at the end: anything.
    Anything,
    /// What [`Token::Directories`] stands for may be left out. Always before it.
    Optional,
    /// `**/`: anything that ends with `/`.
    Directories,
}

/// A pattern ready to match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wildcard {
    tokens: Vec<Token>,
    /// The characters it starts with: most paths differ there already.
    prefix: String,
}

/// A character, or a byte that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Char(char),
    Byte,
}

impl Wildcard {
    pub(crate) fn new(tokens: Vec<Token>) -> Self {
        let literal = |token: &Token| if let Token::Char(c) = token { Some(*c) } else { None };
        let prefix = tokens.iter().map_while(literal).collect();
        Wildcard { tokens, prefix }
    }

    pub(crate) fn matches(&self, path: &[u8]) -> bool {
        if self.prefix.len() > path.len() || !path.starts_with(self.prefix.as_bytes()) {
            return false;
        }
        let literal = self.prefix.chars().count();
        if literal == self.tokens.len() {
            return path.len() == self.prefix.len();
        }
        let states = self.run(literal, &[&path[self.prefix.len()..]]);
        states.last() == Some(&true)
    }

    /// True if some path below the directory may match.
    pub(crate) fn may_match_below(&self, directory: &[u8]) -> bool {
        let states = self.run(0, &[directory, b"/"]);
        states[..self.tokens.len()].contains(&true)
    }

    /// Which beginnings of the pattern match the whole of the text; `from` tokens have matched before it.
    fn run(&self, from: usize, text: &[&[u8]]) -> Vec<bool> {
        let mut states = vec![false; self.tokens.len() + 1];
        states[from] = true;
        self.skip(&mut states);
        for unit in text.iter().flat_map(|part| units(part)) {
            if !states.contains(&true) {
                break;
            }
            self.step(&mut states, unit);
            self.skip(&mut states);
        }
        states
    }

    /// Passes over what may match nothing.
    fn skip(&self, states: &mut [bool]) {
        for (i, token) in self.tokens.iter().enumerate() {
            if states[i] {
                match token {
                    Token::Many | Token::Anything => states[i + 1] = true,
                    Token::Optional => {
                        states[i + 1] = true;
                        states[i + 2] = true;
                    }
                    _ => {}
                }
            }
        }
    }

    fn step(&self, states: &mut [bool], unit: Unit) {
        let slash = unit == Unit::Char('/');
        let mut carried = false;
        for (i, token) in self.tokens.iter().enumerate() {
            let here = states[i];
            let (stays, advances) = match token {
                _ if !here => (false, false),
                Token::Char(c) => (false, unit == Unit::Char(*c)),
                Token::One => (false, !slash),
                Token::Many => (!slash, false),
                Token::Class { negated, ranges } => {
                    let listed = match unit {
                        Unit::Char(c) => ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)),
                        Unit::Byte => false,
                    };
                    (false, listed != *negated)
                }
                Token::Anything => (true, false),
                Token::Optional => (false, false),
                Token::Directories => (true, slash),
            };
            states[i] = stays || carried;
            carried = advances;
        }
        if let Some(last) = states.last_mut() {
            *last = carried;
        }
    }
}

fn units(bytes: &[u8]) -> impl Iterator<Item = Unit> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let invalid = chunk.invalid().iter().map(|_| Unit::Byte);
        chunk.valid().chars().map(Unit::Char).chain(invalid)
    })
}
