//! Texts that are meant to do harm: each is an error, or is read within its means.

use yaml::{Error, parse};

fn laughs(levels: usize) -> String {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..levels {
        let before = level - 1;
        let nine = vec![format!("*a{before}"); 9].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{nine}]\n"));
    }
    text
}

#[test]
fn aliases_are_expanded_within_a_budget() {
    assert!(parse(&laughs(3)).is_ok());
    assert_eq!(parse(&laughs(12)), Err(Error::Aliasing));
    let long = "x".repeat(1 << 20);
    let many = vec!["*a"; 20].join(", ");
    assert_eq!(parse(&format!("a: &a {long}\nb: [{many}]\n")), Err(Error::Aliasing));
    let chain: String = (1..5000).map(|level| format!("a{level}: &a{level} [*a{}]\n", level - 1)).collect();
    assert!(matches!(parse(&format!("a0: &a0 x\n{chain}")), Err(Error::Aliasing | Error::Depth(_))));
    let error = parse("a: &a [*a]\n").unwrap_err();
    assert_eq!(error.to_string(), "yaml: line 1: anchor 'a' value contains itself");
}

#[test]
fn depth_is_limited() {
    for text in [
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
        (0..2000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect(),
        format!("{}{}", "[".repeat(1000), "]".repeat(1000)),
    ] {
        assert!(parse(&text).is_err(), "{}", &text[..20]);
    }
    assert!(parse(&format!("a: {}{}", "[".repeat(200), "]".repeat(200))).is_ok());
}

#[test]
fn characters_that_are_none() {
    for text in ["a: b\0c\n", "a: \"b\0c\"\n", "\0", "a: \u{1}\n"] {
        assert!(parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn long_scalars_are_read_as_they_are() {
    let long = "x".repeat(10 << 20);
    for text in [format!("a: {long}\n"), format!("a: \"{long}\"\n"), format!("a: |\n  {long}\n")] {
        let node = parse(&text).unwrap().unwrap();
        assert_eq!(
            node.get("a").and_then(|node| node.as_str()).map(|text| text.trim().len()),
            Some(10 << 20)
        );
    }
}
