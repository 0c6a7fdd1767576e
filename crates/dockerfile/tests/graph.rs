//! Which stages a target needs: `tests/data/graph.txt`; and the variables of `FROM`: `tests/data/scope.txt`.

mod support;

use std::collections::BTreeMap;

use dockerfile::{GlobalScope, Graph, NamedContext, Origin, PlatformArgs, parse};
use support::check_table;

/// `Dockerfile ¦ … | target=b arg=X=1 context=c`: the options, and the text before them.
fn split(input: &str) -> (&str, Vec<(&str, &str)>) {
    let (text, options) = input.rsplit_once(" | ").unwrap_or((input, ""));
    (text, options.split(' ').filter_map(|option| option.split_once('=')).collect())
}

fn all<'a>(options: &[(&'a str, &'a str)], key: &str) -> Vec<&'a str> {
    options.iter().filter(|(known, _)| *known == key).map(|(_, value)| *value).collect()
}

fn build_args(options: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = all(options, "arg").into_iter().filter_map(|arg| arg.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn needed_stages() {
    check_table(include_str!("data/graph.txt"), |input| {
        let (text, options) = split(input);
        let target = all(&options, "target").first().copied();
        let dockerfile = parse(text).unwrap();
        let platform = PlatformArgs::new("linux/amd64", "linux/arm64/v8", target);
        let scope = GlobalScope::new(&dockerfile, &platform, &build_args(&options)).unwrap();
        let contexts: Vec<NamedContext> = all(&options, "context")
            .into_iter()
            .map(|name| NamedContext::parse(&format!("{name}=folder")).unwrap())
            .collect();
        let plan = || {
            let graph = Graph::new(&dockerfile, &scope, &contexts, "linux/arm64")?;
            let stages = graph.reachable(graph.target(target)?)?;
            let mut text = Vec::new();
            for stage in stages {
                let node = &graph.nodes[stage];
                let platform =
                    node.platform.as_ref().map(|platform| format!("({platform})")).unwrap_or_default();
                let sources = graph.sources(stage)?;
                let sources: String =
                    sources.iter().map(|source| format!("+{}", origin(&source.value))).collect();
                text.push(format!("{stage}:{}{platform}{sources}", origin(&node.base)));
            }
            Ok(text.join(" "))
        };
        plan().unwrap_or_else(|error: dockerfile::GraphError| {
            let line = error.span().map(|span| format!("line {}: ", span.first_line)).unwrap_or_default();
            format!("error: {line}{error}")
        })
    });
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Scratch => "scratch".to_owned(),
        Origin::Stage(index) => index.to_string(),
        Origin::Context(name) => format!("context:{name}"),
        Origin::Image(name) => format!("image:{name}"),
    }
}

#[test]
fn global_variables() {
    check_table(include_str!("data/scope.txt"), |input| {
        let (text, options) = split(input);
        let dockerfile = parse(&format!("{text}\nFROM scratch")).unwrap();
        let platform = PlatformArgs::new("linux/amd64", "linux/arm/v7", None);
        let scope = match GlobalScope::new(&dockerfile, &platform, &build_args(&options)) {
            Ok(scope) => scope,
            Err(error) => return error.to_string(),
        };
        let values = all(&options, "show").into_iter().map(|name| scope.get(name).unwrap_or("unset"));
        values.collect::<Vec<_>>().join(" ")
    });
}

#[test]
fn variables_of_a_stage() {
    let text = "ARG A=global B=global C\nFROM x\nARG A B=stage C D=$E TARGETARCH F\n";
    let dockerfile = parse(text).unwrap();
    let declarations = match &dockerfile.stages[0].instructions[0].kind {
        dockerfile::InstructionKind::Arg(arg) => &arg.declarations,
        other => panic!("{other:?}"),
    };
    for (build_args, expected) in [
        ("", "A=global B=stage D=env TARGETARCH=arm64"),
        ("A=1 B=2 C= D=$E F=5", "A=1 B=2 C= D=$E TARGETARCH=arm64 F=5"),
        ("TARGETARCH=mips", "A=global B=stage D=env TARGETARCH=mips"),
    ] {
        let pairs = build_args.split(' ').filter_map(|arg| arg.split_once('='));
        let build_args = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let platform = PlatformArgs::new("linux/amd64", "linux/arm64", None);
        let scope = GlobalScope::new(&dockerfile, &platform, &build_args).unwrap();
        let env = |name: &str| (name == "E").then(|| "env".to_owned());
        let values = declarations.iter().filter_map(|declaration| {
            let value = scope.stage_value(declaration, dockerfile.directives.escape, &env).unwrap();
            value.map(|value| format!("{}={value}", declaration.name))
        });
        assert_eq!(values.collect::<Vec<_>>().join(" "), expected);
    }
}

#[test]
fn unused_build_args_are_told() {
    let dockerfile = parse("ARG VERSION\nFROM x\nARG COLOUR=red\n").unwrap();
    let names = ["VERSOIN", "COLOUR", "nothing", "http_proxy", "BUILDKIT_INLINE_CACHE", "TARGETARCH"];
    let build_args = names.iter().map(|name| ((*name).to_owned(), String::new())).collect();
    let platform = PlatformArgs::new("linux/amd64", "linux/amd64", None);
    let scope = GlobalScope::new(&dockerfile, &platform, &build_args).unwrap();
    let expected = vec![("VERSOIN".to_owned(), Some("VERSION".to_owned())), ("nothing".to_owned(), None)];
    assert_eq!(scope.unused_build_args(&dockerfile), expected);
}
