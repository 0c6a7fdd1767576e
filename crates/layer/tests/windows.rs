//! Layers for Windows, entry by entry, and what cannot be in one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::io::Read as _;

use layer::{
    Change, Content, Form, LayerWriter, Metadata, Tree, TreePath, WriteOptions, Written, discard, read_layer,
};
use oci::Compression;

fn writer() -> LayerWriter<Vec<u8>> {
    let options =
        WriteOptions { compression: Compression::None, form: Form::Windows, ..WriteOptions::default() };
    LayerWriter::new(Vec::new(), options).unwrap()
}

fn at(path: &str) -> TreePath {
    TreePath::new(path).unwrap()
}

fn metadata(mode: u32) -> Metadata {
    let xattrs = [(b"user.a"[..].into(), b"1"[..].into())].into();
    Metadata { mode, mtime: 1_700_000_000, xattrs, ..Metadata::default() }
}

fn file(text: &'static str) -> (u64, &'static [u8]) {
    (text.len() as u64, text.as_bytes())
}

fn written() -> Written<Vec<u8>> {
    let mut writer = writer();
    writer.put(&TreePath::root(), &metadata(0o700), Content::Directory).unwrap();
    writer.put(&at("App"), &metadata(0o755), Content::Directory).unwrap();
    let (size, mut data) = file("hello");
    writer.put(&at("App/a.exe"), &metadata(0o644), Content::File { size, data: &mut data }).unwrap();
    writer.link(&at("App/b.exe"), &at("App/a.exe")).unwrap();
    writer.remove(&at("old")).unwrap();
    writer.finish().unwrap()
}

/// Who may do what, as the beginning and the end of the descriptor: owner and group are the same for all.
const OWNER: &str = "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAg";

#[test]
fn entry_by_entry() {
    let written = written();
    let mut archive = tar::Archive::new(&written.destination[..]);
    let mut found = String::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let mode = entry.header().mode().unwrap();
        let kind = entry.header().entry_type();
        let link = entry.link_name_bytes().map(|link| String::from_utf8(link.into_owned()).unwrap());
        found += &format!("{name} {kind:?} {mode:06o} {}", link.unwrap_or_default());
        for record in entry.pax_extensions().unwrap().into_iter().flatten() {
            let record = record.unwrap();
            let value = record.value().unwrap().replace(OWNER, "OWNER");
            found += &format!("\n  {} {}", record.key().unwrap(), &value[..value.len().min(12)]);
        }
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        found += &format!("\n  {text:?}\n");
    }
    assert_eq!(
        found,
        "Hives/ Directory 040755 \n  LIBARCHIVE.creationtime 0.0\n  MSWINDOWS.fileattr 16\n  \"\"\n\
         Files/ Directory 040755 \n  LIBARCHIVE.creationtime 0.0\n  MSWINDOWS.fileattr 16\n  \"\"\n\
         Files/App/ Directory 040755 \n  LIBARCHIVE.creationtime 1700000000.0\n  MSWINDOWS.fileattr 16\n  \
         MSWINDOWS.rawsd OWNERCoAAcAA\n  \"\"\n\
         Files/App/a.exe Regular 100644 \n  LIBARCHIVE.creationtime 1700000000.0\n  MSWINDOWS.fileattr 32\n  \
         MSWINDOWS.rawsd OWNERBMAAMAA\n  \"hello\"\n\
         Files/App/b.exe Link 000644 Files/App/a.exe\n  LIBARCHIVE.creationtime 1700000000.0\n  \"\"\n\
         Files/.wh.old Regular 100000 \n  LIBARCHIVE.creationtime 0.0\n  MSWINDOWS.fileattr 32\n  \
         MSWINDOWS.rawsd OWNERBMAAMAA\n  \"\"\n"
    );
}

#[test]
fn is_read_as_what_was_put() {
    let written = written();
    let index = read_layer(&written.destination[..], Compression::None, &mut discard()).unwrap();
    assert_eq!(index, written.index);
    let mut tree = Tree::new();
    tree.apply(0, &index);
    let paths: Vec<String> = tree.iter().map(|(path, _)| path.to_string()).collect();
    assert_eq!(paths, ["/App", "/App/a.exe", "/App/b.exe"]);
    assert!(matches!(index.changes.last(), Some(Change::Remove { path }) if *path == at("old")));

    // A layer of another system may have such names.
    let mut plain = LayerWriter::new(
        Vec::new(),
        WriteOptions { compression: Compression::None, ..WriteOptions::default() },
    )
    .unwrap();
    plain.put(&at("Files"), &metadata(0o755), Content::Directory).unwrap();
    plain.put(&at("Files/x"), &metadata(0o755), Content::Directory).unwrap();
    let plain = plain.finish().unwrap();
    let index = read_layer(&plain.destination[..], Compression::None, &mut discard()).unwrap();
    assert_eq!(index, plain.index);
}

#[test]
fn what_windows_has_not() {
    let put = |path: &str, content: Content<'_>| {
        let mut writer = writer();
        let (size, mut data) = file("x");
        writer.put(&at("Readme"), &metadata(0o644), Content::File { size, data: &mut data }).unwrap();
        writer.put(&at(path), &metadata(0o644), content).map(drop)
    };
    for (found, message) in [
        (put("l", Content::Symlink { target: b"x" }), "/l: a symbolic link cannot be in a layer for Windows"),
        (put("p", Content::Fifo), "/p: only files and directories"),
        (put("a:b", Content::Directory), "/a:b: no file on Windows can be called \"a:b\""),
        (put("a.", Content::Directory), "no file on Windows can be called \"a.\""),
        (put("d/nul?", Content::Directory), "no file on Windows can be called \"nul?\""),
        (put("README", Content::Directory), "/README: on Windows it is the same as /Readme"),
        (writer().clear(&at("d")), "cannot hide all that a directory holds"),
        (writer().link(&at("a*"), &at("b")), "no file on Windows"),
    ] {
        let error = found.unwrap_err().to_string();
        assert!(error.contains(message), "{message}: {error}");
    }
    assert!(put("Readme", Content::Directory).is_ok(), "the same name again");
}
