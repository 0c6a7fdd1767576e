//! `--dryrun` and `--explain` to the letter, as text and as JSON: what they print while a Dockerfile is built, built
//! again, and changed is compared with `golden/plans.txt`, which `BLESS=1` writes anew.
//!
//! Nothing in it depends on the machine: every stage starts from scratch, for one platform.
#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use e2e::process::finish;
use e2e::{Bako, host};
use serde_json::Value;

const DOCKERFILE: &str = "FROM scratch AS one
WORKDIR /src
COPY a.txt .
FROM scratch AS two
WORKDIR /src
COPY a.txt .
COPY b.txt .
FROM scratch
ARG WHO=0:0
COPY --from=one /src /one
COPY --from=two --chown=$WHO /src /two
LABEL made=last
";

/// What happens, in this order: words of a command line, or a file that is written and what is then in it.
enum Act {
    Bako(&'static [&'static str]),
    Write(&'static str, &'static str),
}

const ACTS: &[Act] = &[
    Act::Write("a.txt", "a\n"),
    Act::Write("b.txt", "b\n"),
    // Nothing is there: one step is that of another stage.
    Act::Bako(&["--dryrun"]),
    Act::Bako(&["--dryrun", "--log-format", "json"]),
    Act::Bako(&["--explain"]),
    // All is there, and two stages are needed no more.
    Act::Bako(&["--dryrun"]),
    Act::Bako(&["--dryrun", "--log-format", "json"]),
    Act::Bako(&["--explain"]),
    // One stage is made again from its last step on.
    Act::Write("b.txt", "edited\n"),
    Act::Bako(&["--dryrun"]),
    Act::Bako(&["--explain", "--log-format", "json"]),
    // Another argument, and another file.
    Act::Write("a.txt", "edited\n"),
    Act::Bako(&["--explain", "--build-arg", "WHO=1:1"]),
    Act::Bako(&["--explain", "--no-cache-filter", "two"]),
];

#[test]
fn what_is_planned_and_explained() -> Result<()> {
    let bako = Bako::built()?;
    let folder = tempfile::tempdir()?;
    let context = folder.path().join("context");
    fs::create_dir(&context)?;
    fs::write(folder.path().join("Dockerfile"), DOCKERFILE)?;
    let mut transcript = DOCKERFILE.to_owned();
    for act in ACTS {
        match act {
            Act::Write(name, text) => {
                let path = context.join(name);
                fs::write(&path, text)?;
                fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
                transcript.push_str(&format!("\n$ echo {} > {name}\n", text.trim_end()));
            }
            Act::Bako(words) => {
                let said = said(&bako, folder.path(), words)?;
                transcript.push_str(&format!("\n$ bako {}\n{said}", words.join(" ")));
            }
        }
    }
    let golden = host::repository().join("tests/golden/plans.txt");
    if std::env::var_os("BLESS").is_some() {
        return Ok(fs::write(golden, transcript)?);
    }
    let expected = fs::read_to_string(&golden).context("golden/plans.txt")?;
    for (number, (expected, actual)) in expected.lines().zip(transcript.lines()).enumerate() {
        ensure!(expected == actual, "line {}: {actual:?}, not {expected:?}", number + 1);
    }
    ensure!(expected == transcript, "{} bytes, not {}", transcript.len(), expected.len());
    Ok(())
}

/// What a build on an empty disk says of plans and explanations.
fn said(bako: &Bako, folder: &Path, words: &[&str]) -> Result<String> {
    let disk = tempfile::tempdir()?;
    let mut command = bako.build(&folder.join("context"));
    command.arg("--dockerfile").arg(folder.join("Dockerfile"));
    command.args([
        "--no-push",
        "--platform",
        "linux/amd64",
        "--cache",
        "--cache-copy-layers",
        "--cache-repo",
    ]);
    command.arg(format!("oci:{}", folder.join("kept").display()));
    command.arg("--work-dir").arg(disk.path().join("work")).arg("--cache-dir").arg(disk.path().join("cache"));
    let built = finish(command.args(words).env("SOURCE_DATE_EPOCH", "1700000000"))?.success()?;
    if words.contains(&"--dryrun") {
        return Ok(built.stdout);
    }
    let is_about_a_step = |line: &str| ["hit: ", "miss: "].iter().any(|word| line.starts_with(word));
    let (mut said, mut goes_on) = (String::new(), false);
    for line in built.stderr.lines() {
        // What differs comes in lines of its own.
        goes_on = is_about_a_step(line) || (goes_on && line.starts_with("  "));
        if goes_on {
            said.push_str(&format!("{line}\n"));
        } else if line.contains("\"event\":\"explained\"") {
            let mut event: Value = serde_json::from_str(line)?;
            // The one thing that is never the same.
            event.as_object_mut().context("an event is an object")?.remove("elapsed_ms");
            said.push_str(&format!("{event}\n"));
        }
    }
    Ok(said)
}
