//! The chain over a home and an environment of a test's own: who answers for which registry.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use cloud::Clouds;
use credentials::{ChainOptions, Credential, Environment, Helper, Keychain, chain};
use tempfile::TempDir;
use transport::Network;

/// `auths` with one entry, `user:password` in plain.
fn config(key: &str, user: &str) -> String {
    format!(r#"{{"auths":{{"{key}":{{"username":"{user}","password":"hunter2"}}}}}}"#)
}

/// Files below a home, and variables in which `~` is that home.
struct Site {
    home: TempDir,
    variables: Vec<(String, String)>,
}

impl Site {
    fn new(variables: &[(&str, &str)], files: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let here = home.path().display().to_string();
        for (path, text) in files {
            let path = home.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let mut all =
            vec![("HOME".to_owned(), here.clone()), ("PATH".to_owned(), format!("{here}/bin:/usr/bin:/bin"))];
        all.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), value.replace('~', &here))));
        Site { home, variables: all }
    }

    fn path(&self) -> &Path {
        self.home.path()
    }

    fn chain(&self, authfiles: &[&str], helpers: &[Helper]) -> Result<credentials::Chain, String> {
        let environment = Environment::new(self.variables.clone());
        let clouds = Clouds::new(Network::default(), environment.clone()).unwrap();
        let options = ChainOptions {
            authfiles: authfiles.iter().map(|path| self.path().join(path)).collect(),
            helpers: helpers.to_vec(),
            uid: 4_000_000,
        };
        chain(&options, &environment, clouds).map_err(|error| error.to_string())
    }
}

/// Who answers, all of them in order, as `user@source`; the home is `~` there.
async fn answers(keychain: &Keychain, home: &Path, reference: &str) -> String {
    let (registry, repository) = reference.split_once('/').unwrap();
    let mut found = Vec::new();
    for one in keychain.matches(registry, repository) {
        let text = match keychain.answer(&one).await {
            Ok(Some(answer)) => match &answer.credential {
                Credential::Basic { username, .. } => username.clone(),
                Credential::IdentityToken(token) => format!("identity {}", token.expose()),
                Credential::RegistryToken(token) => format!("bearer {}", token.expose()),
            },
            Ok(None) => "nobody".to_owned(),
            Err(error) => format!("({})", error.reason),
        };
        found.push(format!("{text}@{}", one.source));
    }
    found.join(" ").replace(&home.display().to_string(), "~")
}

async fn check(variables: &[(&str, &str)], files: &[(&str, &str)], reference: &str, expected: &str) {
    let site = Site::new(variables, files);
    let found = match site.chain(&[], &Helper::ALL) {
        Ok(chain) => answers(&chain.keychain, site.path(), reference).await,
        Err(error) => error.replace(&site.path().display().to_string(), "~"),
    };
    assert_eq!(found, expected, "{variables:?} {files:?} {reference}");
}

