//! Sources that another program builds: buildpacks by pack, Go by ko, and whatever by bazel. Each of them can push
//! without a daemon, and is told to.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use oci::{Digest, Reference};
use resolve::{Builder, ProgramBuild};
use sandbox::Cancel;

/// How often a program that runs is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// As many looks it has to end by itself.
const PATIENCE: u32 = 100;

/// What is kept of what a program says: its last lines name the image.
const KEPT: usize = 64 << 10;

/// A program with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    name: &'static str,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
    /// What to do if it is not there.
    remedy: &'static str,
}

/// The name of a program.
pub(crate) fn name(build: &ProgramBuild) -> &'static str {
    match build {
        ProgramBuild::Ko { .. } => "ko",
        ProgramBuild::Bazel { .. } => "bazel",
    }
}

impl Program {
    /// The command line that builds and pushes to a repository; `None` for what we build ourselves.
    pub(crate) fn of(builder: &Builder, to: &Reference, tags: &[String]) -> Option<Program> {
        let mut arguments: Vec<String> = Vec::new();
        let mut add = |words: &[&str]| arguments.extend(words.iter().map(|word| (*word).to_owned()));
        let program = match builder {
            Builder::Docker(_) => return None,
            // https://buildpacks.io/docs/for-platform-operators/how-to/build-outputs/specify-tags/
            Builder::Pack(pack) => {
                let first = tags.first().map_or("latest", String::as_str);
                let name = to.with_tag(first).to_string();
                add(&["build", "--verbose", &name, "--path", ".", "--builder", &pack.builder, "--publish"]);
                for tag in tags.iter().skip(1) {
                    add(&["--tag", &to.with_tag(tag).to_string()]);
                }
                for buildpack in &pack.buildpacks {
                    add(&["--buildpack", buildpack]);
                }
                if pack.clear_cache {
                    add(&["--clear-cache"]);
                }
                arguments.extend(pack.raw_options.iter().cloned());
                Program {
                    name: "pack",
                    arguments,
                    environment: Vec::new(),
                    remedy: "install pack (https://buildpacks.io), or build from a Dockerfile",
                }
            }
            // https://ko.build/reference/ko_build/: `--bare` is KO_DOCKER_REPO and nothing more.
            Builder::Program(ProgramBuild::Ko { raw_options }) => {
                add(&["build", ".", "--bare"]);
                if !tags.is_empty() {
                    add(&["--tags", &tags.join(",")]);
                }
                arguments.extend(raw_options.iter().cloned());
                Program {
                    name: "ko",
                    arguments,
                    environment: vec![("KO_DOCKER_REPO", to.name())],
                    remedy: "install ko (https://ko.build), or build from a Dockerfile",
                }
            }
            // https://github.com/bazel-contrib/rules_oci/blob/main/docs/push.md
            Builder::Program(ProgramBuild::Bazel { target, raw_options }) => {
                add(&["run", target]);
                let split = raw_options.iter().position(|word| word == "--").unwrap_or(raw_options.len());
                let (before, after) = raw_options.split_at(split);
                arguments.extend(before.iter().cloned());
                arguments.extend(["--".to_owned(), "--repository".to_owned(), to.name()]);
                for tag in tags {
                    arguments.extend(["--tag".to_owned(), tag.clone()]);
                }
                arguments.extend(after.iter().skip(1).cloned());
                Program {
                    name: "bazel",
                    arguments,
                    environment: Vec::new(),
                    remedy: "install bazel (https://bazel.build), or build from a Dockerfile",
                }
            }
        };
        Some(program)
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Runs it in a directory; the end of what it printed. What it says is passed on line by line.
    pub(crate) fn run<W: Write + Send>(
        &self,
        directory: &Path,
        cancel: &Cancel,
        lines: impl Fn() -> W,
    ) -> Result<String, String> {
        let mut command = Command::new(self.name);
        command.args(&self.arguments).current_dir(directory);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        // What it starts is to end with it.
        command.process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                format!(
                    "{} is not installed: {}; or push the image with it elsewhere and name it by an override",
                    self.name, self.remedy
                )
            }
            _ => format!("{}: {error}", self.name),
        })?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let kept = Mutex::new(String::new());
        let status = std::thread::scope(|scope| {
            if let Some(stdout) = stdout {
                let (kept, out) = (&kept, lines());
                scope.spawn(move || pass_on(stdout, out, Some(kept)));
            }
            if let Some(stderr) = stderr {
                let (kept, out) = (&kept, lines());
                scope.spawn(move || pass_on(stderr, out, Some(kept)));
            }
            let mut patience = PATIENCE;
            loop {
                match child.try_wait() {
                    Ok(None) => {
                        if cancel.is_cancelled() {
                            end(&child, if patience == 0 { Signal::SIGKILL } else { Signal::SIGTERM });
                            patience = patience.saturating_sub(1);
                        }
                        std::thread::sleep(LOOK);
                    }
                    Ok(Some(status)) => return Ok(status),
                    Err(error) => return Err(error),
                }
            }
        });
        let status = status.map_err(|error| format!("{}: {error}", self.name))?;
        match status.success() {
            true => Ok(kept.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)),
            false => Err(format!("{}: {status}", self.name)),
        }
    }
}

