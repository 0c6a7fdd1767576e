//! A source's options as the flags of a build, and those flags that are not a source's to give.

use std::path::Path;

use clap::Args as _;
use clap::parser::ValueSource;
use resolve::DockerBuild;

use crate::args::Cli;
use crate::registry_args::RegistryArgs;

/// Flags of a build that are the same for all builds of a run, or are told in another place, and where.
const SETTLED: [(&str, &str); 12] = [
    ("destination", "list the image in `destinations` of a Config"),
    ("no_push", "an image goes to its destination, or to --oci-layout-path"),
    ("oci_layout_path", WHOLE_RUN),
    ("context", "it is the `path` of the source"),
    ("work_dir", WHOLE_RUN),
    ("isolation", WHOLE_RUN),
    ("verbosity", WHOLE_RUN),
    ("log_format", WHOLE_RUN),
    ("log_timestamp", "lines begin with the name of the image"),
    ("check", "an image is built here"),
    ("call", "an image is built here"),
    ("dryrun", "an image is built here"),
];

const WHOLE_RUN: &str = "give it to the whole run";

/// Refuses raw options that would have no effect.
pub(crate) fn refuse_settled(options: &[String]) -> Result<(), String> {
    let command = Cli::with_kaniko();
    let line = std::iter::once("bako").chain(options.iter().map(String::as_str));
    // What is no flag at all is said when all of them are read.
    let Ok(matches) = command.try_get_matches_from(line) else { return Ok(()) };
    let registries = RegistryArgs::augment_args(clap::Command::new("bako"));
    let registries = registries.get_arguments().map(|argument| (argument.get_id().as_str(), WHOLE_RUN));
    for (id, instead) in SETTLED.into_iter().chain(registries) {
        if matches.value_source(id) == Some(ValueSource::CommandLine) {
            return Err(format!("--{} is decided elsewhere: {instead}", id.replace('_', "-")));
        }
    }
    Ok(())
}

/// A source's options as flags of a build of ours. Bases are always looked up, so `pull` asks for what is done anyway.
pub(crate) fn command_line(docker: &DockerBuild, path: &Path) -> Vec<String> {
    let file = if docker.file.is_empty() { "Dockerfile" } else { &docker.file };
    let mut line = vec![
        "bako".to_owned(),
        "--no-push".to_owned(),
        format!("--context={}", path.display()),
        format!("--dockerfile={}", path.join(file).display()),
    ];
    for (flag, value) in [("target", &docker.target), ("platform", &docker.platform)] {
        if !value.is_empty() {
            line.push(format!("--{flag}={value}"));
        }
    }
    if docker.no_cache {
        // That is of a cache which the raw options may name.
        line.push("--no-cache".to_owned());
    }
    let mut options = docker.raw_options.iter().peekable();
    while let Some(option) = options.next() {
        // Docker takes it from the directory of the context too.
        let file = match option.as_str() {
            "-f" | "--file" => options.next().map(String::as_str),
            other => other.strip_prefix("--file=").or_else(|| other.strip_prefix("-f=")),
        };
        match file {
            Some(file) => line.push(format!("--dockerfile={}", path.join(file).display())),
            None => line.push(option.clone()),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_flags() {
        let check = |docker: DockerBuild, expected: &str| {
            assert_eq!(command_line(&docker, Path::new("/src")).join(" "), expected);
        };
        check(DockerBuild::default(), "bako --no-push --context=/src --dockerfile=/src/Dockerfile");
        check(
            DockerBuild {
                target: "t".into(),
                platform: "linux/arm64".into(),
                no_cache: true,
                file: "sub/Dockerfile".into(),
                raw_options: ["--build-arg", "A=b", "-f", "other"].map(String::from).into(),
                ..DockerBuild::default()
            },
            "bako --no-push --context=/src --dockerfile=/src/sub/Dockerfile --target=t --platform=linux/arm64 --no-cache --build-arg A=b --dockerfile=/src/other",
        );
    }
    #[test]
    fn what_the_run_decides_is_refused() {
        let options = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for (line, expected) in [
            ("--build-arg A=b --cache --cache-dir /c --progress plain", Ok(())),
            ("--file sub/Dockerfile --label a=b", Ok(())),
            (
                "-t r.example/a",
                Err("--destination is decided elsewhere: list the image in `destinations` of a Config"),
            ),
            (
                "--no-push",
                Err(
                    "--no-push is decided elsewhere: an image goes to its destination, or to --oci-layout-path",
                ),
            ),
            ("--insecure", Err("--insecure is decided elsewhere: give it to the whole run")),
        ] {
            assert_eq!(refuse_settled(&options(line)), expected.map_err(str::to_owned), "{line}");
        }
    }
}