#[tokio::test]
async fn every_place() {
    let r = config("r.example", "user");
    let r = r.as_str();
    let legacy = r#"{"r.example":{"auth":"dXNlcjpw","email":"a@b"}}"#;
    for (variables, file, expected) in [
        (&[][..], ".docker/config.json", "user@~/.docker/config.json"),
        (&[("DOCKER_CONFIG", "~/d")], "d/config.json", "user@~/d/config.json"),
        (&[("DOCKER_CONFIG", "~/d/mine.json")], "d/mine.json", "user@~/d/mine.json"),
        (&[("DOCKER_CONFIG", "~/d")], "d/.dockerconfigjson", "user@~/d/.dockerconfigjson"),
        (&[("REGISTRY_AUTH_FILE", "~/a.json")], "a.json", "user@~/a.json"),
        (&[("KANIKO_DIR", "~/k")], "k/.docker/config.json", "user@~/k/.docker/config.json"),
        (&[("XDG_RUNTIME_DIR", "~/run")], "run/containers/auth.json", "user@~/run/containers/auth.json"),
        (&[("XDG_CONFIG_HOME", "~/c")], "c/containers/auth.json", "user@~/c/containers/auth.json"),
        (&[], ".config/containers/auth.json", "user@~/.config/containers/auth.json"),
        (&[], "elsewhere/config.json", ""),
    ] {
        check(variables, &[(file, r)], "r.example/a", expected).await;
    }
    check(&[], &[(".dockercfg", legacy)], "r.example/a", "user@~/.dockercfg").await;
    check(&[("DOCKER_CONFIG", "~/d")], &[("d/.dockercfg", legacy)], "r.example/a", "user@~/d/.dockercfg")
        .await;
    check(&[("DOCKER_AUTH_CONFIG", r)], &[], "r.example/a", "user@DOCKER_AUTH_CONFIG").await;
    // An empty file, a missing one and an empty variable say nothing.
    check(
        &[("DOCKER_CONFIG", ""), ("REGISTRY_AUTH_FILE", "~/no")],
        &[(".docker/config.json", "\n")],
        "r.example/a",
        "",
    )
    .await;
}

#[tokio::test]
async fn all_places_in_their_order() {
    let names = ["c1", "c2", "c3", "c4", "c5", "c6"];
    let texts = names.map(|name| config("r.example", name));
    let paths = [
        "a.json",
        "d/config.json",
        ".docker/config.json",
        "run/containers/auth.json",
        ".config/containers/auth.json",
        ".dockercfg",
    ];
    let files: Vec<(&str, &str)> = paths.into_iter().zip(texts.iter().map(String::as_str)).collect();
    let variable = config("r.example", "env");
    let variables = [
        ("REGISTRY_AUTH_FILE", "~/a.json"),
        ("DOCKER_CONFIG", "~/d"),
        ("XDG_RUNTIME_DIR", "~/run"),
        ("DOCKER_AUTH_CONFIG", variable.as_str()),
        ("KANIKO_R_EXAMPLE_USER", "kaniko"),
        ("KANIKO_R_EXAMPLE_PASSWORD", "p"),
        ("CI_REGISTRY", "r.example"),
        ("CI_REGISTRY_USER", "gitlab-ci-token"),
        ("CI_REGISTRY_PASSWORD", "p"),
        ("CI_DEPLOY_USER", "deploy"),
        ("CI_DEPLOY_PASSWORD", "p"),
    ];
    let expected = "kaniko@KANIKO_R_EXAMPLE_USER env@DOCKER_AUTH_CONFIG c1@~/a.json c2@~/d/config.json \
        c3@~/.docker/config.json c4@~/run/containers/auth.json c5@~/.config/containers/auth.json c6@~/.dockercfg \
        gitlab-ci-token@CI_REGISTRY_USER deploy@CI_DEPLOY_USER";
    check(&variables, &files, "r.example/a", expected).await;
    // The file is one, by whatever way it is found.
    let one = [("DOCKER_CONFIG", "~/.docker"), ("REGISTRY_AUTH_FILE", "~/.docker/config.json")];
    check(
        &one,
        &[(".docker/config.json", &config("r.example", "u"))],
        "r.example/a",
        "u@~/.docker/config.json",
    )
    .await;
}

