//! `cargo xtask bench isolation`: what a `RUN` costs under each isolation, against a chroot that root makes by hand.
//!
//! The ways take turns, each with a filesystem of its own, so that what else the machine does falls on all. No network
//! is in it: packages are there as files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use e2e::bases::{self, Debian};
use e2e::host;
use e2e::process::output;

use super::measure::median;
use super::scratch::Scratch;
use super::workload;
use crate::cargo::cargo;
use crate::packages;

/// What it is called on the command line.
pub(crate) const NAME: &str = "isolation";

const HELP: &str = "\
usage: cargo xtask bench isolation [--rounds N] [--way WAY]... [TASK...]

Runs each task natively (a chroot made by root) and under every isolation, in turns, and prints the medians of the
ratios to native: of the clock, and of the processors' time with everything that serves the command. Needs root on
Debian. The base is made once and kept in the target folder.

tasks (all of them, if none is named):
";

const BASE: Debian<'_> = Debian {
    name: "speed",
    packages: &["gcc", "libc6-dev", "npm"],
    downloads: &[("many", &["g++", "make", "git", "curl", "vim", "imagemagick", "python3-venv"])],
};

const NATIVE: &str = "native";
const WAYS: [&str; 4] = [NATIVE, "ns", "chroot", "supervised"];

/// What is measured. The tasks of one base share a root, in this order.
struct Task {
    name: &'static str,
    what: &'static str,
    /// A script that makes everything ready, and warms what a second run would find warm.
    prepare: &'static str,
    script: &'static str,
}

/// In a Debian with compilers.
const TASKS: [Task; 5] = [
    Task {
        name: "apt",
        what: "apt-get install of more than 60 packages that are there as files",
        // Whether a machine's crash may hurt is nobody's concern here, and under an isolation fsync does nothing.
        prepare: "echo force-unsafe-io > /etc/dpkg/dpkg.cfg.d/bench; cat /debs/many/* > /dev/null",
        script: "apt-get install -y -qq --no-install-recommends /debs/many/*.deb > /dev/null",
    },
    Task {
        name: "gcc",
        what: "200 runs of gcc",
        prepare: "mkdir -p /src; cd /src; printf '#include <stdio.h>\\n#include <stdlib.h>\\n#include <string.h>\\n\
                  int main(void) { return puts(\"x\") < 0; }\\n' > x.c; gcc -O1 -c x.c",
        script: "cd /src; i=0; while [ $i -lt 200 ]; do gcc -O1 -c x.c || exit 1; i=$((i + 1)); done",
    },
    Task {
        name: "npm",
        what: "npm install of 100 packages with 3,000 files, which are there as files",
        prepare: "mkdir -p /npm/packages /npm/app; cd /npm; for p in $(seq 100); do mkdir -p w/package/lib; \
                  printf '{\"name\":\"p%d\",\"version\":\"1.0.0\",\"main\":\"lib/1.js\"}' $p > w/package/package.json; \
                  for f in $(seq 30); do printf 'exports.value = \"%d in %d\";\\n' $f $p > w/package/lib/$f.js; done; \
                  tar czf packages/p$p.tgz -C w package; rm -r w; done; echo '{\"name\":\"app\"}' > app/package.json; \
                  npm --version > /dev/null",
        script: "cd /npm/app && npm install --offline --no-audit --no-fund --loglevel=error ../packages/*.tgz > /dev/null",
    },
    Task {
        name: "untar",
        what: "untar and removal of 20,000 files of 1.2 kB",
        prepare: "mkdir -p /many; cd /many; for d in $(seq 200); do mkdir d$d; \
                  head -c 120000 /dev/zero | split -b 1200 - d$d/f; done; tar cf /many.tar d*; cd /; rm -r many",
        script: "mkdir /many && cd /many && tar xf /many.tar && cd / && rm -r /many",
    },
    Task {
        name: "find",
        what: "find, and stat, of 12,000 files",
        prepare: "find /usr -xdev | head -12000 > /tmp/list; xargs -d '\\n' stat -c %s < /tmp/list > /dev/null",
        script: "find /usr -xdev | head -12000 > /tmp/list; xargs -d '\\n' stat -c %s < /tmp/list > /dev/null",
    },
];

/// In a root of 20,000 files. What is looked at is how its changes are found.
const SNAPSHOT: Task = Task {
    name: "snapshot",
    what: "finding what a RUN has changed that changes ten of 20,000 files",
    prepare: ":",
    script: "cd /files; for m in 0 1 2 3 4 5 6 7 8 9; do echo x >> module-$m/lib/file-$m.js; done",
};

/// Seconds: of the clock and of the processors for the command; of the clock before and after it.
type Sample = [f64; 4];

