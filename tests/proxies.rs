//! A real proxy on the way: to registries, to what ADD downloads, and for a RUN.
//!
//! What is on loopback is reached without a proxy. The address 0.0.0.0 is not, and for the proxy it is this machine.
#![forbid(unsafe_code)]

use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};
use e2e::process::{Finished, finish};
use e2e::proxy::{PASSWORD, TinyProxy};
use e2e::web::Web;
use e2e::{Bako, Image, Registry, bases, image, require};
use tempfile::TempDir;

struct Site {
    bako: Bako,
    proxy: TinyProxy,
    /// It keeps its images as long as it lives.
    registry: Registry,
    web: Web,
    folder: TempDir,
}

/// An address as somebody else's.
fn outside(address: &str) -> String {
    address.replace("127.0.0.1", "0.0.0.0")
}

impl Site {
    fn new() -> Result<Self> {
        let bako = Bako::built()?;
        let registry = Registry::ours(&bako)?;
        bases::busybox(&bako, &registry)?;
        let web = Web::start("")?;
        web.write("added", "for ADD\n")?;
        web.write("fetched", "for RUN\n")?;
        Ok(Self { bako, proxy: TinyProxy::start()?, registry, web, folder: tempfile::tempdir()? })
    }

    fn registry(&self) -> String {
        outside(&self.registry.address)
    }

    fn proxy(&self, password: &str) -> String {
        format!("http://me:{password}@{}", self.proxy.address)
    }

    /// Builds with these variables; `REGISTRY` and `WEB` in the Dockerfile are addresses that are not loopback's.
    fn build(&self, dockerfile: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Result<Finished> {
        let registry = self.registry();
        let text = dockerfile.replace("REGISTRY", &registry).replace("WEB", &outside(&self.web.address));
        fs::write(self.folder.path().join("Dockerfile"), text)?;
        let mut build: Command = self.bako.build(self.folder.path());
        build.args(["--insecure-registry", &registry, "--destination", &format!("{registry}/app:1")]);
        build.args(arguments).envs(variables.iter().copied());
        let work = tempfile::tempdir()?;
        let finished = finish(build.arg("--work-dir").arg(work.path()))?;
        ensure!(!finished.stderr.contains(PASSWORD), "the proxy's password is shown: {}", finished.stderr);
        Ok(finished)
    }
}

#[test]
fn pull_push_add_and_run() -> Result<()> {
    if !require(image::JUDGES) || !require(&["tinyproxy"]) {
        return Ok(());
    }
    let site = Site::new()?;
    let proxy = site.proxy(PASSWORD);
    let dockerfile = "FROM REGISTRY/busybox\nADD http://WEB/added /\n\
        RUN test -n \"$http_proxy\" && test \"$http_proxy\" = \"$HTTP_PROXY\" && wget -q -O /fetched http://WEB/fetched\n";
    let variables = [("http_proxy", proxy.as_str()), ("HTTPS_PROXY", &proxy)];
    site.build(dockerfile, &variables, &["--build-arg", "http_proxy"])?.success()?;

    let asked = site.proxy.requests()?;
    let (registry, web) = (site.registry(), outside(&site.web.address));
    for expected in [
        format!("CONNECT {registry}"),
        format!("GET http://{registry}/v2/busybox/manifests/latest"),
        format!("PUT http://{registry}/v2/app/manifests/1"),
        format!("GET http://{web}/added"),
        format!("GET http://{web}/fetched"),
    ] {
        ensure!(asked.contains(&expected), "{expected} is not in {asked:#?}");
    }
    let image = Image::pull(&site.registry.reference("app:1"))?;
    let tree = image.tree()?;
    ensure!(tree.contains_key("/added") && tree.contains_key("/fetched"), "{:?}", tree.keys());
    for secret in [PASSWORD, &site.proxy.address] {
        ensure!(image.holds(secret.as_bytes())?.is_none(), "the proxy is in the image");
    }
    Ok(())
}

/// A RUN is told nothing of a proxy unless somebody says so; what `NO_PROXY` names is reached without.
#[test]
fn who_is_not_meant() -> Result<()> {
    if !require(&["tinyproxy"]) {
        return Ok(());
    }
    let site = Site::new()?;
    let proxy = site.proxy(PASSWORD);
    let dockerfile = "FROM REGISTRY/busybox\nADD http://WEB/added /\n\
        RUN ! env | grep -i proxy && wget -q -O /fetched http://WEB/fetched\n";
    let variables = [("HTTP_PROXY", proxy.as_str()), ("https_proxy", &proxy)];
    site.build(dockerfile, &variables, &[])?.success()?;
    let by_run = format!("GET http://{}/fetched", outside(&site.web.address));
    let before = site.proxy.requests()?;
    ensure!(!before.is_empty() && !before.contains(&by_run), "{before:#?}");

    for exception in ["0.0.0.0", "registry.example, 0.0.0.0/8", "*"] {
        let without = [variables[0], variables[1], ("NO_PROXY", exception)];
        site.build(dockerfile, &without, &[])?.success()?;
        ensure!(site.proxy.requests()?.len() == before.len(), "NO_PROXY={exception} says nothing");
    }
    Ok(())
}

#[test]
fn proxies_that_do_not_help() -> Result<()> {
    if !require(&["tinyproxy"]) {
        return Ok(());
    }
    let site = Site::new()?;
    let (nobody, wrong) = (format!("http://{}", site.proxy.address), site.proxy("guessed"));
    let pull = "FROM REGISTRY/busybox\nRUN true\n";
    // By the http:// of a file of the web, by CONNECT, and by the http:// of a registry.
    let (add, tunnel) = ("FROM scratch\nADD http://WEB/added /\n", "FROM 0.0.0.0:1/base\n");
    let login = "the proxy wants a login: a user and a password are a part of its URL";
    let tunneled = "cannot reach 0.0.0.0:1: the proxy does not lead there: ";
    for (proxy, dockerfile, says) in [
        (nobody.as_str(), pull, &["Dockerfile:1", "407", login][..]),
        (&nobody, add, &["Dockerfile:2", "407", login]),
        (&nobody, tunnel, &["Dockerfile:1", tunneled]),
        // tinyproxy answers 401 to who has the wrong password, as if it were the server.
        (&wrong, pull, &["Dockerfile:1", "unauthorized"]),
        ("http://127.0.0.1:1", tunnel, &["Dockerfile:1", tunneled, "refused"]),
        ("http://me:guessed@[", pull, &["the proxy's address is not a URL"]),
    ] {
        let variables = [("http_proxy", proxy), ("https_proxy", proxy)];
        let failed = site.build(dockerfile, &variables, &["--skip-push-permission-check"])?;
        ensure!(failed.code == 1 && !failed.stderr.contains("guessed"), "{}: {}", failed.code, failed.stderr);
        for text in says {
            ensure!(failed.stderr.contains(text), "{proxy}: {text} is not in {}", failed.stderr);
        }
    }
    Ok(())
}
