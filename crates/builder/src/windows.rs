//! Windows: how paths are written for it. Within a build they are as on any system: drive C: is the root.

use layer::TreePath;

use crate::error::{Error, Result};

/// A path of an instruction: without the drive, and with slashes that lean forward.
pub(crate) fn path(written: &str) -> Result<String> {
    let path = written.replace('\\', "/");
    let Some((drive, below)) = path.split_once(':') else { return Ok(path) };
    if drive.len() != 1 || !drive.starts_with(|one: char| one.is_ascii_alphabetic()) {
        // Of a name with a colon the layer's writer says that there is none on Windows.
        return Ok(path);
    }
    if !drive.eq_ignore_ascii_case("c") {
        return Err(Error::new(format!("{written}: an image for Windows has no drive but C:")));
    }
    match below {
        "" => Ok("/".to_owned()),
        below if below.starts_with('/') => Ok(below.to_owned()),
        _ => Err(Error::new(format!("{written}: a path of a drive begins with a slash, as in C:\\{below}"))),
    }
}

/// A path as a config has it.
pub(crate) fn shown(path: &TreePath) -> String {
    format!("C:{}", path.to_string().replace('/', "\\"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (written, expected) in [
            ("/app", Ok("/app")),
            ("\\app\\bin\\", Ok("/app/bin/")),
            ("C:\\app", Ok("/app")),
            ("c:/app/", Ok("/app/")),
            ("C:", Ok("/")),
            ("app\\bin", Ok("app/bin")),
            ("name:1", Ok("name:1")),
            ("", Ok("")),
            ("D:\\app", Err("D:\\app: an image for Windows has no drive but C:")),
            ("C:app", Err("C:app: a path of a drive begins with a slash, as in C:\\app")),
        ] {
            let found = path(written).map_err(|error| error.to_string());
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{written}");
        }
        assert_eq!(shown(&TreePath::new("app/bin").unwrap()), "C:\\app\\bin");
        assert_eq!(shown(&TreePath::root()), "C:\\");
    }
}
