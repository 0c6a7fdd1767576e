//! The registry does what it was ordered to, and remembers what it was asked.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use oci::{Compression, Digest};
use testkit::{Access, Action, Bearer, Fault, ImageBuilder, Kind, Port, TestRegistry, Tree, store_index};

/// What came back on a connection of its own. The status is 0 if nothing came.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
    /// True if the body was shorter than announced.
    broken: bool,
}

fn ask(address: &str, line: &str, headers: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!(
        "{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The other side may have closed already, which is what some tests are about.
    let _ = stream.write_all(body);
    let mut reader = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
        head.push_str(&std::mem::take(&mut line));
    }
    let mut body = Vec::new();
    let _ = reader.read_to_end(&mut body);
    let status = head.split(' ').nth(1).map_or(0, |status| status.parse().unwrap());
    let announced = header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(body.len());
    Answer { status, broken: body.len() < announced, head, body }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn get(registry: &TestRegistry, path: &str) -> Answer {
    ask(&registry.address(), &format!("GET {path}"), "", b"")
}

#[test]
fn counts_and_remembers() {
    let registry = TestRegistry::start();
    let image = ImageBuilder::new().layer("/a file = x").push(&registry, "team/app", "1");
    let layer = image.manifest.layers[0].digest;
    assert_eq!(get(&registry, "/v2/team/app/manifests/1").status, 200);
    assert_eq!(get(&registry, &format!("/v2/team/app/blobs/{layer}")).status, 200);
    assert_eq!(get(&registry, "/v2/team/app/manifests/2").status, 404);
    assert_eq!(
        ask(&registry.address(), "POST /v2/x/blobs/uploads/?a=b", "Authorization: x\r\n", b"").status,
        202
    );
    let short = layer.short();
    assert_eq!(
        registry.transcript(),
        [
            "GET /v2/team/app/manifests/1 200".to_owned(),
            format!("GET /v2/team/app/blobs/{short} 200"),
            "GET /v2/team/app/manifests/2 404".to_owned(),
            "POST /v2/x/blobs/uploads/ 202".to_owned(),
        ]
    );
    assert_eq!((registry.count("GET", Kind::Manifest), registry.count("*", Kind::Upload)), (2, 1));
    let last = registry.requests().pop().unwrap();
    assert_eq!((last.repository.as_str(), last.query.as_str()), ("x", "a=b"));
    assert_eq!(last.authorization.as_deref(), Some("x"));
    registry.forget_requests();
    assert!(registry.requests().is_empty());
}

#[test]
fn faults_of_answers() {
    let registry = TestRegistry::start();
    let digest = registry.layout("a").write_blob(b"0123456789").unwrap();
    let path = format!("/v2/a/blobs/{digest}");
    let check = |fault: Fault, status: u16, body: &[u8], broken: bool| {
        let label = format!("{fault:?}");
        registry.order(fault);
        let answer = get(&registry, &path);
        let found = (answer.status, &answer.body[..], answer.broken);
        assert_eq!(found, (status, body, broken), "{label}");
        // Once, and then no more.
        assert_eq!(get(&registry, &path).body, b"0123456789");
        registry.recover();
    };
    check(Fault::new(Action::Truncate(4)), 200, b"0123", true);
    check(Fault::new(Action::Corrupt(1)), 200, b"0\x1123456789", false);
    check(Fault::new(Action::Delay(Duration::from_millis(1))), 200, b"0123456789", false);
    check(Fault::new(Action::Disconnect), 0, b"", false);
    check(Fault::new(Action::Forget), 0, b"", false);
    registry.order(Fault::status(429).header("retry-after", "7").on(Kind::Blob).after(1).times(2));
    registry.order(Fault::status(500).on(Kind::Manifest).always());
    let statuses: Vec<u16> = (0..4).map(|_| get(&registry, &path).status).collect();
    assert_eq!(statuses, [200, 429, 429, 200]);
    registry.recover();
    registry.order(Fault::status(503).method("HEAD").always());
    registry.order(Fault::status(503).repository("b").always());
    registry.order(Fault::status(503).path("/manifests/").always());
    assert_eq!(get(&registry, &path).status, 200);
    assert_eq!(get(&registry, "/v2/a/manifests/1").status, 503);
}

#[test]
fn an_upload_is_cut_and_goes_on() {
    let registry = TestRegistry::start();
    let address = registry.address();
    let begun = ask(&address, "POST /v2/a/blobs/uploads/", "", b"");
    let location = header(&begun.head, "location").unwrap();
    registry.order(Fault::new(Action::Cut(4)).method("PATCH"));
    assert_eq!(ask(&address, &format!("PATCH {location}"), "", b"0123456789").status, 0);
    let status = get(&registry, location);
    assert_eq!(header(&status.head, "range"), Some("0-3"));
    let digest = Digest::of(b"0123456789");
    let range = "Content-Range: 4-9\r\n";
    assert_eq!(ask(&address, &format!("PUT {location}?digest={digest}"), range, b"456789").status, 201);
}

#[test]
fn redirects() {
    let registry = TestRegistry::start();
    let digest = registry.layout("a").write_blob(b"x").unwrap();
    registry.order(Fault::new(Action::Redirect).method("GET").on(Kind::Blob).always());
    let answer = get(&registry, &format!("/v2/a/blobs/{digest}"));
    let target = format!("/v2/a/blobs/{digest}?signature=1");
    let blobs = registry.blob_address();
    assert_eq!(answer.status, 307);
    assert_eq!(header(&answer.head, "location").unwrap(), format!("http://{blobs}{target}"));
    assert_eq!(ask(&blobs, &format!("GET {target}"), "", b"").body, b"x");
    // As object stores do, which is why a client must not send its token along.
    assert_eq!(ask(&blobs, &format!("GET {target}"), "Authorization: Bearer x\r\n", b"").status, 400);
    registry.order(Fault::status(503).at(Port::Blobs));
    assert_eq!(ask(&blobs, &format!("GET {target}"), "", b"").status, 503);
}

#[test]
fn tokens() {
    let bearer =
        Bearer { anonymous_pull: true, refresh_token: Some("fresh".to_owned()), ..Bearer::default() };
    let registry = TestRegistry::with(Access::Bearer(bearer));
    let address = registry.address();
    ImageBuilder::new().push(&registry, "a/b", "1");
    let digest = registry.layout("c").write_blob(b"x").unwrap();

    let challenge = get(&registry, "/v2/a/b/manifests/1");
    let wanted =
        format!(r#"Bearer realm="http://{address}/token",service="testkit",scope="repository:a/b:pull""#);
    assert_eq!((challenge.status, header(&challenge.head, "www-authenticate").unwrap()), (401, &wanted[..]));

    // `dXNlcjpzZWNyZXQ=` is `user:secret`.
    let (basic, wrong) = ("Authorization: Basic dXNlcjpzZWNyZXQ=\r\n", "Authorization: Basic dXNlcjp4\r\n");
    let token = |line: &str, headers: &str, body: &str| -> Result<String, u16> {
        let answer = ask(&address, line, headers, body.as_bytes());
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        body["token"].as_str().map(|text| format!("Authorization: Bearer {text}\r\n")).ok_or(answer.status)
    };
    let both = "scope=repository:a/b:pull,push&scope=repository:c:pull";
    let anonymous = token(&format!("GET /token?{both}"), "", "").unwrap();
    let known = token(&format!("GET /token?{both}"), basic, "").unwrap();
    let refreshed = token("POST /token", "", &format!("grant_type=refresh_token&refresh_token=fresh&{both}"));
    let password =
        token("POST /token", "", &format!("grant_type=password&username=user&password=secret&{both}"));
    assert_eq!(token(&format!("GET /token?{both}"), wrong, ""), Err(401));
    assert_eq!(token("POST /token", "", "grant_type=refresh_token&refresh_token=stale"), Err(401));
    let status = |line: &str, token: &str| ask(&address, line, token, b"").status;
    let (pull, push) = ("GET /v2/a/b/manifests/1", "POST /v2/a/b/blobs/uploads/");
    for token in [&known, &refreshed.unwrap(), &password.unwrap()] {
        assert_eq!((status(pull, token), status(push, token)), (200, 202));
    }
    assert_eq!((status(pull, &anonymous), status(push, &anonymous)), (200, 401));
    assert_eq!(status("GET /v2/", &anonymous), 200);
    let refused = ask(&address, push, &anonymous, b"");
    assert!(refused.head.contains(r#"error="insufficient_scope""#));

    // A mount needs a token for both repositories.
    let one = token("GET /token?scope=repository:a/b:pull,push", basic, "").unwrap();
    let mount = format!("POST /v2/a/b/blobs/uploads/?mount={digest}&from=c");
    assert_eq!((status(&mount, &one), status(&mount, &known)), (202, 201));

    registry.expire_tokens();
    assert_eq!(status(pull, &known), 401);
}

#[test]
fn images() {
    let registry = TestRegistry::start();
    let layout = registry.layout("a");
    let images = ["linux/amd64", "linux/arm64"].map(|platform| {
        let image = ImageBuilder::new().platform(platform).layer(&format!("/arch file = {platform}"));
        image.compression(Compression::Zstd).layer("/b dir").store(&layout, None)
    });
    let index = store_index(&layout, Some("1"), &images.each_ref());
    let answer = get(&registry, "/v2/a/manifests/1");
    assert_eq!(Digest::of(&answer.body), index.digest);
    assert_eq!(images[1].descriptor.platform.as_ref().unwrap().to_string(), "linux/arm64");
    let tree = Tree::of_image(&layout, &images[0].manifest).text();
    let digest = Digest::of(b"linux/amd64").short();
    assert_eq!(tree, format!("/arch file 0644 0:0 11 {digest}\n/b dir 0755 0:0\n"));
    let docker = ImageBuilder::new().docker().layer("/a dir").push(&registry, "d", "1");
    assert_eq!(
        docker.manifest.layers[0].media_type.as_str(),
        "application/vnd.docker.image.rootfs.diff.tar.gzip"
    );
}
