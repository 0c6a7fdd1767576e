//! Objects fetched from emulators of the three clouds, which check who asks, and from servers that fail.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "why a test is skipped has to be seen")]

#[path = "support/emulator.rs"]
#[allow(unreachable_pub, reason = "shared with tests of another crate")]
mod emulator;
#[path = "../../registry/tests/support/fake.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with tests that use another part of it")]
mod fake;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud::{Clouds, Environment};
use download::{Downloader, Outcome, Progress};
use emulator::{Emulator, Moto};
use fake::{Body, Fake, Reply};
use objects::Location;
use transport::{Network, RetryPolicy};

fn network() -> Network {
    let retry = RetryPolicy {
        retries: 4,
        first_delay: Duration::from_millis(1),
        max_delay: Duration::from_millis(5),
        ..RetryPolicy::default()
    };
    Network { retry, ..Network::default() }
}

/// Fetches an object with these variables; its bytes, or what the user is told.
async fn fetch(location: &Location, variables: &[(&str, &str)]) -> Result<Vec<u8>, String> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let environment = Environment::new(variables.chain([("HOME".to_owned(), "/nonexistent".to_owned())]));
    let clouds = Clouds::new(network(), environment.clone()).unwrap();
    let mut request = location.request(&clouds, &environment).map_err(|error| error.to_string())?;
    let seen = Arc::new(Mutex::new((0, None)));
    let last = Arc::clone(&seen);
    request.progress = Some(Progress::new(move |here, total| *last.lock().unwrap() = (here, total)));
    let directory = tempfile::tempdir().unwrap();
    match Downloader::new(network()).unwrap().fetch(&request, directory.path()).await {
        Ok(Outcome::Fetched(fetched)) => {
            let bytes = std::fs::read(&fetched.path).unwrap();
            assert_eq!(seen.lock().unwrap().0, bytes.len() as u64);
            Ok(bytes)
        }
        Ok(Outcome::NotModified) => panic!("nothing was known"),
        Err(error) => {
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "left behind");
            let hint = error.hint().map(|hint| format!(" [{hint}]")).unwrap_or_default();
            Err(format!("{}{hint}", error.kind))
        }
    }
}

fn parse(text: &str) -> Location {
    Location::parse(text).unwrap().unwrap()
}

const DISABLED: (&str, &str) = ("AWS_EC2_METADATA_DISABLED", "true");

#[tokio::test]
async fn s3_checks_signatures() {
    let Some(moto) = Moto::start(2) else { return };
    let endpoint = format!("http://{}", moto.emulator.address);
    let content = "an archive".repeat(1000);
    assert_eq!(moto.emulator.send("PUT", "/bucket", &[], b"").0, 200);
    assert_eq!(moto.emulator.send("PUT", "/bucket/a%20b/c%2Bd.tar", &[], content.as_bytes()).0, 200);
    let at = parse("s3://bucket/a b/c+d.tar");
    let with = async |at: &Location, secret: &str| {
        let variables = [
            ("S3_ENDPOINT", endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", &moto.key),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_REGION", "us-east-1"),
        ];
        fetch(at, &variables).await
    };
    assert_eq!(with(&at, &moto.secret).await.unwrap(), content.as_bytes());
    let wrong = with(&at, "wrong").await.unwrap_err();
    assert!(
        wrong.starts_with("the server answers with status 403 (Forbidden): SignatureDoesNotMatch"),
        "{wrong}"
    );
    assert!(wrong.ends_with("[the credentials given for this server are not accepted]"), "{wrong}");
    let missing = with(&parse("s3://bucket/no"), &moto.secret).await.unwrap_err();
    assert!(missing.starts_with("the server answers with status 404 (Not Found): NoSuchKey"), "{missing}");
    let missing = with(&parse("s3://no-bucket/no"), &moto.secret).await.unwrap_err();
    assert!(missing.contains("NoSuchBucket"), "{missing}");
}

#[tokio::test]
async fn s3_by_the_identity_of_a_pod() {
    // Without the check of signatures, moto gives credentials to whoever shows a token.
    let Some(emulator) = Emulator::start("moto_server", &["-H", "127.0.0.1", "-p", "$PORT"], &[]) else {
        return;
    };
    let endpoint = format!("http://{}", emulator.address);
    assert_eq!(emulator.send("PUT", "/bucket", &[], b"").0, 200);
    assert_eq!(
        emulator.send("PUT", "/bucket/context.tar.gz", &[("x-amz-acl", "public-read")], b"bytes").0,
        200
    );
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "header.claims.signature").unwrap();
    let token = token.display().to_string();
    let at = parse("s3://bucket");
    let irsa = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &token),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/build"),
    ];
    assert_eq!(fetch(&at, &irsa).await.unwrap(), b"bytes");
    let instance =
        [("AWS_ENDPOINT_URL", endpoint.as_str()), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &endpoint)];
    assert_eq!(fetch(&at, &instance).await.unwrap(), b"bytes");
    // Open to everybody.
    assert_eq!(fetch(&at, &[("AWS_ENDPOINT_URL", &endpoint), DISABLED]).await.unwrap(), b"bytes");
}

