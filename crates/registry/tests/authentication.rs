//! Token services: what they are asked, what they are told, and what never leaves us.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use registry::{BlobSource, Client, ClientOptions, Credential, ErrorKind, Keychain, Pushed, Secret};
use support::fake::{Body, Fake, Reply, Seen};
use support::{bytes, descriptor, options, reference, user};

const MANIFEST: &str = r#"{"schemaVersion":2,"manifests":[]}"#;

/// A registry with its token service under one address. Each token is good for `uses` requests.
fn registry(uses: usize, service: impl Fn(&Seen, &str) -> Reply + Send + Sync + 'static) -> Fake {
    let left = Arc::new(Mutex::new(std::collections::HashMap::<String, usize>::new()));
    let issued = AtomicUsize::new(0);
    Fake::start(move |seen, body| {
        let realm = format!("http://{}/token?own=1", seen.header("host"));
        if seen.path.starts_with("/token") {
            let form = String::from_utf8(body.all()).unwrap();
            let reply = service(seen, &form);
            let token = format!("t{}", issued.fetch_add(1, Ordering::SeqCst));
            left.lock().unwrap().insert(format!("Bearer {token}"), uses);
            let text = format!(r#"{{"token":"{token}","expires_in":300}}"#);
            return if reply.is_empty_success() { reply.body(text) } else { reply };
        }
        let allowed = match left.lock().unwrap().get_mut(seen.header("authorization")) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        };
        if !allowed {
            let challenge = format!(r#"Bearer realm="{realm}",service="the service""#);
            return Reply::new(401).header("www-authenticate", challenge);
        }
        match seen.method.as_str() {
            "HEAD" => Reply::new(404),
            "POST" | "PATCH" => {
                body.all();
                Reply::new(202).header("location", "/session/1")
            }
            "PUT" | "DELETE" => {
                body.all();
                Reply::new(201)
            }
            _ => Reply::new(200).body(MANIFEST),
        }
    })
}

fn client(keychain: Keychain) -> Client {
    Client::new(ClientOptions { keychain, ..options() }).unwrap()
}

fn tokens(fake: &Fake) -> Vec<Seen> {
    fake.seen().into_iter().filter(|seen| seen.path.starts_with("/token")).collect()
}

const PULL: &str = "/token?own=1&service=the+service&scope=repository%3Aa%2Fb%3Apull";

#[tokio::test]
async fn a_token_is_asked_for_once() {
    let fake = registry(usize::MAX, |_, _| Reply::new(200));
    let client = client(Keychain::of(&fake.address, user("user", "hunter2"), "config.json"));
    let at = reference(&fake.address, "a/b:1");
    let together: Vec<_> = (0..8)
        .map(|_| {
            let (client, at) = (client.clone(), at.clone());
            tokio::spawn(async move { client.manifest(&at).await.map(|_| ()) })
        })
        .collect();
    for task in together {
        task.await.unwrap().unwrap();
    }
    let asked = tokens(&fake);
    assert_eq!(asked.iter().map(|seen| seen.path.as_str()).collect::<Vec<_>>(), [PULL]);
    assert_eq!(asked[0].header("authorization"), "Basic dXNlcjpodW50ZXIy");

    client.check_push(&at).await.unwrap();
    client.check_push(&at).await.unwrap();
    assert_eq!(tokens(&fake).len(), 2);
    assert_eq!(tokens(&fake)[1].path, format!("{PULL}%2Cpush"));
}

#[tokio::test]
async fn a_mount_asks_for_its_source_too() {
    let fake = registry(usize::MAX, |_, _| Reply::new(200));
    let client = client(Keychain::anonymous());
    let blob = descriptor(b"x");
    let source = BlobSource::Bytes(b"x".to_vec().into());
    let from = [reference(&fake.address, "c")];
    client.push_blob(&reference(&fake.address, "a/b"), &blob, &source, &from).await.unwrap();
    let asked: Vec<_> = tokens(&fake).into_iter().map(|seen| seen.path).collect();
    let push = format!("{PULL}%2Cpush");
    assert_eq!(asked, [push.clone(), format!("{push}&scope=repository%3Ac%3Apull")]);
}

#[tokio::test]
async fn tokens_that_end_during_an_upload() {
    let content = bytes(2_000_000);
    // Each token is good for one request: HEAD, POST and PUT have one each, and PUT is sent twice.
    let fake = registry(1, |_, _| Reply::new(200));
    let source = BlobSource::Bytes(content.clone().into());
    let pushed = client(Keychain::anonymous())
        .push_blob(&reference(&fake.address, "a/b"), &descriptor(&content), &source, &[])
        .await
        .unwrap();
    assert_eq!(pushed, Pushed::Uploaded { bytes: 2_000_000 });
    assert_eq!(tokens(&fake).len(), 3);
    assert_eq!(fake.lines().iter().filter(|line| line.starts_with("PUT")).count(), 2);
}

#[tokio::test]
async fn ways_to_a_token() {
    let check =
        async |credential: Option<Credential>, method: &str, authorization: &str, form: &'static str| {
            let fake =
                registry(
                    usize::MAX,
                    move |_, sent| {
                        if sent == form { Reply::new(200) } else { Reply::new(400).body(sent) }
                    },
                );
            let keychain = match credential {
                Some(credential) => Keychain::of(&fake.address, credential, "config.json"),
                None => Keychain::anonymous(),
            };
            client(keychain).manifest(&reference(&fake.address, "a/b:1")).await.unwrap();
            let asked = tokens(&fake);
            assert_eq!(asked.len(), 1);
            assert_eq!(asked[0].method, method);
            assert_eq!(asked[0].header("authorization"), authorization);
        };
    check(None, "GET", "", "").await;
    check(Some(user("user", "hunter2")), "GET", "Basic dXNlcjpodW50ZXIy", "").await;
    let form = "grant_type=refresh_token&client_id=bako&refresh_token=r%2Ft&service=the+service&scope=repository%3Aa%2Fb%3Apull";
    check(Some(Credential::IdentityToken(Secret::new("r/t"))), "POST", "", form).await;
}

