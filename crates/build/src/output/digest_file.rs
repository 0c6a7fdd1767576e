//! Digest files: what a pipeline reads to learn which image was made. They appear only when all else is done.

use std::io::Write;
use std::path::Path;

use oci::Digest;

use super::Outputs;
use crate::error::{Context, Result};

/// Writes the digest without a newline, as Kaniko does.
pub(crate) fn write_digest_files(outputs: &Outputs, digest: Digest) -> Result<()> {
    if let Some(path) = &outputs.digest_file {
        write_whole(path, digest.to_string().as_bytes()).during(path.display())?;
    }
    Ok(())
}

/// Replaces a file's contents so that no reader sees half of them. What is no regular file, as
/// `/dev/termination-log` on some runtimes or a pipe, is written in place.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let in_place = std::fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file());
    if in_place {
        return std::fs::write(path, bytes);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let beside = path.with_file_name(name);
    let written = std::fs::File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    match written.and_then(|()| std::fs::rename(&beside, path)) {
        // A bind-mounted file cannot be replaced, and a directory may not let new files in.
        Err(error) if matches!(error.raw_os_error(), Some(code) if in_place_instead(code)) => {
            let _ = std::fs::remove_file(&beside);
            std::fs::write(path, bytes)
        }
        Err(error) => {
            let _ = std::fs::remove_file(&beside);
            Err(error)
        }
        Ok(()) => Ok(()),
    }
}

fn in_place_instead(code: i32) -> bool {
    use rustix::io::Errno;
    [Errno::BUSY, Errno::ACCESS, Errno::PERM].iter().any(|errno| errno.raw_os_error() == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_and_leaves_nothing_beside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("digest");
        std::fs::write(&path, "an older and longer content").unwrap();
        write_whole(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert!(write_whole(&directory.path().join("no/such"), b"x").is_err());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
