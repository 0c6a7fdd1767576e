//! What must hold for every text: nothing panics, and the parts agree with each other.

use dockerfile::{
    Escape, Ignore, ModeChange, Pattern, Span, Word, expand, expand_words, parse_duration, parse_ports,
};
use proptest::prelude::*;

fn word(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(pieces), 0..12).prop_map(|pieces| pieces.concat())
}

const WORD: &[&str] = &[
    "a", "b", "$a", "${a", "${a:-", "${b:+", "${a#", "${a%%", "${a//", "}", "/", "*", "?", "\\", "\"", "'",
    " ", ":", "é", "`",
];

const PATTERN: &[&str] = &["a", "b", "*", "**", "/", "?", "[a-b]", "[^a]", "\\a", "!", ".", "..", "é", "#"];

const PATH: &[&str] = &["a", "b", "ab", "a/", "b/", "é", "é/", "c"];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn words_without_quotes_and_blanks_are_one_value(text in word(WORD)) {
        let env = |name: &str| (name == "a").then(|| "aXa".to_owned());
        let word = Word { text: text.clone(), span: Span::default() };
        for escape in [Escape::Backslash, Escape::Backtick] {
            let one = expand(&word, escape, &env);
            let several = expand_words(&word, escape, &env);
            prop_assert_eq!(one.is_ok(), several.is_ok());
            if let (Ok(one), Ok(several)) = (one, several) {
                prop_assert_eq!(&one.unset, &several.unset);
                if !text.contains(' ') && !one.text.is_empty() {
                    prop_assert_eq!(several.words, vec![one.text]);
                }
            }
        }
    }

    #[test]
    fn plain_words_are_their_own_value(text in "[a-z0-9/._:= -]{0,20}") {
        let word = Word { text: text.clone(), span: Span::default() };
        prop_assert_eq!(expand(&word, Escape::Backslash, &|_| None).map(|value| value.text), Ok(text));
    }

    #[test]
    fn skipped_directories_hold_nothing(
        patterns in prop::collection::vec(word(PATTERN), 1..4),
        directory in word(PATH),
        below in word(PATH),
    ) {
        let (directory, below) = (directory.trim_matches('/'), below.trim_matches('/'));
        if let Ok(ignore) = Ignore::from_patterns(patterns.iter().map(String::as_str)) {
            let path = format!("{directory}/{below}");
            if !directory.is_empty() && !below.is_empty() && !ignore.may_contain_included(directory) {
                prop_assert!(ignore.excludes(&path), "{:?} leaves {} in {}", patterns, path, directory);
            }
        }
    }

    #[test]
    fn patterns_say_where_they_match(pattern in word(PATTERN), path in word(PATH)) {
        let path = path.trim_matches('/');
        for pattern in [Pattern::new(&pattern), Pattern::with_double_stars(&pattern)].into_iter().flatten() {
            if let (true, Some((directory, _))) = (pattern.matches(path), path.rsplit_once('/')) {
                prop_assert!(pattern.may_match_below(directory));
            }
        }
    }

    #[test]
    fn literal_patterns_match_themselves_alone(path in "[a-z/.]{1,12}", other in "[a-z/.]{1,12}") {
        let pattern = Pattern::new(&path).unwrap();
        prop_assert!(pattern.matches(&path));
        prop_assert_eq!(pattern.matches(&other), path == other);
    }

    #[test]
    fn nothing_panics(text in ".{0,20}", mode in 0_u32..0o10000, directory: bool) {
        let _ = parse_duration(&text);
        let _ = parse_ports(&text);
        let _ = dockerfile::detect_syntax(&text);
        let _ = Ignore::parse(&text);
        let _ = text.parse::<dockerfile::Owner>();
        let _ = text.parse::<dockerfile::Signal>();
        if let Ok(change) = ModeChange::parse(&text) {
            prop_assert!(change.apply(mode, directory) <= 0o7777);
        }
    }

    #[test]
    fn symbolic_modes_stay_permission_bits(
        change in "[ugoa]{0,3}[-+=]([rwxXst]{0,4}|[ugo])(,[ugoa]{0,2}[-+=][rwx]{0,3})?",
        mode in 0_u32..0o10000,
        directory: bool,
    ) {
        let change = ModeChange::parse(&change).unwrap();
        prop_assert!(change.apply(mode, directory) <= 0o7777);
    }
}
