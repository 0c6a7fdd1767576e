//! Downloads from a server that answers as it is told.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use download::{Error, ErrorKind, Outcome, Request, Validators};
use support::{Answer, Server, downloader};
use transport::Secret;

const BODY: &[u8] = b"0123456789abcdefghij";
const MODIFIED: &str = "Wed, 21 Oct 2026 07:28:00 GMT";
const LATER: &str = "Wed, 21 Oct 2026 07:30:00 GMT";

/// What was fetched, or why not; what failed has left nothing.
fn fetch(server: &Server, request: &Request) -> Result<Option<Vec<u8>>, Error> {
    let place = tempfile::tempdir().unwrap();
    let result = server.runtime.block_on(downloader().fetch(request, place.path()));
    let left = fs::read_dir(place.path()).unwrap().count();
    match result {
        Ok(Outcome::Fetched(fetched)) => {
            assert_eq!(left, 1);
            let bytes = fs::read(&fetched.path).unwrap();
            assert_eq!(bytes.len() as u64, fetched.size);
            Ok(Some(bytes))
        }
        Ok(Outcome::NotModified) => {
            assert_eq!(left, 0);
            Ok(None)
        }
        Err(error) => {
            assert_eq!(left, 0, "{error}");
            Err(error)
        }
    }
}

/// Answers, then what comes of them, and the `Range` and `If-Range` of each request.
fn check(answers: &[Answer], expected: Result<&[u8], &str>, ranges: &[Option<(&str, &str)>]) {
    let server = Server::new(answers.iter().cloned());
    let request = Request::new(&server.url("/f")).unwrap();
    let found = fetch(&server, &request);
    let address = server.address.to_string();
    match (found, expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found.as_deref(), Some(expected), "{answers:?}"),
        (Err(found), Err(expected)) => {
            assert_eq!(found.to_string(), expected.replace("HOST", &address), "{answers:?}");
        }
        (found, _) => panic!("{answers:?}: {found:?}"),
    }
    let seen: Vec<_> = server.seen("range").into_iter().zip(server.seen("if-range")).collect();
    let ranges: Vec<_> = ranges
        .iter()
        .map(|range| (range.map(|range| range.0.to_owned()), range.map(|range| range.1.to_owned())))
        .collect();
    assert_eq!(seen, ranges, "{answers:?}");
}

