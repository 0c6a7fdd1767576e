//! Which part of a directory is copied: what `--exclude` leaves, and for `--parents` what the pattern names.

use dockerfile::{Ignore, Pattern};
use layer::TreePath;

/// Decides by paths relative to the directory that is copied.
pub(crate) struct Filter<'a> {
    /// What is asked for.
    pub(crate) wanted: Wanted,
    /// What is left out of it.
    pub(crate) exclude: &'a Ignore,
}

/// What is asked for in a directory. What is below something wanted is wanted too.
pub(crate) enum Wanted {
    /// All there is.
    Everything,
    /// One path.
    Path(TreePath),
    /// Every path that matches.
    Matching(Pattern),
}

/// What becomes of something in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is copied. Whether what is below it is, is another question.
    Copied,
    /// It is a directory that is only there if something below it is copied.
    OnTheWay,
    /// Neither it nor what is below it.
    LeftOut,
}

impl Wanted {
    /// True if this path itself is asked for.
    pub(crate) fn names(&self, path: &TreePath) -> bool {
        match self {
            Wanted::Everything => true,
            Wanted::Path(wanted) => path == wanted,
            Wanted::Matching(pattern) => pattern.matches(path.as_bytes()),
        }
    }

    fn may_name_something_below(&self, directory: &TreePath) -> bool {
        match self {
            Wanted::Everything => true,
            Wanted::Path(wanted) => wanted.is_within(directory),
            Wanted::Matching(pattern) => pattern.may_match_below(directory.as_bytes()),
        }
    }
}

impl Filter<'_> {
    /// `is_wanted` says that this path or one above it is asked for.
    pub(crate) fn verdict(&self, path: &TreePath, is_wanted: bool, is_directory: bool) -> Verdict {
        if is_wanted && !self.exclude.excludes(path.as_bytes()) {
            Verdict::Copied
        } else if is_directory
            && (is_wanted || self.wanted.may_name_something_below(path))
            && self.exclude.may_contain_included(path.as_bytes())
        {
            Verdict::OnTheWay
        } else {
            Verdict::LeftOut
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let path = |text: &str| TreePath::new(text).unwrap();
        let deep = || Wanted::Matching(Pattern::with_double_stars("a/**/x").unwrap());
        for (wanted, exclude, at, expected) in [
            (Wanted::Everything, &[][..], "a", Verdict::Copied),
            (Wanted::Everything, &["a"], "a", Verdict::LeftOut),
            (Wanted::Everything, &["a/b"], "a", Verdict::Copied),
            (Wanted::Everything, &["a", "!a/b"], "a", Verdict::OnTheWay),
            (Wanted::Everything, &["!a/b", "a"], "a", Verdict::LeftOut),
            (Wanted::Path(path("a/b")), &[], "a", Verdict::OnTheWay),
            (Wanted::Path(path("a/b")), &[], "a/b", Verdict::Copied),
            (Wanted::Path(path("a/b")), &[], "ab", Verdict::LeftOut),
            (Wanted::Path(path("a/b")), &["a"], "a", Verdict::LeftOut),
            (deep(), &[], "a", Verdict::OnTheWay),
            (deep(), &[], "a/b/c", Verdict::OnTheWay),
            (deep(), &[], "a/x", Verdict::Copied),
            (deep(), &[], "b", Verdict::LeftOut),
        ] {
            let exclude = Ignore::from_patterns(exclude.iter().copied()).unwrap();
            let filter = Filter { wanted, exclude: &exclude };
            let found = filter.verdict(&path(at), filter.wanted.names(&path(at)), true);
            assert_eq!(found, expected, "{at}, less {exclude:?}");
        }
    }
}
