//! Files that are there as a whole or not at all.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::io::Errno;

use crate::error::Result;

/// Replaces a file with what `write` makes, so that no reader sees half of it and a failure leaves what was
/// there. What is no regular file, as a pipe or `/dev/termination-log` on some runtimes, is written in place.
pub(crate) fn replace(path: &Path, write: impl Fn(&File) -> Result<()>) -> Result<()> {
    let in_place = || write(&File::create(path)?);
    if std::fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return in_place();
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let beside = path.with_file_name(name);
    match beside_then_renamed(&beside, path, &write) {
        Ok(Ok(())) => Ok(()),
        // A bind-mounted file cannot be replaced, and a directory may not let new files in.
        Ok(Err(error)) if is_in_the_way(&error) => {
            let _ = std::fs::remove_file(&beside);
            in_place()
        }
        failed => {
            // Best effort: the error that matters is the first one.
            let _ = std::fs::remove_file(&beside);
            failed?.map_err(Into::into)
        }
    }
}

/// The inner error is that of making or renaming the file, the outer one that of writing it.
fn beside_then_renamed(
    beside: &Path,
    path: &Path,
    write: impl Fn(&File) -> Result<()>,
) -> Result<io::Result<()>> {
    let file = match File::create(beside) {
        Ok(file) => file,
        Err(error) => return Ok(Err(error)),
    };
    write(&file)?;
    Ok(std::fs::rename(beside, path))
}

fn is_in_the_way(error: &io::Error) -> bool {
    let codes = [Errno::BUSY, Errno::ACCESS, Errno::PERM].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::error::Error;

    fn text(text: &str) -> impl Fn(&File) -> Result<()> {
        move |mut file| Ok(file.write_all(text.as_bytes())?)
    }

    #[test]
    fn replaces_and_leaves_nothing_beside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("digest");
        std::fs::write(&path, "an older and longer content").unwrap();
        replace(&path, text("new")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        let failed = replace(&path, |mut file| {
            file.write_all(b"half")?;
            Err(Error::new("no more"))
        });
        assert_eq!(failed.unwrap_err().message, "no more");
        assert_eq!(std::fs::read(&path).unwrap(), b"new", "a failure leaves what was there");
        assert!(replace(&directory.path().join("no/such"), text("x")).is_err());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_file_stays_what_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let (link, target) = (directory.path().join("link"), directory.path().join("target"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        replace(&link, text("new")).unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        replace(Path::new("/dev/null"), text("gone")).unwrap();
    }
}
