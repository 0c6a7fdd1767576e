//! Digest files: what a pipeline reads to learn which image was made. They appear only when all else is done.

use std::io::Write;

use oci::Digest;

use super::Outputs;
use super::replace::replace;
use crate::error::Result;

/// Writes the digest without a newline, as Kaniko does.
pub(crate) fn write_digest_files(outputs: &Outputs, digest: Digest) -> Result<()> {
    if let Some(path) = &outputs.digest_file {
        replace(path, |mut file| Ok(file.write_all(digest.to_string().as_bytes())?))
            .map_err(|error| error.during(path.display()))?;
    }
    Ok(())
}
