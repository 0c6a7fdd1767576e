//! Registries of clouds: what is asked of whom, and what comes of it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "why a test is skipped has to be seen")]

#[path = "../../objects/tests/support/emulator.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with tests of another crate")]
mod emulator;
#[path = "../../registry/tests/support/fake.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with tests that use another part of it")]
mod fake;

use std::time::Duration;

use cloud::Clouds;
use credentials::{Credential, Environment, Helper, Keychain};
use emulator::Moto;
use fake::{Body, Fake, Reply};
use transport::{Network, Proxies, RetryPolicy, Secret};

fn keychain(variables: &[(&str, &str)], proxies: Proxies) -> Keychain {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let environment = Environment::new(variables);
    let retry = RetryPolicy { retries: 1, first_delay: Duration::from_millis(1), ..RetryPolicy::default() };
    let network = Network { retry, proxies, ..Network::default() };
    Keychain::of_clouds(Clouds::new(network, environment).unwrap(), &Helper::ALL)
}

/// `user:password` for a registry, or why there is none.
async fn answer(keychain: &Keychain, registry: &str) -> String {
    let found = &keychain.matches(registry, "team/app")[0];
    match keychain.answer(found).await {
        Ok(Some(answer)) => match answer.credential {
            Credential::Basic { username, password } => format!("{username}:{}", password.expose()),
            other => format!("{other:?}"),
        },
        Ok(None) => "nobody".to_owned(),
        Err(error) => error.to_string(),
    }
}

const ECR: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";

#[tokio::test]
async fn ecr_checks_signatures() {
    let Some(moto) = Moto::start(0) else { return };
    let endpoint = format!("http://{}", moto.emulator.address);
    let with = async |secret: &str| {
        let variables = [
            ("AWS_ENDPOINT_URL_ECR", endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", &moto.key),
            ("AWS_SECRET_ACCESS_KEY", secret),
        ];
        let keychain = keychain(&variables, Proxies::default());
        (answer(&keychain, ECR).await, answer(&keychain, ECR).await)
    };
    let (first, second) = with(&moto.secret).await;
    assert_eq!(first, "AWS:123456789012-auth-token");
    assert_eq!(second, first);
    let (refused, _) = with("wrong").await;
    assert!(
        refused.starts_with(
            "AWS: api.ecr.us-east-1.amazonaws.com, with AWS_ACCESS_KEY_ID: status 403: SignatureDoesNotMatch"
        ),
        "{refused}"
    );
    assert!(!refused.contains(&moto.secret));
}

#[tokio::test]
async fn passwords_are_renewed() {
    let fake = Fake::start(|seen, body: &mut Body<'_>| {
        body.all();
        let end = if seen.header("x-amz-target").starts_with("Spencer") {
            r#"{"authorizationToken":"QVdTOnB1YmxpYw==","expiresAt":4102444800}"#.to_owned()
        } else {
            // `AWS:p0`, `AWS:p1`, which end in half a second.
            let now =
                std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
            let token = ["QVdTOnAw", "QVdTOnAx", "QVdTOnAy"][seen.before.min(2)];
            format!(r#"[{{"authorizationToken":"{token}","expiresAt":{}}}]"#, now + 0.5)
        };
        Reply::new(200).body(format!(r#"{{"authorizationData":{end}}}"#))
    });
    let endpoint = format!("http://{}", fake.address);
    let variables = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
        ("AWS_SESSION_TOKEN", "t"),
    ];
    let keychain = keychain(&variables, Proxies::default());
    assert_eq!(answer(&keychain, "public.ecr.aws").await, "AWS:public");
    let first = answer(&keychain, ECR).await;
    // Until it has run half of its time.
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while answer(&keychain, ECR).await == first {
        assert!(std::time::Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let seen = &fake.seen()[0];
    assert!(seen.header("authorization").contains("/us-east-1/ecr-public/aws4_request"));
    assert_eq!(seen.header("x-amz-security-token"), "t");
}

#[tokio::test]
async fn google_by_the_machine() {
    let fake = Fake::start(|seen, _: &mut Body<'_>| {
        Reply::new(200)
            .header("Metadata-Flavor", "Google")
            .body(format!(r#"{{"access_token":"t{}","expires_in":3599}}"#, seen.before))
    });
    let keychain = keychain(&[("GCE_METADATA_HOST", &fake.address)], Proxies::default());
    for host in ["gcr.io", "eu.gcr.io", "europe-docker.pkg.dev", "gcr.io"] {
        assert_eq!(answer(&keychain, host).await, "oauth2accesstoken:t0", "{host}");
    }
    // What was refused is not given again.
    let found = &keychain.matches("gcr.io", "a")[0];
    let refused = keychain.answer(found).await.unwrap().unwrap().credential;
    keychain.refuse(found, &refused).await;
    assert_eq!(answer(&keychain, "gcr.io").await, "oauth2accesstoken:t1");
}

/// The exchange goes to the very registry, by TLS: the proxy sees for whom, and nothing of what.
#[tokio::test]
async fn azure_asks_the_registry_itself() {
    let fake = Fake::start(|seen, _: &mut Body<'_>| match seen.method.as_str() {
        "CONNECT" => Reply::new(403),
        _ => Reply::new(200).body(r#"{"access_token":"hunter2","expires_in":"3599"}"#),
    });
    let host = format!("http://{}", fake.address);
    let proxies = Proxies { https: Some(Secret::new(host.clone())), ..Proxies::default() };
    let keychain = keychain(&[("AZURE_POD_IDENTITY_AUTHORITY_HOST", &host)], proxies);
    let text = answer(&keychain, "mine.azurecr.io").await;
    assert!(
        text.starts_with("Azure: the exchange of mine.azurecr.io: cannot reach mine.azurecr.io"),
        "{text}"
    );
    let asked: Vec<String> =
        fake.seen().iter().filter(|seen| seen.method == "CONNECT").map(|seen| seen.path.clone()).collect();
    assert!(!asked.is_empty() && asked.iter().all(|to| to == "mine.azurecr.io:443"), "{asked:?}");
    assert!(fake.seen().iter().all(|seen| !format!("{seen:?}").contains("hunter2")));
}
