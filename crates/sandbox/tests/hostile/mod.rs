//! Hostile children: programs that try to reach what is outside of their root, by every way that is known for it.

use std::ffi::OsString;
use std::fs;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use sandbox::Exit;

use crate::fixture::{self, Fixture};
use crate::{Case, same};

/// What is in the file that nobody is to reach. The child looks for it.
const CANARY: &str = "the canary sings\n";

/// How long a part may take, on a machine that does other things too.
const LIMIT: Duration = Duration::from_secs(300);

/// One test for each part.
pub(crate) const CASES: &[(&str, Case)] = &[
    ("hostile: links that come and go", |fixture| check(fixture, "links", "")),
    ("hostile: directories that move", |fixture| check(fixture, "upwards", "")),
    ("hostile: /proc", |fixture| check(fixture, "proc", "")),
    ("hostile: handles and openat2", |fixture| check(fixture, "handles", "")),
    ("hostile: descriptors that are passed on", |fixture| check(fixture, "descriptors", "")),
    ("hostile: arguments that change", |fixture| check(fixture, "arguments", "")),
    ("hostile: attacks on the supervisor", |fixture| check(fixture, "supervisor", "")),
    ("hostile: descriptors and memory without end", |fixture| check(fixture, "exhaustion", "full\n")),
    ("hostile: processes without end", |fixture| check(fixture, "forks", "")),
];

/// Runs a part of the child, which prints this beside its `end`.
fn check(fixture: &Fixture, part: &str, prints: &str) -> Result<(), Failed> {
    // Root finds a way out of a chroot: there the container is the wall.
    if fixture.name() == "chroot" {
        return Ok(());
    }
    // Elsewhere it attacks the first process of its own namespace, which the kernel protects, or whom the page on
    // isolation names.
    if part == "supervisor" && fixture.name() != "supervised" {
        return Ok(());
    }
    let Some(child) = fixture::compile("hostile") else {
        return Err("a C compiler is needed, as for building this test".into());
    };
    let canary = fixture.outside("canary", CANARY)?;
    let before = fixture.beside()?;
    let mut process = fixture.process("");
    let (path, builder) = (canary.display().to_string(), std::process::id().to_string());
    let words = ["/opt/child", part, &path, &builder];
    process.argv = words.map(OsString::from).to_vec();
    fixture.install(&child, "opt/child")?;
    let start = Instant::now();
    let outcome = fixture.run(&process)?;
    same("output", &outcome.output, &format!("{prints}end\n"))?;
    same("exit", &outcome.exit, &Exit::Code(0))?;
    same("the canary", &fs::read_to_string(&canary)?.as_str(), &CANARY)?;
    same("beside the root", &fixture.beside()?, &before)?;
    same("in time", &(start.elapsed() < LIMIT), &true)?;
    same("left running", &fixture::processes_with(&path), &Vec::<String>::new())
}
