//! Places in the source: every part knows where it stands, whatever the source is.

use std::collections::BTreeMap;

use dockerfile::instruction::{Script, Source};
use dockerfile::{
    BaseFacts, Dockerfile, GlobalScope, Graph, Ignore, InstructionKind, Linter, Outline, PlatformArgs, Rule,
    Span, Targets, parse, parse_trigger,
};
use proptest::prelude::*;

/// Instructions and words with the source they say they have.
fn check(text: &str, expected: &[&str]) {
    let found: Vec<&str> = parse(text).iter().flat_map(spans).map(|span| &text[span.range()]).collect();
    assert_eq!(found, expected);
}

/// The spans of a Dockerfile's parts, a few for each kind of part.
fn spans(dockerfile: &Dockerfile) -> Vec<Span> {
    let mut spans = Vec::new();
    for declaration in dockerfile.global_args.iter().flat_map(|arg| &arg.declarations) {
        spans.push(declaration.name.span);
        spans.extend(declaration.default.as_ref().map(|word| word.span));
    }
    for stage in &dockerfile.stages {
        spans.extend([stage.span, stage.base.span]);
        spans.extend(stage.platform.as_ref().map(|word| word.span));
        for instruction in &stage.instructions {
            spans.push(instruction.span);
            match &instruction.kind {
                InstructionKind::Copy(copy) => {
                    spans.extend(copy.from.as_ref().map(|from| from.span));
                    spans.extend(copy.sources.iter().map(|source| match source {
                        Source::Path(word) => word.span,
                        Source::Heredoc(heredoc) => heredoc.span,
                    }));
                    spans.push(copy.destination.span);
                }
                InstructionKind::Run(run) => spans.extend(run.mounts.iter().map(|mount| mount.span)),
                InstructionKind::Env(env) => {
                    spans.extend(env.pairs.iter().flat_map(|pair| [pair.key.span, pair.value.span]));
                }
                InstructionKind::Workdir(word) => spans.push(word.span),
                _ => {}
            }
        }
    }
    spans
}

#[test]
fn of_words() {
    check(
        "ARG a b=c\nFROM --platform=x y AS z",
        &["a", "b", "c", "FROM --platform=x y AS z", "y", "--platform=x"],
    );
    check("FROM a\r\nCOPY  b\tc d\r\n", &["FROM a", "a", "COPY  b\tc d", "b", "c", "d"]);
    check("\u{feff}FROM a\nENV é=ü", &["FROM a", "a", "ENV é=ü", "é", "ü"]);
    check("FROM a\n  ENV b=\n", &["FROM a", "a", "ENV b=", "b", ""]);
    check(
        "FROM a\nCOPY \\\n  # why\n  --from=b \\\n  cc \\\n\n  dd\n",
        &["FROM a", "a", "COPY \\\n  # why\n  --from=b \\\n  cc \\\n\n  dd", "--from=b", "cc", "dd"],
    );
    check("FROM a\nWORKDIR /b\\\nc\n", &["FROM a", "a", "WORKDIR /b\\\nc", "/b\\\nc"]);
    check(
        "FROM a\nCOPY <<E b\n1\n2\nE\nRUN c",
        &["FROM a", "a", "COPY <<E b\n1\n2\nE", "1\n2\n", "b", "RUN c"],
    );
    check(
        "FROM a\nCOPY [\"b\", \"c\"]",
        &["FROM a", "a", "COPY [\"b\", \"c\"]", "[\"b\", \"c\"]", "[\"b\", \"c\"]"],
    );
}

#[test]
fn of_lines() {
    let text = "# one\n\nFROM a\nRUN x \\\n # y\n\n z\nRUN <<E\nE\nCOPY \\\n b \\\n c\n";
    let dockerfile = parse(text).unwrap();
    let instructions = &dockerfile.stages[0].instructions;
    let lines: Vec<_> = instructions.iter().map(|one| (one.span.first_line, one.span.last_line)).collect();
    assert_eq!(lines, [(4, 7), (8, 9), (10, 12)]);
    let InstructionKind::Copy(copy) = &instructions[2].kind else { panic!("{instructions:?}") };
    assert_eq!((copy.destination.span.first_line, copy.destination.span.last_line), (12, 12));
    assert_eq!(dockerfile.warnings.len(), 1);
    assert_eq!(
        (dockerfile.warnings[0].rule, dockerfile.warnings[0].span.first_line),
        (Rule::NoEmptyContinuation, 6)
    );
}

#[test]
fn of_errors() {
    for (text, place) in [
        ("FROM a\nCOPY --form=x b c", "--form=x"),
        ("FROM a\nRUN x \\\n && y\nENV a=1 \\\n b", "b"),
        ("FROM a AS 1x", "1x"),
        ("FROM a\nFOO", "FOO"),
        ("# escape=x\nFROM a", "x"),
    ] {
        let span = parse(text).unwrap_err().span.unwrap();
        assert_eq!(&text[span.range()], place);
    }
    assert_eq!(parse("# x").unwrap_err().span, None);
}

