//! `cargo xtask bench`: bako and buildah in turns, from the same registry to the same registry.
//!
//! Every build starts cold: a fresh filesystem for what the builder keeps, a repository that has nothing. The
//! two take turns, so that what else the machine does falls on both.

mod cache;
mod isolation;
mod measure;
mod parse;
mod proxy;
mod scratch;
mod workload;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use e2e::{Bako, Registry, bases, host};

use crate::cargo::build_bako;
use crate::packages;
use measure::{Sample, measure, median};
use scratch::Scratch;
use workload::{Workload, all};

const HELP: &str = "\
usage: cargo xtask bench [--rounds N] [--without-buildah] [WORKLOAD...]

Builds each workload cold, bako (release build, or the program that BAKO names) and buildah in turns, and prints
the medians. Needs root on Debian; what is missing is installed. The base, Debian with compilers, Python and
Node, is made once and kept in the target folder.
`bench isolation` is about the cost of RUN; see `bench isolation --help`.

workloads (all of them, if none is named):
";

/// What a round of one builder gave.
#[derive(Default)]
struct Results {
    seconds: Vec<f64>,
    megabytes: Vec<f64>,
}

impl Results {
    fn add(&mut self, sample: &Sample) {
        self.seconds.push(sample.seconds);
        self.megabytes.push(sample.peak_bytes as f64 / f64::from(1 << 20));
    }

    fn shown(&self) -> String {
        format!("{:>7.2} s {:>6.0} MiB", median(&self.seconds), median(&self.megabytes))
    }
}

struct Options {
    rounds: usize,
    buildah: bool,
    chosen: BTreeSet<String>,
}

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if let Some((isolation::NAME, rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest))
    {
        return isolation::run(rest);
    }
    let Some(options) = parse(arguments)? else {
        print!("{HELP}");
        all().iter().for_each(|workload| println!("  {:<10} {}", workload.name, workload.what));
        println!("  {:<10} {}", parse::NAME, parse::WHAT);
        println!("  {:<10} {}", cache::NAME, cache::WHAT);
        return Ok(());
    };
    if options.chosen.is_empty() || options.chosen.contains(parse::NAME) {
        parse::run()?;
    }
    if options.chosen.len() == 1 && options.chosen.contains(parse::NAME) {
        return Ok(());
    }
    packages::install(packages::FOR_BENCH)?;
    ensure!(host::is_root(), "buildah and mmdebstrap are compared as root");
    let bako = match std::env::var_os("BAKO") {
        Some(_) => Bako::built()?,
        None => build_bako("release")?,
    };
    let is_chosen = |name: &str| options.chosen.is_empty() || options.chosen.contains(name);
    if is_chosen(cache::NAME) {
        cache::run(&bako, options.rounds, options.buildah)?;
    }
    if !all().iter().any(|workload| is_chosen(workload.name)) {
        return Ok(());
    }
    let registry = Registry::debian()?;
    println!("putting the base into a registry (made by mmdebstrap if this is the first time)");
    let base = bases::push_debian(&bako, &registry, workload::BASE)?;

    println!("\n{:<22} {:>19} {:>19} {:>7}", "workload", "bako", "buildah", "ratio");
    for workload in all().iter().filter(|workload| is_chosen(workload.name)) {
        compare(&bako, &registry, &base, workload, &options).context(workload.name)?;
    }
    Ok(())
}

fn parse(arguments: &[String]) -> Result<Option<Options>> {
    let mut options = Options { rounds: 3, buildah: true, chosen: BTreeSet::new() };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--rounds" => options.rounds = rest.next().context("--rounds needs a number")?.parse()?,
            "--without-buildah" => options.buildah = false,
            "--help" | "-h" => return Ok(None),
            name if [parse::NAME, cache::NAME].contains(&name)
                || all().iter().any(|workload| workload.name == name) =>
            {
                options.chosen.insert(name.to_owned());
            }
            unknown => bail!("no workload is called `{unknown}`"),
        }
    }
    ensure!(options.rounds > 0, "--rounds needs at least one");
    Ok(Some(options))
}

fn compare(
    bako: &Bako,
    registry: &Registry,
    base: &str,
    workload: &Workload,
    options: &Options,
) -> Result<()> {
    let context = tempfile::tempdir()?;
    workload.prepare(context.path(), base)?;
    let (mut cold, mut again, mut buildah) = (Results::default(), Results::default(), Results::default());
    for round in 0..options.rounds {
        let name = |who: &str| registry.reference(&format!("bench/{}-{who}-{round}:latest", workload.name));
        let scratch = Scratch::new()?;
        cold.add(&run_bako(bako, context.path(), &name("bako"), &scratch)?);
        if workload.is_copy_only {
            // The base is known now; what is copied is other than before.
            fs::write(context.path().join("files/changed"), round.to_string())?;
            let before = registry.log()?.len();
            again.add(&run_bako(bako, context.path(), &name("bako-again"), &scratch)?);
            no_base_blob(registry, before)?;
        }
        drop(scratch);
        if options.buildah {
            buildah.add(&run_buildah(context.path(), &name("buildah"))?);
        }
    }
    let line = |label: &str, results: &Results| {
        if buildah.seconds.is_empty() {
            println!("{label:<22} {}", results.shown());
        } else {
            let ratio = median(&buildah.seconds) / median(&results.seconds);
            println!("{label:<22} {} {} {ratio:>6.1}x", results.shown(), buildah.shown());
        }
    };
    line(workload.name, &cold);
    if workload.is_copy_only {
        line(&format!("{}, base known", workload.name), &again);
    }
    Ok(())
}

fn run_bako(bako: &Bako, context: &Path, reference: &str, scratch: &Scratch) -> Result<Sample> {
    let mut build = bako.build(context);
    build.args(["--destination", reference, "--insecure", "--cache-dir"]).arg(scratch.folder("cache")?);
    build.arg("--work-dir").arg(scratch.folder("work")?);
    measure(&mut [build])
}

fn run_buildah(context: &Path, reference: &str) -> Result<Sample> {
    let scratch = Scratch::new()?;
    let temporary = scratch.folder("tmp")?;
    let buildah = |words: &[&str]| {
        let mut command = Command::new("buildah");
        command.arg("--root").arg(scratch.path().join("root"));
        command.arg("--runroot").arg(scratch.path().join("run"));
        command.env("TMPDIR", &temporary).args(["--storage-driver", "overlay"]).args(words);
        command
    };
    let mut build =
        buildah(&["bud", "--isolation", "chroot", "--network=host", "--tls-verify=false", "-t", reference]);
    build.arg(context);
    let push = buildah(&["push", "--tls-verify=false", reference, &format!("docker://{reference}")]);
    measure(&mut [build, push])
}

/// Nothing of the base was downloaded since the log was `before` bytes long.
fn no_base_blob(registry: &Registry, before: usize) -> Result<()> {
    let log = registry.log()?;
    let request = format!("GET /v2/{}/blobs/", workload::BASE.name);
    let config = registry.manifest(workload::BASE.name, "latest")?["config"]["digest"].clone();
    let config = config.as_str().unwrap_or_default();
    let downloads =
        log[before..].lines().filter(|line| line.contains(&request) && !line.contains(config)).count();
    ensure!(downloads == 0, "{downloads} blobs of the base were downloaded though its index was known");
    Ok(())
}
