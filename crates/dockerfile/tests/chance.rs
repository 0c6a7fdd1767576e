//! What must hold for every text: nothing panics, and the parts agree with each other.

use dockerfile::instruction::Source;
use dockerfile::{
    Escape, GitUrl, Ignore, InstructionKind, ModeChange, NamedContext, Pattern, Span, Word, expand,
    expand_words, parse, parse_duration, parse_ports,
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
    fn escaped_words_are_read_back(text in ".{0,20}") {
        let backslashed: String = text.chars().flat_map(|c| ['\\', c]).collect();
        let backticked: String = text.chars().flat_map(|c| ['`', c]).collect();
        for (written, escape) in [(backslashed, Escape::Backslash), (backticked, Escape::Backtick)] {
            let word = Word { text: written, span: Span::default() };
            prop_assert_eq!(expand(&word, escape, &|_| None).map(|value| value.text), Ok(text.clone()));
        }
    }

    #[test]
    fn quoted_words_are_read_back(text in "[^']{0,20}", other in "[^\"$\\\\]{0,20}") {
        let word = Word { text: format!("'{text}'\"{other}\""), span: Span::default() };
        let value = expand(&word, Escape::Backslash, &|_| None).map(|value| value.text);
        prop_assert_eq!(value, Ok(format!("{text}{other}")));
    }

    #[test]
    fn printed_instructions_are_read_back(
        sources in prop::collection::vec("[a-z*./$]{1,8}", 1..4),
        destination in "[a-z/]{1,8}",
        link: bool,
        continued: bool,
    ) {
        let between = if continued { " \\\n # comment\n  " } else { " " };
        let flag = if link { format!("--link{between}") } else { String::new() };
        let text = format!("FROM x\nCOPY {flag}{}{between}{destination}\n", sources.join(between));
        let dockerfile = parse(&text).unwrap();
        let InstructionKind::Copy(copy) = &dockerfile.stages[0].instructions[0].kind else {
            return Err(TestCaseError::fail("it is no COPY"));
        };
        let read: Vec<&str> = copy
            .sources
            .iter()
            .filter_map(|source| if let Source::Path(word) = source { Some(word.text.as_str()) } else { None })
            .collect();
        prop_assert_eq!(read, sources);
        prop_assert_eq!(&copy.destination.text, &destination);
        prop_assert_eq!(&text[copy.destination.span.range()], destination);
        prop_assert_eq!(copy.link.is_some(), link);
    }

    #[test]
    fn git_urls_are_read_back(
        path in "[a-z]{1,5}(/[a-z]{1,5}){0,2}",
        reference in "[a-z0-9][a-z0-9/._]{0,8}",
        directory in prop::option::of("[a-z]{1,4}(/[a-z]{1,4})?"),
        scheme in prop::sample::select(&["https://x.example/", "ssh://git@x.example/", "git@x.example:"][..]),
    ) {
        let remote = format!("{scheme}{path}.git");
        let fragment = directory.as_ref().map(|directory| format!(":{directory}")).unwrap_or_default();
        let url = GitUrl::parse(&format!("{remote}#{reference}{fragment}")).unwrap().unwrap();
        prop_assert_eq!(&url.to_string(), &format!("{remote}#{reference}{fragment}"));
        prop_assert_eq!((&url.remote, url.host.as_str()), (&remote, "x.example"));
        let query = directory.as_ref().map(|directory| format!("&subdir={directory}")).unwrap_or_default();
        let same = GitUrl::parse(&format!("{remote}?ref={reference}{query}")).unwrap().unwrap();
        prop_assert_eq!(same, url);
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
        let _ = GitUrl::parse(&text);
        let _ = GitUrl::parse_context(&text);
        let _ = NamedContext::parse(&text);
        let _ = dockerfile::is_image_name(&text);
        let _ = dockerfile::Check::parse(&text);
        let _ = dockerfile::Frontend::of(&dockerfile::Syntax::parse(&text));
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
