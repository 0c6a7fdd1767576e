//! A root that nothing leads out of, what is copied from one, and how all of it is removed.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says why it was skipped"
)]

mod common;

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use layer::TreePath;
use rootfs::{Resolver, Root, SourceDirectory, SourceKind};

fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

fn both(directory: &Path) -> [(Resolver, Root); 2] {
    [Resolver::Kernel, Resolver::Walk].map(|resolver| {
        (resolver, Root::with_resolver(OwnedFd::from(File::open(directory).unwrap()), resolver))
    })
}

fn read(root: &Root, from: &str) -> std::io::Result<String> {
    std::io::read_to_string(root.open_file(&path(from))?)
}

/// Too many links have no stable kind: what is left stands for them.
const LOOP: ErrorKind = ErrorKind::Other;

fn kind(error: std::io::Error) -> ErrorKind {
    match error.raw_os_error() {
        Some(errno) if errno == rustix::io::Errno::LOOP.raw_os_error() => LOOP,
        _ => error.kind(),
    }
}

#[test]
fn both_resolvers_lead_to_the_same() {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("outside"), "outside").unwrap();
    let root = scratch.path().join("root");
    fs::create_dir_all(root.join("d/e")).unwrap();
    fs::write(root.join("d/f"), "f").unwrap();
    fs::write(root.join("outside"), "inside").unwrap();
    for (link, target) in [
        ("up", "../outside"),
        ("far", "../../../../../../outside"),
        ("absolute", "/d/f"),
        ("directory", "d/e/.."),
        ("d/e/back", "../../up"),
        ("loop", "loop"),
        ("nothing", "missing/x"),
        ("dot", "."),
        ("slash", "d/"),
        ("magic", "/proc/self/root/outside"),
    ] {
        symlink(target, root.join(link)).unwrap();
    }
    let found = |text: &'static str| Ok(text);
    for (from, expected) in [
        ("outside", found("inside")),
        ("up", found("inside")),
        ("far", found("inside")),
        ("absolute", found("f")),
        ("directory/f", found("f")),
        ("d/e/back", found("inside")),
        ("dot/dot/dot/up", found("inside")),
        ("slash/f", found("f")),
        ("loop", Err(LOOP)),
        ("loop/x", Err(LOOP)),
        ("nothing", Err(ErrorKind::NotFound)),
        ("magic", Err(ErrorKind::NotFound)),
        ("d/f/x", Err(ErrorKind::NotADirectory)),
        ("missing/x", Err(ErrorKind::NotFound)),
        ("d", Err(ErrorKind::InvalidInput)),
    ] {
        for (resolver, root) in both(&root) {
            let expected = expected.map(str::to_owned);
            assert_eq!(read(&root, from).map_err(kind), expected, "{from} by {resolver:?}");
        }
    }
    for (_, root) in both(&root) {
        assert_eq!(root.open_directory(&path("d/f")).unwrap_err().kind(), ErrorKind::NotADirectory);
    }
}

