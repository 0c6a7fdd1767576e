//! Downloads over a bad network, from registries that are slow, failing, mistaken or lying.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use oci::{Descriptor, Digest, MediaType};
use registry::{Cause, Client, ClientOptions, Direction, ErrorKind, Progress, Result, RetryPolicy, Timeouts};
use support::fake::{Body, Fake, Reply, Seen};
use support::{bytes, client, descriptor, options, read_all, reference};

/// Long enough that it never comes in one piece.
const LENGTH: usize = 600_000;

async fn download(
    client: &Client,
    blob: &Descriptor,
    answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
) -> (Result<Vec<u8>>, Vec<Seen>) {
    let fake = Fake::start(move |seen, _: &mut Body<'_>| match seen.path.as_str() {
        "/v2/" => Reply::new(200),
        _ => answer(seen),
    });
    let outcome = match client.blob(&reference(&fake.address, "a"), blob).await {
        Ok(reader) => read_all(reader).await,
        Err(error) => Err(error),
    };
    (outcome, fake.seen())
}

/// A part of the content, as a registry sends it.
fn part(content: &[u8], from: usize) -> Reply {
    Reply::new(206)
        .header("content-range", format!("bytes {from}-{}/{}", content.len() - 1, content.len()))
        .body(&content[from..])
}

/// The first `length` bytes of an answer, after which the connection ends.
fn broken(reply: Reply, all: usize, length: usize) -> Reply {
    reply.truncated(length).announcing(all)
}

#[tokio::test]
async fn passing_failures() {
    let content = bytes(LENGTH);
    let whole = Reply::new(200).body(content.clone());
    let check = async |name: &str, requests: usize, answer: fn(&Seen, &[u8], Reply) -> Reply| {
        let (held, whole) = (content.clone(), whole.clone());
        let (outcome, seen) =
            download(&client(), &descriptor(&content), move |seen| answer(seen, &held, whole.clone())).await;
        assert!(outcome.unwrap() == content, "{name}");
        assert_eq!(seen.len(), requests, "{name}: {seen:?}");
    };
    check("no failure", 1, |_, _, whole| whole).await;
    check("a failing server", 4, |seen, _, whole| match seen.before {
        0 => Reply::new(500),
        1 => Reply::new(503).header("retry-after", "0"),
        2 => Reply::new(429).header("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"),
        _ => whole,
    })
    .await;
    check("no answer", 2, |seen, _, whole| if seen.before == 0 { Reply::hang_up() } else { whole }).await;
    check("breaks, resumed", 3, |seen, content, whole| match (seen.before, seen.range()) {
        (0, None) => broken(whole, LENGTH, 200_000),
        (1, Some(from)) => broken(part(content, from), LENGTH - from, 300_000),
        (_, Some(from)) => part(content, from),
        _ => Reply::new(400),
    })
    .await;
    check("breaks, ranges ignored", 2, |seen, _, whole| match seen.before {
        0 => broken(whole, LENGTH, 200_000),
        _ => whole,
    })
    .await;
    check("breaks before the first byte", 2, |seen, _, whole| match seen.before {
        0 => broken(whole, LENGTH, 0),
        _ => whole,
    })
    .await;
}

#[tokio::test]
async fn lasting_failures() {
    let content = bytes(LENGTH);
    let check = async |requests: usize, text: &str, answer: fn(&Seen, &[u8]) -> Reply| {
        let held = content.clone();
        let (outcome, seen) =
            download(&client(), &descriptor(&content), move |seen| answer(seen, &held)).await;
        let error = outcome.unwrap_err();
        assert!(error.to_string().ends_with(text), "{error}");
        assert!(error.to_string().starts_with("pull 127.0.0.1:"), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
        assert_eq!(seen.len(), requests, "{text}");
        error
    };
    let flipped =
        check(1, &format!("corrupt: the bytes sent are {}", Digest::of(&flip(&content))), |_, content| {
            Reply::new(200).body(flip(content))
        })
        .await;
    assert!(flipped.is_corrupt());
    let text = format!("corrupt: it has {} bytes where {LENGTH} were promised", LENGTH - 1);
    check(1, &text, |_, content| Reply::new(200).body(&content[1..])).await;
    check(1, "corrupt: it has 600001 bytes where 600000 were promised", |_, content| {
        Reply::new(200).body([content, b"x"].concat())
    })
    .await;
    check(1, "corrupt: it has more than the promised 600000 bytes", |_, content| {
        Reply::new(200).body([content, b"x"].concat()).unannounced()
    })
    .await;
    check(2, "corrupt: it ends before byte 500000 of 600000", |seen, content| match seen.before {
        0 => Reply::new(200).body(&content[..500_000]).unannounced(),
        _ => Reply::new(416),
    })
    .await;
    check(
        2,
        "unexpected answer: the part from byte 100 was asked for, that from 99 came",
        |seen, content| match seen.before {
            0 => broken(Reply::new(200).body(content), LENGTH, 100),
            _ => part(content, 99),
        },
    )
    .await;
    check(1, "not found: no such blob (BLOB_UNKNOWN)", |_, _| {
        Reply::new(404).body(r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"no such blob"}]}"#)
    })
    .await;
    check(1, "denied", |_, _| Reply::new(403)).await;
    check(4, "registry error 502", |_, _| Reply::new(502)).await;
    let limited = check(4, "too many requests: slow down", |_, _| {
        Reply::new(429).header("content-type", "text/plain").body("slow down\n")
    })
    .await;
    assert!(limited.is_transient());
    let dead = check(4, "end of file before message length reached", |seen, content| match seen.range() {
        // The same byte is promised again and again.
        None => broken(Reply::new(200).body(content), LENGTH, 100),
        Some(from) => broken(part(content, from), LENGTH - from, 0),
    })
    .await;
    assert!(matches!(dead.kind, ErrorKind::Unreachable { cause: Cause::Network, .. }));
    check(11, "unexpected answer: more than 10 redirects", |seen, _| {
        Reply::new(307).header("location", seen.path.clone())
    })
    .await;
}