#[tokio::test]
async fn google_cloud_storage() {
    let arguments = ["start", "--host=127.0.0.1", "--port=$PORT", "--in-memory", "--default-bucket=bucket"];
    let Some(emulator) = Emulator::start("gcp-storage-emulator", &arguments, &[]) else { return };
    let path = "/upload/storage/v1/b/bucket/o?uploadType=media&name=a%2Fcontext.tar";
    let (status, body) = emulator.send("POST", path, &[("Content-Type", "application/x-tar")], b"bytes");
    assert_eq!(status, 200, "{body}");
    let host = [("STORAGE_EMULATOR_HOST", emulator.address.as_str())];
    assert_eq!(fetch(&parse("gs://bucket/a/context.tar"), &host).await.unwrap(), b"bytes");
    let missing = fetch(&parse("gs://bucket/no"), &host).await.unwrap_err();
    assert!(missing.starts_with("the server answers with status 404 (Not Found)"), "{missing}");
}

/// The account that azurite has, with the key that its manual tells.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A PUT to Azure's storage, signed with the account's key.
fn put(emulator: &Emulator, path: &str, query: &str, kind: &str, body: &[u8]) -> u16 {
    let date = httpdate::fmt_http_date(SystemTime::now());
    let length = if body.is_empty() { String::new() } else { body.len().to_string() };
    let blob = if kind.is_empty() { String::new() } else { format!("x-ms-blob-type:{kind}\n") };
    let query_signed =
        if query.is_empty() { String::new() } else { format!("\n{}", query.replace('=', ":")) };
    let text = format!(
        "PUT\n\n\n{length}\n\n\n\n\n\n\n\n\n{blob}x-ms-date:{date}\nx-ms-version:2021-12-02\n/{ACCOUNT}{path}{query_signed}"
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(KEY).unwrap());
    let authorization = format!("SharedKey {ACCOUNT}:{}", STANDARD.encode(hmac::sign(&key, text.as_bytes())));
    let mut headers =
        vec![("x-ms-date", date.as_str()), ("x-ms-version", "2021-12-02"), ("Authorization", &authorization)];
    if !kind.is_empty() {
        headers.push(("x-ms-blob-type", kind));
    }
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    emulator.send("PUT", &target, &headers, body).0
}

#[tokio::test]
async fn azure_blobs() {
    let arguments = [
        "--blobHost",
        "127.0.0.1",
        "--blobPort",
        "$PORT",
        "--inMemoryPersistence",
        "--skipApiVersionCheck",
        "--silent",
        "--disableTelemetry",
    ];
    let Some(emulator) = Emulator::start("azurite-blob", &arguments, &[]) else { return };
    let container = format!("/{ACCOUNT}/container");
    assert_eq!(put(&emulator, &container, "restype=container", "", b""), 201);
    assert_eq!(put(&emulator, &format!("{container}/a%20b.tar"), "", "BlockBlob", b"bytes"), 201);
    let at = |name: &str| Location::Azure {
        account: ACCOUNT.to_owned(),
        url: format!("http://{}{container}/{name}", emulator.address).parse().unwrap(),
    };
    let blob = at("a%20b.tar");
    assert_eq!(fetch(&blob, &[("AZURE_STORAGE_ACCESS_KEY", KEY)]).await.unwrap(), b"bytes");
    let wrong = fetch(&blob, &[("AZURE_STORAGE_ACCESS_KEY", "d3Jvbmc=")]).await.unwrap_err();
    assert!(
        wrong.starts_with("the server answers with status 403 (Forbidden): AuthorizationFailure"),
        "{wrong}"
    );
    let missing = fetch(&at("no"), &[("AZURE_STORAGE_ACCESS_KEY", KEY)]).await.unwrap_err();
    assert!(missing.starts_with("the server answers with status 404 (Not Found): BlobNotFound"), "{missing}");
    let malformed = fetch(&blob, &[("AZURE_STORAGE_ACCESS_KEY", "%")]).await.unwrap_err();
    assert_eq!(malformed, "AZURE_STORAGE_ACCESS_KEY is not base64");

    // A shared access signature of an hour, for this account's blobs.
    let end = cloud::compact(SystemTime::now() + Duration::from_secs(3600));
    let end = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &end[..4],
        &end[4..6],
        &end[6..8],
        &end[9..11],
        &end[11..13],
        &end[13..15]
    );
    let text = format!("{ACCOUNT}\nr\nb\no\n\n{end}\n\nhttps,http\n2021-12-02\n\n");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(KEY).unwrap());
    let signature = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("sp", "r"),
            ("ss", "b"),
            ("srt", "o"),
            ("se", &end),
            ("spr", "https,http"),
            ("sv", "2021-12-02"),
            ("sig", &signature),
        ])
        .finish();
    assert_eq!(fetch(&blob, &[("AZURE_STORAGE_SAS_TOKEN", &query)]).await.unwrap(), b"bytes");
    assert_eq!(fetch(&at(&format!("a%20b.tar?{query}")), &[]).await.unwrap(), b"bytes");
}