/// An image's `/etc/passwd` may be anything; opening it does not wait (CVE-2024-9676).
#[test]
fn files_that_are_none() {
    let scratch = tempfile::tempdir().unwrap();
    let at = |name: &str| scratch.path().join(name);
    assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    let _socket = UnixListener::bind(at("socket")).unwrap();
    for (_, root) in both(scratch.path()) {
        assert_eq!(read(&root, "pipe").unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(read(&root, "socket").is_err());
    }
}

/// Everything in a directory as it is found, in the order of names.
fn copied(source: &SourceDirectory, at: &TreePath, seen: &mut Vec<String>) {
    let found = source.find(at).unwrap().unwrap();
    let mut text = String::new();
    let kind = match &found.kind {
        SourceKind::Directory => "/".into(),
        SourceKind::File { size } => {
            // A socket cannot be opened.
            if let Ok(mut file) = source.open_file(at) {
                file.read_to_string(&mut text).unwrap();
            }
            format!("={}({size})", text.trim())
        }
        SourceKind::Symlink { target } => format!("->{}", target.escape_ascii()),
        SourceKind::Fifo => "|".into(),
        other => panic!("{other:?}"),
    };
    seen.push(format!("{at}{kind}"));
    if found.kind == SourceKind::Directory {
        for name in source.names(at).unwrap() {
            copied(source, &at.child(&name), seen);
        }
    }
}

#[test]
fn what_is_copied() {
    let scratch = tempfile::tempdir().unwrap();
    common::script(
        scratch.path(),
        "mkdir -p src/a/b src/some; echo 1 > src/a/1; ln src/a/1 src/a/2; ln -s ../a src/some/link
         mkfifo src/a/pipe; chmod 750 src/a/b; echo other > src/a/b/file; ln -s src entry; echo no > outside
         ln -s ../outside src/up",
    );
    let _socket = UnixListener::bind(scratch.path().join("src/a/socket")).unwrap();
    let source = SourceDirectory::open(&scratch.path().join("entry")).unwrap();
    let mut seen = Vec::new();
    copied(&source, &TreePath::root(), &mut seen);
    let expected = "// /a/ /a/1=1(2) /a/2=1(2) /a/b/ /a/b/file=other(6) /a/pipe| /a/socket=(0) /some/ \
                    /some/link->../a /up->../outside";
    assert_eq!(seen.join(" "), expected);
    let find = |text: &str| source.find(&path(text)).unwrap();
    assert_eq!(find("a/1").unwrap().stat.identity(), find("some/link/2").unwrap().stat.identity());
    assert_ne!(find("a/1").unwrap().stat.identity(), find("a/b/file").unwrap().stat.identity());
    assert_eq!(find("a/b").unwrap().metadata.mode, 0o750);
    assert!(find("nothing").is_none() && find("a/1/x").is_none() && find("up/x").is_none());
    assert_eq!(source.root().open_file(&path("up")).unwrap_err().kind(), ErrorKind::NotFound);
    for missing in ["nothing", "a/1", "up"] {
        let error = source.names(&path(missing)).unwrap_err();
        assert!(error.to_string().starts_with(&format!("/{missing}: ")), "{error}");
    }
}

/// Deeper than a process may have files open, longer than the kernel takes paths, forbidden and immutable.
#[test]
fn everything_can_be_removed() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path().join("root");
    fs::create_dir_all(root.join("no/no")).unwrap();
    fs::write(root.join("no/no/file"), "").unwrap();
    let mut directory = OwnedFd::from(File::open(&root).unwrap());
    for _ in 0..3000 {
        rustix::fs::mkdirat(&directory, "deep", rustix::fs::Mode::RWXU).unwrap();
        let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
        directory = rustix::fs::openat(&directory, "deep", flags, rustix::fs::Mode::empty()).unwrap();
    }
    let immutable = Command::new("chattr").arg("+i").arg(root.join("no/no/file")).output();
    if !immutable.is_ok_and(|run| run.status.success()) {
        println!("not tested: chattr +i does not work here");
    }
    symlink(scratch.path(), root.join("link")).unwrap();
    for forbidden in ["no/no", "no", ""] {
        fs::set_permissions(root.join(forbidden), fs::Permissions::from_mode(0o0)).unwrap();
    }
    fs::write(scratch.path().join("beside"), "").unwrap();
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o750)).unwrap();
    rootfs::remove_tree(&root).unwrap();
    assert!(!root.exists());
    rootfs::remove_tree(&root).unwrap();
    assert_eq!(fs::metadata(scratch.path()).unwrap().permissions().mode() & 0o777, 0o750);
    symlink(".", &root).unwrap();
    assert!(rootfs::remove_tree(&root).is_err(), "a link is not followed");
    assert!(scratch.path().join("beside").exists());
}
