//! Lints: `tests/data/lint.txt`.

mod support;

use std::collections::BTreeMap;

use dockerfile::{BaseFacts, Check, GlobalScope, Graph, Ignore, Linter, PlatformArgs, Rule, Warning, parse};
use support::check_table;

/// `Dockerfile | target=a base=A=1,B= shell unknown ignore=x,y arg=A=1 check=error=true`: the options, and
/// the text before them. Images have no shell of their own and the environment of `base`.
fn warnings(input: &str) -> Vec<Warning> {
    let (text, options) = input.rsplit_once(" | ").unwrap_or((input, ""));
    let all = |key: &str| {
        let options = options.split(' ').filter_map(|option| option.split_once('='));
        options.filter(|(known, _)| *known == key).map(|(_, value)| value).collect::<Vec<_>>()
    };
    let pairs = |list: &str| -> BTreeMap<String, String> {
        let pairs = list.split(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let has = |word: &str| options.split(' ').any(|option| option == word);
    let dockerfile = parse(text).expect("the case is a Dockerfile");
    let platform = PlatformArgs::new("linux/amd64", "linux/arm64", None);
    let scope = GlobalScope::new(&dockerfile, &platform, &pairs(&all("arg").join(",")))
        .expect("its variables have values");
    let check = all("check").first().map(|text| Check::parse(text).expect("the case is a Dockerfile"));
    let ignore = all("ignore")
        .first()
        .map(|text| Ignore::from_patterns(text.split(',')).expect("the option is a list of patterns"));
    let environment = (!has("unknown")).then(|| pairs(&all("base").join(",")));
    let has_shell = (!has("unknown")).then(|| has("shell"));
    let base = BaseFacts { environment, has_shell, triggers: Vec::new() };
    let mut linter = Linter::new(&dockerfile, check);
    let mut warnings = linter.file(&platform);
    // What is wrong with a FROM is an error of its own; it is linted all the same.
    if let Ok(graph) = Graph::new(&dockerfile, &scope, &[], "linux/amd64") {
        let stages = match all("target").first() {
            Some(target) => graph
                .target(Some(target))
                .and_then(|target| graph.reachable(target))
                .expect("the option is a stage"),
            None => (0..dockerfile.stages.len()).collect(),
        };
        for stage in stages {
            warnings.extend(linter.stage(&graph, &scope, stage, &base, ignore.as_ref()));
            let again = linter.stage(&graph, &scope, stage, &base, ignore.as_ref());
            assert_eq!(again, [], "nothing is said twice");
        }
    }
    warnings.sort_by_key(|warning| warning.span.start);
    warnings
}

#[test]
fn tables() {
    check_table(include_str!("data/lint.txt"), |input| {
        let lines = warnings(input)
            .into_iter()
            .map(|warning| format!("{} {}: {}", warning.span.first_line, warning.rule, warning.message));
        lines.collect::<Vec<_>>().join("; ")
    });
}

#[test]
fn every_rule_is_in_the_table() {
    let table = include_str!("data/lint.txt");
    // The platform of a base is told by whoever has pulled it: see below.
    let missing: Vec<Rule> = Rule::ALL
        .into_iter()
        .filter(|rule| *rule != Rule::InvalidBaseImagePlatform && !table.contains(&format!(" {rule}: ")))
        .collect();
    assert_eq!(missing, []);
}

#[test]
fn base_platforms() {
    let dockerfile = parse("FROM a").unwrap();
    for (expected, actual, message) in [
        ("linux/arm64", "linux/arm64/v8", None),
        ("linux/arm/v7", "linux/arm/v6", None),
        (
            "linux/arm64",
            "linux/amd64",
            Some(
                "Base image a was pulled with platform \"linux/amd64\", expected \"linux/arm64\" for current build",
            ),
        ),
    ] {
        let warnings = Linter::new(&dockerfile, None).base_platform(0, "a", expected, actual);
        let found = warnings.first().map(|warning| (warning.rule, warning.message.as_str(), warning.span));
        let span = dockerfile.stages[0].base.span;
        assert_eq!(found, message.map(|message| (Rule::InvalidBaseImagePlatform, message, span)));
    }
}

#[test]
fn errors_where_they_are_asked_for() {
    for (text, verdict) in [
        ("FROM a as B\nMAINTAINER x", None),
        ("# check=error=true\nFROM a", None),
        (
            "# check=error=true\nFROM a as B\nMAINTAINER x",
            Some("2 lint violation found for rules: FromAsCasing, MaintainerDeprecated, StageNameCasing"),
        ),
        (
            "# check=error=true;skip=StageNameCasing,MaintainerDeprecated\nFROM a as B\nMAINTAINER x",
            Some("2 lint violation found for rules: FromAsCasing"),
        ),
        ("# check=error=true;skip=all\nFROM a as B\nMAINTAINER x", None),
    ] {
        let dockerfile = parse(text).unwrap();
        let platform = PlatformArgs::new("linux/amd64", "linux/amd64", None);
        let scope = GlobalScope::new(&dockerfile, &platform, &BTreeMap::new()).unwrap();
        let graph = Graph::new(&dockerfile, &scope, &[], "linux/amd64").unwrap();
        let mut linter = Linter::new(&dockerfile, None);
        linter.file(&platform);
        linter.stage(&graph, &scope, 0, &BaseFacts::default(), None);
        let found = linter.verdict().err().map(|error| format!("{} {error}", error.span.first_line));
        assert_eq!(found.as_deref(), verdict, "{text}");
    }
}
