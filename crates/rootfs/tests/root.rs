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
use rootfs::{Ownership, Resolver, Root, Select, Shape, SourceDirectory, SourceKind, Workspace};

fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

fn both(directory: &Path) -> [Root; 2] {
    [Resolver::Kernel, Resolver::Walk]
        .map(|resolver| Root::with_resolver(OwnedFd::from(File::open(directory).unwrap()), resolver))
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
        for root in both(&root) {
            let read = root.read(&path(from), 100).map_err(kind);
            let expected = expected.map(|text: &str| text.as_bytes().to_vec());
            assert_eq!(read, expected, "{from} by {:?}", root.resolver());
        }
    }
    for root in both(&root) {
        let (real, stat) = root.resolve(&path("dot/directory/e/back")).unwrap().unwrap();
        assert_eq!((real, stat.size), (path("outside"), 6));
        assert!(root.resolve(&path("nothing")).unwrap().is_none());
        assert_eq!(root.open_directory(&path("d/f")).unwrap_err().kind(), ErrorKind::NotADirectory);
    }
}

/// An image's `/etc/passwd` may be anything; reading it neither waits nor fills the memory
/// (CVE-2024-9676).
#[test]
fn files_that_are_none() {
    let scratch = tempfile::tempdir().unwrap();
    let at = |name: &str| scratch.path().join(name);
    assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    let _socket = UnixListener::bind(at("socket")).unwrap();
    fs::write(at("large"), "x".repeat(101)).unwrap();
    for root in both(scratch.path()) {
        assert_eq!(root.read(&path("pipe"), 100).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(root.read(&path("large"), 100).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(root.read(&path("large"), 101).unwrap().len(), 101);
        assert!(root.read(&path("socket"), 100).is_err());
    }
}

#[test]
fn what_is_copied() {
    let scratch = tempfile::tempdir().unwrap();
    common::script(
        scratch.path(),
        "mkdir -p src/a/b src/skipped/deep src/some/kept
         echo 1 > src/a/1; ln src/a/1 src/a/2; ln -s ../a src/some/link
         echo no > src/skipped/deep/no; echo no > src/some/no; echo yes > src/some/kept/yes
         mkfifo src/a/pipe; chmod 750 src/a/b; ln -s src entry",
    );
    let _socket = UnixListener::bind(scratch.path().join("src/a/socket")).unwrap();
    let source = SourceDirectory::open(scratch.path()).unwrap();
    let (start, _) = source.root().resolve(&path("entry")).unwrap().unwrap();
    let mut select = |path: &TreePath, stat: &rootfs::Stat| match path.to_string().as_str() {
        "/src/skipped" => Select::Skip,
        "/src/some" => Select::IfAny,
        "/src/empty" => Select::IfAny,
        _ if path.name() == b"no" && !stat.is_directory() => Select::Skip,
        _ => Select::Take,
    };
    fs::create_dir(scratch.path().join("src/empty")).unwrap();
    let mut seen = Vec::new();
    let mut identities = Vec::new();
    source
        .walk(&start, &mut select, &mut |found| {
            let mut text = String::new();
            found.reader()?.read_to_string(&mut text)?;
            let kind = match &found.kind {
                SourceKind::Directory => "/".into(),
                SourceKind::File { size } => format!("={}({size})", text.trim()),
                SourceKind::Symlink { target } => format!("->{}", target.escape_ascii()),
                SourceKind::Fifo => "|".into(),
                other => panic!("{other:?}"),
            };
            seen.push(format!("{}{kind}", found.path));
            identities.push((found.path.clone(), found.stat.identity()));
            Ok(())
        })
        .unwrap();
    let expected = "/src/ /src/a/ /src/a/1=1(2) /src/a/2=1(2) /src/a/b/ /src/a/pipe| /src/a/socket=(0) \
                    /src/some/ /src/some/kept/ /src/some/kept/yes=yes(4) /src/some/link->../a";
    assert_eq!(seen.join(" "), expected);
    let of = |name: &str| identities.iter().find(|(found, _)| *found == path(name)).unwrap().1;
    assert_eq!(of("src/a/1"), of("src/a/2"));
    assert_ne!(of("src/a/1"), of("src/some/kept/yes"));
    let missing = source.walk(&path("nothing"), &mut |_, _| Select::Take, &mut |_| Ok(()));
    assert!(missing.unwrap_err().to_string().starts_with("/nothing: "));
}

/// Deeper than a process may have files open, longer than the kernel takes paths, forbidden and immutable.
#[test]
fn everything_can_be_removed() {
    let scratch = tempfile::tempdir().unwrap();
    let at = scratch.path().join("w");
    let workspace = Workspace::create(&at, Shape::InPlace, Ownership::Kernel).unwrap();
    let root = at.join("root");
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
    for forbidden in ["no/no", "no"] {
        fs::set_permissions(root.join(forbidden), fs::Permissions::from_mode(0o0)).unwrap();
    }
    symlink(scratch.path(), root.join("link")).unwrap();
    fs::write(scratch.path().join("beside"), "").unwrap();
    workspace.remove().unwrap();
    assert!(!at.exists());
    assert!(scratch.path().join("beside").exists());
}
