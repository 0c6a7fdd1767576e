//! `.dockerignore`: which files of a context are not part of it.
//!
//! The rules are those of moby's [patternmatcher]: unlike `.gitignore`, a pattern is anchored at the
//! context's root, and a slash at its end means nothing.
//!
//! [patternmatcher]: https://github.com/moby/patternmatcher

use crate::PatternError;
use crate::glob::deep_tokens;
use crate::wildcard::Wildcard;

/// An ordered list of patterns; the last one that matches a path, or a directory it is in, decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    wildcard: Wildcard,
    /// Written `!pattern`: what matches is included again.
    includes: bool,
}

/// Why a text is no list of patterns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct IgnoreError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl Ignore {
    /// Reads a `.dockerignore`. A `#` in the first column makes a comment.
    pub fn parse(text: &str) -> Result<Self, IgnoreError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut rules = Vec::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
            let rule = Rule::read(line).map_err(|reason| IgnoreError { line: index + 1, reason })?;
            rules.extend(rule);
        }
        Ok(Ignore { rules })
    }

    /// The same from patterns that were given one by one, as `--exclude` is; the error's line is the
    /// pattern's number, from 1.
    pub fn from_patterns<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, IgnoreError> {
        let mut rules = Vec::new();
        for (index, pattern) in patterns.into_iter().enumerate() {
            let rule = Rule::read(pattern).map_err(|reason| IgnoreError { line: index + 1, reason })?;
            rules.extend(rule);
        }
        Ok(Ignore { rules })
    }

    /// True if there is no pattern at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// True if some pattern includes again what another one excluded.
    #[must_use]
    pub fn has_exceptions(&self) -> bool {
        self.rules.iter().any(|rule| rule.includes)
    }

    /// True if the path, relative to the context's root and without a slash at its end, is excluded. It
    /// makes no difference whether it is a directory.
    pub fn excludes(&self, path: impl AsRef<[u8]>) -> bool {
        self.deciding(path.as_ref()).is_some_and(|index| !self.rules[index].includes)
    }

    /// True if the last pattern that matches one of two paths excludes it: for a source of `COPY` that is
    /// known by its name as well as by its path in the context.
    pub fn excludes_either(&self, name: impl AsRef<[u8]>, path: impl AsRef<[u8]>) -> bool {
        let deciding = self.deciding(name.as_ref()).max(self.deciding(path.as_ref()));
        deciding.is_some_and(|index| !self.rules[index].includes)
    }

    /// False if the directory is excluded with everything that can be below it, so that nobody has to look.
    pub fn may_contain_included(&self, directory: impl AsRef<[u8]>) -> bool {
        let directory = directory.as_ref();
        match self.deciding(directory) {
            // A pattern before the one that excludes the directory excludes nothing less for what is below.
            Some(index) if !self.rules[index].includes => self.rules[index + 1..]
                .iter()
                .any(|rule| rule.includes && rule.wildcard.may_match_below(directory)),
            _ => true,
        }
    }

    /// The last rule that matches the path or one of its parents.
    fn deciding(&self, path: &[u8]) -> Option<usize> {
        self.rules.iter().rposition(|rule| rule.matches(path))
    }
}

impl Rule {
    /// Reads one line; `None` if there is nothing on it.
    fn read(line: &str) -> Result<Option<Self>, String> {
        let pattern = line.trim();
        let (includes, pattern) = match pattern.strip_prefix('!') {
            Some(pattern) => (true, pattern.trim()),
            None => (false, pattern),
        };
        if pattern.is_empty() {
            return if includes { Err("illegal exclusion pattern: \"!\"".to_owned()) } else { Ok(None) };
        }
        let cleaned = clean(pattern);
        let pattern = match cleaned.strip_prefix('/') {
            Some(relative) if !relative.is_empty() => relative,
            _ => cleaned.as_str(),
        };
        let tokens = deep_tokens(pattern).ok_or_else(|| PatternError(pattern.to_owned()).to_string())?;
        Ok(Some(Rule { wildcard: Wildcard::new(tokens), includes }))
    }

    fn matches(&self, path: &[u8]) -> bool {
        let parents = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &path[..at]);
        self.wildcard.matches(path) || parents.into_iter().any(|parent| self.wildcard.matches(parent))
    }
}

/// The shortest path that means the same, as Go's `filepath.Clean` finds it.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}