/// Ends a program and what it has started.
fn end(child: &Child, signal: Signal) {
    if let Ok(group) = i32::try_from(child.id()) {
        // It may have ended just now, and then there is nothing to end.
        let _ = killpg(Pid::from_raw(group), signal);
    }
}

/// Passes lines on, and keeps the last of them.
fn pass_on(from: impl Read, mut to: impl Write, kept: Option<&Mutex<String>>) {
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        // Whoever cannot be told the lines still gets the image.
        let _ = to.write_all(format!("{line}\n").as_bytes());
        if let Some(kept) = kept {
            let mut kept = kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            kept.push_str(&line);
            kept.push('\n');
            let surplus = kept.len().saturating_sub(KEPT);
            if let Some(end) = kept.get(surplus..).and_then(|rest| rest.find('\n')).filter(|_| surplus > 0) {
                kept.drain(..=surplus + end);
            }
        }
    }
}

/// The digest of the last `REPOSITORY@DIGEST` or `REPOSITORY:TAG@DIGEST` that was printed.
pub(crate) fn pushed_digest(printed: &str, repository: &Reference) -> Option<Digest> {
    let words = printed.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ','));
    let mut references = words.filter_map(|word| {
        let (name, digest) = word.rsplit_once('@')?;
        let name: Reference = name.parse().ok()?;
        (name.name() == repository.name()).then_some(digest)?.parse().ok()
    });
    references.next_back()
}

#[cfg(test)]
mod tests {
    use resolve::Pack;

    use super::*;

    #[test]
    fn command_lines() {
        let to: Reference = "r.example/app".parse().unwrap();
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let check = |builder: Builder, tags: &str, expected: &str| {
            let program = Program::of(&builder, &to, &words(tags)).unwrap();
            let environment: String =
                program.environment.iter().map(|(name, value)| format!("{name}={value} ")).collect();
            assert_eq!(format!("{environment}{} {}", program.name, program.arguments.join(" ")), expected);
        };
        let pack = Pack { builder: "b".into(), ..Pack::default() };
        check(
            Builder::Pack(pack.clone()),
            "",
            "pack build --verbose r.example/app:latest --path . --builder b --publish",
        );
        check(
            Builder::Pack(Pack {
                buildpacks: words("one two"),
                clear_cache: true,
                raw_options: words("--env A=b"),
                ..pack
            }),
            "v1 v2",
            "pack build --verbose r.example/app:v1 --path . --builder b --publish --tag r.example/app:v2 --buildpack one --buildpack two --clear-cache --env A=b",
        );
        let ko = |raw: &str| Builder::Program(ProgramBuild::Ko { raw_options: words(raw) });
        check(ko(""), "", "KO_DOCKER_REPO=r.example/app ko build . --bare");
        check(
            ko("--platform all"),
            "v1 v2",
            "KO_DOCKER_REPO=r.example/app ko build . --bare --tags v1,v2 --platform all",
        );
        let bazel = |raw: &str| {
            Builder::Program(ProgramBuild::Bazel { target: ":push".into(), raw_options: words(raw) })
        };
        check(bazel(""), "", "bazel run :push -- --repository r.example/app");
        check(
            bazel("--config x -- --verbose"),
            "v1",
            "bazel run :push --config x -- --repository r.example/app --tag v1 --verbose",
        );
    }

    #[test]
    fn digests_in_what_is_printed() {
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        let to: Reference = "r.example:5000/app".parse().unwrap();
        for (printed, expected) in [
            (format!("pushed blob: {one}\nr.example:5000/app@{one}\n"), Some(one)),
            (format!("r.example:5000/app@{one}\nr.example:5000/app:v1@{two}\n"), Some(two)),
            (format!("r.example:5000/other@{one}\n"), None),
            (format!("Loaded image ID: {one}\n"), None),
        ] {
            assert_eq!(pushed_digest(&printed, &to), expected, "{printed}");
        }
    }
}
