//! Digest files: what a pipeline reads to learn which image was made. They appear only when all else is done.

use std::io::Write;
use std::path::{Path, PathBuf};

use oci::{Digest, Reference};
use serde_json::json;
use transport::Clients;

use super::Outputs;
use super::replace::replace;
use crate::context::Fetching;
use crate::error::{Context, Error, Result};

/// Where a digest is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DigestFile {
    /// To a file.
    Path(PathBuf),
    /// To a URL, by PUT. It may be one that carries its own signature, so it is not shown.
    Url(String),
}

/// Writes all of them, in Kaniko's forms: the digest without a newline, names a line each.
pub(crate) fn write_digest_files(fetching: Fetching<'_>, outputs: &Outputs, digest: Digest) -> Result<()> {
    let lines = |line: &dyn Fn(&Reference) -> String| -> String {
        outputs.destinations.iter().map(|destination| line(destination) + "\n").collect()
    };
    if let Some(path) = &outputs.name_with_digest_file {
        write(path, &lines(&|destination| format!("{}@{digest}", destination.name())))?;
    }
    if let Some(path) = &outputs.name_tag_with_digest_file {
        write(path, &lines(&|destination| format!("{destination}@{digest}")))?;
    }
    if let Some(path) = &outputs.builder_output {
        let object = |destination: &Reference| json!({"name": destination.to_string(), "digest": digest});
        write(path, &lines(&|destination| object(destination).to_string()))?;
    }
    match &outputs.digest_file {
        None => Ok(()),
        Some(DigestFile::Path(path)) => write(path, &digest.to_string()),
        Some(DigestFile::Url(url)) => put(fetching, url, digest),
    }
}

/// Directories on the way are made, as Kaniko does it.
fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).during(folder.display())?;
    }
    replace(path, |mut file| Ok(file.write_all(text.as_bytes())?))
        .map_err(|error| error.during(path.display()))
}

fn put(fetching: Fetching<'_>, url: &str, digest: Digest) -> Result<()> {
    let clients = Clients::new(fetching.network.clone()).map_err(Error::new)?;
    let text = digest.to_string();
    // Kaniko's type: a signature may cover it.
    let put = clients.put(url, "text/plain", text.as_bytes());
    let outcome = fetching.runtime.block_on(async {
        tokio::select! {
            outcome = put => outcome,
            signal = crate::waiting::cancelled(fetching.cancel) => return Err(Error::ended_by(signal)),
        }
        .map_err(Error::new)
    });
    outcome.map_err(|error| error.during("--digest-file"))
}
