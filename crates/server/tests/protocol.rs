//! The protocol, request by request.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, header};
use oci::{Descriptor, Digest, Index, Manifest, MediaType, Raw};
use server::{Credentials, Options, Registry, Server};
use tower::ServiceExt;

/// A registry without a socket.
struct Fixture {
    dir: tempfile::TempDir,
    router: Router,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::open(dir.path(), None).unwrap();
        Fixture { dir, router: Arc::new(registry).router() }
    }

    async fn ask(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        for &(name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(body.to_vec())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &[], b"").await
    }

    /// Asks, and compares the status, the error's code or else the wanted headers.
    async fn check(&self, line: &str, headers: &[(&str, &str)], body: &[u8], expected: &str) -> Answer {
        let answer = self.ask(line, headers, body).await;
        assert_eq!(answer.summary(expected), expected, "{line}");
        answer
    }

    async fn push_blob(&self, repository: &str, content: &[u8]) -> Digest {
        let digest = Digest::of(content);
        self.check(&format!("POST /v2/{repository}/blobs/uploads/?digest={digest}"), &[], content, "201")
            .await;
        digest
    }

    async fn push(&self, repository: &str, reference: &str, manifest: &Raw<Manifest>) -> Answer {
        let headers = [("content-type", MediaType::OciManifest.as_str())];
        let line = format!("PUT /v2/{repository}/manifests/{reference}");
        self.check(&line, &headers, manifest.bytes(), "201").await
    }

    /// An image of one layer, whose blobs are pushed.
    async fn image(&self, repository: &str, layer: &str) -> Raw<Manifest> {
        self.push_blob(repository, b"{}").await;
        self.push_blob(repository, layer.as_bytes()).await;
        image(layer)
    }
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The status, the code of an error, and the headers that `like` has.
    fn summary(&self, like: &str) -> String {
        let mut words = vec![self.status.to_string()];
        if self.status >= 400 {
            let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
            assert!(!body["errors"][0]["message"].as_str().unwrap().is_empty());
            words.push(body["errors"][0]["code"].as_str().unwrap().to_owned());
        }
        for (name, _) in like.split(' ').filter_map(|word| word.split_once('=')) {
            words.push(format!("{name}={}", self.header(name)));
        }
        words.join(" ")
    }
}

fn blob(content: &str, media_type: MediaType) -> Descriptor {
    Descriptor::new(media_type, Digest::of(content.as_bytes()), content.len() as u64)
}

fn image(layer: &str) -> Raw<Manifest> {
    let layers = vec![blob(layer, MediaType::OciLayer)];
    Raw::write(Manifest::new(MediaType::OciManifest, blob("{}", MediaType::OciConfig), layers))
}

#[tokio::test]
async fn what_is_there_and_what_is_not() {
    let registry = Fixture::new();
    let digest = registry.push_blob("a", b"x").await;
    for (line, expected) in [
        ("GET /v2/", "200 docker-distribution-api-version=registry/2.0"),
        ("GET /v2", "200"),
        ("GET /", "404 UNSUPPORTED"),
        ("PATCH /v2/", "405 UNSUPPORTED"),
        ("POST /v2/a/manifests/1", "405 UNSUPPORTED"),
        ("GET /v2/b/tags/list", "404 NAME_UNKNOWN"),
        ("GET /v2/B/tags/list", "400 NAME_INVALID"),
        ("GET /v2/a/tags/list?n=x", "400 PAGINATION_NUMBER_INVALID"),
        ("GET /v2/a/manifests/1", "404 MANIFEST_UNKNOWN"),
        ("GET /v2/a/manifests/.x", "404 MANIFEST_UNKNOWN"),
        ("GET /v2/a/manifests/sha256:1", "400 DIGEST_INVALID"),
        ("PUT /v2/a/manifests/.x", "400 MANIFEST_INVALID"),
        ("DELETE /v2/a/manifests/1", "404 MANIFEST_UNKNOWN"),
        ("GET /v2/a/blobs/x", "400 DIGEST_INVALID"),
        ("POST /v2/a/blobs/uploads/?digest=x", "400 DIGEST_INVALID"),
        ("GET /v2/a/blobs/uploads/1", "404 BLOB_UPLOAD_UNKNOWN"),
        ("DELETE /v2/a/blobs/uploads/1", "404 BLOB_UPLOAD_UNKNOWN"),
    ] {
        registry.check(line, &[], b"", expected).await;
    }
    // A blob that is no manifest is not served as one.
    registry.check(&format!("GET /v2/a/manifests/{digest}"), &[], b"", "404 MANIFEST_UNKNOWN").await;
}

