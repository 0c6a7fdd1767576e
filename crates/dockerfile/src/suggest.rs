//! Suggestions: the name that was probably meant.

/// The nearest of `candidates`, if fewer than three mistakes were made. Case does not count for the
/// distance; the answer is written the way `word` is where that is all upper or all lower case.
#[must_use]
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let lower = word.to_lowercase();
    let mut nearest = None;
    let mut least = 3;
    for candidate in candidates {
        let distance = distance(&lower, &candidate.to_lowercase(), least);
        // Every letter replaced is no likeness.
        if distance < least && distance < candidate.chars().count() {
            nearest = Some(candidate);
            least = distance;
        }
    }
    let nearest = nearest.filter(|nearest| *nearest != word)?;
    Some(if word == lower {
        nearest.to_lowercase()
    } else if word == word.to_uppercase() {
        nearest.to_uppercase()
    } else {
        nearest.to_owned()
    })
}

/// How many letters have to be put in, left out, changed, or swapped with their neighbour; any number not
/// below `limit` if it is not below.
fn distance(a: &str, b: &str, limit: usize) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) >= limit {
        return limit;
    }
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1; b.len() + 1];
        for j in 0..b.len() {
            let changed = last[j] + usize::from(a[i] != b[j]);
            row[j + 1] = changed.min(row[j] + 1).min(last[j + 1] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest() {
        for (word, candidates, expected) in [
            ("FORM", &["FROM", "RUN"][..], Some("FROM")),
            ("form", &["FROM", "RUN"], Some("from")),
            ("rnu", &["ENV", "RUN"], Some("run")),
            ("foo", &["from", "chown"], Some("from")),
            ("buidl", &["build", "test"], Some("build")),
            ("xyzzy", &["build"], None),
            ("build", &["build"], None),
            ("ab", &["xy"], None),
        ] {
            assert_eq!(did_you_mean(word, candidates.iter().copied()).as_deref(), expected, "{word}");
        }
    }
}
