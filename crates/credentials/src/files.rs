//! Files of credentials: where they are, and what of a directory is one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::KeychainError;

/// Names that files of credentials have, in the order in which they count. Secrets of Kubernetes that are mounted whole
/// have the second and third.
const NAMES: [&str; 4] = ["config.json", ".dockerconfigjson", ".dockercfg", "auth.json"];

/// The files of credentials that a path means: itself, or those of a directory under their usual names and, with
/// `deep`, those of the directories in it, as when several secrets are mounted side by side.
pub(crate) fn of(path: &Path, deep: bool) -> Result<Vec<PathBuf>, KeychainError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files: Vec<PathBuf> =
        NAMES.map(|name| path.join(name)).into_iter().filter(|file| file.exists()).collect();
    if deep {
        let failed = |error: std::io::Error| KeychainError::Read {
            path: path.display().to_string(),
            reason: error.to_string(),
        };
        let mut inner = Vec::new();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // The kubelet keeps what it mounts in directories that begin so, and links to it.
            if !entry.file_name().to_string_lossy().starts_with("..") && entry.path().is_dir() {
                inner.push(entry.path());
            }
        }
        inner.sort();
        for directory in inner {
            files.extend(of(&directory, false)?);
        }
    }
    Ok(files)
}

/// The text of a file; none if it is not there, or not for us as another user's home, when a pod overrides the user and
/// not `HOME`.
pub(crate) fn read(path: &Path) -> Result<Option<String>, KeychainError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => {
            Err(KeychainError::Read { path: path.display().to_string(), reason: error.to_string() })
        }
    }
}
