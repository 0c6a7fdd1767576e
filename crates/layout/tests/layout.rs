//! What a layout promises to those who use it.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use layout::{Import, Layout, LayoutError, REFERENCE_NAME};
use oci::{Descriptor, Digest, MediaType};

fn named(name: Option<&str>, content: &str) -> Descriptor {
    let digest = Digest::of(content.as_bytes());
    let mut descriptor = Descriptor::new(MediaType::OciManifest, digest, content.len() as u64);
    descriptor.annotations =
        name.map(|name| (REFERENCE_NAME.to_owned(), name.to_owned())).into_iter().collect();
    descriptor
}

/// The files of a layout, sorted.
fn files(layout: &Layout) -> Vec<String> {
    fn walk(dir: &Path, root: &Path, files: &mut Vec<String>) {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => walk(&entry.path(), root, files),
                false => files.push(entry.path().strip_prefix(root).unwrap().display().to_string()),
            }
        }
    }
    let mut files = Vec::new();
    walk(layout.dir(), layout.dir(), &mut files);
    files.sort();
    files
}

fn empty() -> (tempfile::TempDir, Layout) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(dir.path().join("layout")).unwrap();
    (dir, layout)
}

#[test]
fn a_new_layout_is_what_the_image_spec_says() {
    let (_dir, layout) = empty();
    assert_eq!(files(&layout), ["index.json", "oci-layout"]);
    assert!(layout.dir().join("blobs/sha256").is_dir());
    let text = |name: &str| fs::read_to_string(layout.dir().join(name)).unwrap();
    assert_eq!(text("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#);
    assert_eq!(
        text("index.json"),
        r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#
    );
    assert_eq!(Layout::open(layout.dir()).unwrap(), layout);
}

#[test]
fn refuses_what_is_no_layout() {
    let check = |marker: Option<&str>, message: &str| {
        let dir = tempfile::tempdir().unwrap();
        if let Some(marker) = marker {
            fs::write(dir.path().join("oci-layout"), marker).unwrap();
        }
        let error = Layout::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains(message), "{marker:?}: {error}");
    };
    check(None, "it has no file oci-layout");
    check(Some(""), "its file oci-layout is empty");
    check(Some("{"), "malformed");
    check(Some(r#"{"imageLayoutVersion":"2.0.0"}"#), r#"version "2.0.0""#);
    assert!(matches!(Layout::open("/proc/version"), Err(LayoutError::NotALayout { .. })));
}

#[test]
fn creating_completes_half_a_layout_and_keeps_a_whole_one() {
    let (_dir, layout) = empty();
    layout.put_reference(named(Some("a"), "x")).unwrap();
    // As if the process had been killed before it wrote the marker's content.
    fs::write(layout.dir().join("oci-layout"), "").unwrap();
    let again = Layout::create(layout.dir()).unwrap();
    assert_eq!(again.reference("a").unwrap(), Some(named(Some("a"), "x")));
}

#[test]
fn only_what_is_damaged_makes_room() {
    let (_dir, layout) = empty();
    let digest = layout.write_blob(b"hello").unwrap();
    assert!(!layout.remove_damaged(digest).unwrap());
    fs::write(layout.blob_path(digest), b"hullo").unwrap();
    assert!(layout.remove_damaged(digest).unwrap());
    assert!(!layout.remove_damaged(digest).unwrap());
    assert_eq!(layout.has(digest).unwrap(), None);
}

#[test]
fn a_blob_is_there_when_it_is_whole() {
    let (_dir, layout) = empty();
    let digest = Digest::of(b"hello");
    let mut writer = layout.blob_writer().unwrap();
    writer.write_all(b"hel").unwrap();
    assert_eq!(layout.has(digest).unwrap(), None);
    writer.write_all(b"lo").unwrap();
    assert_eq!(writer.commit(Some(digest)).unwrap(), (digest, 5));
    assert_eq!(layout.has(digest).unwrap(), Some(5));
    assert_eq!(layout.read_blob(digest, 5).unwrap(), b"hello");
    assert!(matches!(layout.read_blob(digest, 4), Err(LayoutError::TooLarge { size: 5, .. })));
    assert_eq!(layout.blobs().unwrap().map(Result::unwrap).collect::<Vec<_>>(), [digest]);
    assert!(layout.remove_blob(digest).unwrap());
    assert!(!layout.remove_blob(digest).unwrap());
    assert!(matches!(layout.open_blob(digest), Err(LayoutError::Unknown { .. })));
    assert_eq!(files(&layout), ["index.json", "oci-layout"]);
}

#[test]
fn a_blob_that_is_another_leaves_nothing() {
    let (_dir, layout) = empty();
    let before = files(&layout);
    let mut writer = layout.blob_writer().unwrap();
    writer.write_all(b"hello").unwrap();
    let expected = Digest::of(b"other");
    assert!(matches!(writer.commit(Some(expected)), Err(LayoutError::Mismatch { size: 5, .. })));
    let mut dropped = layout.blob_writer().unwrap();
    dropped.write_all(b"half").unwrap();
    drop(dropped);
    assert_eq!(files(&layout), before);
}

#[test]
fn a_damaged_blob_is_not_read_and_can_be_written_again() {
    let (_dir, layout) = empty();
    let digest = layout.write_blob(b"hello").unwrap();
    fs::write(layout.blob_path(digest), "jello").unwrap();
    assert!(matches!(layout.read_blob(digest, 9), Err(LayoutError::Mismatch { .. })));
    layout.write_blob(b"hello").unwrap();
    assert_eq!(layout.read_blob(digest, 9).unwrap(), b"hello");
}

#[test]
fn leftovers_are_collected_and_work_in_progress_is_not() {
    let (_dir, layout) = empty();
    fs::write(layout.dir().join(".bako-left"), "half a blob").unwrap();
    let mut writer = layout.blob_writer().unwrap();
    writer.write_all(b"hello").unwrap();
    Layout::open(layout.dir()).unwrap();
    assert!(!layout.dir().join(".bako-left").exists());
    writer.commit(Some(Digest::of(b"hello"))).unwrap();
    assert_eq!(files(&layout).len(), 3);
}

#[test]
fn imports() {
    let check = |how: Import, stays: bool, shared: bool| {
        let (dir, layout) = empty();
        let path = dir.path().join("file");
        fs::write(&path, "hello").unwrap();
        let digest = Digest::of(b"hello");
        layout.import_file(&path, digest, how).unwrap();
        assert_eq!(layout.read_blob(digest, 5).unwrap(), b"hello");
        assert_eq!(path.exists(), stays, "{how:?}");
        assert_eq!(fs::metadata(layout.blob_path(digest)).unwrap().nlink() == 2, shared, "{how:?}");
        fs::write(&path, "hello").unwrap();
        layout.import_file(&path, digest, how).unwrap();
    };
    check(Import::Link, true, true);
    check(Import::Move, false, false);
    check(Import::Copy, true, false);
    let (_dir, layout) = empty();
    // From another filesystem, so neither a link nor a rename is possible.
    let digest = Digest::of(&fs::read("/proc/version").unwrap());
    layout.import_file(Path::new("/proc/version"), digest, Import::Link).unwrap();
    assert!(layout.has(digest).unwrap().is_some());
}

#[test]
fn names() {
    let (_dir, layout) = empty();
    let state = || -> String {
        let index = layout.index().unwrap();
        let entries = index.manifests.iter().map(|descriptor| {
            let name = descriptor.annotations.get(REFERENCE_NAME).map_or("-", String::as_str);
            format!(
                "{name}={}",
                ["x", "y"].iter().find(|c| Digest::of(c.as_bytes()) == descriptor.digest).unwrap()
            )
        });
        entries.collect::<Vec<_>>().join(" ")
    };
    for (name, content, expected) in [
        (Some("a"), "x", "a=x"),
        (Some("b"), "x", "a=x b=x"),
        (Some("a"), "y", "b=x a=y"),
        (None, "y", "b=x a=y -=y"),
        (None, "y", "b=x a=y -=y"),
    ] {
        layout.put_reference(named(name, content)).unwrap();
        assert_eq!(state(), expected);
    }
    assert!(layout.remove_reference("a").unwrap());
    assert!(!layout.remove_reference("a").unwrap());
    assert_eq!(state(), "b=x -=y");
    assert_eq!(layout.reference("b").unwrap().unwrap().digest, Digest::of(b"x"));
    assert_eq!(layout.reference("a").unwrap(), None);
}

#[test]
fn many_writers_lose_nothing() {
    let (_dir, layout) = empty();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let layout = &layout;
            scope.spawn(move || {
                for number in 0..8 {
                    let layout = Layout::create(layout.dir()).unwrap();
                    layout.write_blob(b"the same for all").unwrap();
                    layout.put_reference(named(Some(&format!("{thread}-{number}")), "x")).unwrap();
                }
            });
        }
    });
    assert_eq!(layout.index().unwrap().manifests.len(), 32);
    assert_eq!(files(&layout).len(), 3);
}
