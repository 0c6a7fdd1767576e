//! Where a case is built: its context laid out once in a folder of its own, and the command line.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::beginning::beginning;
use crate::process::{Finished, finish};
use crate::{Bako, Case, Registry};

/// Fixes every time in the images: 2023-11-14.
pub const EPOCH: i64 = 1_700_000_000;

/// A case, laid out.
#[derive(Debug)]
pub struct Site<'a> {
    case: &'a Case,
    registry: &'a Registry,
    folder: TempDir,
}

impl<'a> Site<'a> {
    /// Lays a case out; nothing is kept from build to build but what is put into the registry.
    pub fn new(case: &'a Case, registry: &'a Registry) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        case.lay_out(folder.path()).with_context(|| format!("lay out {}", case.name))?;
        Ok(Self { case, registry, folder })
    }

    /// The folder with `context`, and perhaps `contexts` and `secrets`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Words of an `expect` file with `$REGISTRY`, `$CASE` and `$HERE` replaced.
    fn filled(&self, word: &str) -> String {
        let case = self.case.folder.to_string_lossy();
        let here = self.folder().to_string_lossy();
        word.replace("$REGISTRY", &self.registry.address).replace("$CASE", &case).replace("$HERE", &here)
    }

    /// What the case has to say on a command line, for bako and others alike: arguments of `expect`, the
    /// folders of `contexts/` and the files of `secrets/`.
    pub fn arguments(&self) -> Result<Vec<String>> {
        let mut words = vec!["--build-arg".to_owned(), format!("REGISTRY={}", self.registry.address)];
        let contexts = names(&self.folder().join("contexts"))?;
        for name in contexts {
            let path = self.folder().join("contexts").join(&name);
            words.extend(["--build-context".to_owned(), format!("{name}={}", path.display())]);
        }
        for id in names(&self.folder().join("secrets"))? {
            let path = self.folder().join("secrets").join(&id);
            words.extend(["--secret".to_owned(), format!("id={id},src={}", path.display())]);
        }
        words.extend(self.case.expect.arguments.iter().map(|word| self.filled(word)));
        Ok(words)
    }

    /// Puts the variables of `expect` into a command's environment.
    pub fn set_environment(&self, command: &mut Command) {
        for variable in &self.case.expect.environment {
            let variable = self.filled(variable);
            let (name, value) = variable.split_once('=').unwrap_or((&variable, ""));
            command.env(name, value);
        }
    }

    /// Builds the case with bako, after the builds that go before it, and pushes it as `destination`.
    /// What is kept between builds is new each time.
    pub fn build(&self, bako: &Bako, isolation: Option<&str>, destination: &str) -> Result<Finished> {
        self.build_with(bako, isolation, destination, &[])
    }

    /// The same with more words on the command line.
    pub fn build_with(
        &self,
        bako: &Bako,
        isolation: Option<&str>,
        destination: &str,
        words: &[String],
    ) -> Result<Finished> {
        let kept = tempfile::tempdir()?;
        for words in &self.case.expect.before {
            let before = self.registry.reference("before:latest");
            let built = self.build_once(bako, isolation, &before, &self.dockerfile(), kept.path(), words)?;
            built.success().with_context(|| format!("before: {}", words.join(" ")))?;
        }
        self.build_once(bako, isolation, destination, &self.dockerfile(), kept.path(), words)
    }

    /// Builds the case without its last instruction that makes a layer. `None` if there is no such beginning, or none
    /// that can be built.
    pub fn build_beginning(
        &self,
        bako: &Bako,
        isolation: Option<&str>,
        destination: &str,
        words: &[String],
    ) -> Result<Option<Finished>> {
        let dockerfile = self.dockerfile();
        let text = std::fs::read_to_string(&dockerfile).unwrap_or_default();
        let Some(text) = beginning(&text) else { return Ok(None) };
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("Dockerfile"), text)?;
        // Its own ignore file is beside it.
        let ignored = Path::new("Dockerfile.dockerignore");
        if self.case.folder.join(ignored).is_file() {
            std::fs::copy(self.case.folder.join(ignored), folder.path().join(ignored))?;
        }
        let (file, kept) = (folder.path().join("Dockerfile"), folder.path().join("kept"));
        let built = self.build_once(bako, isolation, destination, &file, &kept, words)?;
        Ok((built.code == 0).then_some(built))
    }

    fn dockerfile(&self) -> PathBuf {
        self.case.folder.join("Dockerfile")
    }

    fn build_once(
        &self,
        bako: &Bako,
        isolation: Option<&str>,
        destination: &str,
        dockerfile: &Path,
        kept: &Path,
        words: &[String],
    ) -> Result<Finished> {
        let work = kept.join("work");
        let mut command = bako.build(&self.folder().join("context"));
        command
            .arg("--dockerfile")
            .arg(dockerfile)
            .args(["--destination", destination, "--insecure"])
            .arg("--work-dir")
            .arg(&work)
            .arg("--cache-dir")
            .arg(kept.join("cache"))
            .env("SOURCE_DATE_EPOCH", EPOCH.to_string());
        if let Some(isolation) = isolation {
            command.args(["--isolation", isolation]);
        }
        command.args(self.arguments()?).args(words.iter().map(|word| self.filled(word)));
        self.set_environment(&mut command);
        let finished = finish(&mut command)?;
        let left = names(&work)?;
        ensure!(left.is_empty(), "left in the work directory: {left:?}\n{}", finished.stderr);
        Ok(finished)
    }
}

/// The names in a folder, sorted; none if there is no such folder.
fn names(folder: &Path) -> Result<Vec<String>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    let mut names: Vec<String> =
        entries.into_iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}
