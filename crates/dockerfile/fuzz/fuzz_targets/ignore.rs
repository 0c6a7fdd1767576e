//! Patterns, and a path in the last line: what is skipped holds nothing, and what matches is looked for.
#![no_main]

use dockerfile::{Ignore, Pattern, has_wildcards};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (patterns, path) = text.rsplit_once('\n').unwrap_or((text, "a/b/c"));
    let path = path.trim_matches('/');
    let parents = || path.match_indices('/').map(|(at, _)| &path[..at]).filter(|parent| !parent.is_empty());
    if let Ok(ignore) = Ignore::parse(patterns) {
        let excluded = ignore.excludes(path);
        for parent in parents() {
            if !ignore.may_contain_included(parent) {
                assert!(excluded, "{patterns:?} skips {parent:?} and leaves {path:?}");
            }
        }
    }
    for pattern in patterns.lines() {
        let _ = has_wildcards(pattern);
        for pattern in [Pattern::new(pattern), Pattern::with_double_stars(pattern)].into_iter().flatten() {
            if pattern.matches(path) {
                assert!(parents().all(|parent| pattern.may_match_below(parent)));
            }
        }
        if !has_wildcards(pattern) && !pattern.contains('\\') {
            assert!(Pattern::new(pattern).is_ok_and(|literal| literal.matches(pattern)));
        }
    }
});