fn flip(content: &[u8]) -> Vec<u8> {
    let mut flipped = content.to_vec();
    flipped[LENGTH / 2] ^= 1;
    flipped
}

#[tokio::test]
async fn waits_as_long_as_asked_but_not_longer_than_allowed() {
    let hour = |seen: &Seen| match seen.before {
        0 => Reply::new(429).header("retry-after", "3600"),
        _ => Reply::new(200).body("x"),
    };
    let (outcome, seen) = download(&client(), &descriptor(b"x"), hour).await;
    assert!(matches!(outcome.unwrap_err().kind, ErrorKind::TooManyRequests { .. }));
    assert_eq!(seen.len(), 1);

    let before = std::time::Instant::now();
    let second = |seen: &Seen| match seen.before {
        0 => Reply::new(503).header("retry-after", "1"),
        _ => Reply::new(200).body("x"),
    };
    let (outcome, _) = download(&client(), &descriptor(b"x"), second).await;
    assert_eq!(outcome.unwrap(), b"x");
    assert!(before.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn silence_is_a_failure() {
    let options = ClientOptions {
        timeouts: Timeouts { idle: Duration::from_millis(200), ..options().timeouts },
        retry: RetryPolicy { retries: 1, ..options().retry },
        ..options()
    };
    let client = Client::new(options).unwrap();
    let content = bytes(LENGTH);
    let held = content.clone();
    let (outcome, seen) = download(&client, &descriptor(&content), move |seen| match seen.range() {
        None => Reply::new(200).body(&held[..1000]).announcing(LENGTH).keeping_open(),
        Some(from) => part(&held, from),
    })
    .await;
    assert!(outcome.unwrap() == content);
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn authorization_does_not_cross_hosts() {
    let content = bytes(1000);
    let held = content.clone();
    let store = Fake::start(move |_, _: &mut Body<'_>| Reply::new(200).body(held.clone()));
    let elsewhere = format!("http://{}/store?signature=s", store.address);
    let registry = Fake::start(move |seen, _: &mut Body<'_>| match seen.path.as_str() {
        _ if seen.header("authorization").is_empty() => {
            Reply::new(401).header("www-authenticate", "Basic realm=x")
        }
        "/v2/" => Reply::new(200),
        path if path.contains("/blobs/") => Reply::new(307).header("location", "/near"),
        "/near" => Reply::new(302).header("location", elsewhere.clone()),
        _ => Reply::new(404),
    });
    let keychain = registry::Keychain::of(&registry.address, support::user("user", "hunter2"), "config.json");
    let client = Client::new(ClientOptions { keychain, ..options() }).unwrap();
    let reader = client.blob(&reference(&registry.address, "a"), &descriptor(&content)).await.unwrap();
    assert_eq!(read_all(reader).await.unwrap(), content);
    assert!(registry.seen().iter().all(|seen| seen.header("authorization") == "Basic dXNlcjpodW50ZXIy"));
    assert_eq!(registry.seen().len(), 2);
    let seen = store.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].headers.get("authorization"), None);
}

#[tokio::test]
async fn manifests_are_checked() {
    let body = br#"{"schemaVersion":2,"manifests":[]}"#;
    let digest = Digest::of(body);
    let fake = Fake::start(move |seen, _: &mut Body<'_>| match seen.path.as_str() {
        "/v2/a/manifests/wrong-header" => {
            Reply::new(200).header("docker-content-digest", Digest::of(b"other").to_string()).body(&body[..])
        }
        "/v2/a/manifests/huge" => Reply::new(200).body(vec![b' '; (4 << 20) + 1]),
        "/v2/a/manifests/huge-unannounced" => Reply::new(200).body(vec![b' '; 6 << 20]).unannounced(),
        "/v2/a/manifests/html" => Reply::new(200).body("<html>"),
        "/v2/a/manifests/cut" if seen.before == 0 => Reply::new(200).body(&body[..5]).announcing(body.len()),
        _ => Reply::new(200).body(&body[..]),
    });
    let client = client();
    let check = async |target: &str, text: &str| {
        let reference = reference(&fake.address, &format!("a{target}"));
        let outcome = match client.manifest(&reference).await {
            Ok(manifest) => manifest.digest().to_string(),
            Err(error) => error.to_string().replace(&format!("pull {reference}: "), ""),
        };
        assert!(outcome.starts_with(text), "{target}: {outcome}");
    };
    let good = digest.to_string();
    check(":good", &good).await;
    check(":cut", &good).await;
    check(&format!("@{digest}"), &good).await;
    let other = Digest::of(b"other");
    check(&format!("@{other}"), &format!("corrupt: the manifest sent is {digest}")).await;
    check(":wrong-header", &format!("corrupt: the registry says {other} and sends {digest}")).await;
    check(":huge", "the registry's answer is larger than 4194304 bytes").await;
    check(":huge-unannounced", "the registry's answer is larger than 4194304 bytes").await;
    check(":html", "malformed manifest").await;
    // What HEAD leaves out is found by GET.
    let found = client.head_manifest(&reference(&fake.address, "a:good")).await.unwrap();
    assert_eq!(found, Descriptor::new(MediaType::OciIndex, digest, body.len() as u64));
}

