//! What a checkout holds: kinds, modes, times, attributes, a subdirectory, submodules, and `.git` where it is kept.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;

use git::{Authorization, Request, Revision, Times};
use support::server::{Fault, HttpServer};
use support::upstream::{TIME, Upstream, run};
use support::{checkout, request, times, tree};
use transport::Secret;

#[test]
fn kinds_and_modes() {
    let Some(upstream) = Upstream::new() else { return };
    upstream.init("app");
    upstream.commit(
        "app",
        &[
            ("a", "a"),
            ("run*", "#!/bin/sh\n"),
            ("d/e/f", "f"),
            ("link", "-> d/e"),
            ("dangling", "-> /etc/passwd"),
            ("up", "-> ../../outside"),
            ("aux", "a name that Windows dislikes"),
            ("x:y?", "another"),
        ],
    );
    let server = HttpServer::new(upstream.root.path());
    let (_place, result) = checkout(&request(&server.url("app")));
    assert_eq!(
        tree(&result.unwrap().path),
        r##"a 644 "a"
aux 644 "a name that Windows dislikes"
d/ 755
d/e/ 755
d/e/f 644 "f"
dangling -> /etc/passwd
link -> d/e
run 755 "#!/bin/sh\n"
up -> ../../outside
x:y? 644 "another""##
    );
}

#[test]
fn attributes() {
    let Some(upstream) = Upstream::new() else { return };
    upstream.init("app");
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n";
    upstream.commit(
        "app",
        &[
            (".gitattributes", "*.bat text eol=crlf\n*.big filter=lfs -text\n"),
            ("a.bat", "a\nb\n"),
            ("c.txt", "a\nb\n"),
            ("d.big", pointer),
            ("sub/.gitattributes", "*.txt eol=crlf\n"),
            ("sub/e.txt", "a\n"),
        ],
    );
    let server = HttpServer::new(upstream.root.path());
    let (_place, result) = checkout(&request(&server.url("app")));
    let path = result.unwrap().path;
    for (name, content) in
        [("a.bat", "a\r\nb\r\n"), ("c.txt", "a\nb\n"), ("d.big", pointer), ("sub/e.txt", "a\r\n")]
    {
        assert_eq!(fs::read_to_string(path.join(name)).unwrap(), content, "{name}");
    }
}

#[test]
fn times_of_the_commit() {
    let Some(upstream) = Upstream::new() else { return };
    upstream.init("lib");
    upstream.commit("lib", &[("l", "l")]);
    upstream.init("app");
    upstream.commit("app", &[("d/a", "a"), ("link", "-> a")]);
    upstream.git("app", &["submodule", "--quiet", "add", "../lib", "d/lib"]);
    upstream.commit("app", &[]);
    let server = HttpServer::new(upstream.root.path());
    let wanted = Request { times: Times::Commit, ..request(&server.url("app")) };
    let (_place, result) = checkout(&wanted);
    assert_eq!(times(&result.unwrap().path), [TIME]);
    let (_place, result) = checkout(&request(&server.url("app")));
    assert!(times(&result.unwrap().path).iter().all(|time| *time > TIME));
}

#[test]
fn subdirectories() {
    let Some(upstream) = Upstream::new() else { return };
    upstream.init("app");
    upstream.commit(
        "app",
        &[("d/e/f", "f"), ("in", "-> d/e"), ("out", "-> /etc"), ("up", "-> ../.."), ("loop", "-> loop")],
    );
    let server = HttpServer::new(upstream.root.path());
    let check = |path: &str, expected: Result<&str, &str>| {
        let request = Request {
            subdirectory: Some(path.to_owned()),
            keep_git_dir: true,
            ..request(&server.url("app"))
        };
        let (_place, result) = checkout(&request);
        let found = result.map(|checkout| tree(&checkout.path)).map_err(|error| error.kind.to_string());
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{path}");
    };
    check("d/e", Ok("f 644 \"f\""));
    check("/d//e/", Ok("f 644 \"f\""));
    check("in", Ok("f 644 \"f\""));
    check("no", Err("subdirectory no: the repository has no such directory"));
    check("d/e/f", Err("subdirectory d/e/f: it is no directory"));
    check("out", Err("subdirectory out: it leads out of the repository"));
    check("up", Err("subdirectory up: it leads out of the repository"));
    check("../..", Err("subdirectory ../..: it leads out of the repository"));
    check(".git", Err("subdirectory .git: it leads into .git"));
    check("d/../.git/objects", Err("subdirectory d/../.git/objects: it leads into .git"));
}

