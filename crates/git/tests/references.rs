//! Every form of a reference, by every protocol.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use git::{ErrorKind, Request, Revision};
use support::server::{Daemon, HttpServer};
use support::upstream::{TIME, Upstream};
use support::{checkout, request, tree};

/// A repository in which each reference leads to a file of its own name.
struct Fixture {
    upstream: Upstream,
    first: String,
    hidden: String,
    tag: String,
}

impl Fixture {
    fn new() -> Option<Fixture> {
        let upstream = Upstream::new()?;
        upstream.init("app");
        let first = upstream.commit("app", &[("first", "1")]);
        upstream.git("app", &["tag", "light"]);
        upstream.commit("app", &[("second", "2")]);
        upstream.git("app", &["tag", "--annotate", "v1", "--message", "one"]);
        let tag = upstream.git("app", &["rev-parse", "v1"]);
        upstream.git("app", &["checkout", "--quiet", "-b", "dev/x"]);
        upstream.commit("app", &[("dev", "d")]);
        upstream.git("app", &["tag", "both", "light"]);
        upstream.git("app", &["branch", "both"]);
        upstream.git("app", &["update-ref", "refs/pull/7/head", "dev/x"]);
        upstream.git("app", &["checkout", "--quiet", "--detach"]);
        let hidden = upstream.commit("app", &[("hidden", "h")]);
        upstream.git("app", &["checkout", "--quiet", "main"]);
        Some(Fixture { upstream, first, hidden, tag })
    }
}

fn check(url: &str, revision: Revision, files: &str) {
    let request = Request { revision, ..request(url) };
    let (_place, result) = checkout(&request);
    let found = match result {
        Ok(checkout) => {
            assert_eq!(checkout.time, TIME);
            assert_eq!(checkout.commit.len(), 40);
            let tree = tree(&checkout.path);
            let names = tree.lines().map(|line| line.split(' ').next().unwrap());
            names.collect::<Vec<_>>().join(" ")
        }
        Err(error) => error.kind.to_string(),
    };
    assert_eq!(found, files, "{url} {:?}", request.revision);
}

fn all(url: &str, fixture: &Fixture) {
    let name = |name: &str| Revision::Name(name.to_owned());
    check(url, Revision::Default, "first second");
    check(url, name("main"), "first second");
    check(url, name("HEAD"), "first second");
    check(url, name("dev/x"), "dev first second");
    check(url, name("v1"), "first second");
    check(url, name("light"), "first");
    check(url, name("both"), "dev first second");
    check(url, Revision::Branch("both".to_owned()), "dev first second");
    check(url, Revision::Tag("both".to_owned()), "first");
    check(url, name("refs/heads/main"), "first second");
    check(url, name("refs/pull/7/head"), "dev first second");
    check(url, name("pull/7/head"), "dev first second");
    check(url, name(&fixture.first), "first");
    check(url, Revision::Commit(fixture.first.clone()), "first");
    check(url, name("no"), "repository does not contain ref no");
    check(url, Revision::Tag("main".to_owned()), "repository does not contain tag main");
    check(url, Revision::Branch("v1".to_owned()), "repository does not contain branch v1");
}

#[test]
fn http() {
    let Some(fixture) = Fixture::new() else { return };
    let server = HttpServer::new(fixture.upstream.root.path());
    all(&server.url("app"), &fixture);
    check(&server.url("app"), Revision::Commit(fixture.hidden.clone()), "dev first hidden second");
}

#[test]
fn daemon() {
    let Some(fixture) = Fixture::new() else { return };
    let Some(daemon) = Daemon::new(fixture.upstream.root.path()) else { return };
    all(&daemon.url("app"), &fixture);
}

#[test]
fn path() {
    let Some(fixture) = Fixture::new() else { return };
    let path = fixture.upstream.path("app");
    all(path.to_str().unwrap(), &fixture);
}

/// A server of the protocol's first version hands out nothing that no reference names.
#[test]
fn old_http() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.upstream.git("app", &["config", "uploadpack.allowAnySHA1InWant", "false"]);
    let server = HttpServer::old(fixture.upstream.root.path());
    all(&server.url("app"), &fixture);
    let no = format!("repository does not contain commit {}", fixture.hidden);
    check(&server.url("app"), Revision::Commit(fixture.hidden.clone()), &no);
    check(
        &server.url("app"),
        Revision::Commit("1".repeat(40)),
        &no.replace(&fixture.hidden, &"1".repeat(40)),
    );
}

#[test]
fn checksums() {
    let Some(fixture) = Fixture::new() else { return };
    let server = HttpServer::new(fixture.upstream.root.path());
    let commit = fixture.upstream.git("app", &["rev-parse", "v1^{commit}"]);
    let check = |revision: &str, checksum: &str, expected: Result<(), &str>| {
        let request = Request {
            revision: Revision::Name(revision.to_owned()),
            checksum: Some(checksum.to_owned()),
            ..request(&server.url("app"))
        };
        let result = checkout(&request).1.map(drop).map_err(|error| error.kind.to_string());
        assert_eq!(result, expected.map_err(str::to_owned), "{revision} {checksum}");
    };
    check("v1", &commit, Ok(()));
    check("v1", &commit[..7], Ok(()));
    check("v1", &commit.to_uppercase(), Ok(()));
    check("v1", &fixture.tag, Ok(()));
    check("main", &commit, Ok(()));
    let other = format!("expected checksum to match {}, got {commit}", fixture.first);
    check("v1", &fixture.first, Err(&other));
    let no = "checksum \"x\" is not the beginning of a commit's 40 hexadecimal digits";
    check("v1", "x", Err(no));
}

#[test]
fn empty_repository() {
    let Some(upstream) = Upstream::new() else { return };
    upstream.init("empty");
    let server = HttpServer::new(upstream.root.path());
    check(&server.url("empty"), Revision::Default, "repository does not contain default branch");
}

#[test]
fn a_tag_of_a_file() {
    let Some(upstream) = Upstream::new() else { return };
    upstream.init("app");
    upstream.commit("app", &[("a", "a")]);
    upstream.git("app", &["tag", "blob", "HEAD:a"]);
    let server = HttpServer::new(upstream.root.path());
    check(&server.url("app"), Revision::Tag("blob".to_owned()), "tag blob does not lead to a commit");
}

/// The caller ends a checkout from a server that has fallen silent.
#[test]
fn cancelled() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let runtime = support::runtime();
    for scheme in ["http", "git"] {
        let request = request(&format!("{scheme}://{address}/app"));
        let place = tempfile::tempdir().unwrap();
        let connected = std::thread::spawn({
            let listener = listener.try_clone().unwrap();
            move || listener.accept().unwrap()
        });
        let stop = async {
            tokio::task::spawn_blocking(move || connected.join().unwrap()).await.map(drop).unwrap();
        };
        let error = runtime.block_on(support::client().checkout(&request, place.path(), stop)).unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Cancelled), "{error}");
        assert_eq!(tree(place.path()), "");
    }
}