#[tokio::test]
async fn azure_by_token() {
    let fake =
        Fake::start(|seen, _: &mut Body<'_>| match (seen.line().as_str(), seen.header("authorization")) {
            ("GET /metadata/identity/oauth2/token", _)
                if seen.path.contains("resource=https%3A%2F%2Fstorage.azure.com") =>
            {
                Reply::new(200).body(format!(r#"{{"access_token":"t{}","expires_in":"3599"}}"#, seen.before))
            }
            // The first token has ended.
            ("GET /c/b", "Bearer t1") if seen.header("x-ms-version") == "2021-12-02" => {
                Reply::new(200).body("bytes")
            }
            _ => Reply::new(401).body("<Error><Code>InvalidAuthenticationInfo</Code></Error>"),
        });
    let at = Location::Azure {
        account: "a".to_owned(),
        url: format!("http://{}/c/b", fake.address).parse().unwrap(),
    };
    let host = format!("http://{}", fake.address);
    assert_eq!(fetch(&at, &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", &host)]).await.unwrap(), b"bytes");
    assert_eq!(fake.lines().len(), 4);
}

/// What can go wrong on the way, once each, with S3's protocol.
#[tokio::test]
async fn faults() {
    let content: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    let check = async |answer: fn(&fake::Seen, &[u8]) -> Reply, expected: Result<usize, &str>| {
        let bytes = content.clone();
        let fake = Fake::start(move |seen, _: &mut Body<'_>| answer(seen, &bytes));
        let endpoint = format!("http://{}", fake.address);
        let variables = [
            ("S3_ENDPOINT", endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "AKID"),
            ("AWS_SECRET_ACCESS_KEY", "hush"),
        ];
        let outcome = fetch(&parse("s3://bucket/key"), &variables).await;
        match (outcome, expected) {
            (Ok(bytes), Ok(asked)) => {
                assert_eq!(bytes, content);
                assert_eq!(fake.lines().len(), asked);
            }
            (Err(error), Err(text)) => {
                assert!(error.contains(text) && !error.contains("hush"), "{error}");
            }
            (outcome, _) => panic!("{:?}", outcome.map(|bytes| bytes.len())),
        }
        fake
    };
    check(|seen, bytes| if seen.before == 0 { Reply::new(500) } else { Reply::new(200).body(bytes) }, Ok(2))
        .await;
    check(
        |seen, bytes| {
            if seen.before < 2 {
                Reply::new(429).header("retry-after", "0")
            } else {
                Reply::new(200).body(bytes)
            }
        },
        Ok(3),
    )
    .await;
    check(|_, _| Reply::new(503), Err("status 503 (Service Unavailable)")).await;
    check(
        |_, _| Reply::new(401).body("<Error><Code>InvalidToken</Code></Error>"),
        Err("status 401 (Unauthorized): InvalidToken"),
    )
    .await;
    check(
        |_, _| Reply::new(403).body("<Error><Code>AccessDenied</Code><Message>why</Message></Error>"),
        Err("status 403 (Forbidden): AccessDenied: why"),
    )
    .await;
    check(|_, _| Reply::new(404), Err("status 404 (Not Found)")).await;
    check(
        |_, _| {
            Reply::new(301)
                .header("x-amz-bucket-region", "eu-west-1")
                .header("location", "http://evil.example/")
        },
        Err("[the bucket is in the region eu-west-1: set AWS_REGION to it]"),
    )
    .await;
    check(|_, _| Reply::hang_up(), Err("cannot reach")).await;
    // Refused in the middle, as with what has expired: renewed, and then right.
    check(
        |seen, bytes| {
            if seen.before == 0 {
                Reply::new(400).body("<Error><Code>ExpiredToken</Code></Error>")
            } else {
                Reply::new(200).body(bytes)
            }
        },
        Ok(2),
    )
    .await;
    // Broken off: the rest is asked for, signed anew.
    let fake = check(
        |seen, bytes| match seen.range() {
            None => Reply::new(200).header("etag", "\"1\"").body(bytes).truncated(70_000).announcing(200_000),
            Some(from) => Reply::new(206)
                .header("etag", "\"1\"")
                .header("content-range", format!("bytes {from}-199999/200000"))
                .body(&bytes[from..]),
        },
        Ok(2),
    )
    .await;
    assert_eq!(fake.seen()[1].header("range"), "bytes=70000-");
    assert!(
        fake.seen()
            .iter()
            .all(|seen| seen.header("authorization").starts_with("AWS4-HMAC-SHA256 Credential=AKID/"))
    );
    // Another object since: it begins again, even if the server does not know the condition.
    check(
        |seen, bytes| match (seen.range(), seen.before) {
            (None, 0) => Reply::new(200).header("etag", "\"1\"").body(vec![0; 70_000]).announcing(200_000),
            (Some(from), _) => Reply::new(206)
                .header("etag", "\"2\"")
                .header("content-range", format!("bytes {from}-199999/200000"))
                .body(&bytes[from..]),
            _ => Reply::new(200).header("etag", "\"2\"").body(bytes),
        },
        Ok(3),
    )
    .await;
}