#[test]
fn kept() {
    let Some(upstream) = Upstream::new() else { return };
    upstream.init("lib");
    upstream.commit("lib", &[("l", "l")]);
    upstream.init("app");
    upstream.commit("app", &[("a", "a"), ("run*", "r"), ("link", "-> a"), ("d/f", "f")]);
    upstream.git("app", &["submodule", "--quiet", "add", "../lib", "lib"]);
    let commit = upstream.commit("app", &[]);
    upstream.git("app", &["tag", "--annotate", "v1", "--message", "one"]);
    let server = HttpServer::new(upstream.root.path());
    let url = server.url("app");
    for (revision, head) in [
        (Revision::Default, "main"),
        (Revision::Name("main".to_owned()), "main"),
        (Revision::Name("v1".to_owned()), "HEAD"),
        (Revision::Commit(commit.clone()), "HEAD"),
    ] {
        for times in [Times::Checkout, Times::Commit] {
            let request = Request { keep_git_dir: true, revision: revision.clone(), times, ..request(&url) };
            let (_place, result) = checkout(&request);
            let path = result.unwrap().path;
            let git = |arguments: &[&str]| run(&path, arguments, &[]);
            assert_eq!(git(&["status", "--porcelain"]), "", "{revision:?}");
            assert_eq!(git(&["diff-files"]), "", "{revision:?}");
            assert_eq!(git(&["log", "--format=%H %s"]), format!("{commit} a commit"), "{revision:?}");
            assert_eq!(git(&["rev-parse", "--abbrev-ref", "HEAD"]), head, "{revision:?}");
            assert_eq!(git(&["rev-parse", "--is-shallow-repository"]), "true");
            assert_eq!(git(&["remote", "get-url", "origin"]), url);
            git(&["fsck", "--strict"]);
            if revision == Revision::Name("v1".to_owned()) {
                assert_eq!(git(&["describe"]), "v1");
            }
            // A later fetch finds its way.
            git(&["fetch", "--quiet", "--unshallow"]);
            assert_eq!(git(&["rev-list", "--count", "HEAD"]), "2");
        }
    }
}

#[test]
fn submodules() {
    let Some(upstream) = Upstream::new() else { return };
    upstream.init("deep");
    upstream.commit("deep", &[("deep", "d")]);
    upstream.init("lib");
    upstream.commit("lib", &[("l", "l")]);
    upstream.git("lib", &["submodule", "--quiet", "add", "../deep", "inner"]);
    upstream.commit("lib", &[]);
    upstream.init("app");
    upstream.commit("app", &[("a", "a")]);
    upstream.git("app", &["submodule", "--quiet", "add", "../lib", "x/lib"]);
    upstream.commit("app", &[]);
    let server = HttpServer::new(upstream.root.path());
    let check = |submodules: bool, expected: &str| {
        let (_place, result) = checkout(&Request { submodules, ..request(&server.url("app")) });
        let tree = tree(&result.unwrap().path);
        let names: Vec<_> = tree.lines().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(names.join(" "), expected);
    };
    check(true, ".gitmodules a x/ x/lib/ x/lib/.gitmodules x/lib/inner/ x/lib/inner/deep x/lib/l");
    check(false, ".gitmodules a x/ x/lib/");

    // What cannot be had is an error that names the way to it.
    fs::rename(upstream.path("deep"), upstream.path("gone")).unwrap();
    let (_place, result) = checkout(&request(&server.url("app")));
    let message = result.unwrap_err().kind.to_string();
    let url = server.url("deep");
    let start = format!("submodule x/lib: {}: submodule inner: {url}: ", server.url("lib"));
    assert!(message.starts_with(&start), "{message}");
}