struct Options {
    rounds: usize,
    ways: Vec<&'static str>,
    tasks: Vec<String>,
}

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let Some(options) = parse(arguments)? else {
        print!("{HELP}");
        TASKS.iter().chain([&SNAPSHOT]).for_each(|task| println!("  {:<10} {}", task.name, task.what));
        return Ok(());
    };
    packages::install(&["busybox-static", "e2fsprogs", "mmdebstrap"])?;
    ensure!(host::is_root(), "the native chroot is root's");
    let program = build()?;
    let is_wanted =
        |task: &&Task| options.tasks.is_empty() || options.tasks.iter().any(|name| name == task.name);
    let tasks: Vec<&Task> = TASKS.iter().filter(is_wanted).collect();
    if !tasks.is_empty() {
        let base = bases::debian(BASE)?;
        let samples = in_turns(&program, &base, &tasks, &options)?;
        println!("\nratios to native, of the clock and of the processors");
        table(&tasks, &samples, &options, |task, way| {
            let of = |index: usize| {
                let ratios = samples[&(task, NATIVE)].iter().zip(&samples[&(task, way)]);
                median(&ratios.map(|(native, other)| other[index] / native[index]).collect::<Vec<f64>>())
            };
            format!("{:.2}x {:.2}x", of(0), of(1))
        });
        println!("\nseconds, of the clock and of the processors");
        table(&tasks, &samples, &options, |task, way| {
            let of = |index: usize| {
                median(&samples[&(task, way)].iter().map(|sample| sample[index]).collect::<Vec<f64>>())
            };
            format!("{:.2} {:.2}", of(0), of(1))
        });
    }
    if is_wanted(&&SNAPSHOT) {
        let scratch = Scratch::new()?;
        let base = many_files(&scratch)?;
        let samples = in_turns(&program, &base, &[&SNAPSHOT], &options)?;
        println!("\nmilliseconds before and after the command");
        table(&[&SNAPSHOT], &samples, &options, |task, way| {
            let of = |index: usize| {
                median(&samples[&(task, way)].iter().map(|sample| sample[index] * 1e3).collect::<Vec<f64>>())
            };
            format!("{:.1} {:.1}", of(2), of(3))
        });
    }
    Ok(())
}

fn parse(arguments: &[String]) -> Result<Option<Options>> {
    let mut options = Options { rounds: 3, ways: Vec::new(), tasks: Vec::new() };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--rounds" => options.rounds = rest.next().context("--rounds needs a number")?.parse()?,
            "--way" => {
                let name = rest.next().context("--way needs a name")?;
                options.ways.push(
                    WAYS.iter()
                        .find(|way| *way == name)
                        .with_context(|| format!("no way is called `{name}`"))?,
                );
            }
            "--help" | "-h" => return Ok(None),
            name if TASKS.iter().chain([&SNAPSHOT]).any(|task| task.name == name) => {
                options.tasks.push(name.to_owned())
            }
            unknown => bail!("no task is called `{unknown}`"),
        }
    }
    ensure!(options.rounds > 0, "--rounds needs at least one");
    if options.ways.is_empty() {
        options.ways = WAYS.to_vec();
    } else if !options.ways.contains(&NATIVE) {
        options.ways.insert(0, NATIVE);
    }
    Ok(Some(options))
}

/// The program that takes the samples; as it is released, since slowness of our own counts here.
fn build() -> Result<PathBuf> {
    let status = cargo(&["build", "--release", "-p", "rootfs", "--example", "isolated"])
        .status()
        .context("start cargo")?;
    ensure!(status.success(), "the program that is measured does not compile");
    let executable = std::env::current_exe()?;
    let target = executable.parent().and_then(Path::parent).context("no target folder")?;
    Ok(target.join("release/examples/isolated"))
}

fn in_turns<'a>(
    program: &Path,
    base: &Path,
    tasks: &[&'a Task],
    options: &Options,
) -> Result<BTreeMap<(&'a str, &'static str), Vec<Sample>>> {
    let mut samples: BTreeMap<_, Vec<Sample>> = BTreeMap::new();
    for round in 1..=options.rounds {
        for &way in &options.ways {
            println!("round {round}: {way}");
            for (task, sample) in tasks.iter().zip(sample(program, way, base, tasks).context(way)?) {
                samples.entry((task.name, way)).or_default().push(sample);
            }
        }
    }
    Ok(samples)
}

/// One sample of each task.
fn sample(program: &Path, way: &str, base: &Path, tasks: &[&Task]) -> Result<Vec<Sample>> {
    let scratch = Scratch::new()?;
    let scripts = scratch.path().join("tasks");
    let pairs: Vec<[&str; 2]> = tasks.iter().map(|task| [task.prepare, task.script]).collect();
    fs::write(&scripts, serde_json::to_vec(&pairs)?)?;
    let mut command = Command::new(program);
    command.arg(way).arg(base).arg(scratch.path()).stdin(File::open(scripts)?).stderr(Stdio::inherit());
    let printed = command.output()?;
    ensure!(printed.status.success(), "{}: {}", program.display(), printed.status);
    let text = String::from_utf8(printed.stdout)?;
    let numbers = |line: &str| {
        let numbers: Vec<f64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        Sample::try_from(numbers).ok().context("four numbers")
    };
    text.lines().map(numbers).collect()
}

fn table<'a>(
    tasks: &[&'a Task],
    samples: &BTreeMap<(&'a str, &'static str), Vec<Sample>>,
    options: &Options,
    cell: impl Fn(&'a str, &'static str) -> String,
) {
    let line = |name: &str, cells: Vec<String>| {
        let cells: String = cells.iter().map(|cell| format!(" {cell:>15}")).collect();
        println!("{name:<10}{cells}");
    };
    line("", options.ways.iter().map(|way| (*way).to_owned()).collect());
    for task in tasks.iter().filter(|task| samples.contains_key(&(task.name, NATIVE))) {
        line(task.name, options.ways.iter().map(|way| cell(task.name, way)).collect());
    }
}

/// A root of 20,000 files and a shell, as an archive.
fn many_files(scratch: &Scratch) -> Result<PathBuf> {
    let root = scratch.folder("root")?;
    for name in ["bin", "dev", "files", "proc", "sys", "tmp"] {
        fs::create_dir(root.join(name))?;
    }
    fs::copy(bases::busybox_binary()?, root.join("bin/busybox"))?;
    std::os::unix::fs::symlink("busybox", root.join("bin/sh"))?;
    workload::many(&root.join("files"))?;
    let archive = scratch.path().join("base.tar");
    output(Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(&root).arg("."))?;
    Ok(archive)
}