#[tokio::test]
async fn a_registry_token_is_sent_as_it_is() {
    let fake = Fake::start(|seen, _: &mut Body<'_>| match seen.header("authorization") {
        "Bearer ready" => Reply::new(200).body(MANIFEST),
        _ => Reply::new(401).header("www-authenticate", r#"Bearer realm="http://127.0.0.1:1/""#),
    });
    let keychain =
        Keychain::of(&fake.address, Credential::RegistryToken(Secret::new("ready")), "config.json");
    client(keychain).manifest(&reference(&fake.address, "a:1")).await.unwrap();
}

#[tokio::test]
async fn refusals() {
    let check = async |keychain: Keychain, service: fn(&Seen, &str) -> Reply, text: &str, tries: usize| {
        let fake = registry(usize::MAX, service);
        let at = reference(&fake.address, "a/b:1");
        let error = client(keychain).manifest(&at).await.unwrap_err();
        assert_eq!(error.to_string(), format!("pull {at}: {text}"));
        assert!(!format!("{error:?}").contains("hunter2"));
        assert_eq!(tokens(&fake).len(), tries, "{text}");
        error
    };
    let error = check(
        Keychain::of("127.0.0.1", user("user", "hunter2"), "config.json"),
        |_, _| Reply::new(401).body(r#"{"errors":[{"code":"UNAUTHORIZED","message":"bad password"}]}"#),
        "unauthorized: bad password (UNAUTHORIZED)",
        1,
    )
    .await;
    let ErrorKind::Unauthorized { registry: name, .. } = &error.kind else { panic!("{error}") };
    assert_eq!(error.hint().unwrap(), format!("no credentials matched {name} in config.json"));
    check(Keychain::anonymous(), |_, _| Reply::new(503), "registry error 503", 4).await;
    check(
        Keychain::anonymous(),
        |_, _| Reply::new(200).body("{}"),
        "unexpected answer: the token service's answer holds no token",
        1,
    )
    .await;
    // A token that is not enough: a new one is tried, once.
    let fake = registry(0, |_, _| Reply::new(200));
    let at = reference(&fake.address, "a/b:1");
    let error = client(Keychain::anonymous()).manifest(&at).await.unwrap_err();
    assert_eq!(error.to_string(), format!("pull {at}: unauthorized"));
    assert!(tokens(&fake).len() <= 2);
}

#[tokio::test]
async fn what_a_registry_asks_for_is_added() {
    let fake = Fake::start(|seen, _: &mut Body<'_>| {
        let realm = format!("http://{}/token", seen.header("host"));
        match (seen.path.as_str(), seen.header("authorization")) {
            (path, _) if path.contains("scope=repository%3Aa%3Apull&scope=repository%3Aproxy%3Apull") => {
                Reply::new(200).body(r#"{"token":"both"}"#)
            }
            (path, _) if path.starts_with("/token") => Reply::new(200).body(r#"{"token":"one"}"#),
            (_, "Bearer both") => Reply::new(200).body(MANIFEST),
            _ => Reply::new(401).header(
                "www-authenticate",
                format!(
                    r#"Bearer realm="{realm}",scope="repository:a:pull repository:proxy:pull",error="insufficient_scope""#
                ),
            ),
        }
    });
    client(Keychain::anonymous()).manifest(&reference(&fake.address, "a:1")).await.unwrap();
}

#[tokio::test]
async fn challenges_that_are_not_answered() {
    let fake = Fake::start(|_, _: &mut Body<'_>| {
        Reply::new(401).header("www-authenticate", r#"Bearer realm="nonsense""#)
    });
    let at = reference(&fake.address, "a:1");
    let error = client(Keychain::anonymous()).manifest(&at).await.unwrap_err();
    let text = r#"unexpected answer: the registry names the token service "nonsense", which is not a URL"#;
    assert_eq!(error.to_string(), format!("pull {at}: {text}"));
    let fake = Fake::start(|_, _: &mut Body<'_>| Reply::new(401).header("www-authenticate", "Negotiate"));
    let at = reference(&fake.address, "a:1");
    let error = client(Keychain::anonymous()).manifest(&at).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "pull {at}: unauthorized: the registry wants the authentication scheme negotiate, which is not supported"
        )
    );
}

/// A token service that knows `good`, and that lets everybody pull if it is so `open`.
fn picky(open: bool) -> Fake {
    let good = "Basic Z29vZDpodW50ZXIy";
    registry(usize::MAX, move |seen, _| match seen.header("authorization") {
        given if given == good => Reply::new(200),
        "" if open => Reply::new(200),
        "" => Reply::new(401).body(r#"{"details":"log in"}"#),
        _ => Reply::new(401).body(r#"{"details":"bad password"}"#),
    })
}

#[tokio::test]
async fn every_match_is_tried() {
    let check = async |open: bool, users: &[&str], push: bool, expected: Result<usize, (&str, &str)>| {
        let fake = picky(open);
        let mut keychain = Keychain::anonymous();
        for name in users {
            keychain =
                keychain.or(Keychain::of(&fake.address, user(name, "hunter2"), &format!("{name}.json")));
        }
        let client = client(keychain);
        let at = reference(&fake.address, "a/b:1");
        let outcome = if push { client.check_push(&at).await } else { client.manifest(&at).await.map(drop) };
        match (outcome, expected) {
            (Ok(()), Ok(asked)) => {
                assert_eq!(tokens(&fake).len(), asked, "{users:?}");
                // Who was accepted is the first to be asked from then on.
                client.manifest(&at).await.unwrap();
                client.manifest(&at).await.unwrap();
                let more = tokens(&fake).len() - asked;
                assert!(more <= if push { asked } else { 0 }, "{users:?}: {more}");
            }
            (Err(error), Err((message, hint))) => {
                assert!(error.to_string().ends_with(message), "{error}");
                assert_eq!(error.hint().unwrap().replace(&fake.address, "R"), hint);
            }
            (outcome, _) => panic!("{users:?}: {outcome:?}"),
        }
    };
    check(false, &["good"], false, Ok(1)).await;
    check(false, &["bad", "worse", "good"], false, Ok(3)).await;
    check(false, &["bad", "good"], true, Ok(2)).await;
    // To read, nobody is the last to be tried; to write, nobody is not.
    check(true, &["bad"], false, Ok(2)).await;
    check(true, &[], true, Ok(1)).await;
    let hint = "R did not accept user bad of bad.json";
    check(true, &["bad"], true, Err(("unauthorized: bad password", hint))).await;
    let hint = "R did not accept user bad of bad.json; R did not accept user worse of worse.json";
    check(false, &["bad", "worse"], false, Err(("unauthorized: bad password", hint))).await;
}

#[tokio::test]
async fn who_is_not_allowed_may_be_allowed_as_somebody_else() {
    // By Basic: `pull` may pull, `push` may do both.
    let fake = Fake::start(|seen, body: &mut Body<'_>| {
        body.all();
        match (seen.header("authorization"), seen.method.as_str()) {
            ("", _) => Reply::new(401).header("www-authenticate", "Basic realm=x"),
            ("Basic cHVsbDpodW50ZXIy", "POST") => Reply::new(403).body(r#"{"errors":[{"code":"DENIED"}]}"#),
            (_, "POST") => Reply::new(202).header("location", "/session/1"),
            (_, "DELETE") => Reply::new(204),
            _ => Reply::new(200).body(MANIFEST),
        }
    });
    let of = |name: &str| Keychain::of(&fake.address, user(name, "hunter2"), name);
    let at = reference(&fake.address, "a:1");
    client(of("pull").or(of("push"))).check_push(&at).await.unwrap();
    let error = client(of("pull")).check_push(&at).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Denied { .. }), "{error}");
}
