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