#[tokio::test]
async fn lists_have_pages() {
    let fake = Fake::start(|seen, _: &mut Body<'_>| {
        match seen.path.as_str() {
        "/v2/a/tags/list?n=1000" => Reply::new(200)
            .header("link", r#"</v2/a/tags/list?n=2&last=2>; rel="next""#)
            .body(r#"{"name":"a","tags":["1","2"]}"#),
        "/v2/a/tags/list?n=2&last=2" => Reply::new(200).body(r#"{"name":"a","tags":["3"]}"#),
        "/v2/a/tags/list?n=2&last=3" => Reply::new(200).body(r#"{"name":"a","tags":null}"#),
        path if path.starts_with("/v2/a/referrers/") => Reply::new(404),
        path if path.starts_with("/v2/a/manifests/sha256-") => Reply::new(200).body(
            r#"{"schemaVersion":2,"manifests":[
            {"mediaType":"m","digest":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","size":1,"artifactType":"sbom"},
            {"mediaType":"m","digest":"sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","size":1}]}"#,
        ),
        _ => Reply::new(200),
    }
    });
    let at = reference(&fake.address, "a");
    assert_eq!(client().tags(&at).await.unwrap(), ["1", "2", "3"]);
    let at = at.at(Digest::of(b"x"));
    assert_eq!(client().referrers(&at, None).await.unwrap().len(), 2);
    assert_eq!(client().referrers(&at, Some("sbom")).await.unwrap().len(), 1);
}

#[tokio::test]
async fn transfers_are_counted_and_limited() {
    let content = bytes(LENGTH);
    let held = content.clone();
    let open = Arc::new(Mutex::new((0, 0)));
    let counter = Arc::clone(&open);
    let fake = Fake::start(move |seen, _: &mut Body<'_>| {
        if seen.path.contains("/blobs/") {
            let mut open = counter.lock().unwrap();
            open.0 += 1;
            open.1 = open.1.max(open.0);
        }
        Reply::new(200).body(held.clone())
    });
    let total = Arc::new(Mutex::new(0));
    let sum = Arc::clone(&total);
    let finished = Arc::clone(&open);
    let progress = Progress::new(move |transferred| {
        assert_eq!(transferred.direction, Direction::Received);
        let mut sum = sum.lock().unwrap();
        *sum += transferred.bytes;
        if sum.is_multiple_of(LENGTH as u64) {
            finished.lock().unwrap().0 -= 1;
        }
    });
    let client = Client::new(ClientOptions { parallel: 1, progress: Some(progress), ..options() }).unwrap();
    let at = reference(&fake.address, "a");
    let blob = descriptor(&content);
    let tasks: Vec<_> = (0..5)
        .map(|_| {
            let (client, at, blob) = (client.clone(), at.clone(), blob.clone());
            tokio::spawn(async move { read_all(client.blob(&at, &blob).await.unwrap()).await.unwrap().len() })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), LENGTH);
    }
    assert_eq!(*total.lock().unwrap(), 5 * LENGTH as u64);
    assert_eq!(open.lock().unwrap().1, 1);
}

