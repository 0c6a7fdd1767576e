//! Who we are, from the command line to the registry: every place for credentials, with registries that want a password, a
//! token, a certificate, and with some that only look like those of a cloud.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "shared with tests of crates, which fail by panicking"
)]

#[path = "../crates/registry/tests/support/fake.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared with tests of crates")]
mod fake;
#[path = "../crates/registry/tests/support/real.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    reason = "shared with tests of crates"
)]
mod real;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result, ensure};
use e2e::authority::{Authority, Pair};
use e2e::process::{Finished, finish};
use e2e::token_server::TokenServer;
use e2e::{Bako, require};
use fake::{Body, Fake, Reply, Seen};
use real::{Real, Setup, Token};
use tempfile::TempDir;

/// The password of the registry's only user, `user`.
const PASSWORD: &str = "hunter2";

/// A home, a context of one file, and bako.
struct Site {
    bako: Bako,
    home: TempDir,
}

impl Site {
    fn new() -> Result<Self> {
        let site = Site { bako: Bako::built()?, home: tempfile::tempdir()? };
        site.write("context/Dockerfile", "FROM scratch\nCOPY a /a\n")?;
        site.write("context/a", "a")?;
        site.write("work/.keep", "")?;
        Ok(site)
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.home.path().join(path)
    }

    fn write(&self, path: &str, text: &str) -> Result<()> {
        let path = self.path(path);
        fs::create_dir_all(path.parent().context("a path has a parent")?)?;
        Ok(fs::write(path, text)?)
    }

