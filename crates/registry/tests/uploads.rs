//! Uploads over a bad network, to registries with limits and peculiarities.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::{Arc, Mutex};

use oci::Digest;
use registry::{BlobSource, Client, ClientOptions, ErrorKind, Pushed, Result, UploadMethod};
use support::fake::{Body, Fake, Reply, Seen};
use support::{bytes, client, descriptor, options, reference};

const UPLOADS: &str = "/v2/a/blobs/uploads/";

/// What a fake registry has received.
#[derive(Default)]
struct Store {
    /// Of the current session.
    bytes: Vec<u8>,
    /// Digest of what was completed.
    stored: Option<Digest>,
    sessions: usize,
}

impl Store {
    fn begin(&mut self) -> Reply {
        self.sessions += 1;
        self.bytes.clear();
        Reply::new(202).header("location", format!("/session/{}?state=a%2Bb", self.sessions))
    }

    /// Takes a chunk of at most `limit` bytes, if it continues what is there.
    fn patch(&mut self, seen: &Seen, body: &mut Body<'_>, limit: usize) -> Reply {
        let first: usize = seen.header("content-range").split('-').next().unwrap().parse().unwrap();
        if first != self.bytes.len() {
            return Reply::new(416);
        }
        self.bytes.extend(body.read(limit));
        self.status(202, seen)
    }

    fn status(&self, status: u16, seen: &Seen) -> Reply {
        Reply::new(status)
            .header("location", seen.path.clone())
            .header("range", format!("0-{}", self.bytes.len().saturating_sub(1)))
    }

    /// Takes what is left, and ends the upload.
    fn put(&mut self, seen: &Seen, body: &mut Body<'_>) -> Reply {
        assert!(
            seen.path.starts_with("/session/") && seen.path.contains("?state=a%2Bb&digest=sha256%3A"),
            "{seen:?}"
        );
        self.bytes.extend(body.all());
        if !body.is_complete() {
            return Reply::hang_up();
        }
        self.stored = Some(Digest::of(&self.bytes));
        Reply::new(201)
    }

    /// A registry without faults.
    fn answer(&mut self, seen: &Seen, body: &mut Body<'_>) -> Reply {
        match seen.method.as_str() {
            "HEAD" => Reply::new(if self.stored.is_some() { 200 } else { 404 }),
            "POST" => self.begin(),
            "PATCH" => self.patch(seen, body, usize::MAX),
            "PUT" => self.put(seen, body),
            "DELETE" => Reply::new(204),
            _ if seen.path.starts_with("/session/") => self.status(204, seen),
            _ => Reply::new(200),
        }
    }
}