#[tokio::test]
async fn unreachable() {
    // A port that was free a moment ago.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let at = reference(&address.to_string(), "a:1");
    let error = client().manifest(&at).await.unwrap_err();
    let text = format!("pull {at}: cannot reach {address}: connection refused (os error 111)");
    assert_eq!(error.to_string(), text);
}

#[tokio::test]
async fn mirrors_come_first() {
    let manifest = |name: &'static str| {
        let digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"{name}","digest":"{digest}","size":1}},"layers":[]}}"#
        )
    };
    let good = Fake::start(move |seen, _: &mut Body<'_>| match seen.path.as_str() {
        "/v2/hub/library/busybox/manifests/1" => Reply::new(200).body(manifest("mirror")),
        "/v2/library/busybox/manifests/1" => Reply::new(200).body(manifest("origin")),
        _ => Reply::new(404),
    });
    let failing = Fake::start(|_, _: &mut Body<'_>| Reply::new(403));
    let good = good.address.as_str();
    let check = async |mirrors: &[&str], only: bool, expected: &str| {
        let mirrors = mirrors.iter().map(|mirror| (*mirror).to_owned()).collect();
        let options =
            ClientOptions { mirrors: [(good.to_owned(), mirrors)].into(), mirrors_only: only, ..options() };
        let image = Client::new(options)
            .unwrap()
            .resolve(&reference(good, "library/busybox:1"), &"linux/amd64".parse().unwrap())
            .await;
        let answer = match image {
            Ok(image) => image.reference.name(),
            Err(error) => error.to_string(),
        };
        assert_eq!(answer, expected);
    };
    let hub = format!("{good}/hub");
    let origin = format!("{good}/library/busybox");
    let mirror = format!("{good}/hub/library/busybox");
    let failing = failing.address.as_str();
    check(&[], false, &origin).await;
    check(&[], true, &origin).await;
    check(&[&hub], false, &mirror).await;
    check(&[failing, &hub], false, &mirror).await;
    check(&[failing], false, &origin).await;
    check(&[failing], true, &format!("pull {failing}/library/busybox:1: denied")).await;
}

#[tokio::test]
async fn proxies() {
    let proxy = Fake::start(|seen, _: &mut Body<'_>| match seen.path.as_str() {
        "http://registry.invalid:5000/v2/a/tags/list?n=1000" => Reply::new(200).body(r#"{"tags":["1"]}"#),
        _ => Reply::new(200),
    });
    let url = Some(registry::Secret::new(format!("http://user:hunter2@{}", proxy.address)));
    let proxies = registry::Proxies { http: url.clone(), https: url, no_proxy: None };
    let at = reference("registry.invalid:5000", "a");

    let strict = Client::new(ClientOptions { proxies: proxies.clone(), ..options() }).unwrap();
    let error = strict.tags(&at).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "list tags of registry.invalid:5000/a: cannot reach registry.invalid:5000: it does not answer in TLS"
    );
    assert!(error.hint().unwrap().contains("--insecure-registry registry.invalid:5000"));
    assert_eq!(proxy.lines(), ["CONNECT registry.invalid:5000"]);
    assert_eq!(proxy.seen()[0].header("proxy-authorization"), "Basic dXNlcjpodW50ZXIy");

    let plain_http =
        registry::Exemption { registries: [at.registry().to_owned()].into(), ..Default::default() };
    let lax = Client::new(ClientOptions { proxies, plain_http, ..options() }).unwrap();
    assert_eq!(lax.tags(&at).await.unwrap(), ["1"]);

    let bad =
        registry::Proxies { http: Some(registry::Secret::new("http://hunter2:[")), ..Default::default() };
    let error = Client::new(ClientOptions { proxies: bad, ..options() }).unwrap_err();
    assert_eq!(error.to_string(), "connect by a proxy: the proxy's address is not a URL");
}

#[tokio::test]
async fn dropping_a_reader_ends_its_download() {
    let fake = Fake::start(|seen, _: &mut Body<'_>| match seen.path.as_str() {
        "/v2/" => Reply::new(200),
        _ => Reply::new(200).body(bytes(1000)).announcing(LENGTH).keeping_open(),
    });
    let at = reference(&fake.address, "a");
    let blob = descriptor(&bytes(LENGTH));
    let mut reader = client().blob(&at, &blob).await.unwrap();
    reader.chunk().await.unwrap().unwrap();
    drop(reader);
    let mut reader = client().blob_to_reader(&tokio::runtime::Handle::current(), &at, &blob);
    tokio::task::spawn_blocking(move || std::io::Read::read_exact(&mut reader, &mut [0; 1000]).unwrap())
        .await
        .unwrap();
    let since = std::time::Instant::now();
    while fake.left() < 2 {
        assert!(since.elapsed() < Duration::from_secs(5), "a connection is still open");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
