//! Ways to an identity, against services that answer as the clouds document it and write down what they were asked.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../registry/tests/support/fake.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with tests that use another part of it")]
mod fake;

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::signature::{self, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cloud::{Clouds, Environment};
use fake::{Body, Fake, Reply, Seen};
use tempfile::TempDir;
use transport::{Network, RetryPolicy};

const SOON: &str = "2099-01-01T00:00:00Z";

/// All services at one address, and the bodies they got.
struct Services {
    fake: Fake,
    bodies: Arc<Mutex<Vec<String>>>,
    home: TempDir,
}

impl Services {
    fn start(answer: impl Fn(&Seen, &str) -> Reply + Send + Sync + 'static) -> Self {
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&bodies);
        let fake = Fake::start(move |seen, body: &mut Body<'_>| {
            let text = String::from_utf8(body.all()).unwrap();
            log.lock().unwrap().push(text.clone());
            answer(seen, &text)
        });
        Services { fake, bodies, home: tempfile::tempdir().unwrap() }
    }

    /// `$S` in values is the address of the services, `~` the home.
    fn fill(&self, text: &str) -> String {
        text.replace("$S", &self.fake.address).replace('~', &self.home.path().display().to_string())
    }

    fn clouds(&self, variables: &[(&str, &str)], files: &[(&str, &str)]) -> Clouds {
        for (path, text) in files {
            let path = self.home.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, self.fill(text)).unwrap();
        }
        let mut all: Vec<(String, String)> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), self.fill(value))).collect();
        all.push(("HOME".to_owned(), self.fill("~")));
        let retry =
            RetryPolicy { retries: 2, first_delay: Duration::from_millis(1), ..RetryPolicy::default() };
        Clouds::new(Network { retry, ..Network::default() }, Environment::new(all)).unwrap()
    }

    fn lines(&self) -> Vec<String> {
        self.fake.lines()
    }

    fn form(&self, index: usize) -> Vec<(String, String)> {
        let body = self.bodies.lock().unwrap()[index].clone();
        url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
    }
}

fn json_credentials(name: &str) -> String {
    format!(
        r#"{{"Code":"Success","AccessKeyId":"{name}","SecretAccessKey":"s","Token":"t","Expiration":"{SOON}"}}"#
    )
}

fn sts(name: &str) -> String {
    format!(
        "<R><Credentials><AccessKeyId>{name}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>a&amp;b</SessionToken><Expiration>{SOON}</Expiration></Credentials></R>"
    )
}

fn header<'a>(seen: &'a Seen, name: &str) -> &'a str {
    seen.header(name)
}