#[tokio::test]
async fn blobs() {
    let registry = Fixture::new();
    let digest = registry.push_blob("team/app", b"0123456789").await;
    let path = format!("/v2/team/app/blobs/{digest}");
    let whole = format!("200 content-length=10 docker-content-digest={digest} accept-ranges=bytes");
    assert_eq!(registry.check(&format!("GET {path}"), &[], b"", &whole).await.text(), "0123456789");
    assert_eq!(registry.check(&format!("HEAD {path}"), &[], b"", &whole).await.text(), "");
    for (range, expected, content) in [
        ("bytes=2-4", "206 content-range=bytes_2-4/10 content-length=3", "234"),
        ("bytes=7-", "206 content-range=bytes_7-9/10", "789"),
        ("bytes=-1", "206 content-range=bytes_9-9/10", "9"),
        ("bytes=0-1,3-4", "200 content-range=", "0123456789"),
    ] {
        let answer = registry.ask(&format!("GET {path}"), &[("range", range)], b"").await;
        assert_eq!(answer.summary(expected).replace("bytes ", "bytes_"), expected);
        assert_eq!(answer.text(), content);
    }
    let answer = registry.ask(&format!("GET {path}"), &[("range", "bytes=10-")], b"").await;
    assert_eq!((answer.status, answer.header("content-range")), (416, "bytes */10"));
    registry.check(&format!("DELETE {path}"), &[], b"", "202").await;
    registry.check(&format!("GET {path}"), &[], b"", "404 BLOB_UNKNOWN").await;
    registry.check(&format!("DELETE {path}"), &[], b"", "404 BLOB_UNKNOWN").await;
}

#[tokio::test]
async fn big_blobs_arrive_as_they_are() {
    let registry = Fixture::new();
    let content: Vec<u8> = (0..1_500_000_u32).flat_map(|n| n.to_le_bytes()).collect();
    let digest = registry.push_blob("a", &content).await;
    assert!(registry.get(&format!("/v2/a/blobs/{digest}")).await.body == content);
    let range = [("range", "bytes=1000001-4000000")];
    let part = registry.ask(&format!("GET /v2/a/blobs/{digest}"), &range, b"").await.body;
    assert!(part == content[1_000_001..=4_000_000]);
}

#[tokio::test]
async fn uploads_in_chunks() {
    let registry = Fixture::new();
    let digest = Digest::of(b"hello world");
    let begun = registry.check("POST /v2/a/blobs/uploads/", &[], b"", "202 range=0-0").await;
    let path = begun.header("location").to_owned();
    let patch = format!("PATCH {path}");
    let (first, second) = (("content-range", "0-4"), ("content-range", "5-9"));
    registry.check(&patch, &[second], b" worl", "416 BLOB_UPLOAD_INVALID range=0-0").await;
    registry.check(&patch, &[first], b"hello", "202 range=0-4").await;
    let again = format!("416 BLOB_UPLOAD_INVALID range=0-4 location={path}");
    registry.check(&patch, &[first], b"hello", &again).await;
    registry.check(&patch, &[("content-range", "x")], b"hello", "416 BLOB_UPLOAD_INVALID").await;
    let wrong_length = [("content-range", "5-6"), ("content-length", "1")];
    registry.check(&patch, &wrong_length, b" ", "400 SIZE_INVALID").await;
    registry.check(&format!("GET {path}"), &[], b"", &format!("204 range=0-4 location={path}")).await;
    registry.check(&patch, &[], b" wor", "202 range=0-8").await;
    registry.check(&format!("PUT {path}"), &[], b"ld", "400 DIGEST_INVALID").await;
    let other = path.replace("/a/", "/b/");
    registry.check(&format!("GET {other}"), &[], b"", "404 BLOB_UPLOAD_UNKNOWN").await;
    let end = [("content-range", "9-10")];
    let put = format!("PUT {path}?digest={digest}");
    registry.check(&put, &[second], b"ld", "416 BLOB_UPLOAD_INVALID").await;
    let created = format!("201 location=/v2/a/blobs/{digest} docker-content-digest={digest}");
    registry.check(&put, &end, b"ld", &created).await;
    registry.check(&put, &end, b"ld", "404 BLOB_UPLOAD_UNKNOWN").await;
    assert_eq!(registry.get(&format!("/v2/a/blobs/{digest}")).await.text(), "hello world");
}

