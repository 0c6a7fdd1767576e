//! What the program answers when a Dockerfile is asked and not built: on standard output, without a registry,
//! a destination or a RUN.

#![allow(clippy::unwrap_used)] // a failure here is a failed test

use std::process::{Command, Output};

use serde_json::{Value, json};

/// A Dockerfile and what is asked.
fn ask(dockerfile: &str, arguments: &[&str]) -> Output {
    let context = tempfile::tempdir().unwrap();
    std::fs::write(context.path().join("Dockerfile"), dockerfile).unwrap();
    Command::new(env!("CARGO_BIN_EXE_bako"))
        .args(["--context", ".", "--work-dir", "work"])
        .args(arguments)
        .current_dir(context.path())
        .env_clear()
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

const STAGES: &str = "# check=experimental=all\n\
    ARG VERSION=1\n\
    # base what all need\n\
    FROM scratch AS base\n\
    # NAME whom to greet\n\
    ARG NAME=you VERSION\n\
    RUN --mount=type=secret,id=login,required=true --mount=type=cache,target=/cache true\n\
    FROM base\n\
    LABEL a=b\n";

#[test]
fn answers() {
    for (dockerfile, arguments, code, expected) in [
        ("FROM scratch\nLABEL a=b\n", &["--check"][..], 0, "Check complete, no warnings found.\n"),
        (
            "FROM scratch\nMAINTAINER x\n",
            &["--call", "check"],
            1,
            "warning: Maintainer instruction is deprecated in favor of using label\n \
             --> ./Dockerfile:2:1\n  |\n2 | MAINTAINER x\n  | ^^^^^^^^^^^^\n  |\n  \
             = note: MaintainerDeprecated, see https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/\n\n\
             Check complete, 1 warning has been found!\n",
        ),
        (
            "# check=skip=all\nFROM scratch\nMAINTAINER x\n",
            &["--check"],
            0,
            "Check complete, no warnings found.\n",
        ),
        ("FROM scratch\nFOO\n", &["--check"], 1, ""),
        (
            STAGES,
            &["--call=targets"],
            0,
            "TARGET        DESCRIPTION\nbase          what all need\n- (default)\n",
        ),
        (
            STAGES,
            &["--call=outline", "--target=base", "--build-arg", "NAME=me"],
            0,
            "TARGET:        base\nDESCRIPTION:   what all need\n\n\
             BUILD ARG   VALUE   DESCRIPTION\nVERSION     1\nNAME        me      whom to greet\n\n\
             SECRET   REQUIRED\nlogin    true\n\n\
             CACHE MOUNT\n/cache\n",
        ),
        (STAGES, &["--call=outline", "--target=bsae"], 1, ""),
    ] {
        let answer = ask(dockerfile, arguments);
        let shown = format!("{arguments:?} of\n{dockerfile}{}", text(&answer.stderr));
        assert_eq!(text(&answer.stdout), expected, "{shown}");
        assert_eq!(answer.status.code(), Some(code), "{shown}");
    }
}

#[test]
fn answers_in_buildkits_fields() {
    let answer = ask("FROM scratch\nMAINTAINER x\nFOO\n", &["--call=check,format=json"]);
    assert_eq!(answer.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(found["warnings"], json!([]));
    assert_eq!(found["buildError"]["message"], "unknown instruction: FOO");
    assert_eq!(found["buildError"]["location"]["ranges"][0]["start"]["line"], 3);

    let answer = ask("FROM scratch\nMAINTAINER x\n", &["--check", "--call=check,format=json"]);
    let found: Value = serde_json::from_slice(&answer.stdout).unwrap();
    let warning = json!({
        "ruleName": "MaintainerDeprecated",
        "description": "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
        "url": "https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/",
        "detail": "Maintainer instruction is deprecated in favor of using label",
        "location": { "ranges": [{ "start": { "line": 2 }, "end": { "line": 2 } }] },
    });
    assert_eq!(found["warnings"], json!([warning]));
    assert_eq!(found["sources"][0]["filename"], "./Dockerfile");
    assert_eq!(found["sources"][0]["data"], "RlJPTSBzY3JhdGNoCk1BSU5UQUlORVIgeAo=");

    let answer = ask(STAGES, &["--call=targets,format=json"]);
    let found: Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(found["targets"][0]["name"], "base");
    assert_eq!(found["targets"][1]["default"], true);
}

/// Docker's default name has a second spelling.
#[test]
fn a_dockerfile_in_small_letters() {
    let context = tempfile::tempdir().unwrap();
    std::fs::write(context.path().join("dockerfile"), "FROM scratch AS small\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bako"));
    command.args(["--context", ".", "--work-dir", "work", "--call=targets"]);
    let answer = command.current_dir(context.path()).env_clear().output().unwrap();
    assert_eq!(text(&answer.stdout), "TARGET            DESCRIPTION\nsmall (default)\n");
}

/// What goes wrong before a build starts is an error event too.
#[test]
fn errors_are_events() {
    for (arguments, message, hint, code) in [
        (&["--bogus"][..], "unexpected argument '--bogus' found", json!(null), 2),
        (
            &["--push"],
            "unexpected argument '--push' found",
            json!("an image is pushed to each --destination unless --no-push is given"),
            2,
        ),
        (&[], "you must provide --destination, or use --no-push", json!(null), 1),
        (&["--no-push", "--target=nosuch"], "target stage \"nosuch\" could not be found", json!(null), 1),
    ] {
        let arguments = [&["--log-format=json"], arguments].concat();
        let failed = ask("FROM scratch\n", &arguments);
        assert_eq!(failed.status.code(), Some(code), "{arguments:?}");
        let last = text(&failed.stderr).lines().last().unwrap_or_default();
        let event: Value = serde_json::from_str(last).unwrap();
        assert_eq!((&event["event"], &event["msg"]), (&json!("error"), &json!(message)), "{arguments:?}");
        assert_eq!((&event["hint"], &event["exit_code"]), (&hint, &json!(code)), "{arguments:?}");
    }
    let failed = ask("FROM scratch\nEXPOSE 80 x\n", &["--log-format=json", "--no-push"]);
    let last = text(&failed.stderr).lines().last().unwrap_or_default();
    let event: Value = serde_json::from_str(last).unwrap();
    assert_eq!((&event["line"], &event["column"]), (&json!(2), &json!(11)), "{event}");
}
