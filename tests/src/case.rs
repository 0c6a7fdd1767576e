//! A case: a Dockerfile, a context and what the build is to give, as files that anybody can add.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};

use crate::expect::Expect;

/// What is known of a case.
#[derive(Debug, Clone)]
pub struct Case {
    /// The folder's name.
    pub name: String,
    /// The folder: `Dockerfile`, `expect`, and perhaps `context/`, `contexts/NAME/`, `secrets/ID` and
    /// `prepare.sh`.
    pub folder: PathBuf,
    /// What the build is to give.
    pub expect: Expect,
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
            if fs::read_dir(&path)?.next().is_none() {
                // What git leaves of a case that is no more.
                continue;
            }
            ensure!(path.join("Dockerfile").is_file(), "{} has no Dockerfile", path.display());
            cases.push(Self::read(&path)?);
        }
        cases.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(cases)
    }

    /// Puts fresh copies of `context/`, `contexts/` and `secrets/` into `folder`, the same on every
    /// machine: a checkout keeps neither modes nor times. `prepare.sh` then makes in the context what a
    /// repository cannot hold.
    pub fn lay_out(&self, folder: &Path) -> Result<()> {
        fs::create_dir(folder.join("context"))?;
        for name in ["context", "contexts", "secrets"] {
            let (from, to) = (self.folder.join(name), folder.join(name));
            if from.is_dir() {
                fs::create_dir_all(&to)?;
                copy(&from, &to)?;
            }
        }
        let prepare = self.folder.join("prepare.sh");
        if prepare.is_file() {
            let mut command = std::process::Command::new("sh");
            command.arg("-eu").arg(prepare).current_dir(folder.join("context"));
            crate::process::output(&mut command)?;
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
