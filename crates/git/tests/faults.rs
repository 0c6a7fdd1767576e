//! Servers that fail, and repositories that mean harm.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::path::PathBuf;

use git::{ErrorKind, Git, Options, Ssh};
use support::server::{Fault, HttpServer};
use support::upstream::{Upstream, tree_object};
use support::{checkout, request, runtime, tree};

#[test]
fn what_passes_is_tried_again() {
    let Some(upstream) = Upstream::new() else { return };
    upstream.init("app");
    let noise: String =
        (0..20_000u32).map(|n| char::from(b' ' + (n.wrapping_mul(2_654_435_761) >> 25) as u8 % 90)).collect();
    upstream.commit("app", &[("a", &noise)]);
    let check = |faults: &[(&str, Fault)], expected: Result<(), &str>| {
        let server = HttpServer::new(upstream.root.path());
        for (path, fault) in faults {
            server.fail(path, fault.clone());
        }
        let result = checkout(&request(&server.url("app"))).1;
        let found = result.map(drop).map_err(|error| error.to_string());
        let address = server.address.to_string();
        let expected = expected.map_err(|text| text.replace("HOST", &address));
        assert_eq!(found, expected, "{faults:?}");
    };
    check(&[("info/refs", Fault::Status(503))], Ok(()));
    check(&[("git-upload-pack", Fault::Status(502)), ("git-upload-pack", Fault::Status(429))], Ok(()));
    check(&[("/git-upload-pack", Fault::Cut(60))], Ok(()));
    check(&[("/git-upload-pack", Fault::Cut(2000))], Ok(()));
    check(&[("info/refs", Fault::Cut(20))], Ok(()));
    let always: [_; 4] = std::array::from_fn(|_| ("info/refs", Fault::Status(503)));
    check(&always, Err("http://HOST/app: HOST answers with status 503"));
    check(&[("info/refs", Fault::Status(400))], Err("http://HOST/app: HOST answers with status 400"));
    check(&[("info/refs", Fault::Status(404))], Err("http://HOST/app: HOST answers with status 404"));
}

#[test]
fn what_is_no_repository() {
    let Some(upstream) = Upstream::new() else { return };
    let server = HttpServer::new(upstream.root.path());
    let error = checkout(&request(&server.url("no"))).1.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Denied { status: 404, .. }), "{error}");
    let path = upstream.path("no");
    let error = checkout(&request(path.to_str().unwrap())).1.unwrap_err();
    assert!(
        error.to_string().contains("not a git repository") || error.to_string().contains("does not appear"),
        "{error}"
    );
    // A port that nobody listens on.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for scheme in ["http", "git"] {
        let error = checkout(&request(&format!("{scheme}://{address}/a"))).1.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Unreachable { .. }), "{error}");
    }
}

#[test]
fn without_ssh_and_without_paths() {
    let check = |address: &str, message: &str, hint: Option<&str>| {
        let ssh = Ssh { program: PathBuf::from("no-such-ssh"), ..Ssh::default() };
        let git = Git::new(Options { ssh, ..Options::default() }).unwrap();
        let place = tempfile::tempdir().unwrap();
        let wanted = request(address);
        let work = git.checkout(&wanted, place.path(), std::future::pending());
        let error = runtime().block_on(work).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(error.hint().as_deref(), hint);
        assert_eq!(tree(place.path()), "");
    };
    check(
        "git@x.example:a/b",
        "git@x.example:a/b: there is no program no-such-ssh, which it takes to reach a repository by ssh",
        Some("give the repository's https:// address and a token, or a builder image that has ssh"),
    );
    check("/etc", "/etc: a repository on this machine is not read: give it as a context directory", None);
}

/// The ssh program is told the host and one command; here it is a script that runs the command itself.
#[test]
fn ssh() {
    let Some(upstream) = Upstream::new() else { return };
    upstream.init("it's");
    upstream.commit("it's", &[("a", "a")]);
    let place = tempfile::tempdir().unwrap();
    let (script, log) = (place.path().join("ssh"), place.path().join("log"));
    let text = format!("#!/bin/sh\necho \"$@\" >{}\nfor last; do :; done\neval \"$last\"\n", log.display());
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let git = |script: &std::path::Path| {
        let ssh = Ssh {
            program: script.to_owned(),
            arguments: vec!["-i".to_owned(), "/key".to_owned()],
            agent: None,
        };
        Git::new(Options { ssh, ..Options::default() }).unwrap()
    };
    let path = upstream.path("it's");
    let wanted = request(&format!("ssh://me@x.example:99{}", path.display()));
    let directory = place.path().join("out");
    let work = git(&script);
    let work = work.checkout(&wanted, &directory, std::future::pending());
    let checkout = runtime().block_on(work).unwrap();
    assert_eq!(tree(&checkout.path), "a 644 \"a\"");
    let command = format!("git-upload-pack '{}'", path.display().to_string().replace('\'', r"'\''"));
    assert_eq!(
        fs::read_to_string(&log).unwrap().trim_end(),
        format!("-i /key -o BatchMode=yes -o SendEnv=GIT_PROTOCOL -p 99 -- me@x.example {command}")
    );

    fs::write(&script, "#!/bin/sh\necho 'Warning: x' >&2\necho 'me@x.example: Permission denied (publickey).' >&2\nexit 255\n").unwrap();
    let work = git(&script);
    let other = place.path().join("other");
    let error = runtime().block_on(work.checkout(&wanted, &other, std::future::pending())).unwrap_err();
    assert_eq!(error.kind.to_string(), "me@x.example: Permission denied (publickey).");
}

