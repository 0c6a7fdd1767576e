//! Windows: how a layer of an image for Windows is laid out.
//!
//! Such a layer holds two directories: in `Files` is what others have at the top, in `Hives` are changes of the
//! registry. PAX records say what Windows has in place of modes and owners ([image-spec, layer.md]): `MSWINDOWS.fileattr`
//! and `MSWINDOWS.rawsd`. What is written is what BuildKit writes where it builds for Windows on Linux.
//!
//! In an index, and for a sink, a path is below `Files`, so that trees are alike whatever the system.
//!
//! [image-spec, layer.md]: https://github.com/opencontainers/image-spec/blob/main/layer.md#file-attributes

use tar::EntryType;

use crate::entries::Entry;
use crate::{Content, TreePath};

/// For which kind of system a layer is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// What it holds is at the top.
    #[default]
    Unix,
    /// What it holds is below `Files`, with records for Windows.
    Windows,
}

/// The directory of the registry's hives.
pub(crate) const HIVES: &[u8] = b"Hives/";
/// The directory of files.
pub(crate) const FILES: &[u8] = b"Files/";

/// The record that every file and directory has.
pub(crate) const ATTRIBUTES: &[u8] = b"MSWINDOWS.fileattr";

/// Who may do what with a directory and with what is made in it: all for administrators and the system, reading and
/// adding for users. In SDDL `O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;FA;;;BA)(A;OICIIO;GA;;;CO)`
/// `(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CI;DC;;;BU)`, here self-relative ([MS-DTYP] 2.4.6) and in base 64.
///
/// [MS-DTYP]: https://learn.microsoft.com/openspecs/windows_protocols/ms-dtyp/
const OF_DIRECTORIES: &str = "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgCoAAcAAAAAAxgA/wEfAAEC\
AAAAAAAFIAAAACACAAAAAxQA/wEfAAEBAAAAAAAFEgAAAAAAGAD/AR8AAQIAAAAAAAUgAAAAIAIAAAALFAAAAAAQAQEAAAAAAAMAAAAAAAMYAKkAEgAB\
AgAAAAAABSAAAAAhAgAAAAIYAAQAAAABAgAAAAAABSAAAAAhAgAAAAIYAAIAAAABAgAAAAAABSAAAAAhAgAA";

/// The same for a file: `O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)`.
const OF_FILES: &str = "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgBMAAMAAAAAABgA/wEfAAECAAAA\
AAAFIAAAACACAAAAABQA/wEfAAEBAAAAAAAFEgAAAAAAGACpABIAAQIAAAAAAAUgAAAAIQIAAA==";

/// What a header says beyond the usual.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    pub(crate) records: Vec<(&'static [u8], String)>,
    /// Go's reader for Windows takes the kind from the mode, as the seventh edition of Unix had it there.
    pub(crate) mode: u32,
}

/// What the header of an entry says for Windows.
pub(crate) fn extra(kind: EntryType, mtime: i64, with_rights: bool) -> Extra {
    // A directory (0x10), or a file that is to be archived (0x20).
    let (attributes, rights, mode) = match kind {
        EntryType::Directory => ("16", OF_DIRECTORIES, 0o040_000),
        EntryType::Regular => ("32", OF_FILES, 0o100_000),
        _ => return Extra { records: vec![created(mtime)], mode: 0 },
    };
    let mut records = vec![created(mtime), (ATTRIBUTES, attributes.to_owned())];
    if with_rights {
        records.push((b"MSWINDOWS.rawsd", rights.to_owned()));
    }
    Extra { records, mode }
}

fn created(mtime: i64) -> (&'static [u8], String) {
    (b"LIBARCHIVE.creationtime", format!("{mtime}.0"))
}

/// Fails, in words, on what Windows has not or would not take.
pub(crate) fn check(path: &TreePath, content: Option<&Content<'_>>) -> Result<(), String> {
    match content {
        None | Some(Content::File { .. } | Content::Directory) => {}
        Some(Content::Symlink { .. }) => {
            return Err("a symbolic link cannot be in a layer for Windows; copy what it leads to".to_owned());
        }
        Some(_) => return Err("only files and directories can be in a layer for Windows".to_owned()),
    }
    for part in path.parts() {
        let part = std::str::from_utf8(part).map_err(|_| "a name on Windows is Unicode".to_owned())?;
        let bad = |one: char| one < ' ' || "<>:\"|?*\\".contains(one);
        if part.contains(bad) || part.ends_with(['.', ' ']) {
            return Err(format!("no file on Windows can be called {part:?}"));
        }
    }
    Ok(())
}

/// How names are compared: Windows takes capitals for small letters.
pub(crate) fn folded(path: &TreePath) -> String {
    String::from_utf8_lossy(path.as_bytes()).to_lowercase()
}

/// Takes an entry out of the form of Windows; false if it is none of the files. The layer's first entry tells its form,
/// as layers do not say whom they are for.
pub(crate) fn unwrap(form: &mut Option<Form>, entry: &mut Entry) -> bool {
    let top = |name: &[u8]| name.strip_prefix(b"./").unwrap_or(name).to_vec();
    let name = top(&entry.name);
    let form = *form.get_or_insert_with(|| {
        let is_ours = [FILES, HIVES].iter().any(|top| [&name[..], b"/"].concat().starts_with(top));
        if entry.is_for_windows && is_ours { Form::Windows } else { Form::Unix }
    });
    if form == Form::Unix {
        return true;
    }
    let Some(below) = name.strip_prefix(FILES).filter(|below| !below.is_empty()) else { return false };
    entry.name = below.to_vec();
    if entry.kind == EntryType::Link {
        let link = top(&entry.link);
        entry.link = link.strip_prefix(FILES).unwrap_or(&link).to_vec();
    }
    true
}
