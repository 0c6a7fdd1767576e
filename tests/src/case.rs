//! A case: a Dockerfile, a context and what the build is to give, as files that anybody can add.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};

/// What is known of a case.
#[derive(Debug, Clone)]
pub struct Case {
    /// The folder's name.
    pub name: String,
    /// The folder: `Dockerfile`, `expect`, and perhaps `context/` and `prepare.sh`.
    pub folder: PathBuf,
    /// What the build is to give.
    pub expect: Expect,
}

/// An `expect` file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expect {
    /// Comments at the top, kept when the file is written again.
    pub comments: Vec<String>,
    /// Words to add to the command line.
    pub arguments: Vec<String>,
    /// Base images wanted beside busybox: folders of `tests/bases`.
    pub bases: Vec<String>,
    /// Texts that a failing build's standard error must hold; none for a build that is to succeed.
    pub errors: Vec<String>,
    /// Texts that a successful build's standard error must hold.
    pub warnings: Vec<String>,
    /// The exit code of a failing build, where it matters which.
    pub exit: Option<i32>,
    /// Entries of the image's config.
    pub config: Vec<String>,
    /// History entries after the base's.
    pub history: Vec<String>,
    /// What the tree has otherwise than its base.
    pub tree: Vec<String>,
}

impl Case {
    /// Reads a case from its folder.
    pub fn read(folder: &Path) -> Result<Self> {
        let name = folder.file_name().context("a case has a name")?.to_string_lossy().into_owned();
        let file = folder.join("expect");
        let text = fs::read_to_string(&file).unwrap_or_default();
        let expect = Expect::parse(&text).with_context(|| file.display().to_string())?;
        Ok(Self { name, folder: folder.to_owned(), expect })
    }

    /// All cases of a folder, by name.
    pub fn all(folder: &Path) -> Result<Vec<Self>> {
        let mut cases = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.join("Dockerfile").is_file() {
                cases.push(Self::read(&path)?);
            }
        }
        cases.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(cases)
    }

    /// A fresh copy of the context in `to`, the same on every machine: a checkout keeps neither modes
    /// nor times. `prepare.sh` then makes in it what a repository cannot hold.
    pub fn copy_context(&self, to: &Path) -> Result<()> {
        let context = self.folder.join("context");
        fs::create_dir(to)?;
        if context.is_dir() {
            copy(&context, to)?;
        }
        let prepare = self.folder.join("prepare.sh");
        if prepare.is_file() {
            let mut command = std::process::Command::new("sh");
            crate::process::output(command.arg("-eu").arg(prepare).current_dir(to))?;
        }
        Ok(())
    }
}

/// When everything in a context was last changed: 2021-01-01.
fn long_ago() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_609_459_200)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, &target)?;
            continue;
        }
        let mode = if kind.is_dir() {
            fs::create_dir(&target)?;
            copy(&entry.path(), &target)?;
            0o755
        } else {
            fs::copy(entry.path(), &target)?;
            if entry.metadata()?.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 }
        };
        fs::set_permissions(&target, fs::Permissions::from_mode(mode))?;
        fs::File::open(&target)?.set_modified(long_ago())?;
    }
    Ok(())
}

impl Expect {
    /// Parses an `expect` file: `key: value` lines, and sections whose lines are indented.
    pub fn parse(text: &str) -> Result<Self> {
        let mut expect = Self::default();
        let mut section = String::new();
        for (number, line) in text.lines().enumerate() {
            if let Some(entry) = line.strip_prefix("  ") {
                let list = match section.as_str() {
                    "config" => &mut expect.config,
                    "history" => &mut expect.history,
                    "tree" => &mut expect.tree,
                    _ => bail!("line {}: indented, but in no section", number + 1),
                };
                list.push(entry.to_owned());
                continue;
            }
            if line.starts_with('#') {
                expect.comments.push(line.to_owned());
                continue;
            }
            let Some((key, value)) = line.split_once(':') else {
                if line.is_empty() {
                    continue;
                }
                bail!("line {}: neither `key: value` nor a section", number + 1);
            };
            let value = value.trim();
            match key {
                "args" => expect.arguments.extend(value.split_whitespace().map(str::to_owned)),
                "bases" => expect.bases.extend(value.split_whitespace().map(str::to_owned)),
                "error" => expect.errors.push(value.to_owned()),
                "warning" => expect.warnings.push(value.to_owned()),
                "exit" => expect.exit = Some(value.parse()?),
                "config" | "history" | "tree" if value.is_empty() => section = key.to_owned(),
                _ => bail!("line {}: unknown key `{key}`", number + 1),
            }
        }
        Ok(expect)
    }

    /// The file's text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        self.comments.iter().for_each(|comment| line(comment));
        for (key, words) in [("args", &self.arguments), ("bases", &self.bases)] {
            if !words.is_empty() {
                line(&format!("{key}: {}", words.join(" ")));
            }
        }
        self.warnings.iter().for_each(|warning| line(&format!("warning: {warning}")));
        self.errors.iter().for_each(|error| line(&format!("error: {error}")));
        if let Some(code) = self.exit {
            line(&format!("exit: {code}"));
        }
        if self.errors.is_empty() {
            let sections = [("config", &self.config), ("history", &self.history), ("tree", &self.tree)];
            for (name, entries) in sections {
                line(&format!("{name}:"));
                entries.iter().for_each(|entry| line(&format!("  {entry}")));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_written_the_same() {
        let text = "# why\nargs: --target a\nwarning: w\nconfig:\n  User: \"x\"\nhistory:\n  layer RUN x\n\
                    tree:\n  /a dir 0755 0:0\n  - /b\n";
        assert_eq!(Expect::parse(text).unwrap().text(), text);
        let text = "error: no such stage\nexit: 1\n";
        assert_eq!(Expect::parse(text).unwrap().text(), text);
    }

    #[test]
    fn a_mistake_names_its_line() {
        for (text, wrong) in [("args: x\nfoo: y", "line 2"), ("  x", "line 1"), ("word", "line 1")] {
            assert!(Expect::parse(text).unwrap_err().to_string().contains(wrong), "{text:?}");
        }
    }
}