#[test]
fn line_endings_of_heredocs_are_kept() {
    let dockerfile = parse("FROM a\r\nRUN <<E\r\nx\r\n  y\r\nE\r\nRUN z\r\n").unwrap();
    let scripts: Vec<_> = dockerfile.stages[0]
        .instructions
        .iter()
        .map(|instruction| match &instruction.kind {
            InstructionKind::Run(run) => match run.script() {
                Script::Shell(text) => text.into_owned(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(scripts, ["x\r\n  y\r\n", "z"]);
}

#[test]
fn lines_have_a_longest() {
    let line = |length: usize| format!("FROM a\nRUN {}\nRUN x", "x".repeat(length - "RUN ".len()));
    assert!(parse(&line(65_535)).is_ok());
    let error = parse(&line(65_536)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "dockerfile parse error on line 2: dockerfile line greater than max allowed size of 65535"
    );
}

#[test]
fn triggers() {
    let trigger = parse_trigger("COPY --from=b <<E c\nd\nE").unwrap();
    let InstructionKind::Copy(copy) = &trigger.kind else { panic!("{trigger:?}") };
    assert_eq!(copy.from.as_ref().map(|from| from.value.as_str()), Some("b"));
    assert!(matches!(&copy.sources[..], [Source::Heredoc(heredoc)] if heredoc.source == "d\n"));
    for (trigger, message) in [
        ("", "an ONBUILD trigger is empty"),
        ("FROM a", "FROM isn't allowed as an ONBUILD trigger"),
        ("RUN a\nRUN b", "an ONBUILD trigger is a single instruction"),
        ("RNU a", "unknown instruction: RNU"),
    ] {
        assert_eq!(parse_trigger(trigger).unwrap_err().message, message);
    }
}

/// Pieces that Dockerfiles are made of, so that chance makes something like one.
fn dockerfile_like() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "FROM a",
        "RUN x",
        "COPY a b",
        "ENV a=b",
        "ARG a",
        "ONBUILD ",
        "HEALTHCHECK CMD ",
        "LABEL a b",
        "VOLUME ",
        "EXPOSE 80",
        "--mount=type=cache,",
        "--from=0",
        "--link",
        "target=/x",
        "<<EOF",
        "<<-'E'",
        "EOF",
        "E",
        "\n",
        "\n",
        "\n",
        "\r\n",
        " ",
        "\t",
        "\\\n",
        "\\",
        "`",
        "#",
        "# escape=`\n",
        "# check=skip=all\n",
        "[\"a\"]",
        "[",
        "\"",
        "'",
        "$",
        "${a:-b}",
        "${",
        "=",
        "é",
        "\u{feff}",
        "\u{3000}",
        "AS b",
        "--",
        "\u{0}",
    ]);
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

fn never_panics(text: &str) {
    let dockerfile = match parse(text) {
        Ok(dockerfile) => dockerfile,
        Err(error) => {
            if let Some(span) = error.span {
                assert!(text.get(span.range()).is_some(), "{span:?} of {text:?}");
            }
            return;
        }
    };
    let lines = text.lines().count();
    let mut last = 0;
    for span in spans(&dockerfile) {
        assert!(text.get(span.range()).is_some(), "{span:?} of {text:?}");
        assert!(
            1 <= span.first_line && span.first_line <= span.last_line && span.last_line <= lines,
            "{span:?}"
        );
    }
    for instruction in dockerfile.stages.iter().flat_map(|stage| &stage.instructions) {
        assert_eq!(&text[instruction.span.range()], instruction.text);
        assert!(instruction.span.start >= last, "instructions are in order");
        last = instruction.span.end;
        if let InstructionKind::Onbuild(onbuild) = &instruction.kind {
            // Whether it is one is the child's business; that it ends is ours.
            let _ = parse_trigger(&onbuild.trigger.value);
        }
    }
    let inside = |span: Span| text.get(span.range()).is_some();
    let platform = PlatformArgs::new("linux/amd64", "linux/arm64", None);
    let mut linter = Linter::new(&dockerfile, None);
    let mut warnings = linter.file(&platform);
    let targets = Targets::of(&dockerfile);
    assert_eq!(targets.targets.len(), dockerfile.stages.len());
    match GlobalScope::new(&dockerfile, &platform, &BTreeMap::new()) {
        Err(error) => assert!(inside(error.span), "{error:?} of {text:?}"),
        Ok(scope) => match Graph::new(&dockerfile, &scope, &[], "linux/amd64") {
            Err(error) => assert!(error.span().is_none_or(inside), "{error:?} of {text:?}"),
            Ok(graph) => {
                let base = BaseFacts { environment: Some(BTreeMap::new()), ..BaseFacts::default() };
                let ignore = Ignore::parse("a\n**/b").ok();
                for stage in 0..dockerfile.stages.len() {
                    warnings.extend(linter.stage(&graph, &scope, stage, &base, ignore.as_ref()));
                    if let Err(error) = Outline::of(&dockerfile, &graph, &scope, stage) {
                        assert!(error.span().is_none_or(inside), "{error:?} of {text:?}");
                    }
                }
            }
        },
    }
    for warning in warnings {
        assert!(inside(warning.span), "{warning:?} of {text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn stay_inside_any_text(text in ".*") {
        never_panics(&text);
    }

    #[test]
    fn stay_inside_what_looks_like_a_dockerfile(text in dockerfile_like()) {
        never_panics(&text);
        never_panics(&format!("FROM a\n{text}"));
    }
}
