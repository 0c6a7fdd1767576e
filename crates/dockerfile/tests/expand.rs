//! The value of words: `tests/data/expand.txt` and `tests/data/words.txt`.

mod support;

use dockerfile::{Escape, Span, Word, expand, expand_words};
use support::{check_table, with_environment};

fn word(text: &str) -> Word {
    Word { text: text.to_owned(), span: Span::default() }
}

fn check(input: &str, escape: Escape) -> String {
    let (env, text) = with_environment(input);
    match expand(&word(text), escape, &env) {
        Ok(expansion) => expansion.text,
        Err(error) => format!("error: {}", error.problem),
    }
}

#[test]
fn values() {
    check_table(include_str!("data/expand.txt"), |input| check(input, Escape::Backslash));
}

#[test]
fn values_with_backtick() {
    check_table(include_str!("data/expand_backtick.txt"), |input| check(input, Escape::Backtick));
}

#[test]
fn words() {
    check_table(include_str!("data/words.txt"), |input| {
        let (env, text) = with_environment(input);
        match expand_words(&word(text), Escape::Backslash, &env) {
            Ok(words) => words.words.join(","),
            Err(error) => format!("error: {}", error.problem),
        }
    });
}

#[test]
fn unset_names_are_told() {
    for (text, unset) in [
        ("$a ${b} $HOME", "a b"),
        ("${a:-x}${b-y}${c:+z}", ""),
        ("${a:-$b}", "b"),
        ("${a#x}${b%y}${c/x/y}", "a b c"),
        ("$a$a", "a"),
        ("$1$@$", ""),
        ("'$a'\\$b", ""),
        ("\"$a\"", "a"),
    ] {
        let (env, text) = with_environment(text);
        let expansion = expand(&word(text), Escape::Backslash, &env).unwrap();
        assert_eq!(expansion.unset.join(" "), unset, "{text}");
    }
}

#[test]
fn the_error_names_the_word() {
    let error = expand(&word("a'b"), Escape::Backslash, &|_| None).unwrap_err();
    let message =
        "failed to process \"a'b\": unexpected end of statement while looking for matching single-quote";
    assert_eq!(error.to_string(), message);
}

#[test]
fn nesting_has_an_end() {
    let deep = "${a:-".repeat(100_000);
    let error = expand(&word(&deep), Escape::Backslash, &|_| None).unwrap_err();
    assert_eq!(error.problem, dockerfile::Problem::TooDeep);
}

#[test]
fn what_multiplies_has_an_end() {
    let long = "x".repeat(1 << 20);
    let env = |name: &str| match name {
        "a" => Some("0123456789".to_owned()),
        "long" => Some(long.clone()),
        _ => None,
    };
    let replaced = (0..20).fold("$a".to_owned(), |inner, _| format!("${{a//?/{inner}}}"));
    for (text, fits) in [
        ("$long$long$long$long".to_owned(), true),
        ("$long$long$long$long$a".to_owned(), false),
        ("\"$long$long$long$long$a\"".to_owned(), false),
        ("y".repeat(5 << 20), true),
        ("${a//?/${a//?/$a}}".to_owned(), true),
        (replaced, false),
    ] {
        let problem = expand(&word(&text), Escape::Backslash, &env).err().map(|error| error.problem);
        let expected = (!fits).then_some(dockerfile::Problem::TooLong);
        assert_eq!(problem, expected, "{}", &text[..text.len().min(80)]);
    }
}