fn aws(seen: &Seen, body: &str) -> Reply {
    match seen.line().as_str() {
        "PUT /latest/api/token" if header(seen, "x-aws-ec2-metadata-token-ttl-seconds") == "21600" => {
            Reply::new(200).body("session")
        }
        "GET /latest/meta-data/iam/security-credentials/"
            if header(seen, "x-aws-ec2-metadata-token") == "session" =>
        {
            Reply::new(200).body("role\n")
        }
        "GET /latest/meta-data/iam/security-credentials/role"
            if header(seen, "x-aws-ec2-metadata-token") == "session" =>
        {
            Reply::new(200).body(json_credentials("INSTANCE"))
        }
        "GET /v1/credentials" if header(seen, "authorization") == "pod-token" => {
            Reply::new(200).body(json_credentials("POD"))
        }
        "GET /v1/credentials" => Reply::new(403).body(r#"{"code":"AccessDenied","message":"not you"}"#),
        "POST /"
            if body.contains("Action=AssumeRoleWithWebIdentity")
                && body.contains("WebIdentityToken=jwt&")
                || body.ends_with("WebIdentityToken=jwt") =>
        {
            Reply::new(200).body(sts("WEB"))
        }
        "POST /"
            if body.contains("Action=AssumeRole&")
                && header(seen, "authorization").contains("Credential=BASE/") =>
        {
            Reply::new(200).body(sts("ROLE"))
        }
        _ => Reply::new(400).body(
            "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>",
        ),
    }
}

#[tokio::test]
async fn ways_to_aws() {
    let imds = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://$S/");
    let own = ("AWS_ENDPOINT_URL_STS", "http://$S/");
    let keys = [("AWS_ACCESS_KEY_ID", "ENV"), ("AWS_SECRET_ACCESS_KEY", "s")];
    let irsa = [("AWS_WEB_IDENTITY_TOKEN_FILE", "~/jwt"), ("AWS_ROLE_ARN", "arn:1"), own];
    let pod = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://$S/v1/credentials"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "~/pod"),
    ];
    let profiles = "[default]\naws_access_key_id=BASE\naws_secret_access_key=s\n";
    let config = "[profile ci]\nrole_arn=arn:2\nsource_profile=default\nregion=eu-central-1\n[profile process]\ncredential_process=cat ~/process.json\n[profile sso]\nsso_session=x\n[profile a]\nrole_arn=arn:a\nsource_profile=b\n[profile b]\nrole_arn=arn:b\nsource_profile=a\n[profile mfa]\nrole_arn=arn:m\nsource_profile=default\nmfa_serial=1\n[profile instance]\nrole_arn=arn:i\ncredential_source=Environment\n";
    let files = [
        ("jwt", "jwt\n"),
        ("pod", "pod-token\n"),
        (".aws/config", config),
        (".aws/credentials", profiles),
        ("process.json", r#"{"Version":1,"AccessKeyId":"PROCESS","SecretAccessKey":"s","SessionToken":"t"}"#),
    ];
    let none = [files[0], files[1]];
    let check = async |variables: &[(&str, &str)], files: &[(&str, &str)], expected: &str| {
        let services = Services::start(aws);
        let clouds = services.clouds(variables, files);
        let found = match clouds.aws.credentials().await {
            Ok(found) => found.access_key_id,
            Err(error) => error.to_string().replace(&services.fake.address, "$S"),
        };
        assert!(found.starts_with(expected), "{variables:?}: {found}");
        // Kept, so that nobody is asked again.
        let asked = services.lines().len();
        if clouds.aws.credentials().await.is_ok() {
            assert_eq!(services.lines().len(), asked, "{variables:?}");
        }
        services
    };
    check(&[imds, irsa[0], irsa[1], irsa[2], pod[0], pod[1], keys[0], keys[1]], &files, "ENV").await;
    check(&[keys[0]], &files, "AWS_ACCESS_KEY_ID: is set without AWS_SECRET_ACCESS_KEY").await;
    let services = check(&[imds, irsa[0], irsa[1], irsa[2], pod[0], pod[1]], &files, "WEB").await;
    assert_eq!(services.lines(), ["POST /"]);
    assert_eq!(services.fake.seen()[0].header("authorization"), "");
    check(
        &[irsa[0], irsa[1], irsa[2]],
        &[("jwt", "other")],
        "the web identity of AWS_WEB_IDENTITY_TOKEN_FILE: STS: status 400: AccessDenied: no",
    )
    .await;
    check(&[own, imds], &files, "BASE").await;
    check(&[own, ("AWS_PROFILE", "ci")], &files, "ROLE").await;
    check(&[own, ("AWS_PROFILE", "process")], &files, "PROCESS").await;
    check(&[("AWS_PROFILE", "sso")], &files, "AWS profile sso: is one of IAM Identity Center").await;
    check(&[("AWS_PROFILE", "mfa")], &files, "AWS profile mfa: wants a code").await;
    check(&[("AWS_PROFILE", "a")], &files, "AWS profile ").await;
    check(&[("AWS_PROFILE", "missing")], &files, "AWS profile missing: there is none of this name").await;
    check(&[pod[0], pod[1], imds], &none, "POD").await;
    check(
        &[pod[0], ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "wrong")],
        &none,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI: status 403: AccessDenied: not you",
    )
    .await;
    check(
        &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://evil.example/")],
        &none,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI: is neither https",
    )
    .await;
    let services = check(&[imds], &none, "INSTANCE").await;
    assert_eq!(services.lines()[0], "PUT /latest/api/token");
    assert_eq!(services.lines().len(), 3);
    check(&[imds, ("AWS_EC2_METADATA_DISABLED", "true")], &none, "no AWS credentials are configured").await;
}