/// Pushes; the fault may answer instead of the registry.
async fn push(
    client: &Client,
    content: &[u8],
    fault: impl Fn(&Seen, &mut Body<'_>, &mut Store) -> Option<Reply> + Send + Sync + 'static,
) -> (Result<Pushed>, Vec<String>, Option<Digest>) {
    let store = Arc::new(Mutex::new(Store::default()));
    let held = Arc::clone(&store);
    let fake = Fake::start(move |seen, body| {
        let mut store = held.lock().unwrap();
        match fault(seen, body, &mut store) {
            Some(reply) => reply,
            None => store.answer(seen, body),
        }
    });
    let at = reference(&fake.address, "a");
    let source = BlobSource::Bytes(content.to_vec().into());
    let outcome = client.push_blob(&at, &descriptor(content), &source, &[]).await;
    let lines = fake.lines().iter().map(|line| line.split('/').next().unwrap().trim().to_owned()).collect();
    let stored = store.lock().unwrap().stored;
    (outcome, lines, stored)
}

#[tokio::test]
async fn faults_that_are_overcome() {
    let small = bytes(1_000_000);
    let large = bytes(20_000_000);
    let whole = client();
    let chunked = Client::new(ClientOptions { upload: UploadMethod::Chunked(400_000), ..options() }).unwrap();
    type Fault = fn(&Seen, &mut Body<'_>, &mut Store) -> Option<Reply>;
    let check = async |client: &Client, content: &[u8], requests: &str, fault: Fault| {
        let (outcome, lines, stored) = push(client, content, fault).await;
        assert_eq!(outcome.unwrap(), Pushed::Uploaded { bytes: content.len() as u64 }, "{requests}");
        assert_eq!(lines.join(" "), requests);
        assert_eq!(stored, Some(Digest::of(content)), "{requests}");
    };
    check(&whole, &small, "HEAD POST PUT", |_, _, _| None).await;
    check(&chunked, &small, "HEAD POST PATCH PATCH PATCH PUT", |_, _, _| None).await;
    // The registry fails, or the connection breaks: a new session.
    check(&whole, &small, "HEAD POST PUT HEAD POST PUT", |seen, body, _| {
        (seen.method == "PUT" && seen.path.starts_with("/session/1")).then(|| {
            body.all();
            Reply::new(503).header("retry-after", "0")
        })
    })
    .await;
    check(&whole, &small, "HEAD POST PUT HEAD POST PUT", |seen, body, _| {
        (seen.method == "PUT" && seen.path.starts_with("/session/1")).then(|| {
            body.read(1000);
            Reply::hang_up()
        })
    })
    .await;
    // Only the answer got lost.
    check(&whole, &small, "HEAD POST PUT HEAD", |seen, body, store| {
        (seen.method == "PUT").then(|| {
            store.put(seen, body);
            Reply::hang_up()
        })
    })
    .await;
    // The session is gone.
    check(&whole, &small, "HEAD POST PUT HEAD POST PUT", |seen, body, _| {
        (seen.method == "PUT" && seen.path.starts_with("/session/1")).then(|| {
            body.all();
            Reply::new(404)
        })
    })
    .await;
    // A limit on the size of requests, such as a proxy has, smaller than our chunks are at first.
    check(&whole, &small, "HEAD POST PUT POST PATCH PATCH PUT", |seen, body, _| {
        let length: usize = seen.header("content-length").parse().unwrap_or(0);
        (length > 524_288).then(|| {
            body.all();
            Reply::new(413)
        })
    })
    .await;
    // It breaks again and again: chunks, so that what arrived stays.
    check(&whole, &large, "HEAD POST PUT HEAD POST PUT HEAD POST PATCH PATCH PATCH PUT", |seen, body, _| {
        let length: usize = seen.header("content-length").parse().unwrap_or(0);
        (length > 10_000_000).then(|| {
            body.read(1000);
            Reply::hang_up()
        })
    })
    .await;
    // A chunk breaks in the middle, and goes on from what arrived.
    check(&chunked, &small, "HEAD POST PATCH PATCH GET PATCH PATCH PUT", |seen, body, store| {
        (seen.method == "PATCH" && store.bytes.len() == 400_000).then(|| {
            store.patch(seen, body, 150_000);
            Reply::hang_up()
        })
    })
    .await;
    // A registry that takes less than it is given and says so.
    check(&chunked, &small, "HEAD POST PATCH PATCH PATCH PATCH PATCH PUT", |seen, body, store| {
        (seen.method == "PATCH").then(|| {
            let reply = store.patch(seen, body, 200_000);
            body.all();
            reply
        })
    })
    .await;
    // A registry that has other bytes than we think.
    check(&chunked, &small, "HEAD POST PATCH PATCH GET PATCH PATCH PATCH PUT", |seen, body, store| {
        (seen.method == "PATCH" && seen.before == 1 && store.bytes.len() == 400_000).then(|| {
            body.all();
            store.bytes.truncate(100_000);
            Reply::new(416)
        })
    })
    .await;
    // Larger chunks are wanted.
    check(&chunked, &small, "HEAD POST PATCH PATCH PUT", |seen, _, store| {
        (seen.method == "POST").then(|| store.begin().header("oci-chunk-min-length", "600000"))
    })
    .await;
    // HEAD is not known.
    check(&whole, &small, "HEAD POST PUT", |seen, _, _| (seen.method == "HEAD").then(|| Reply::new(405)))
        .await;
}

#[tokio::test]
async fn faults_that_are_not() {
    let content = bytes(300_000);
    type Fault = fn(&Seen, &mut Body<'_>, &mut Store) -> Option<Reply>;
    let check = async |requests: &str, text: &str, fault: Fault| {
        let (outcome, lines, stored) = push(&client(), &content, fault).await;
        let error = outcome.unwrap_err();
        assert!(error.to_string().ends_with(text), "{error}");
        assert!(error.to_string().starts_with("push 127.0.0.1:"), "{error}");
        assert_eq!(lines.join(" "), requests);
        assert_eq!(stored, None);
        error
    };
    let error = check("HEAD POST", "denied: requested access is not permitted (DENIED)", |seen, _, _| {
        (seen.method == "POST").then(|| {
            Reply::new(403)
                .body(r#"{"errors":[{"code":"DENIED","message":"requested access is not permitted"}]}"#)
        })
    })
    .await;
    assert!(matches!(error.kind, ErrorKind::Denied { .. }));
    check("HEAD POST", "unexpected answer: an upload without a Location", |seen, _, _| {
        (seen.method == "POST").then(|| Reply::new(202))
    })
    .await;
    check("HEAD POST PUT", "refused with status 400: bad (NAME_INVALID)", |seen, body, _| {
        (seen.method == "PUT").then(|| {
            body.all();
            Reply::new(400).body(r#"{"errors":[{"code":"NAME_INVALID","message":"bad"}]}"#)
        })
    })
    .await;
    check("HEAD POST POST POST POST", "registry error 500", |seen, _, _| {
        (seen.method == "POST").then(|| Reply::new(500))
    })
    .await;
    // However small the chunk, it is too large.
    check("HEAD POST PUT POST PATCH", "refused with status 413", |seen, body, _| {
        matches!(seen.method.as_str(), "PUT" | "PATCH").then(|| {
            body.all();
            Reply::new(413)
        })
    })
    .await;
    check(
        "HEAD POST PUT HEAD POST PUT HEAD POST PUT HEAD POST PUT",
        "connection closed before message completed",
        |seen, body, _| {
            (seen.method == "PUT").then(|| {
                body.all();
                Reply::hang_up()
            })
        },
    )
    .await;
}

#[tokio::test]
async fn mounts() {
    let content = bytes(1000);
    let blob = descriptor(&content);
    let fake = Fake::start(move |seen, body| {
        let digest = Digest::of(&bytes(1000));
        let mounting = |from: &str| seen.path == format!("{UPLOADS}?mount={digest}&from={from}");
        match seen.method.as_str() {
            "HEAD" => Reply::new(404),
            "POST" if mounting("refused") => Reply::new(403),
            "POST" if mounting("unknown") => Reply::new(202).header("location", "/session/unknown"),
            "POST" if mounting("known") => Reply::new(201),
            "POST" if seen.path == UPLOADS => Reply::new(202).header("location", "/session/new"),
            "PUT" => {
                body.all();
                Reply::new(201)
            }
            _ => Reply::new(204),
        }
    });
    let at = reference(&fake.address, "a");
    let source = BlobSource::Bytes(content.into());
    let uploaded = Pushed::Uploaded { bytes: 1000 };
    let mounted = Pushed::Mounted { from: "known".to_owned() };
    for (candidates, expected, requests) in [
        (&["known"][..], &mounted, "HEAD POST"),
        (&["refused", "known"], &mounted, "HEAD POST POST"),
        (&["unknown", "known"], &mounted, "HEAD POST POST DELETE"),
        (&["unknown"], &uploaded, "HEAD POST PUT"),
        (&["refused"], &uploaded, "HEAD POST POST PUT"),
        (&["a"], &uploaded, "HEAD POST PUT"),
        (&[], &uploaded, "HEAD POST PUT"),
    ] {
        let candidates: Vec<_> = candidates.iter().map(|name| reference(&fake.address, name)).collect();
        let before = fake.seen().len();
        assert_eq!(&client().push_blob(&at, &blob, &source, &candidates).await.unwrap(), expected);
        let methods: Vec<_> = fake.seen().into_iter().skip(before).map(|seen| seen.method).collect();
        assert_eq!(methods.join(" "), requests);
    }
}

#[tokio::test]
async fn a_copy_survives_a_bad_source() {
    let content = bytes(900_000);
    let blob = descriptor(&content);
    let held = content.clone();
    let from = Fake::start(move |seen, _: &mut Body<'_>| match (seen.path.as_str(), seen.range()) {
        ("/v2/", _) => Reply::new(200),
        (path, None) if path.starts_with("/v2/good") => {
            Reply::new(200).body(&held[..500_000]).announcing(held.len())
        }
        (_, Some(from)) => Reply::new(206)
            .header("content-range", format!("bytes {from}-{}/{}", held.len() - 1, held.len()))
            .body(&held[from..]),
        (path, _) if path.starts_with("/v2/corrupt") => {
            let mut flipped = held.clone();
            flipped[0] ^= 1;
            Reply::new(200).body(flipped)
        }
        _ => Reply::new(404),
    });
    let store = Arc::new(Mutex::new(Store::default()));
    let held = Arc::clone(&store);
    let to = Fake::start(move |seen, body| held.lock().unwrap().answer(seen, body));
    let at = reference(&to.address, "a");

    let missing = client().copy_blob(&reference(&from.address, "missing"), &at, &blob).await.unwrap_err();
    assert_eq!(
        missing.to_string(),
        format!("pull {}: not found", reference(&from.address, "missing").at(blob.digest))
    );
    let corrupt = client().copy_blob(&reference(&from.address, "corrupt"), &at, &blob).await.unwrap_err();
    assert!(corrupt.is_corrupt() && corrupt.subject.starts_with("pull "), "{corrupt}");
    assert_eq!(store.lock().unwrap().stored, None);

    let copied = client().copy_blob(&reference(&from.address, "good"), &at, &blob).await.unwrap();
    assert_eq!(copied, Pushed::Uploaded { bytes: 900_000 });
    assert_eq!(store.lock().unwrap().stored, Some(blob.digest));
}

#[tokio::test]
async fn manifests_and_permission() {
    let fake = Fake::start(|seen, body| {
        body.all();
        match (seen.method.as_str(), seen.path.as_str()) {
            ("PUT", "/v2/a/manifests/liar") => {
                Reply::new(201).header("docker-content-digest", Digest::of(b"other").to_string())
            }
            ("PUT", "/v2/a/manifests/flaky") if seen.before < 2 => Reply::new(502),
            ("PUT", _) => Reply::new(201),
            ("POST", UPLOADS) => Reply::new(202).header("location", "/session/1"),
            ("DELETE", "/session/1") => Reply::new(405),
            ("POST", _) => Reply::new(403),
            _ => Reply::new(200),
        }
    });
    let put = async |target: &str| {
        let reference = reference(&fake.address, &format!("a{target}"));
        let outcome = client().push_manifest(&reference, &oci::MediaType::OciManifest, &b"{}"[..]).await;
        outcome.map(|digest| digest.to_string()).unwrap_or_else(|error| error.to_string())
    };
    let digest = Digest::of(b"{}").to_string();
    let other = Digest::of(b"other");
    assert_eq!(put(":good").await, digest);
    assert_eq!(put(":flaky").await, digest);
    assert_eq!(put(&format!("@{digest}")).await, digest);
    assert!(
        put(":liar").await.ends_with(&format!("corrupt: {digest} was sent and the registry has {other}"))
    );
    assert!(put(&format!("@{other}")).await.ends_with(&format!("corrupt: the manifest to push is {digest}")));
    assert_eq!(fake.seen()[0].header("content-type"), "application/vnd.oci.image.manifest.v1+json");

    client().check_push(&reference(&fake.address, "a")).await.unwrap();
    assert_eq!(fake.lines().pop().unwrap(), "DELETE /session/1");
    let error = client().check_push(&reference(&fake.address, "b")).await.unwrap_err();
    assert_eq!(error.to_string(), format!("check that we may push to {}/b: denied", fake.address));
}

#[tokio::test]
async fn a_slow_upload_is_no_silence_and_a_stuck_one_is() {
    let timeouts = registry::Timeouts {
        idle: std::time::Duration::from_millis(500),
        commit: std::time::Duration::from_millis(1000),
        ..options().timeouts
    };
    let retry = registry::RetryPolicy { retries: 0, ..options().retry };
    let client = Client::new(ClientOptions { timeouts, retry, ..options() }).unwrap();
    // More than the kernel's buffers hold, so that the pace of the one who reads is felt.
    let content = bytes(40_000_000);
    let (outcome, _, stored) = push(&client, &content, |seen, body, store| {
        (seen.method == "PUT").then(|| {
            for _ in 0..8 {
                store.bytes.extend(body.read(5_000_000));
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            store.put(seen, body)
        })
    })
    .await;
    assert_eq!(outcome.unwrap(), Pushed::Uploaded { bytes: 40_000_000 });
    assert_eq!(stored, Some(Digest::of(&content)));

    let (outcome, ..) = push(&client, &content, |seen, body, _| {
        (seen.method == "PUT").then(|| {
            body.read(1_000_000);
            Reply::stuck()
        })
    })
    .await;
    let error = outcome.unwrap_err().to_string();
    assert!(error.ends_with("no data for 0.5 seconds"), "{error}");
    // Everything has arrived, and storing it takes too long.
    let (outcome, ..) = push(&client, b"x", |seen, body, _| {
        (seen.method == "PUT").then(|| {
            body.all();
            Reply::stuck()
        })
    })
    .await;
    let error = outcome.unwrap_err().to_string();
    assert!(error.ends_with("no data for 1 seconds"), "{error}");
}