#[tokio::test]
async fn variables_of_hosts() {
    let variables = [
        ("KANIKO_MY_REG_EXAMPLE_USER", "whole"),
        ("KANIKO_MY_REG_EXAMPLE_PASSWORD", "p"),
        ("KANIKO_EXAMPLE_USER", "domain"),
        ("KANIKO_EXAMPLE_PASSWORD", "p"),
        ("KANIKO_LOCALHOST_5000_USER", "port"),
        ("KANIKO_LOCALHOST_5000_PASSWORD", "p"),
        ("KANIKO_DOCKER_IO_USER", "hub"),
        ("KANIKO_DOCKER_IO_PASSWORD", "p"),
        ("KANIKO_HALF_USER", "half"),
        ("CI_REGISTRY", "https://gitlab.test:5050"),
        ("CI_JOB_TOKEN", "t"),
        ("CI_DEPENDENCY_PROXY_SERVER", "gitlab.test:443"),
        ("CI_DEPENDENCY_PROXY_USER", "proxy"),
        ("CI_DEPENDENCY_PROXY_PASSWORD", "p"),
    ];
    for (reference, expected) in [
        ("my-reg.example/a", "whole@KANIKO_MY_REG_EXAMPLE_USER"),
        ("other.example/a", "domain@KANIKO_EXAMPLE_USER"),
        ("a.b.example:8443/a", "domain@KANIKO_EXAMPLE_USER"),
        ("localhost:5000/a", "port@KANIKO_LOCALHOST_5000_USER"),
        ("localhost:5001/a", ""),
        ("docker.io/library/busybox", "hub@KANIKO_DOCKER_IO_USER"),
        ("half/a", ""),
        ("gitlab.test:5050/g/p", "gitlab-ci-token@CI_JOB_TOKEN"),
        ("gitlab.test/g/p", ""),
        ("gitlab.test.evil:5050/g/p", ""),
        ("gitlab.test:443/g/dependency_proxy/x", "proxy@CI_DEPENDENCY_PROXY_USER"),
    ] {
        check(&variables, &[], reference, expected).await;
    }
    let site = Site::new(&variables, &[]);
    let warnings = site.chain(&[], &Helper::ALL).unwrap().warnings;
    assert_eq!(warnings, ["KANIKO_HALF_USER is set, and KANIKO_HALF_PASSWORD is not: it says nothing"]);
    // What is left out does not answer.
    let chain = site.chain(&[], &[Helper::Gitlab]).unwrap();
    assert_eq!(answers(&chain.keychain, site.path(), "other.example/a").await, "");
    let chain = site.chain(&[], &[]).unwrap();
    assert_eq!(answers(&chain.keychain, site.path(), "gitlab.test:5050/a").await, "");
    assert!(chain.keychain.matches("123456789012.dkr.ecr.eu-central-1.amazonaws.com", "a").is_empty());
}