#[tokio::test]
async fn metadata_of_version_1_and_of_nobody() {
    let services = Services::start(|seen, _| match seen.line().as_str() {
        "GET /latest/meta-data/iam/security-credentials/" => Reply::new(200).body("role"),
        "GET /latest/meta-data/iam/security-credentials/role" => {
            Reply::new(200).body(json_credentials("OLD"))
        }
        _ => Reply::new(404),
    });
    let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://$S")];
    assert_eq!(services.clouds(&variables, &[]).aws.credentials().await.unwrap().access_key_id, "OLD");
    let strict = [variables[0], ("AWS_EC2_METADATA_V1_DISABLED", "true")];
    assert!(services.clouds(&strict, &[]).aws.credentials().await.is_err());
    // Nobody there: given up soon, and said so.
    let started = std::time::Instant::now();
    let nobody = Services::start(|_, _| Reply::stuck());
    let error = nobody.clouds(&strict, &[]).aws.credentials().await.unwrap_err().to_string();
    assert!(error.starts_with("no AWS credentials are configured"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20));
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

#[tokio::test]
async fn ways_to_google() {
    let key = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let public = key.public_key().as_ref().to_vec();
    let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
    let private = pem(der.as_ref());
    let answer = move |seen: &Seen, body: &str| {
        let form: Vec<(String, String)> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let field =
            |name: &str| form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
        let token = |name: &str| {
            Reply::new(200)
                .body(format!(r#"{{"access_token":"{name}","expires_in":3599,"token_type":"Bearer"}}"#))
        };
        match seen.line().as_str() {
            "GET /computeMetadata/v1/instance/service-accounts/default/token"
                if seen.header("metadata-flavor") == "Google" =>
            {
                token("machine").header("Metadata-Flavor", "Google")
            }
            "POST /token" if field("grant_type") == "refresh_token" && field("refresh_token") == "rt" => {
                token("user")
            }
            "POST /token" => {
                let mut parts = field("assertion").rsplitn(2, '.');
                let (signed, text) = (parts.next().unwrap(), parts.next().unwrap_or_default());
                let verifier =
                    signature::UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, &public);
                let claims =
                    URL_SAFE_NO_PAD.decode(text.split('.').nth(1).unwrap_or_default()).unwrap_or_default();
                let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap_or_default();
                let good = verifier.verify(text.as_bytes(), &URL_SAFE_NO_PAD.decode(signed).unwrap()).is_ok()
                    && claims["iss"] == "sa@p.example"
                    && claims["exp"].as_u64() == claims["iat"].as_u64().map(|iat| iat + 3600)
                    && claims["aud"].as_str().is_some_and(|aud| aud.ends_with("/token"));
                if good { token("account") } else { Reply::new(400).body(r#"{"error":"invalid_grant"}"#) }
            }
            "POST /v1/token" if field("subject_token") == "jwt" && field("audience") == "aud" => {
                token("federated")
            }
            "POST /impersonate"
                if matches!(seen.header("authorization"), "Bearer federated" | "Bearer user") =>
            {
                Reply::new(200).body(format!(r#"{{"accessToken":"other","expireTime":"{SOON}"}}"#))
            }
            _ => Reply::new(400).body(r#"{"error":"invalid_request","error_description":"no"}"#),
        }
    };
    let answer = Arc::new(answer);
    let account = serde_json::json!({"type": "service_account", "client_email": "sa@p.example", "private_key": private, "private_key_id": "1", "token_uri": "http://$S/token"}).to_string();
    let user = r#"{"type":"authorized_user","client_id":"i","client_secret":"s","refresh_token":"rt","token_uri":"http://$S/token"}"#;
    let federated = |source: &str, more: &str| {
        format!(
            r#"{{"type":"external_account","audience":"aud","subject_token_type":"urn:ietf:params:oauth:token-type:jwt","token_url":"http://$S/v1/token",{more}"credential_source":{source}}}"#
        )
    };
    let by_file = federated(r#"{"file":"~/jwt"}"#, "");
    let by_json = federated(
        r#"{"file":"~/jwt.json","format":{"type":"json","subject_token_field_name":"t"}}"#,
        r#""service_account_impersonation_url":"http://$S/impersonate","#,
    );
    let by_program = federated(r#"{"executable":{"command":"x"}}"#, "");
    let by_aws = federated(r#"{"environment_id":"aws1","url":"http://$S/x"}"#, "");
    let impersonated = format!(
        r#"{{"type":"impersonated_service_account","service_account_impersonation_url":"http://$S/impersonate","source_credentials":{user}}}"#
    );
    let elsewhere = user.replace("http://$S", "http://evil.example");
    let variable = [("GOOGLE_APPLICATION_CREDENTIALS", "~/adc.json"), ("GCE_METADATA_HOST", "$S")];
    for (variables, files, expected) in [
        (&variable[..], vec![("adc.json", account.as_str())], "account"),
        (&variable[..], vec![("adc.json", user)], "user"),
        (&variable[..], vec![("adc.json", &by_file), ("jwt", "jwt\n")], "federated"),
        (&variable[..], vec![("adc.json", &by_json), ("jwt.json", r#"{"t":"jwt"}"#)], "other"),
        (&variable[..], vec![("adc.json", &impersonated)], "other"),
        (&variable[..], vec![], "GOOGLE_APPLICATION_CREDENTIALS: ~/adc.json: No such file"),
        (&variable[..], vec![("adc.json", "{}")], "~/adc.json: no credentials of Google"),
        (
            &variable[..],
            vec![("adc.json", &by_program)],
            "~/adc.json: the credential_source of an executable is not supported",
        ),
        (
            &variable[..],
            vec![("adc.json", &by_aws)],
            "~/adc.json: the credential_source of aws1 is not supported",
        ),
        (
            &variable[..],
            vec![("adc.json", &elsewhere)],
            "~/adc.json: evil.example would be asked without TLS",
        ),
        (&variable[1..], vec![(".config/gcloud/application_default_credentials.json", user)], "user"),
        (&[("CLOUDSDK_CONFIG", "~/c")][..], vec![("c/application_default_credentials.json", user)], "user"),
        (&variable[1..], vec![], "machine"),
    ] {
        let answer = Arc::clone(&answer);
        let services = Services::start(move |seen, body| answer(seen, body));
        let clouds = services.clouds(variables, &files);
        let found = match clouds.google.token().await {
            Ok(token) => token.secret.expose().to_owned(),
            Err(error) => error.to_string().replace(&services.fill("~"), "~"),
        };
        assert!(found.starts_with(expected), "{files:?}: {found}");
        let asked = services.lines().len();
        if clouds.google.token().await.is_ok() {
            assert_eq!(services.lines().len(), asked);
            clouds.google.forget().await;
            clouds.google.token().await.unwrap();
            assert!(services.lines().len() > asked);
        }
    }
    // Another cloud's metadata service at the same address.
    let other = Services::start(|_, _| Reply::new(200).body(r#"{"access_token":"x","expires_in":1}"#));
    let error = other.clouds(&variable[1..], &[]).google.token().await.unwrap_err().to_string();
    assert!(error.contains("is not Google's metadata server"), "{error}");
}

#[tokio::test]
async fn ways_to_azure() {
    let answer = |seen: &Seen, body: &str| {
        let query: Vec<(String, String)> =
            url::form_urlencoded::parse(seen.path.split_once('?').map_or("", |(_, query)| query).as_bytes())
                .into_owned()
                .collect();
        let asked =
            |name: &str| query.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
        let token = |name: &str| {
            Reply::new(200)
                .body(format!(r#"{{"access_token":"{name}","expires_in":"3599","token_type":"Bearer"}}"#))
        };
        match seen.line().as_str() {
            "POST /tenant/oauth2/v2.0/token" if body.contains("client_secret=hush") => token("secret"),
            "POST /tenant/oauth2/v2.0/token" if body.contains("client_assertion=jwt&") => token("federated"),
            "GET /metadata/identity/oauth2/token"
                if seen.header("metadata") == "true" && asked("resource") == "https://r.example" =>
            {
                token(if asked("client_id") == "me" { "chosen" } else { "machine" })
            }
            "GET /msi" if seen.header("x-identity-header") == "h" && asked("api-version") == "2019-08-01" => {
                token("app")
            }
            "GET /old" if seen.header("secret") == "h" && asked("api-version") == "2017-09-01" => {
                token("old app")
            }
            _ => Reply::new(401).body(r#"{"error":"invalid_client","error_description":"no"}"#),
        }
    };
    let host = ("AZURE_AUTHORITY_HOST", "http://$S/");
    let (tenant, client) = (("AZURE_TENANT_ID", "tenant"), ("AZURE_CLIENT_ID", "me"));
    let pod = ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://$S");
    let secret = ("AZURE_CLIENT_SECRET", "hush");
    let federated = ("AZURE_FEDERATED_TOKEN_FILE", "~/jwt");
    for (variables, expected) in [
        (&[host, tenant, client, secret, federated, pod][..], "secret"),
        (
            &[host, tenant, client, ("AZURE_CLIENT_SECRET", "wrong")],
            "AZURE_CLIENT_SECRET: status 401: invalid_client: no",
        ),
        (&[host, tenant, secret], "AZURE_CLIENT_SECRET: AZURE_CLIENT_ID is not set"),
        (&[host, client, secret], "AZURE_CLIENT_SECRET: AZURE_TENANT_ID is not set"),
        (&[host, tenant, client, federated, pod], "federated"),
        (&[host, tenant, client, ("AZURE_FEDERATED_TOKEN", "jwt")], "federated"),
        (
            &[host, tenant, client, ("AZURE_FEDERATED_TOKEN_FILE", "~/no")],
            "AZURE_FEDERATED_TOKEN_FILE: ~/no: No such file",
        ),
        (
            &[("AZURE_CLIENT_CERTIFICATE_PATH", "/x")],
            "AZURE_CLIENT_CERTIFICATE_PATH: a certificate is not supported",
        ),
        (
            &[("AZURE_AUTHORITY_HOST", "http://evil.example"), tenant, client, secret],
            "AZURE_CLIENT_SECRET: evil.example would be asked without TLS",
        ),
        (
            &[("AZURE_ENVIRONMENT", "Mars"), tenant, client, secret],
            "AZURE_ENVIRONMENT: there is no cloud \"Mars\"",
        ),
        (&[pod], "machine"),
        (&[pod, client], "chosen"),
        (&[("IDENTITY_ENDPOINT", "http://$S/msi"), ("IDENTITY_HEADER", "h"), pod], "app"),
        (&[("MSI_ENDPOINT", "http://$S/old"), ("MSI_SECRET", "h"), pod], "old app"),
    ] {
        let services = Services::start(answer);
        let clouds = services.clouds(variables, &[("jwt", "jwt\n")]);
        let found = match clouds.azure.token("https://r.example").await {
            Ok(token) => token.secret.expose().to_owned(),
            Err(error) => error.to_string().replace(&services.fill("~"), "~"),
        };
        assert!(found.starts_with(expected), "{variables:?}: {found}");
    }
    let services = Services::start(answer);
    services.clouds(&[host, tenant, client, secret], &[]).azure.token("https://r.example").await.unwrap();
    let expected = [
        ("grant_type", "client_credentials"),
        ("client_id", "me"),
        ("scope", "https://r.example/.default"),
        ("client_secret", "hush"),
    ];
    assert_eq!(services.form(0), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn services_that_fail_for_a_while() {
    let services = Services::start(|seen, _| match seen.before {
        0 => Reply::new(500),
        1 => Reply::hang_up(),
        _ => Reply::new(200)
            .body(r#"{"access_token":"t","expires_in":3599}"#)
            .header("Metadata-Flavor", "Google"),
    });
    let clouds = services.clouds(&[("GCE_METADATA_HOST", "$S")], &[]);
    assert_eq!(clouds.google.token().await.unwrap().secret.expose(), "t");
    assert_eq!(services.lines().len(), 3);
}