/// Trees that git would not make: each is refused, and nothing is written, inside the directory or outside.
#[test]
fn hostile_trees() {
    let Some(upstream) = Upstream::new() else { return };
    upstream.init("app");
    upstream.commit("app", &[("a", "a")]);
    let blob = upstream.object("app", "blob", b"x");
    let link = upstream.object("app", "blob", b"/tmp");
    let inner = upstream.object("app", "tree", &tree_object(&[("100644", b"f", &blob)]));
    let check = |entries: &[(&str, &[u8], &str)], expected: &str| {
        let tree = upstream.object("app", "tree", &tree_object(entries));
        upstream.commit_tree("app", &tree);
        let path = upstream.path("app");
        let error = checkout(&request(path.to_str().unwrap())).1.unwrap_err();
        assert_eq!(error.kind.to_string(), expected);
    };
    let relative = "relative components '.' and '..' are disallowed";
    check(&[("100644", b"..", &blob)], &format!("..: {relative}"));
    check(&[("40000", b"..", &inner)], &format!("..: {relative}"));
    check(&[("100644", b".", &blob)], &format!(".: {relative}"));
    let git = "the .git name may never be used";
    check(&[("40000", b".git", &inner)], &format!(".git: {git}"));
    check(&[("40000", b".GIT", &inner)], &format!(".GIT: {git}"));
    check(&[("40000", b"git~1", &inner)], &format!("git~1: {git}"));
    check(&[("40000", ".g\u{200c}it".as_bytes(), &inner)], &format!(".g\\u{{200c}}it: {git}"));
    check(&[("100644", b"a/b", &blob)], r"a/b: path separators like / or \ are not allowed");
    check(&[("100644", b"/etc/x", &blob)], r"/etc/x: path separators like / or \ are not allowed");
    check(&[("120000", b"a", &link), ("40000", b"a", &inner)], "a: it is there twice");
    check(
        &[("100644", b"a", &blob), ("100644", b"a.b", &blob), ("40000", b"a", &inner)],
        "a: it is there twice",
    );
    check(&[("120000", b".gitmodules", &blob)], ".gitmodules: the .gitmodules file must not be a symlink");
    let deeper = upstream.object("app", "tree", &tree_object(&[("40000", b"..", &inner)]));
    check(&[("40000", b"d", &deeper)], &format!("d/..: {relative}"));
}

/// Ten directories in each of ten, and so on: a handful of objects that name more files than any disk holds.
#[test]
fn a_bomb() {
    let Some(upstream) = Upstream::new() else { return };
    upstream.init("app");
    upstream.commit("app", &[("a", "a")]);
    let mut id = upstream.object("app", "tree", &tree_object(&[]));
    for _ in 0..12 {
        let names: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        let entries: Vec<(&str, &[u8], &str)> =
            names.iter().map(|name| ("40000", name.as_bytes(), id.as_str())).collect();
        id = upstream.object("app", "tree", &tree_object(&entries));
    }
    upstream.commit_tree("app", &id);
    let path = upstream.path("app");
    let error = checkout(&request(path.to_str().unwrap())).1.unwrap_err();
    assert!(error.to_string().ends_with("the repository has more files than can be checked out"), "{error}");
}

#[test]
fn odd_names_are_kept() {
    let Some(upstream) = Upstream::new() else { return };
    upstream.init("app");
    upstream.commit("app", &[("a", "a")]);
    let blob = upstream.object("app", "blob", b"x");
    let names: [&[u8]; 5] = [b"\x1b[31m", b" ", b"-x", b"back\\slash", b"caf\xe9"];
    let mut entries: Vec<(&str, &[u8], &str)> =
        names.iter().map(|name| ("100644", *name, blob.as_str())).collect();
    entries.sort();
    let tree = upstream.object("app", "tree", &tree_object(&entries));
    upstream.commit_tree("app", &tree);
    let path = upstream.path("app");
    let (_place, result) = checkout(&request(path.to_str().unwrap()));
    let path = result.unwrap().path;
    for name in names {
        let name: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(name);
        assert_eq!(fs::read(path.join(name)).unwrap(), b"x", "{name:?}");
    }
    assert_eq!(fs::read_dir(&path).unwrap().count(), names.len());
}