    /// Runs bako with this home and these variables alone; `~` is the home, `$R` the registry.
    fn run(&self, registry: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Result<Finished> {
        let home = self.home.path().display().to_string();
        let filled = |text: &str| text.replace('~', &home).replace("$R", registry);
        let mut command = self.bako.command();
        command.env_clear().env("HOME", &home).env("PATH", format!("{home}/bin:/usr/bin:/bin"));
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command.envs(variables.iter().map(|(name, value)| (name, filled(value))));
        command.args(arguments.iter().map(|argument| filled(argument)));
        command.arg("--work-dir").arg(self.path("work")).args(["-v", "debug"]);
        let finished = finish(&mut command)?;
        let said = format!("{}{}", finished.stdout, finished.stderr);
        ensure!(
            !said.contains(PASSWORD) && !said.contains("dXNlcjpodW50ZXIy"),
            "the password is shown: {said}"
        );
        Ok(finished)
    }
}

/// `auths` with the registry's user.
fn config(key: &str) -> String {
    format!(r#"{{"auths":{{"{key}":{{"auth":"dXNlcjpodW50ZXIy"}}}}}}"#)
}

#[test]
fn every_place_for_credentials() -> Result<()> {
    let Some(registry) = Real::start(&Setup { login: true, ..Setup::default() }) else { return Ok(()) };
    let r = registry.address.as_str();
    let (host, port) = r.split_once(':').context("an address has a port")?;
    let variable = format!("KANIKO_{}_{port}", host.replace('.', "_"));
    let (user, password) = (format!("{variable}_USER"), format!("{variable}_PASSWORD"));
    let whole = config(r);
    let legacy = format!(r#"{{"{r}":{{"username":"user","password":"{PASSWORD}"}}}}"#);
    let wrong = format!(r#"{{"auths":{{"{r}":{{"username":"user","password":"wrong"}}}}}}"#);
    let helper = format!(r#"{{"credHelpers":{{"{r}":"mine"}}}}"#);
    let check = |variables: &[(&str, &str)],
                 files: &[(&str, &str)],
                 more: &[&str],
                 source: Option<&str>|
     -> Result<String> {
        let site = Site::new()?;
        for (path, text) in files {
            site.write(path, text)?;
        }
        site.write(
            "bin/docker-credential-mine",
            &format!(
                "#!/bin/sh\ncat > /dev/null\necho '{{\"Username\":\"user\",\"Secret\":\"{PASSWORD}\"}}'\n"
            ),
        )?;
        fs::set_permissions(site.path("bin/docker-credential-mine"), fs::Permissions::from_mode(0o755))?;
        let mut arguments = vec!["--context", "~/context", "--destination", "$R/team/app:1"];
        arguments.extend(more);
        let built = site.run(r, variables, &arguments)?;
        let home = site.home.path().display().to_string();
        let said = built.stderr.replace(&home, "~");
        match source {
            Some(source) => {
                ensure!(built.code == 0, "{variables:?} {files:?}: {said}");
                ensure!(said.contains(&format!("source=\"{source}\"")), "{source}: {said}");
            }
            None => ensure!(built.code == 1, "{variables:?} {files:?} should fail: {said}"),
        }
        Ok(said)
    };
    let home_config = Some("~/.docker/config.json");
    check(&[(user.as_str(), "user"), (password.as_str(), PASSWORD)], &[], &[], Some(&user))?;
    check(&[("DOCKER_AUTH_CONFIG", &whole)], &[], &[], Some("DOCKER_AUTH_CONFIG"))?;
    check(&[("REGISTRY_AUTH_FILE", "~/x.json")], &[("x.json", &whole)], &[], Some("~/x.json"))?;
    check(&[("DOCKER_CONFIG", "~/d")], &[("d/config.json", &whole)], &[], Some("~/d/config.json"))?;
    check(
        &[("DOCKER_CONFIG", "~/d")],
        &[("d/.dockerconfigjson", &whole)],
        &[],
        Some("~/d/.dockerconfigjson"),
    )?;
    check(&[], &[(".docker/config.json", &whole)], &[], home_config)?;
    check(&[], &[(".docker/config.json", &config(&format!("{r}/team")))], &[], home_config)?;
    check(&[], &[(".docker/config.json", &config(&format!("127.0.*.1:{port}")))], &[], home_config)?;
    check(
        &[("XDG_RUNTIME_DIR", "~/run")],
        &[("run/containers/auth.json", &whole)],
        &[],
        Some("~/run/containers/auth.json"),
    )?;
    check(&[], &[(".config/containers/auth.json", &whole)], &[], Some("~/.config/containers/auth.json"))?;
    check(&[], &[(".dockercfg", &legacy)], &[], Some("~/.dockercfg"))?;
    check(&[], &[("s/one/.dockercfg", &legacy)], &["--authfile", "~/s"], Some("~/s/one/.dockercfg"))?;
    check(
        &[("CI_REGISTRY", r), ("CI_REGISTRY_USER", "user"), ("CI_REGISTRY_PASSWORD", PASSWORD)],
        &[],
        &[],
        Some("CI_REGISTRY_USER"),
    )?;
    check(
        &[],
        &[(".docker/config.json", &helper)],
        &[],
        Some("docker-credential-mine of ~/.docker/config.json"),
    )?;
    check(
        &[],
        &[(".docker/config.json", r#"{"credsStore":"mine"}"#)],
        &[],
        Some("docker-credential-mine of ~/.docker/config.json"),
    )?;
    // What is refused is no end.
    let both = [(".docker/config.json", wrong.as_str()), (".dockercfg", legacy.as_str())];
    check(&[], &both, &[], Some("~/.dockercfg"))?;
    let said = check(&[], &[(".docker/config.json", &wrong)], &[], None)?;
    ensure!(said.contains("did not accept user user of ~/.docker/config.json"), "{said}");
    let said = check(&[], &[(".docker/config.json", r#"{"credsStore":"missing"}"#)], &[], None)?;
    ensure!(said.contains("docker-credential-missing is not installed"), "{said}");
    let said = check(&[], &[(".docker/config.json", &config(&format!("{r}/teamster")))], &[], None)?;
    ensure!(said.contains("no credentials matched"), "{said}");
    check(
        &[("CI_REGISTRY", r), ("CI_REGISTRY_USER", "user"), ("CI_REGISTRY_PASSWORD", PASSWORD)],
        &[],
        &["--credential-helpers="],
        None,
    )?;
    let said = check(&[], &[], &["--authfile", "~/missing"], None)?;
    ensure!(said.contains("~/missing: there is no such file"), "{said}");
    Ok(())
}

/// TLS by an authority of its own, a certificate of the client and a password, all at once.
#[test]
fn a_registry_that_wants_everything() -> Result<()> {
    if !require(&["openssl"]) {
        return Ok(());
    }
    let (ours, theirs) = (Authority::new()?, Authority::new()?);
    let server = ours.issue("registry", "DNS:localhost,IP:127.0.0.1")?;
    let client = ours.issue("client", "DNS:client")?;
    let trusted = ours.own().certificate;
    let setup = Setup {
        login: true,
        tls: Some((&server.certificate, &server.key)),
        client_authority: Some(&trusted),
        ..Setup::default()
    };
    let Some(registry) = Real::start(&setup) else { return Ok(()) };
    let r = registry.address.as_str();
    let shown = |pair: &Pair| format!("$R={},{}", pair.certificate.display(), pair.key.display());
    let client = shown(&client);
    let (ca, other_ca) =
        (format!("$R={}", trusted.display()), format!("$R={}", theirs.own().certificate.display()));
    let elsewhere = ca.replace("$R", "127.0.0.1:1");
    let bundle = trusted.display().to_string();
    let (certificate, shows) = ("--registry-certificate", "--registry-client-cert");
    let all = [certificate, ca.as_str(), shows, client.as_str()];
    let wrong = format!(r#"{{"auths":{{"{r}":{{"username":"user","password":"wrong"}}}}}}"#);
    let right = config(r);
    let check = |login: &str,
                 variables: &[(&str, &str)],
                 arguments: &[&str],
                 says: Option<&str>|
     -> Result<()> {
        let site = Site::new()?;
        site.write(".docker/config.json", login)?;
        site.write("again/Dockerfile", &format!("FROM {r}/team/app:1\nCOPY --from={r}/team/app:1 /a /b\n"))?;
        let to = ["--destination", "$R/team/app:1"];
        let built = site.run(r, variables, &[&["--context", "~/context"][..], &to, arguments].concat())?;
        let Some(says) = says else {
            built.success()?;
            return site
                .run(r, variables, &[&["--context", "~/again"][..], &to, arguments].concat())?
                .success()
                .map(drop);
        };
        ensure!(built.code == 1 && built.stderr.contains(says), "{arguments:?}: {says}: {}", built.stderr);
        Ok(())
    };
    check(&right, &[], &all, None)?;
    check(&right, &[("SSL_CERT_FILE", &bundle)], &[shows, &client], None)?;
    check(&right, &[], &["--skip-tls-verify-registry", "$R", shows, &client], None)?;
    check(&right, &[], &["--skip-tls-verify", shows, &client], None)?;
    let not_ours = Some("--registry-certificate 127.0.0.1");
    check(&right, &[], &[shows, &client], not_ours)?;
    check(&right, &[], &[certificate, &other_ca, shows, &client], not_ours)?;
    check(&right, &[], &[certificate, &elsewhere, shows, &client], not_ours)?;
    check(&right, &[], &["--skip-tls-verify-registry", "127.0.0.1:1", shows, &client], not_ours)?;
    // What a server says of a client without its certificate may get lost with the connection; that it ends is sure.
    let unknown = shown(&theirs.issue("client", "DNS:client")?);
    check(&right, &[], &[certificate, &ca], Some("check that we may push to"))?;
    check(&right, &[], &[certificate, &ca, shows, &unknown], Some("check that we may push to"))?;
    check(&wrong, &[], &all, Some("did not accept user user of"))?;
    check("{}", &[], &all, Some("no credentials matched"))
}

/// Debian's registry with a service that gives out tokens for it.
#[test]
fn a_token_service() -> Result<()> {
    if !require(&["openssl"]) {
        return Ok(());
    }
    let authority = Authority::new()?;
    // `user` with the password, and `reader` with `may-read`.
    let service = TokenServer::start(&authority, "Basic dXNlcjpodW50ZXIy", "Basic cmVhZGVyOm1heS1yZWFk")?;
    let bundle = authority.own().certificate;
    let token = Token { realm: &service.realm, bundle: &bundle };
    let Some(registry) = Real::start(&Setup { token: Some(token), ..Setup::default() }) else {
        return Ok(());
    };
    let r = registry.address.as_str();
    let check = |login: &str, arguments: &[&str], says: Option<&str>| -> Result<()> {
        let site = Site::new()?;
        site.write(".docker/config.json", login)?;
        site.write("again/Dockerfile", &format!("FROM {r}/team/app:1\nCOPY --from={r}/team/app:1 /a /b\n"))?;
        let built = site.run(r, &[], arguments)?;
        match says {
            None => built.success().map(drop),
            Some(says) => {
                ensure!(built.code == 1 && built.stderr.contains(says), "{arguments:?}: {}", built.stderr);
                Ok(())
            }
        }
    };
    let user = |name: &str, password: &str| {
        format!(r#"{{"auths":{{"{r}":{{"username":"{name}","password":"{password}"}}}}}}"#)
    };
    let push = ["--context", "~/context", "--destination", "$R/team/app:1"];
    let pull = ["--context", "~/again", "--no-push"];
    check(&config(r), &push, None)?;
    let pushes = service.scopes();
    ensure!(
        pushes.iter().any(|scope| scope.contains("repository:team/app:") && scope.contains("push"))
            && pushes.iter().all(|scope| scope.is_empty() || scope.starts_with("repository:team/app:")),
        "{pushes:?}"
    );
    check(&user("reader", "may-read"), &pull, None)?;
    check(&user("reader", "may-read"), &push, Some("did not accept user reader of"))?;
    check(&user("user", "guessed"), &push, Some("did not accept user user of"))?;
    check(&user("user", "guessed"), &pull, Some("did not accept user user of"))?;
    check("{}", &push, Some("no credentials matched"))
}

/// Registries whose names only look like a cloud's: whatever they ask for, they see no credential, and no cloud is asked
/// for one. Every host is reached by a proxy, which sees all there is.
#[test]
fn look_alikes_get_nothing() -> Result<()> {
    let wants = |seen: &Seen, _: &mut Body<'_>| {
        let host = seen.header("host").to_owned();
        match seen.line().as_str() {
            line if line.starts_with("CONNECT ") => Reply::new(200),
            line if line.contains("/v2/") => {
                let realm = format!(r#"Bearer realm="http://{host}/oauth2/token",service="{host}""#);
                Reply::new(401)
                    .header("www-authenticate", realm)
                    .header("docker-distribution-api-version", "registry/2.0")
            }
            // The registry's own token service lets nobody in.
            line if line.starts_with("GET ") && line.contains("/oauth2/token") => Reply::new(401),
            // A cloud's answer, if one is asked.
            _ => Reply::new(200)
                .body(r#"{"access_token":"of-a-cloud","token":"of-a-cloud","expires_in":"3599"}"#),
        }
    };
    let asked = |registry: &str| -> Result<Vec<Seen>> {
        let fake = Fake::start(wants);
        let here = format!("http://{}", fake.address);
        let variables = [
            ("http_proxy", here.as_str()),
            ("https_proxy", &here),
            ("AWS_ACCESS_KEY_ID", "AKID"),
            ("AWS_SECRET_ACCESS_KEY", PASSWORD),
            ("AWS_ENDPOINT_URL", &here),
            ("AZURE_CLIENT_ID", "client"),
            ("AZURE_TENANT_ID", "tenant"),
            ("AZURE_CLIENT_SECRET", PASSWORD),
            ("AZURE_AUTHORITY_HOST", &here),
            ("GCE_METADATA_HOST", &fake.address),
        ];
        let site = Site::new()?;
        // What belongs to the right name, and to no other.
        let all = ["mine.azurecr.io", "gcr.io", "registry.example"]
            .map(|host| format!(r#""{host}":{{"auth":"dXNlcjpodW50ZXIy"}}"#));
        site.write(".docker/config.json", &format!(r#"{{"auths":{{{}}}}}"#, all.join(",")))?;
        let destination = format!("{registry}/app:1");
        let plain = ["--insecure-registry", registry, "--destination", &destination];
        let built = site.run("", &variables, &[&["--context", "~/context"][..], &plain].concat())?;
        ensure!(built.code == 1, "{registry}: {}", built.stderr);
        Ok(fake.seen())
    };
    let is_told = |seen: &Seen| {
        seen.headers.contains_key("authorization")
            || seen.headers.values().any(|value| value.contains(PASSWORD) || value.contains("of-a-cloud"))
            || ["metadata", "/tenant/", "exchange"].iter().any(|part| seen.path.contains(part))
            || seen.method == "POST" && !seen.path.contains("/v2/")
    };
    for registry in [
        "123456789012.dkr.ecr.eu-central-1.amazonaws.com.evil.example",
        "123456789012.dkr.ecr.eu-central-1.amazonaws.com:8443",
        "evil-dkr.ecr.eu-central-1.amazonaws.com",
        "mine.azurecr.io.evil.example",
        "azurecr.io.evil.example",
        "mine-azurecr.io",
        "gcr.io.evil.example",
        "evilgcr.io",
        "europe-docker.pkg.dev.evil.example",
        "registry.example.evil.example",
        "xregistry.example",
    ] {
        let seen = asked(registry)?;
        ensure!(seen.iter().any(|seen| seen.path.contains("/v2/")), "{registry} was not asked: {seen:?}");
        let told: Vec<&Seen> = seen.iter().filter(|seen| is_told(seen)).collect();
        ensure!(told.is_empty(), "{registry} was told: {told:?}");
    }
    // The right names are told, so that the others are a test.
    for registry in
        ["123456789012.dkr.ecr.eu-central-1.amazonaws.com", "mine.azurecr.io", "gcr.io", "registry.example"]
    {
        let seen = asked(registry)?;
        ensure!(seen.iter().any(is_told), "{registry}: {seen:?}");
    }
    Ok(())
}