#[test]
fn plain() {
    let server = Server::new([Answer::new(200, BODY)
        .with("etag", "\"1\"")
        .with("last-modified", MODIFIED)
        .with("content-disposition", "attachment; filename=\"evil\"")]);
    let place = tempfile::tempdir().unwrap();
    let request = Request::new(&server.url("/a/b%20c.tar?x=y")).unwrap();
    let outcome = server.runtime.block_on(downloader().fetch(&request, place.path())).unwrap();
    let Outcome::Fetched(fetched) = outcome else { panic!("{outcome:?}") };
    assert_eq!(fetched.path.parent(), Some(place.path()));
    assert_eq!(fetched.name, b"b c.tar");
    assert_eq!(fetched.size, 20);
    assert_eq!(fetched.checksum.to_string(), sha256(BODY));
    assert_eq!(fetched.modified, Some(1_792_567_680));
    let validators = Validators { etag: Some("\"1\"".to_owned()), last_modified: Some(MODIFIED.to_owned()) };
    assert_eq!(fetched.validators, validators);
    assert_eq!(fs::metadata(&fetched.path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(server.seen("accept-encoding"), [Some("identity".to_owned())]);
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(bytes);
    format!("sha256:{}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

#[test]
fn what_passes_is_tried_again() {
    let ok = || Answer::new(200, BODY);
    let none = [None; 4];
    check(&[Answer::new(503, b""), ok()], Ok(BODY), &none[..2]);
    check(
        &[Answer::new(429, b"").with("retry-after", "0"), Answer::new(500, b""), ok()],
        Ok(BODY),
        &none[..3],
    );
    check(
        &[Answer::new(502, b""), Answer::new(502, b""), Answer::new(502, b""), Answer::new(502, b"")],
        Err("http://HOST/f: the server answers with status 502 (Bad Gateway)"),
        &none,
    );
    check(
        &[Answer::new(404, b"")],
        Err("http://HOST/f: the server answers with status 404 (Not Found)"),
        &none[..1],
    );
    check(
        &[Answer::new(304, b"")],
        Err("http://HOST/f: the server answers with status 304 (Not Modified)"),
        &none[..1],
    );
    check(
        &[Answer::new(206, BODY)],
        Err("http://HOST/f: the server answers with status 206 (Partial Content)"),
        &none[..1],
    );
}

#[test]
fn resumed() {
    let first = |name: &str, value: &str| Answer::new(200, BODY).with(name, value).broken_after(8);
    let rest = || Answer::new(206, &BODY[8..]).with("content-range", "bytes 8-19/20");
    let from_8 = Some(("bytes=8-", "\"1\""));
    check(&[first("etag", "\"1\""), rest()], Ok(BODY), &[None, from_8]);
    // Silence is a break, too.
    let silent = Answer::new(200, BODY).with("etag", "\"1\"").silent_after(8);
    check(&[silent, rest()], Ok(BODY), &[None, from_8]);
    // Twice.
    let middle = Answer::new(206, &BODY[8..]).with("content-range", "bytes 8-19/20").broken_after(4);
    let last = Answer::new(206, &BODY[12..]).with("content-range", "bytes 12-19/20");
    check(&[first("etag", "\"1\""), middle, last], Ok(BODY), &[None, from_8, Some(("bytes=12-", "\"1\""))]);
    // The server fails in between.
    check(&[first("etag", "\"1\""), Answer::new(503, b""), rest()], Ok(BODY), &[None, from_8, from_8]);
    // A time counts if the file was not being written when it was asked for.
    let dated = |date: &str| first("last-modified", MODIFIED).with("date", date);
    check(&[dated(LATER), rest()], Ok(BODY), &[None, Some(("bytes=8-", MODIFIED))]);
    check(&[dated(MODIFIED), Answer::new(200, BODY)], Ok(BODY), &[None, None]);
    // What cannot show that it is the same file begins again.
    check(&[first("etag", "W/\"1\""), Answer::new(200, BODY)], Ok(BODY), &[None, None]);
    check(&[first("x-none", ""), Answer::new(200, BODY)], Ok(BODY), &[None, None]);
}

#[test]
fn changed_meanwhile() {
    let first = || Answer::new(200, BODY).with("etag", "\"1\"").broken_after(8);
    let from_8 = Some(("bytes=8-", "\"1\""));
    check(&[first(), Answer::new(200, b"other").with("etag", "\"2\"")], Ok(b"other"), &[None, from_8]);
    check(&[first(), Answer::new(416, b""), Answer::new(200, b"new")], Ok(b"new"), &[None, from_8, None]);
    check(
        &[first(), Answer::new(206, BODY).with("content-range", "bytes 0-19/20")],
        Err("http://HOST/f: the part from byte 8 was asked for, that from 0 came"),
        &[None, from_8],
    );
    check(
        &[first(), Answer::new(206, BODY)],
        Err("http://HOST/f: a part of the file came without a valid Content-Range"),
        &[None, from_8],
    );
}

#[test]
fn limits() {
    let check = |answer: Answer, limit: u64, fits: bool| {
        let server = Server::new([answer]);
        let mut request = Request::new(&server.url("/f")).unwrap();
        request.limit = Some(limit);
        match fetch(&server, &request) {
            Ok(found) => assert!(fits && found.as_deref() == Some(BODY)),
            Err(error) => {
                assert!(!fits, "{error}");
                assert_eq!(error.kind.to_string(), format!("it has more than the allowed {limit} bytes"));
            }
        }
    };
    check(Answer::new(200, BODY), 20, true);
    check(Answer::new(200, BODY), 19, false);
    check(Answer::new(200, BODY).chunked(), 20, true);
    check(Answer::new(200, BODY).chunked(), 19, false);
    check(Answer::new(200, BODY), 0, false);
}

#[test]
fn checksums() {
    let check = |checksum: &str, answers: &[Answer], message: Option<&str>| {
        let server = Server::new(answers.iter().cloned());
        let checksum = Some(checksum.parse().unwrap());
        let mut request = Request::new(&server.url("/f")).unwrap();
        request.checksum = checksum;
        let found = fetch(&server, &request).map_err(|error| error.kind.to_string());
        match message {
            None => assert_eq!(found.unwrap().as_deref(), Some(BODY)),
            Some(message) => assert_eq!(found.unwrap_err(), message),
        }
    };
    let right = sha256(BODY);
    check(&right, &[Answer::new(200, BODY)], None);
    let broken = Answer::new(200, BODY).with("etag", "\"1\"").broken_after(8);
    let rest = Answer::new(206, &BODY[8..]).with("content-range", "bytes 8-19/20");
    check(&right, &[broken.clone(), rest.clone()], None);
    // What came before a new beginning does not count.
    check(&right, &[broken, Answer::new(200, BODY)], None);
    let other = sha256(b"x");
    check(&other, &[Answer::new(200, BODY)], Some(&format!("digest mismatch {right}: {other}")));
}

#[test]
fn conditional() {
    let server = Server::new([
        Answer::new(304, b""),
        Answer::new(200, BODY),
        Answer::new(503, b""),
        Answer::new(304, b""),
    ]);
    let known = Validators { etag: Some("W/\"1\"".to_owned()), last_modified: Some(MODIFIED.to_owned()) };
    let mut request = Request::new(&server.url("/f")).unwrap();
    request.known = Some(known.clone());
    assert_eq!(fetch(&server, &request).unwrap(), None);
    assert_eq!(fetch(&server, &request).unwrap().as_deref(), Some(BODY));
    assert_eq!(fetch(&server, &request).unwrap(), None);
    assert_eq!(server.seen("if-none-match"), vec![Some("W/\"1\"".to_owned()); 4]);
    assert_eq!(server.seen("if-modified-since"), vec![Some(MODIFIED.to_owned()); 4]);
    let text = serde_json::to_string(&known).unwrap();
    assert_eq!(serde_json::from_str::<Validators>(&text).unwrap(), known);
}

#[test]
fn authorization_stays() {
    let other = Server::new([Answer::new(200, BODY)]);
    let server = Server::new([
        Answer::new(302, b"").with("location", "/else"),
        Answer::new(307, b"").with("location", &other.url("/f")),
    ]);
    let authorization = Some(Secret::new("Bearer hunter2"));
    let mut request = Request::new(&server.url("/f")).unwrap();
    request.authorization = authorization;
    assert_eq!(fetch(&server, &request).unwrap().as_deref(), Some(BODY));
    assert_eq!(server.seen("authorization"), vec![Some("Bearer hunter2".to_owned()); 2]);
    assert_eq!(other.seen("authorization"), [None]);
    assert!(!format!("{request:?}").contains("hunter2"));
}

#[test]
fn unauthorized() {
    let check = |authorization: Option<&str>, hint: &str| {
        let server = Server::new([Answer::new(401, b"")]);
        let authorization = authorization.map(Secret::new);
        let mut request = Request::new(&server.url("/f?token=s")).unwrap();
        request.authorization = authorization;
        let error = fetch(&server, &request).unwrap_err();
        let url = server.url("/f");
        assert_eq!(error.to_string(), format!("{url}: the server answers with status 401 (Unauthorized)"));
        assert_eq!(error.hint().as_deref(), Some(hint));
    };
    check(None, "no credentials were given for this server");
    check(Some("Bearer x"), "the credentials given for this server are not accepted");
}

#[test]
fn redirects_end() {
    let round = || Answer::new(302, b"").with("location", "/f");
    check(&vec![round(); 11], Err("http://HOST/f: more than 10 redirects"), &[None; 11]);
    check(&[Answer::new(302, b"")], Err("http://HOST/f: a redirect without an address"), &[None]);
    let file = Answer::new(302, b"").with("location", "file:///etc/passwd");
    check(&[file], Err("http://HOST/f: a redirect without an address"), &[None]);
}

#[test]
fn dropped() {
    let server = Server::new([Answer::new(200, BODY).silent_after(8)]);
    let place = tempfile::tempdir().unwrap();
    let request = Request::new(&server.url("/f")).unwrap();
    server.runtime.block_on(async {
        let downloader = downloader();
        let fetching = downloader.fetch(&request, place.path());
        let begun = async {
            while fs::read_dir(place.path()).unwrap().next().is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            result = fetching => panic!("{result:?}"),
            () = begun => {}
        }
    });
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn nowhere_to_write() {
    let server = Server::new([Answer::new(200, BODY)]);
    let request = Request::new(&server.url("/f")).unwrap();
    let directory = Path::new("/nonexistent");
    let error = server.runtime.block_on(downloader().fetch(&request, directory)).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Write { .. }), "{error}");
}

#[test]
fn nobody_there() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server::new([]);
    let request = Request::new(&format!("http://u:hunter2@{address}/f")).unwrap();
    let error = fetch(&server, &request).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Unreachable { .. }), "{error}");
    assert!(!format!("{error} {error:?} {request:?}").contains("hunter2"));
}