#[tokio::test]
async fn uploads_that_come_to_nothing_leave_nothing() {
    let registry = Fixture::new();
    let other = Digest::of(b"other");
    registry
        .check(&format!("POST /v2/a/blobs/uploads/?digest={other}"), &[], b"x", "400 DIGEST_INVALID")
        .await;
    let begin =
        || async { registry.ask("POST /v2/a/blobs/uploads/", &[], b"").await.header("location").to_owned() };
    let path = begin().await;
    registry.check(&format!("PUT {path}?digest={other}"), &[], b"x", "400 DIGEST_INVALID").await;
    registry.check(&format!("GET {path}"), &[], b"", "404 BLOB_UPLOAD_UNKNOWN").await;
    let path = begin().await;
    registry.check(&format!("PATCH {path}"), &[], b"x", "202").await;
    registry.check(&format!("DELETE {path}"), &[], b"", "204").await;
    registry.check(&format!("PATCH {path}"), &[], b"x", "404 BLOB_UPLOAD_UNKNOWN").await;
    let names = || -> Vec<_> {
        let mut names: Vec<_> = std::fs::read_dir(registry.dir.path().join("a"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["blobs", "index.json", "oci-layout"]);
    assert_eq!(std::fs::read_dir(registry.dir.path().join("a/blobs/sha256")).unwrap().count(), 0);
    // What a crash leaves is gone once the registry is opened again.
    std::fs::write(registry.dir.path().join("a/.bako-left"), "half").unwrap();
    Registry::open(registry.dir.path(), None).unwrap();
    assert_eq!(names(), ["blobs", "index.json", "oci-layout"]);
    // A repository that is damaged does not keep the others from being served.
    std::fs::create_dir(registry.dir.path().join("damaged")).unwrap();
    std::fs::write(registry.dir.path().join("damaged/oci-layout"), "{").unwrap();
    Registry::open(registry.dir.path(), None).unwrap();
    registry.check("GET /v2/damaged/tags/list", &[], b"", "500 UNKNOWN").await;
    registry.check("GET /v2/_catalog", &[], b"", "200").await;
}

#[tokio::test]
async fn mounts() {
    use std::os::unix::fs::MetadataExt;
    let registry = Fixture::new();
    let digest = registry.push_blob("a/b", b"x").await;
    let mount = |from: &str| format!("POST /v2/c/blobs/uploads/?mount={digest}&from={from}");
    let mounted = format!("201 location=/v2/c/blobs/{digest} docker-content-digest={digest}");
    registry.check(&mount("z"), &[], b"", "202").await;
    registry.check(&mount("..%2Fa"), &[], b"", "202").await;
    registry.check(&mount("a%2Fb").replace(':', "%3A"), &[], b"", &mounted).await;
    registry.check(&mount("a/b"), &[], b"", &mounted).await;
    assert_eq!(registry.get(&format!("/v2/c/blobs/{digest}")).await.text(), "x");
    let path = registry.dir.path().join("c/blobs/sha256").join(digest.hex());
    assert_eq!(std::fs::metadata(path).unwrap().nlink(), 2);
    let absent = Digest::of(b"absent");
    registry.check(&format!("POST /v2/c/blobs/uploads/?mount={absent}&from=a/b"), &[], b"", "202").await;
    registry.check(&format!("POST /v2/c/blobs/uploads/?mount={digest}"), &[], b"", "202").await;
}

#[tokio::test]
async fn manifests() {
    let registry = Fixture::new();
    let first = registry.image("a", "first").await;
    let digest = first.digest();
    let answer = registry.push("a", "1", &first).await;
    assert_eq!(answer.header("location"), format!("/v2/a/manifests/{digest}"));
    let like = format!(
        "200 content-type={} content-length={} docker-content-digest={digest}",
        MediaType::OciManifest,
        first.size()
    );
    for reference in ["1", &digest.to_string()] {
        let line = format!("/v2/a/manifests/{reference}");
        let answer = registry.get(&line).await;
        assert_eq!(answer.body, first.bytes());
        assert_eq!(registry.check(&format!("HEAD {line}"), &[], b"", &like).await.body, b"");
    }
    // A tag that moves leaves its old image where it was.
    let second = registry.image("a", "second").await;
    registry.push("a", "1", &second).await;
    assert_eq!(registry.get("/v2/a/manifests/1").await.body, second.bytes());
    registry.check(&format!("GET /v2/a/manifests/{digest}"), &[], b"", "200").await;
    // The tag alone, then the image with its other tags.
    registry.push("a", "2", &second).await;
    registry.push("a", "3", &second).await;
    registry.check("DELETE /v2/a/manifests/1", &[], b"", "202").await;
    registry.check("GET /v2/a/manifests/1", &[], b"", "404 MANIFEST_UNKNOWN").await;
    registry.check("GET /v2/a/manifests/2", &[], b"", "200").await;
    let by_digest = format!("/v2/a/manifests/{}", second.digest());
    let as_blob = format!("DELETE /v2/a/blobs/{}", second.digest());
    registry.check(&as_blob, &[], b"", "405 UNSUPPORTED").await;
    registry.check(&format!("DELETE {by_digest}"), &[], b"", "202").await;
    for path in ["/v2/a/manifests/2", "/v2/a/manifests/3", &by_digest] {
        registry.check(&format!("GET {path}"), &[], b"", "404 MANIFEST_UNKNOWN").await;
    }
    registry.check(&format!("DELETE {by_digest}"), &[], b"", "404 MANIFEST_UNKNOWN").await;
}

#[tokio::test]
async fn manifests_that_are_refused() {
    let registry = Fixture::new();
    let good = registry.image("a", "layer").await;
    let oci = MediaType::OciManifest.as_str();
    let index = Raw::write(Index::new(vec![Descriptor::of(MediaType::OciManifest, &image("absent"))]));
    let wrong_size = Raw::write(Manifest::new(
        MediaType::OciManifest,
        Descriptor { size: 3, ..blob("{}", MediaType::OciConfig) },
        Vec::new(),
    ));
    let other = Digest::of(b"other");
    let huge = vec![b' '; 4 * 1024 * 1024 + 1];
    for (reference, content_type, bytes, expected) in [
        ("1", oci, &b"<html>"[..], "400 MANIFEST_INVALID"),
        ("1", oci, b"{}", "400 MANIFEST_INVALID"),
        ("1", oci, br#"{"schemaVersion":1,"fsLayers":[]}"#, "400 MANIFEST_INVALID"),
        ("1", MediaType::DockerManifest.as_str(), good.bytes(), "400 MANIFEST_INVALID"),
        ("1", oci, image("absent").bytes(), "404 MANIFEST_BLOB_UNKNOWN"),
        ("1", MediaType::OciIndex.as_str(), index.bytes(), "404 MANIFEST_BLOB_UNKNOWN"),
        ("1", oci, wrong_size.bytes(), "400 SIZE_INVALID"),
        (&other.to_string(), oci, good.bytes(), "400 DIGEST_INVALID"),
        ("1", oci, &huge, "413 SIZE_INVALID"),
    ] {
        let line = format!("PUT /v2/a/manifests/{reference}");
        registry.check(&line, &[("content-type", content_type)], bytes, expected).await;
    }
    assert_eq!(registry.get("/v2/a/tags/list").await.text(), r#"{"name":"a","tags":[]}"#);
}

#[tokio::test]
async fn manifests_of_every_kind() {
    let registry = Fixture::new();
    let child = registry.image("a", "layer").await;
    registry.push("a", &child.digest().to_string(), &child).await;
    let index = |media_type: MediaType| {
        let mut index = Index::new(vec![Descriptor::of(MediaType::OciManifest, &child)]);
        index.media_type = Some(media_type);
        Raw::write(index).bytes().to_vec()
    };
    let manifest = |media_type: Option<MediaType>, layer: Descriptor| {
        let mut manifest = child.value().clone();
        (manifest.media_type, manifest.layers) = (media_type, vec![layer]);
        Raw::write(manifest).bytes().to_vec()
    };
    let layer = || blob("layer", MediaType::DockerLayer);
    let docker = MediaType::DockerManifest;
    for (media_type, bytes) in [
        (MediaType::OciIndex, index(MediaType::OciIndex)),
        (MediaType::DockerIndex, index(MediaType::DockerIndex)),
        (docker.clone(), manifest(Some(docker.clone()), layer())),
        // The type is that of the request if the document has none.
        (MediaType::OciManifest, manifest(None, layer())),
        (docker.clone(), manifest(None, layer())),
        // Layers that may not be pushed need not be there.
        (docker.clone(), manifest(Some(docker.clone()), blob("absent", MediaType::DockerForeignLayer))),
    ] {
        let headers = [("content-type", media_type.as_str())];
        registry.check("PUT /v2/a/manifests/1", &headers, &bytes, "201").await;
        let answer = registry.get("/v2/a/manifests/1").await;
        assert_eq!((answer.header("content-type"), &answer.body), (media_type.as_str(), &bytes));
    }
}

#[tokio::test]
async fn lists() {
    let registry = Fixture::new();
    for repository in ["b", "a/b"] {
        let image = registry.image(repository, "layer").await;
        for tag in ["b", "c", "a"] {
            registry.push(repository, tag, &image).await;
        }
    }
    registry.push_blob("empty", b"x").await;
    for (path, expected, link) in [
        ("/v2/b/tags/list", r#"{"name":"b","tags":["a","b","c"]}"#, ""),
        (
            "/v2/b/tags/list?n=2",
            r#"{"name":"b","tags":["a","b"]}"#,
            r#"</v2/b/tags/list?n=2&last=b>; rel="next""#,
        ),
        ("/v2/b/tags/list?n=2&last=b", r#"{"name":"b","tags":["c"]}"#, ""),
        ("/v2/b/tags/list?n=0", r#"{"name":"b","tags":[]}"#, ""),
        ("/v2/empty/tags/list", r#"{"name":"empty","tags":[]}"#, ""),
        ("/v2/_catalog", r#"{"repositories":["a/b","b"]}"#, ""),
        ("/v2/_catalog?n=1", r#"{"repositories":["a/b"]}"#, r#"</v2/_catalog?n=1&last=a%2Fb>; rel="next""#),
        ("/v2/_catalog?n=1&last=a%2Fb", r#"{"repositories":["b"]}"#, ""),
    ] {
        let answer = registry.get(path).await;
        assert_eq!((answer.text().as_str(), answer.header("link")), (expected, link), "{path}");
    }
}

#[tokio::test]
async fn referrers() {
    let registry = Fixture::new();
    let absent = format!("GET /v2/absent/referrers/{}", Digest::of(b"x"));
    registry.check(&absent, &[], b"", "200").await;
    let subject = registry.image("a", "layer").await;
    let path = |digest: Digest| format!("/v2/a/referrers/{digest}");
    assert!(registry.get(&path(subject.digest())).await.text().contains(r#""manifests":[]"#));
    let push = |artifact_type: Option<&str>, note: &str| {
        let mut manifest = subject.value().clone();
        manifest.artifact_type = artifact_type.map(str::to_owned);
        manifest.subject = Some(Descriptor::of(MediaType::OciManifest, &subject));
        manifest.annotations.insert("note".to_owned(), note.to_owned());
        Raw::write(manifest)
    };
    // The subject need not be there yet.
    for (artifact_type, note) in [(Some("application/x-sbom"), "one"), (None, "two")] {
        let referrer = push(artifact_type, note);
        let answer = registry.push("a", &referrer.digest().to_string(), &referrer).await;
        assert_eq!(answer.header("oci-subject"), subject.digest().to_string());
    }
    registry.push("a", "1", &subject).await;
    let (one, two) = ("one application/x-sbom", "two application/vnd.oci.image.config.v1+json");
    for (query, expected, filters) in [
        ("", &[one, two][..], ""),
        ("?artifactType=application/x-sbom", &[one], "artifactType"),
        ("?artifactType=other", &[], "artifactType"),
    ] {
        let answer = registry.get(&format!("{}{query}", path(subject.digest()))).await;
        assert_eq!(answer.header("content-type"), MediaType::OciIndex.as_str());
        assert_eq!(answer.header("oci-filters-applied"), filters);
        let index: Index = serde_json::from_slice(&answer.body).unwrap();
        let mut found: Vec<String> = index
            .manifests
            .iter()
            .map(|entry| format!("{} {}", entry.annotations["note"], entry.artifact_type.as_ref().unwrap()))
            .collect();
        found.sort();
        assert_eq!(found, expected, "{query}");
    }
}

#[tokio::test]
async fn a_damaged_manifest_is_not_served() {
    let registry = Fixture::new();
    let image = registry.image("a", "layer").await;
    registry.push("a", "1", &image).await;
    let path = registry.dir.path().join("a/blobs/sha256").join(image.digest().hex());
    std::fs::write(&path, [image.bytes(), b" "].concat()).unwrap();
    registry.check("GET /v2/a/manifests/1", &[], b"", "500 UNKNOWN").await;
}

#[tokio::test]
async fn one_user() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::open(dir.path(), Some(Credentials::new("user", "pass:word"))).unwrap();
    let registry = Fixture { dir, router: Arc::new(registry).router() };
    let challenge = registry.ask("GET /v2/", &[], b"").await;
    assert!(challenge.header("www-authenticate").starts_with("Basic realm="));
    for (value, expected) in [
        ("Basic dXNlcjpwYXNzOndvcmQ=", "200"),
        ("basic dXNlcjpwYXNzOndvcmQ=", "200"),
        ("Basic dXNlcjpwYXNz", "401 UNAUTHORIZED"),
        ("Bearer dXNlcjpwYXNzOndvcmQ=", "401 UNAUTHORIZED"),
        ("Basic !", "401 UNAUTHORIZED"),
        ("", "401 UNAUTHORIZED"),
    ] {
        registry.check("GET /v2/", &[(header::AUTHORIZATION.as_str(), value)], b"", expected).await;
    }
}

/// Sends bytes on a connection of their own, and yields the whole answer.
fn exchange(server: &Server, bytes: &[u8], close: bool) -> String {
    let mut stream = TcpStream::connect(server.local_addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(bytes).unwrap();
    if close {
        stream.shutdown(std::net::Shutdown::Write).unwrap();
    }
    let mut answer = Vec::new();
    // A connection that is reset has nothing more to say.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_can_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let listen = (Ipv4Addr::LOCALHOST, 0).into();
    let options = Options { dir: dir.path().to_owned(), listen, credentials: None };
    let server = server::serve(options).await.unwrap();
    let begun = exchange(
        &server,
        b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        false,
    );
    let location = begun.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    let head = format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello");
    exchange(&server, head.as_bytes(), true);
    let status = format!("GET {location} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let status = exchange(&server, status.as_bytes(), false);
    assert!(status.contains("range: 0-4\r\n"), "{status}");
    let digest = Digest::of(b"hello world");
    let rest = format!(
        "PUT {location}?digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Range: 5-10\r\nContent-Length: 6\r\nConnection: close\r\n\r\n world"
    );
    let finished = exchange(&server, rest.as_bytes(), false);
    assert!(finished.starts_with("HTTP/1.1 201 "), "{finished}");
    let head = format!("HEAD /v2/a/blobs/{digest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(exchange(&server, head.as_bytes(), false).contains("content-length: 11\r\n"));
    server.shutdown().await;
}