#[test]
fn described_submodules() {
    let Some(upstream) = Upstream::new() else { return };
    upstream.init("app");
    let commit = upstream.commit("app", &[("a", "a")]);
    let check = |modules: &str, expected: Result<(), &str>| {
        fs::write(upstream.path("app/.gitmodules"), modules).unwrap();
        upstream.git("app", &["add", "--all"]);
        let link = format!("160000,{commit},sub");
        upstream.git("app", &["update-index", "--add", "--cacheinfo", &link]);
        upstream.git("app", &["commit", "--quiet", "--allow-empty", "--message", "x"]);
        let server = HttpServer::new(upstream.root.path());
        let found = checkout(&request(&server.url("app"))).1;
        let found = found.map(drop).map_err(|error| error.kind.to_string());
        assert_eq!(found, expected.map_err(str::to_owned), "{modules}");
    };
    check("", Err("there is no submodule for sub in .gitmodules"));
    check("[submodule \"s\"]\n\tpath = sub\n", Err("submodule sub has no url in .gitmodules"));
    check("[submodule \"s\"]\n\tpath = sub\n\turl = https://x.example/\n\tupdate = none\n", Ok(()));
    check(
        "[submodule \"s\"]\n\tpath = sub\n\turl = -oProxyCommand=x:a\n",
        Err(
            "submodule sub: -oProxyCommand=x:a: its host begins with a dash, and would be taken for an option",
        ),
    );
    check(
        "[submodule \"s\"]\n\tpath = sub\n\turl = ext::sh\n",
        Err("submodule sub: ext::sh: git's remote helpers are not run"),
    );
}

#[test]
fn credentials() {
    let Some(upstream) = Upstream::new() else { return };
    upstream.init("app");
    upstream.commit("app", &[("a", "a")]);
    let secret = "Basic eC1hY2Nlc3MtdG9rZW46aHVudGVyMg==";
    let server = HttpServer::private(upstream.root.path(), secret);
    let token = Authorization::token(&Secret::new("hunter2"));
    let address = server.address.to_string();
    let with = |authorization: Option<Authorization>| {
        let authorizations = authorization.map(|given| (address.clone(), given)).into_iter().collect();
        checkout(&Request { authorizations, ..request(&server.url("app")) }).1.map(drop)
    };
    with(Some(token.clone())).unwrap();
    let error = with(None).unwrap_err();
    assert_eq!(error.kind.to_string(), format!("{address} answers with status 401"));
    assert_eq!(
        error.hint().unwrap(),
        format!("no credentials were given for {address}; a private repository needs some")
    );
    let error = with(Some(Authorization::token(&Secret::new("wrong")))).unwrap_err();
    assert!(error.hint().unwrap().contains("not accepted"), "{error}");
    assert!(!format!("{error:?} {:?}", token).contains("hunter2"));
}

/// A server that sends the client elsewhere does not get the credentials there, and neither does the host of a
/// submodule.
#[test]
fn credentials_stay() {
    let Some(upstream) = Upstream::new() else { return };
    upstream.init("lib");
    upstream.commit("lib", &[("l", "l")]);
    let other = HttpServer::new(upstream.root.path());
    upstream.init("app");
    let commit = upstream.git("lib", &["rev-parse", "HEAD"]);
    let modules = format!("[submodule \"s\"]\n\tpath = lib\n\turl = {}\n", other.url("lib"));
    upstream.commit("app", &[(".gitmodules", &modules)]);
    upstream.git("app", &["update-index", "--add", "--cacheinfo", &format!("160000,{commit},lib")]);
    upstream.git("app", &["commit", "--quiet", "--message", "x"]);
    let server = HttpServer::private(upstream.root.path(), "Bearer s");
    let authorizations = [(server.address.to_string(), Authorization::header(Secret::new("Bearer s")))];
    let wanted =
        Request { authorizations: authorizations.into_iter().collect(), ..request(&server.url("app")) };

    checkout(&wanted).1.unwrap();
    assert!(other.seen().iter().all(|(_, authorization)| authorization.is_none()), "{:?}", other.seen());
    assert!(server.seen().iter().all(|(_, authorization)| authorization.is_some()));

    let before = other.seen().len();
    server.fail("/app/info/refs", Fault::Redirect(format!("http://{}", other.address)));
    checkout(&wanted).1.unwrap();
    let seen = &other.seen()[before..];
    assert!(seen.iter().any(|(path, _)| path.starts_with("/app/git-upload-pack")), "{seen:?}");
    assert!(seen.iter().all(|(_, authorization)| authorization.is_none()), "{seen:?}");
}
