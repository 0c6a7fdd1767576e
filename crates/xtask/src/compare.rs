//! `cargo xtask compare`: every build case, built by buildah too, and the two images side by side.
//!
//! Where they differ, `tests/differences.md` has to say why; what it says has to be so.

mod buildah;
mod differences;
mod images;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::{Context as _, Result, bail, ensure};
use e2e::site::Site;
use e2e::stock::Stock;
use e2e::{Bako, Case, Image, Registry, host, image};

use crate::cargo::build_bako;
use crate::packages;
use buildah::Buildah;
use differences::Differences;

const HELP: &str = "\
usage: cargo xtask compare [FILTER]

Builds the cases of tests/cases whose name holds FILTER with bako and with buildah, from one registry, and
compares the trees (types, modes, owners, contents, links, hard links, attributes, and times that are not
the build's own) and the configs. A case that fails here has to fail there. Known differences are in
tests/differences.md. Needs root on Debian; what is missing is installed.
";

/// What came of one case: how it differs, and what there is to see of that.
type Found = BTreeMap<String, String>;

pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let filter = match arguments {
        [] => "",
        [one] if !one.starts_with('-') => one,
        [help] if help == "--help" || help == "-h" => {
            print!("{HELP}");
            return Ok(ExitCode::SUCCESS);
        }
        _ => bail!("one filter at most\n{HELP}"),
    };
    packages::install(packages::FOR_COMPARE)?;
    let missing = host::missing(image::JUDGES).or_else(|| host::missing(&["buildah"]));
    ensure!(missing.is_none(), "the comparison {}", missing.unwrap_or_default());
    let known = Differences::read(&host::repository().join("tests/differences.md"))?;
    let mut cases = Case::all(&host::repository().join("tests/cases"))?;
    let all = cases.len();
    cases.retain(|case| case.name.contains(filter));
    ensure!(!cases.is_empty(), "no case has {filter:?} in its name");

    let bako = build_bako("dev")?;
    let registry = Stock::of(&bako)?.registry(&bako)?;
    let buildah = Buildah::new()?;
    let found = compare_all(&bako, &buildah, &registry, &cases);

    let mut counts = [0; 4];
    let mut wrong: Vec<String> = Vec::new();
    for (name, found) in &found {
        match found {
            Err(error) => wrong.push(format!("{name}: {error:#}")),
            Ok(found) if found.is_empty() => counts[0] += 1,
            Ok(found) => {
                let unknown: Vec<_> = found.iter().filter(|(what, _)| !known.covers(name, what)).collect();
                counts[if unknown.is_empty() { 1 } else { 2 }] += 1;
                wrong.extend(unknown.iter().map(|(what, shown)| format!("{name}: {what}: {shown}")));
            }
        }
    }
    let found: BTreeMap<_, _> =
        found.into_iter().filter_map(|(name, found)| Some((name, found.ok()?))).collect();
    let stale = known.stale(&found, cases.len() == all);
    counts[3] = stale.len();
    wrong.extend(stale);

    wrong.iter().for_each(|line| println!("{line}"));
    println!(
        "\n{} cases compared: {} the same, {} with known differences only, {} with unknown ones; {} known \
         differences that are none",
        cases.len(),
        counts[0],
        counts[1],
        counts[2],
        counts[3]
    );
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Compares several at a time, as most of it goes by in other processes that wait for disks.
fn compare_all(
    bako: &Bako,
    buildah: &Buildah,
    registry: &Registry,
    cases: &[Case],
) -> BTreeMap<String, Result<Found>> {
    let queue = Mutex::new(cases.iter());
    let found = Mutex::new(BTreeMap::new());
    let next = || queue.lock().ok()?.next();
    std::thread::scope(|scope| {
        for _ in 0..2 * std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(case) = next() {
                    let result = compare(bako, buildah, registry, case);
                    if let Ok(mut found) = found.lock() {
                        println!("{} of {}: {}: {}", found.len() + 1, cases.len(), case.name, shown(&result));
                        found.insert(case.name.clone(), result);
                    }
                }
            });
        }
    });
    found.into_inner().unwrap_or_default()
}

fn shown(result: &Result<Found>) -> String {
    match result {
        Err(error) => format!("{error:#}"),
        Ok(found) if found.is_empty() => "the same".to_owned(),
        Ok(found) => found.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
    }
}

fn compare(bako: &Bako, buildah: &Buildah, registry: &Registry, case: &Case) -> Result<Found> {
    let site = Site::new(case, registry)?;
    let fails = !case.expect.errors.is_empty();
    let ours = registry.reference(&format!("ours/{}:latest", case.name));
    let isolation = case.expect.isolation.as_ref().and_then(|(names, _)| names.first()).map(String::as_str);
    let built = site.build(bako, isolation, &ours)?;
    ensure!((built.code != 0) == fails, "exit code {} here\n{}", built.code, built.stderr);

    let theirs = registry.reference(&format!("theirs/{}:latest", case.name));
    let other = buildah.build(case, &site, &theirs)?;
    let line = |text: &str| text.trim().lines().last().unwrap_or_default().to_owned();
    Ok(match (fails, other.code != 0) {
        (true, true) => Found::new(),
        (true, false) => [("succeeds".to_owned(), "buildah succeeds".to_owned())].into(),
        (false, true) => [("fails".to_owned(), line(&other.stderr))].into(),
        (false, false) => {
            let ours = Image::pull(&ours)?;
            let mut theirs = Image::pull(&theirs).context("the image that buildah pushed")?;
            // As it is in the registry: the judges' own copy is of OCI's types, which leave things out.
            theirs.config = registry.config(&format!("theirs/{}", case.name), "latest")?;
            images::compare(&ours, &theirs)?
        }
    })
}
