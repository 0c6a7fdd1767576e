//! What is written is what is read: entries of every kind, by way of every compression.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use layer::{Change, Kind, LayerIndex, LayerWriter, TreePath, WriteOptions, discard, read_layer};
use oci::{Compression, Digest};
use proptest::prelude::*;

use common::{Entry, layer_of, write};

const COMPRESSIONS: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Zstd];

fn options(compression: Compression, threads: usize) -> WriteOptions {
    WriteOptions { compression, level: None, threads, ..WriteOptions::default() }
}

fn names() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[a-c]{1,2}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>().prop_filter("no name", |byte| !b"\0/".contains(byte)), 1..12),
        1 => "[a-z]{90,250}".prop_map(String::into_bytes),
    ]
    .prop_filter("no whiteouts or dots", |name| !name.starts_with(b"."))
}

fn paths() -> impl Strategy<Value = TreePath> {
    prop::collection::vec(names(), 1..4).prop_map(|parts| TreePath::new(parts.join(&b'/')).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_what_is_read(
        entries in prop::collection::vec((paths(), common::entries()), 0..20),
        compression in prop::sample::select(&COMPRESSIONS[..]),
    ) {
        let mut writer = LayerWriter::new(Vec::new(), options(compression, 2)).unwrap();
        let mut last = None;
        for (path, entry) in &entries {
            match write(&mut writer, path, entry, last.as_ref()) {
                Ok(()) => if entry.is_file() { last = Some(path.clone()) },
                // A link to itself, or to what another entry has replaced with a directory.
                Err(error) => prop_assert!(matches!(entry, Entry::Link), "{error}"),
            }
        }
        let written = writer.finish().unwrap();
        prop_assert_eq!(written.digest, Digest::of(&written.destination));
        prop_assert_eq!(written.size, written.destination.len() as u64);
        let read = read_layer(&written.destination[..], compression, &mut discard()).unwrap();
        prop_assert_eq!(&read, &written.index);

        // Repacking gives the same tar, and so does the file form of the index.
        let mut repacked = LayerWriter::new(Vec::new(), options(Compression::None, 1)).unwrap();
        read_layer(&written.destination[..], compression, &mut repacked).unwrap();
        let repacked = repacked.finish().unwrap();
        prop_assert_eq!(&repacked.index, &written.index);
        prop_assert_eq!(Digest::of(&repacked.destination), written.index.diff_id.0);
        let mut encoded = Vec::new();
        written.index.encode(&mut encoded).unwrap();
        prop_assert_eq!(LayerIndex::decode(&encoded[..]).unwrap(), read);
    }
}

#[test]
fn bytes_do_not_depend_on_the_number_of_threads() {
    // Five members and a bit, in files that begin and end anywhere.
    let noise = common::noise(2_700_000);
    let text = b"the quick brown fox ".repeat(130_000);
    for compression in COMPRESSIONS {
        let bytes: Vec<Vec<u8>> = [1, 2, 4]
            .into_iter()
            .map(|threads| {
                let entries: Vec<(&str, &[u8])> = vec![("noise", &noise), ("text", &text), ("end", b"x")];
                layer_of(options(compression, threads), &entries).destination
            })
            .collect();
        assert!(bytes[0] == bytes[1] && bytes[0] == bytes[2], "{compression:?}");
    }
}

#[test]
fn bytes_are_what_they_were() {
    // Cached layers are found by what made them, but pushed ones are shared by digest: these change only if
    // a layer is meant to be written in another way, or a compressor is replaced.
    let entries: Vec<(&str, &[u8])> = vec![("a", b"bako"), ("b", b"")];
    for (compression, digest) in COMPRESSIONS.into_iter().zip([
        "sha256:69074dfbb7cc359a841b39e33de1c3a2a3034d7d3057b06329512cb89ec5a76c",
        "sha256:c296501dfe4eb8fffd1722e9eff2972b61dacdfc310613304c1c7e50e80d4171",
        "sha256:e17af6c395b8faa970d70168ca2e913bf823dc0404ffa7b9022b13132c639cc0",
    ]) {
        let written = layer_of(options(compression, 2), &entries);
        assert_eq!(written.digest.to_string(), digest, "{compression:?}");
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_spoils_the_layer() {
    for (size, fault) in [(3, "more than"), (5, "no more")] {
        let mut writer = LayerWriter::new(Vec::new(), WriteOptions::default()).unwrap();
        let content = layer::Content::File { size, data: &mut &b"four"[..] };
        let error = writer.put(&TreePath::new("f").unwrap(), &Default::default(), content).unwrap_err();
        assert!(error.to_string().contains("/f: the file changed"), "{error}");
        assert!(error.to_string().contains(fault), "{error}");
        writer.finish().unwrap_err();
    }
}

#[test]
fn what_a_layer_cannot_hold_is_refused_and_the_layer_goes_on() {
    let path = |text: &str| TreePath::new(text).unwrap();
    let mut writer = LayerWriter::new(Vec::new(), WriteOptions::default()).unwrap();
    write(&mut writer, &path("f"), &Entry::file(b"x"), None).unwrap();
    for (at, entry) in
        [(".wh.f", Entry::file(b"x")), ("d/.wh..wh..opq", Entry::Directory), ("", Entry::file(b"x"))]
    {
        write(&mut writer, &path(at), &entry, None).unwrap_err();
    }
    for (at, target) in [("g", "nothing"), ("f", "f"), (".wh.g", "f")] {
        writer.link(&path(at), &path(target)).unwrap_err();
    }
    writer.remove(&path("")).unwrap_err();
    writer.remove(&path(".wh.f")).unwrap_err();
    writer.link(&path("g"), &path("f")).unwrap();
    writer.link(&path("h"), &path("g")).unwrap();
    let written = writer.finish().unwrap();
    assert_eq!(written.index.changes.len(), 3);
    let read = read_layer(&written.destination[..], Compression::Gzip, &mut discard()).unwrap();
    assert_eq!(read, written.index);
}

#[test]
fn whiteouts() {
    let path = |text: &str| TreePath::new(text).unwrap();
    let long = "n".repeat(255);
    let mut writer = LayerWriter::new(Vec::new(), WriteOptions::default()).unwrap();
    writer.remove(&path("a")).unwrap();
    writer.remove(&path(&format!("d/{long}"))).unwrap();
    writer.clear(&path("d/e")).unwrap();
    writer.clear(&path("")).unwrap();
    let written = writer.finish().unwrap();
    let expected = [
        Change::Remove { path: path("a") },
        Change::Remove { path: path(&format!("d/{long}")) },
        Change::Clear { path: path("d/e") },
        Change::Clear { path: path("") },
    ];
    assert_eq!(written.index.changes, expected);
    let read = read_layer(&written.destination[..], Compression::Gzip, &mut discard()).unwrap();
    assert_eq!(read.changes, expected);
}

#[test]
fn attributes_that_layers_do_not_carry_are_left_out() {
    let mut metadata = layer::Metadata { mode: 0o100644, ..Default::default() };
    for name in [
        "security.selinux",
        "trusted.overlay.opaque",
        "user.overlay.redirect",
        "security.capability",
        "user.a",
    ] {
        metadata.xattrs.insert(name.as_bytes().into(), b"1\n2"[..].into());
    }
    let mut writer = LayerWriter::new(Vec::new(), WriteOptions::default()).unwrap();
    let content = layer::Content::File { size: 0, data: &mut std::io::empty() };
    writer.put(&TreePath::new("f").unwrap(), &metadata, content).unwrap();
    let written = writer.finish().unwrap();
    let read = read_layer(&written.destination[..], Compression::Gzip, &mut discard()).unwrap();
    assert_eq!(read, written.index);
    let [Change::Put { node, .. }] = &read.changes[..] else { panic!("{read:?}") };
    assert_eq!(node.metadata.mode, 0o644);
    let names: Vec<&[u8]> = node.metadata.xattrs.keys().map(|name| &**name).collect();
    assert_eq!(names, [&b"security.capability"[..], b"user.a"]);
    assert!(matches!(node.kind, Kind::File { size: 0, .. }));
}
