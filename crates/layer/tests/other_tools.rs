//! Other programs read what is written here, and what they write is read here.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use layer::{
    Change, Kind, LayerIndex, LayerWriter, Tree, WriteOptions, discard, is_archive, read_archive, read_layer,
};
use oci::Compression;
use tempfile::TempDir;

/// Says why a test does nothing here, if a program it needs is not there.
fn missing(programs: &[&str]) -> bool {
    let is_there = |program: &&&str| {
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    let missing = programs.iter().find(|program| !is_there(program));
    if let Some(missing) = missing {
        println!("skipped: there is no {missing} here");
    }
    missing.is_some()
}

fn run(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        // A program may know enough before it has read everything.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{program} {arguments:?}: {}", output.status);
    output.stdout
}

/// A directory with something of everything, and the extended attribute that it could be given.
fn sample() -> TempDir {
    let root = TempDir::new().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::create_dir_all(at("d/e")).unwrap();
    fs::create_dir_all(at(&"deep/".repeat(40))).unwrap();
    fs::write(at(&format!("{}f", "deep/".repeat(40))), "down here").unwrap();
    fs::write(at("d/empty"), "").unwrap();
    fs::write(at("d/text"), "bako\n".repeat(1000)).unwrap();
    fs::write(at("d/noise"), common::noise(1_300_000)).unwrap();
    fs::write(at(&"n".repeat(200)), "long").unwrap();
    fs::write(at("ünïcödé"), "name").unwrap();
    fs::write(Path::new(root.path()).join(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xff")), "")
        .unwrap();
    fs::hard_link(at("d/text"), at("d/e/text")).unwrap();
    symlink("../d/text", at("d/e/link")).unwrap();
    symlink("l".repeat(300), at("d/e/long")).unwrap();
    run("mkfifo", &[at("fifo").to_str().unwrap()], b"");
    let sparse = fs::File::create(at("sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    for offset in [70_000, 900_000, 2 << 20] {
        std::os::unix::fs::FileExt::write_at(&sparse, b"an island", offset).unwrap();
    }
    fs::set_permissions(at("d/empty"), PermissionsExt::from_mode(0o4711)).unwrap();
    fs::set_permissions(at("d/e"), PermissionsExt::from_mode(0o1777)).unwrap();
    root
}

/// What is in a directory, in words.
fn shown(root: &Path) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let mut names: BTreeMap<u64, String> = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(path) = pending.pop() {
        let metadata = path.symlink_metadata().unwrap();
        let name = path.strip_prefix(root).unwrap().as_os_str().as_encoded_bytes().escape_ascii().to_string();
        let kind = if metadata.is_dir() {
            pending.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
            "directory".to_owned()
        } else if metadata.is_symlink() {
            format!("link {}", path.read_link().unwrap().display())
        } else if metadata.is_file() {
            format!("file {} {}", metadata.len(), layer::ContentHash::of(&fs::read(&path).unwrap()))
        } else {
            "fifo".to_owned()
        };
        let mode = if metadata.is_symlink() { 0o777 } else { metadata.mode() & 0o7777 };
        let (uid, gid, mtime) = (metadata.uid(), metadata.gid(), metadata.mtime());
        out.insert(name.clone(), format!("{kind} {mode:o} {uid}:{gid} @{mtime}"));
        if metadata.is_file() && metadata.nlink() > 1 {
            // All but one of its names say which the others are.
            let first = names.entry(metadata.ino()).or_insert(name.clone()).clone();
            let pair = [first, name];
            if pair[0] != pair[1] {
                out.insert(
                    format!("{} and {}", pair.iter().min().unwrap(), pair.iter().max().unwrap()),
                    "one file".to_owned(),
                );
            }
        }
    }
    out
}

/// The same of an index.
fn shown_index(index: &LayerIndex) -> BTreeMap<String, String> {
    let mut tree = Tree::new();
    tree.apply(0, index);
    let mut out = BTreeMap::new();
    let root = layer::TreePath::root();
    for (path, inode) in tree.iter().chain([(&root, tree.get(&root).unwrap())]) {
        let metadata = &inode.node.metadata;
        let kind = match &inode.node.kind {
            Kind::Directory => "directory".to_owned(),
            Kind::File { size, content } => format!("file {size} {content}"),
            Kind::Symlink { target } => format!("link {}", String::from_utf8_lossy(target)),
            _ => "fifo".to_owned(),
        };
        let name = path.as_bytes().escape_ascii().to_string();
        let (mode, uid, gid, mtime) = (metadata.mode, metadata.uid, metadata.gid, metadata.mtime);
        out.insert(name, format!("{kind} {mode:o} {uid}:{gid} @{mtime}"));
    }
    for change in &index.changes {
        if let Change::Link { path, target } = change {
            let pair = [path, target].map(|path| path.as_bytes().escape_ascii().to_string());
            out.insert(
                format!("{} and {}", pair.iter().min().unwrap(), pair.iter().max().unwrap()),
                "one file".to_owned(),
            );
        }
    }
    out
}

#[test]
fn what_gnu_tar_writes_is_read() {
    if missing(&["tar", "mkfifo"]) {
        return;
    }
    let root = sample();
    let directory = root.path().to_str().unwrap();
    let expected = shown(root.path());
    for arguments in [
        &["--format=gnu"][..],
        &["--format=gnu", "--sparse"],
        &["--format=posix"],
        &["--format=posix", "--sparse", "--sparse-version=0.0"],
        &["--format=posix", "--sparse", "--sparse-version=0.1"],
        &["--format=posix", "--sparse", "--sparse-version=1.0"],
    ] {
        let tar = run("tar", &[arguments, &["-C", directory, "-cf", "-", "."]].concat(), b"");
        let index = read_layer(&tar[..], Compression::None, &mut discard()).unwrap();
        assert_eq!(shown_index(&index), expected, "{arguments:?}");
    }
}

#[test]
fn what_is_written_is_read_by_others() {
    if missing(&["tar", "mkfifo", "gzip", "zstd"]) {
        return;
    }
    let root = sample();
    let tar = run("tar", &["-C", root.path().to_str().unwrap(), "-cf", "-", "."], b"");
    let expected = shown(root.path());
    for (compression, program) in
        [(Compression::None, "cat"), (Compression::Gzip, "gzip"), (Compression::Zstd, "zstd")]
    {
        let options = WriteOptions { compression, ..WriteOptions::default() };
        let mut writer = LayerWriter::new(Vec::new(), options).unwrap();
        read_layer(&tar[..], Compression::None, &mut writer).unwrap();
        let written = writer.finish().unwrap();
        let arguments: &[&str] = if program == "cat" { &[] } else { &["-dc"] };
        let plain = run(program, arguments, &written.destination);
        assert_eq!(oci::Digest::of(&plain), written.index.diff_id.0, "{program}");

        let unpacked = TempDir::new().unwrap();
        run("tar", &["-C", unpacked.path().to_str().unwrap(), "-xpf", "-"], &plain);
        assert_eq!(shown(unpacked.path()), expected, "{program}");
    }
}

#[test]
fn python_reads_what_does_not_fit_into_a_header() {
    if missing(&["python3"]) {
        return;
    }
    let mut writer =
        LayerWriter::new(Vec::new(), WriteOptions { compression: Compression::None, ..Default::default() })
            .unwrap();
    let path = |text: &str| layer::TreePath::new(text).unwrap();
    let metadata = layer::Metadata {
        mode: 0o640,
        uid: 3_000_000,
        gid: u32::MAX - 1,
        mtime: -5,
        xattrs: [(b"user.a"[..].into(), b"1"[..].into())].into(),
    };
    let content = layer::Content::File { size: 4, data: &mut &b"bako"[..] };
    let name = format!("{}/é", "d".repeat(200));
    writer.put(&path(&name), &metadata, content).unwrap();
    writer.link(&path("h"), &path(&name)).unwrap();
    writer
        .put(&path("null"), &Default::default(), layer::Content::CharDevice { major: 1, minor: 3 })
        .unwrap();
    writer.remove(&path("gone")).unwrap();
    let program = "import sys, tarfile
for entry in tarfile.open(fileobj=sys.stdin.buffer, mode='r|'):
    print(entry.name, entry.type.decode(), oct(entry.mode), entry.uid, entry.gid, int(entry.mtime), entry.size,
        entry.linkname, entry.devmajor, entry.devminor, repr(entry.uname), entry.pax_headers.get('SCHILY.xattr.user.a'))";
    let tar = writer.finish().unwrap().destination;
    let listed = String::from_utf8(run("python3", &["-c", program], &tar)).unwrap();
    let expected = format!(
        "{name} 0 0o640 3000000 4294967294 -5 4  0 0 '' 1\n\
         h 1 0o640 3000000 4294967294 -5 0 {name} 0 0 '' 1\n\
         null 3 0o0 0 0 0 0  1 3 '' None\n\
         .wh.gone 0 0o0 0 0 0 0  0 0 '' None\n"
    );
    assert_eq!(listed, expected);
}

#[test]
fn archives_that_add_unpacks() {
    if missing(&["tar", "mkfifo", "gzip", "bzip2", "xz", "zstd"]) {
        return;
    }
    let root = sample();
    let tar = run("tar", &["-C", root.path().to_str().unwrap(), "-cf", "-", "."], b"");
    let expected = read_layer(&tar[..], Compression::None, &mut discard()).unwrap();
    for program in ["cat", "gzip", "bzip2", "xz", "zstd"] {
        let pack = |bytes: &[u8]| run(program, if program == "cat" { &[] } else { &["-c"] }, bytes);
        let packed = pack(&tar);
        assert!(is_archive(&packed[..]).unwrap(), "{program}");
        let options = WriteOptions { compression: Compression::None, ..Default::default() };
        let mut writer = LayerWriter::new(Vec::new(), options).unwrap();
        read_archive(&packed[..], &mut writer).unwrap();
        assert_eq!(writer.finish().unwrap().index.changes, expected.changes, "{program}");

        let text = b"no archive at all\n".repeat(100);
        for other in [&text[..], &[0; 10_240], &text[..300], b""] {
            assert!(!is_archive(&pack(other)[..]).unwrap(), "{program} of {} bytes", other.len());
        }
        if program != "cat" {
            assert!(!is_archive(&packed[..12]).unwrap(), "{program}, cut off");
        }
    }
}

#[test]
fn extended_attributes_by_way_of_gnu_tar() {
    if missing(&["tar", "python3"]) {
        return;
    }
    let root = TempDir::new().unwrap();
    let file = root.path().join("f");
    fs::write(&file, "x").unwrap();
    let set = "import os, sys; os.setxattr(sys.argv[1], 'user.bako', b'1\\n2')";
    let done =
        Command::new("python3").args(["-c", set, file.to_str().unwrap()]).stderr(Stdio::null()).status();
    if !done.unwrap().success() {
        println!("skipped: the directory for temporary files holds no extended attributes");
        return;
    }
    let tar = run("tar", &["--xattrs", "-C", root.path().to_str().unwrap(), "-cf", "-", "f"], b"");
    let mut writer = LayerWriter::new(Vec::new(), WriteOptions::default()).unwrap();
    let index = read_layer(&tar[..], Compression::None, &mut writer).unwrap();
    let [Change::Put { node, .. }] = &index.changes[..] else { panic!("{index:?}") };
    assert_eq!(node.metadata.xattrs.get(&b"user.bako"[..]).map(|value| &**value), Some(&b"1\n2"[..]));

    let unpacked = TempDir::new().unwrap();
    let layer = writer.finish().unwrap().destination;
    run("tar", &["--xattrs", "-C", unpacked.path().to_str().unwrap(), "-xzpf", "-"], &layer);
    let get = "import os, sys; assert os.getxattr(sys.argv[1], 'user.bako') == b'1\\n2'";
    run("python3", &["-c", get, unpacked.path().join("f").to_str().unwrap()], b"");
}