#[tokio::test]
async fn entries() {
    for (text, reference, expected) in [
        (r#"{"auths":{"r.example":{"auth":"dXNlcjpwYXNz"}}}"#, "r.example/a", "user@~/.docker/config.json"),
        (r#"{"auths":{"r.example":{"auth":"dXNlcjpwYXM"}}}"#, "r.example/a", "user@~/.docker/config.json"),
        (
            r#"{"auths":{"r.example":{"identitytoken":"rt","auth":"dTo="}}}"#,
            "r.example/a",
            "identity rt@~/.docker/config.json",
        ),
        (r#"{"auths":{"r.example":{"registrytoken":"t"}}}"#, "r.example/a", "bearer t@~/.docker/config.json"),
        (r#"{"auths":{"r.example":{}},"HttpHeaders":{"a":"b"}}"#, "r.example/a", ""),
        (r#"{"auths":null}"#, "r.example/a", ""),
        ("{}", "r.example/a", ""),
        (
            r#"{"auths":{"r.example":{"auth":"bm9jb2xvbg=="}}}"#,
            "r.example/a",
            "~/.docker/config.json: the auth of \"r.example\" is not base64 of user:password",
        ),
        (
            r#"{"auths":{"r.example":{"auth":"%"}}}"#,
            "r.example/a",
            "~/.docker/config.json: the auth of \"r.example\" is not base64 of user:password",
        ),
        (
            r#"{"auths":{"r.example":"hunter2"}}"#,
            "r.example/a",
            "~/.docker/config.json: malformed docker config at line 1, column 31",
        ),
        (
            r#"{"credsStore":"../../bin/sh"}"#,
            "r.example/a",
            "~/.docker/config.json: \"../../bin/sh\" is no name of a credential helper",
        ),
        (
            r#"{"auths":{"r.example":{"username":"h","password":"p"},"r.example/team":{"username":"t","password":"p"},"*.example/team/app":{"username":"g","password":"p"},"https://r.example/v1/":{"username":"v","password":"p"}}}"#,
            "r.example/team/app",
            "g@~/.docker/config.json t@~/.docker/config.json v@~/.docker/config.json h@~/.docker/config.json",
        ),
    ] {
        check(&[], &[(".docker/config.json", text)], reference, expected).await;
    }
}

#[tokio::test]
async fn mounted_secrets() {
    let site = Site::new(
        &[],
        &[
            ("secrets/b/.dockerconfigjson", &config("r.example", "b")),
            ("secrets/a/.dockercfg", r#"{"r.example":{"username":"a","password":"p"}}"#),
            ("secrets/..2026_01/.dockerconfigjson", &config("r.example", "hidden")),
            ("secrets/config.json", &config("r.example", "top")),
            ("secrets/notes.txt", "nothing"),
            ("plain.json", &config("r.example", "plain")),
        ],
    );
    let of = async |authfiles: &[&str]| match site.chain(authfiles, &Helper::ALL) {
        Ok(chain) => answers(&chain.keychain, site.path(), "r.example/x").await,
        Err(error) => error.replace(&site.path().display().to_string(), "~"),
    };
    let all = "top@~/secrets/config.json a@~/secrets/a/.dockercfg b@~/secrets/b/.dockerconfigjson";
    assert_eq!(of(&["secrets"]).await, all);
    assert_eq!(of(&["plain.json", "secrets/b"]).await, "plain@~/plain.json b@~/secrets/b/.dockerconfigjson");
    assert_eq!(of(&["missing"]).await, "~/missing: there is no such file");
}

/// Installs a helper that is a script.
fn install(site: &Site, name: &str, script: &str) {
    let path = site.path().join("bin").join(format!("docker-credential-{name}"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn helpers() {
    let config = r#"{
        "credsStore": "store",
        "credHelpers": {"r.example": "named", "broken.example": "broken", "none.example": "none", "missing.example": "missing",
            "token.example": "token", "123456789012.dkr.ecr.eu-central-1.amazonaws.com": "ecr-login"},
        "auths": {"r.example": {"username": "file", "password": "p"}}
    }"#;
    let site = Site::new(&[("ASKED", "~/asked")], &[(".docker/config.json", config)]);
    let answer = |user: &str| format!(r#"printf '{{"ServerURL":"x","Username":"{user}","Secret":"s"}}'"#);
    install(&site, "named", &format!("cat >> $ASKED; echo \" $1\" >> $ASKED; {}", answer("named")));
    install(&site, "store", &format!("cat >> $ASKED; echo >> $ASKED; {}", answer("store")));
    install(&site, "token", &answer("<token>"));
    install(&site, "broken", "echo 'no keychain'; exit 1");
    install(&site, "none", "echo 'credentials not found in native keychain'; exit 1");
    let keychain = site.chain(&[], &Helper::ALL).unwrap().keychain;
    let at = "of ~/.docker/config.json";
    for (reference, expected) in [
        (
            "r.example/a",
            format!(
                "named@docker-credential-named {at} file@~/.docker/config.json store@docker-credential-store {at}"
            ),
        ),
        ("docker.io/library/busybox", format!("store@docker-credential-store {at}")),
        (
            "token.example/a",
            format!("identity s@docker-credential-token {at} store@docker-credential-store {at}"),
        ),
        (
            "broken.example/a",
            format!("(failed: no keychain)@docker-credential-broken {at} store@docker-credential-store {at}"),
        ),
        ("none.example/a", format!("nobody@docker-credential-none {at} store@docker-credential-store {at}")),
        (
            "missing.example/a",
            format!(
                "(docker-credential-missing is not installed)@docker-credential-missing {at} store@docker-credential-store {at}"
            ),
        ),
        // Asked once.
        (
            "r.example/b",
            format!(
                "named@docker-credential-named {at} file@~/.docker/config.json store@docker-credential-store {at}"
            ),
        ),
    ] {
        assert_eq!(answers(&keychain, site.path(), reference).await, expected, "{reference}");
    }
    let asked = fs::read_to_string(site.path().join("asked")).unwrap();
    let first: Vec<&str> = asked.lines().take(3).collect();
    assert_eq!(first, ["r.example get", "r.example", "https://index.docker.io/v1/"]);
    assert_eq!(asked.lines().filter(|line| line.contains("get")).count(), 1);
    // What our own AWS does needs no helper.
    let sources: Vec<String> = keychain
        .matches("123456789012.dkr.ecr.eu-central-1.amazonaws.com", "a")
        .into_iter()
        .map(|found| found.source.replace(&site.path().display().to_string(), "~"))
        .collect();
    assert_eq!(sources, [format!("docker-credential-store {at}"), "AWS".to_owned()]);
}

#[tokio::test]
async fn what_was_refused_is_asked_for_anew() {
    let site = Site::new(&[("COUNT", "~/count")], &[(".docker/config.json", r#"{"credsStore":"counting"}"#)]);
    install(
        &site,
        "counting",
        r#"echo x >> $COUNT; printf '{"Username":"u%d","Secret":"s"}' $(wc -l < $COUNT)"#,
    );
    let keychain = site.chain(&[], &Helper::ALL).unwrap().keychain;
    let found = &keychain.matches("r.example", "a")[0];
    let user = async || {
        let answer = keychain.answer(found).await.unwrap().unwrap();
        (answer.credential.username().unwrap().to_owned(), answer.is_kept, answer.credential)
    };
    let (name, is_kept, first) = user().await;
    assert_eq!((name.as_str(), is_kept), ("u1", false));
    let (name, is_kept, _) = user().await;
    assert_eq!((name.as_str(), is_kept), ("u1", true));
    keychain.refuse(found, &first).await;
    let (name, is_kept, _) = user().await;
    assert_eq!((name.as_str(), is_kept), ("u2", false));
    // Somebody was late: these are not the ones that are kept now.
    keychain.refuse(found, &first).await;
    assert_eq!(user().await.0, "u2");
}

/// Names that only look like a cloud's get nothing, and no cloud is asked.
#[tokio::test]
async fn look_alikes() {
    let site = Site::new(&[("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "s")], &[]);
    let keychain = site.chain(&[], &Helper::ALL).unwrap().keychain;
    for host in [
        "123456789012.dkr.ecr.eu-central-1.amazonaws.com.evil.example",
        "evil.azurecr.io.evil.example",
        "azurecr.io.evil.example",
        "gcr.io.evil.example",
        "evilgcr.io",
        "x-docker.pkg.dev.evil.example",
        "public.ecr.aws:8080",
    ] {
        assert!(keychain.matches(host, "a").is_empty(), "{host}");
    }
    assert_eq!(keychain.matches("eu.gcr.io", "p/a").len(), 1);
}

#[tokio::test]
async fn nothing_is_shown() {
    let site = Site::new(
        &[
            ("DOCKER_AUTH_CONFIG", &config("r.example", "u")),
            ("KANIKO_R_EXAMPLE_USER", "u"),
            ("KANIKO_R_EXAMPLE_PASSWORD", "hunter2"),
        ],
        &[],
    );
    let chain = site.chain(&[], &Helper::ALL).unwrap();
    let found = chain.keychain.matches("r.example", "a");
    assert_eq!(found.len(), 2);
    assert!(!format!("{chain:?} {found:?}").contains("hunter2"));
}
