//! Versions of tags, and constraints on them, in the form of `blang/semver`.

use std::cmp::Ordering;

/// A semantic version ([semver.org](https://semver.org/spec/v2.0.0.html)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    numbers: [u64; 3],
    pub(crate) prerelease: Vec<String>,
}

impl Version {
    /// Reads a version; a leading `v` is not part of one.
    pub(crate) fn parse(text: &str) -> Option<Version> {
        let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
        let (core, prerelease) = text.split_once('-').map_or((text, None), |(core, pre)| (core, Some(pre)));
        let is_word = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let has_zero = |part: &str| part.len() > 1 && part.starts_with('0');
        if build.is_some_and(|build| !build.split('.').all(is_word)) {
            return None;
        }
        let parts: Vec<&str> = core.split('.').collect();
        let [major, minor, patch] = parts[..] else { return None };
        let mut numbers = [0; 3];
        for (number, part) in numbers.iter_mut().zip([major, minor, patch]) {
            if !is_number(part) || has_zero(part) {
                return None;
            }
            *number = part.parse().ok()?;
        }
        let prerelease: Vec<String> =
            prerelease.map_or_else(Vec::new, |pre| pre.split('.').map(str::to_owned).collect());
        let fits = |part: &String| is_word(part) && !(is_number(part) && has_zero(part));
        prerelease.iter().all(fits).then_some(Version { numbers, prerelease })
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let identifiers = || match (self.prerelease.is_empty(), other.prerelease.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => {
                let pairs = self.prerelease.iter().zip(&other.prerelease);
                let differ = pairs.map(|(left, right)| identifier(left, right)).find(|order| order.is_ne());
                differ.unwrap_or(self.prerelease.len().cmp(&other.prerelease.len()))
            }
        };
        self.numbers.cmp(&other.numbers).then_with(identifiers)
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn identifier(left: &str, right: &str) -> Ordering {
    match (left.parse::<u64>(), right.parse::<u64>()) {
        (Ok(left), Ok(right)) => left.cmp(&right),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => left.cmp(right),
    }
}

/// `>=1.0.0 <2.0.0 || 3.x`: any of several lists, of which all have to hold.
#[derive(Debug, Clone)]
pub(crate) struct Constraints(Vec<Vec<(Operator, Version)>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Constraints {
    /// Reads constraints.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let fails =
            |part: &str| format!("Parsing version constraint '{text}': Could not parse Range {part:?}");
        let mut any = Vec::new();
        for list in text.split("||") {
            let mut all = Vec::new();
            let mut words = list.split_whitespace().peekable();
            if words.peek().is_none() {
                return Err(fails(list));
            }
            while let Some(word) = words.next() {
                // An operator may stand apart from its version.
                let mut word = word.to_owned();
                if word.bytes().all(|byte| b"<>=!".contains(&byte)) {
                    word.push_str(words.next().ok_or_else(|| fails(&word))?);
                }
                let at = word.find(|c: char| !"<>=!".contains(c)).unwrap_or(word.len());
                let (operator, version) = word.split_at(at);
                let operator = match operator {
                    "" | "=" | "==" => Operator::Equal,
                    "!" | "!=" => Operator::NotEqual,
                    ">" => Operator::Greater,
                    ">=" => Operator::GreaterOrEqual,
                    "<" => Operator::Less,
                    "<=" => Operator::LessOrEqual,
                    _ => return Err(fails(&word)),
                };
                all.extend(expand(operator, version).ok_or_else(|| fails(&word))?);
            }
            any.push(all);
        }
        Ok(Constraints(any))
    }

    /// True if a version meets them.
    pub(crate) fn allow(&self, version: &Version) -> bool {
        let holds = |(operator, other): &(Operator, Version)| {
            let order = version.cmp(other);
            match operator {
                Operator::Equal => order.is_eq(),
                Operator::NotEqual => order.is_ne(),
                Operator::Greater => order.is_gt(),
                Operator::GreaterOrEqual => order.is_ge(),
                Operator::Less => order.is_lt(),
                Operator::LessOrEqual => order.is_le(),
            }
        };
        self.0.iter().any(|all| all.iter().all(holds))
    }
}

/// What `x` in a version stands for: all minor, or all patch versions.
fn expand(operator: Operator, version: &str) -> Option<Vec<(Operator, Version)>> {
    if !version.contains('x') || Version::parse(version).is_some() {
        return Some(vec![(operator, Version::parse(version)?)]);
    }
    let parts: Vec<&str> = version.split('.').collect();
    let number = |part: &str| part.parse::<u64>().ok();
    let (low, high) = match parts[..] {
        [major, "x"] | [major, "x", "x"] => {
            let major = number(major)?;
            ([major, 0, 0], [major.checked_add(1)?, 0, 0])
        }
        [major, minor, "x"] => {
            let (major, minor) = (number(major)?, number(minor)?);
            ([major, minor, 0], [major, minor.checked_add(1)?, 0])
        }
        _ => return None,
    };
    let of = |numbers| Version { numbers, prerelease: Vec::new() };
    Some(match operator {
        Operator::Greater => vec![(Operator::GreaterOrEqual, of(high))],
        Operator::GreaterOrEqual => vec![(Operator::GreaterOrEqual, of(low))],
        Operator::Less => vec![(Operator::Less, of(low))],
        Operator::LessOrEqual => vec![(Operator::Less, of(high))],
        Operator::Equal => vec![(Operator::GreaterOrEqual, of(low)), (Operator::Less, of(high))],
        Operator::NotEqual => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints() {
        for (constraint, version, expected) in [
            (">=1.0.0 <1.2.0 || 1.2.3", "1.1.9", true),
            (">=1.0.0 <1.2.0 || 1.2.3", "1.2.3", true),
            (">=1.0.0 <1.2.0 || 1.2.3", "1.2.0", false),
            ("1.3.x", "1.3.9", true),
            ("1.3.x", "1.4.0", false),
            ("1.x", "1.9.0", true),
            ("!1.0.0", "1.0.1", true),
            ("> 1.0.0", "1.0.1", true),
            (">1.3.x", "1.3.9", false),
            ("<1.0.0", "1.0.0-rc.1", true),
        ] {
            let found = Constraints::parse(constraint).unwrap().allow(&Version::parse(version).unwrap());
            assert_eq!(found, expected, "{constraint} {version}");
        }
        for bad in ["", "a", ">>1.0.0", "1.0", "x", ">="] {
            assert!(Constraints::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn order() {
        let mut texts = ["1.0.0", "1.0.0-rc.2", "1.0.0-rc.10", "1.0.0-alpha", "1.0.0-rc", "0.9.0", "1.0.0-1"];
        texts.sort_by_key(|text| Version::parse(text).unwrap());
        assert_eq!(
            texts,
            ["0.9.0", "1.0.0-1", "1.0.0-alpha", "1.0.0-rc", "1.0.0-rc.2", "1.0.0-rc.10", "1.0.0"]
        );
        for bad in ["1.0", "01.0.0", "v1.0.0", "1.0.0-", "1.0.0-01", "1.0.0+"] {
            assert!(Version::parse(bad).is_none(), "{bad}");
        }
    }
}
