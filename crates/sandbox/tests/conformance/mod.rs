//! Calls that the supervisor serves, each where it succeeds and where it fails: they return what the kernel returns in a
//! chroot. The calls are in `child.c`, which prints a line for each.

use std::ffi::OsString;

use libtest_mimic::Failed;
use sandbox::Exit;

use crate::fixture::{self, Fixture, Way};
use crate::same;

/// Lines that are otherwise under `supervised`, and why.
const OTHERWISE: &[(&str, &str)] = &[];

/// Compares both.
pub(crate) fn check(chroot: &Way, supervised: &Way) -> Result<(), Failed> {
    let (native, served) = (lines(chroot)?, lines(supervised)?);
    same("enough lines", &(native.len() > 500), &true)?;
    let mut wrong = String::new();
    for (native, served) in native.iter().zip(&served) {
        if native != served && !OTHERWISE.iter().any(|(line, _)| native.starts_with(line)) {
            wrong += &format!("in a chroot  {native}\nsupervised   {served}\n");
        }
    }
    if !wrong.is_empty() {
        return Err(wrong.into());
    }
    same("lines", &served.len(), &native.len())
}

fn lines(way: &Way) -> Result<Vec<String>, Failed> {
    let fixture = Fixture::new(way)?;
    let Some(child) = fixture::compile("conformance") else {
        return Err("a C compiler is needed, as for building this test".into());
    };
    fixture.install(&child, "opt/child")?;
    let mut process = fixture.process("");
    process.argv = vec![OsString::from("/opt/child")];
    let outcome = fixture.run(&process)?;
    same("exit", &outcome.exit, &Exit::Code(0))?;
    Ok(outcome.output.lines().map(str::to_owned).collect())
}
