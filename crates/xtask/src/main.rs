//! Development tasks: `cargo xtask demo`, `cargo xtask test`,
//! `cargo xtask compare`, `cargo xtask bench`, `cargo xtask images`.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tasks talk to the person who started them")]

mod bench;
mod cargo;
mod compare;
mod demo;
mod images;
mod isolation;
mod kernels;
mod packages;
mod skips;
mod tally;
mod test;

use std::process::ExitCode;

use anyhow::Result;

const HELP: &str = "\
usage: cargo xtask TASK

  demo    build bako, then an image with it: from a registry, to a registry, and run
  test    install what the tests need, run all of them, list what could not run here;
          `test isolation`: what RUN sees under every pod's settings and every isolation, as a table;
          `test kernels`: the tests of the isolations under older kernels and on aarch64, emulated
  compare build every case with buildah too, and compare the images; `compare --help`
  bench   compare bako's speed with buildah's; `bench --help` lists the workloads;
          `bench isolation`: the cost of RUN under every isolation
  images  build bako's own images with a release build (`images dev`: a quick one), say how large they are and how
          fast they start, and try the one for arm64 in an emulator
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<ExitCode> {
    let (task, rest) = match arguments.split_first() {
        Some((task, rest)) => (task.as_str(), rest),
        None => ("help", arguments),
    };
    match task {
        "demo" => demo::run().map(|()| ExitCode::SUCCESS),
        "test" => match rest.split_first() {
            Some((first, rest)) if first == "isolation" => isolation::run(rest),
            Some((first, rest)) if first == "kernels" => kernels::run(rest),
            _ => test::run(rest),
        },
        "compare" => compare::run(rest),
        "bench" => bench::run(rest).map(|()| ExitCode::SUCCESS),
        "images" => {
            let profile = rest.first().map_or("release", String::as_str);
            images::run(profile).map(|()| ExitCode::SUCCESS)
        }
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        unknown => anyhow::bail!("no task is called `{unknown}`\n{HELP}"),
    }
}
