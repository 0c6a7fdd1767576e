//! Flags on registries: which to ask, and whom to trust. Builds, pushes and the warmer have them alike.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use registry::{ClientCertificate, RetryPolicy, Secret};

use crate::values::{Pair, pair};

#[derive(Debug, Args)]
pub(crate) struct RegistryArgs {
    /// Push by plain HTTP. Registries on the loopback interface need no such flag.
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Pull by plain HTTP.
    #[arg(long)]
    pub(crate) insecure_pull: bool,
    /// A registry to use by plain HTTP. May be repeated.
    #[arg(long, value_name = "REGISTRY", value_parser = registry)]
    pub(crate) insecure_registry: Vec<String>,
    /// Push and pull without checking certificates.
    #[arg(long)]
    pub(crate) skip_tls_verify: bool,
    /// Pull without checking the registry's certificate.
    #[arg(long)]
    pub(crate) skip_tls_verify_pull: bool,
    /// A registry whose certificate is not checked. May be repeated.
    #[arg(long, value_name = "REGISTRY", value_parser = registry)]
    pub(crate) skip_tls_verify_registry: Vec<String>,
    /// A certificate authority for one registry, as REGISTRY=FILE. May be repeated.
    #[arg(long, value_name = "REGISTRY=FILE", value_parser = of_registry)]
    pub(crate) registry_certificate: Vec<Pair>,
    /// A certificate to show to one registry, and its key, as REGISTRY=FILE,KEYFILE. May be repeated.
    #[arg(long, value_name = "REGISTRY=FILE,KEYFILE", value_parser = of_registry)]
    pub(crate) registry_client_cert: Vec<Pair>,
    /// Other places to ask for a registry's images first, as REGISTRY=OTHER[/PATH];… May be repeated.
    #[arg(long, value_name = "REGISTRY=OTHER", value_parser = maps)]
    pub(crate) registry_map: Vec<Maps>,
    /// A place to ask for Docker Hub's images first, as HOST[:PORT][/PATH]. May be repeated.
    #[arg(long, value_name = "MIRROR")]
    pub(crate) registry_mirror: Vec<String>,
    /// Do not ask a registry itself if there are other places to ask for its images.
    #[arg(long)]
    pub(crate) skip_default_registry_fallback: bool,
    /// A file of credentials, as Docker's config.json or containers' auth.json, or a directory of them such as a mounted
    /// secret; it goes before all others. May be repeated.
    #[arg(long, value_name = "FILE")]
    pub(crate) authfile: Vec<PathBuf>,
    /// Which sources of credentials are used beside files, of env, google, ecr, acr and gitlab; all if not given, none if
    /// empty.
    #[arg(long, value_name = "NAMES")]
    pub(crate) credential_helpers: Vec<String>,
    /// How often to try again when a push fails for a passing reason, if more often than five times.
    #[arg(long, value_name = "NUMBER", default_value = "0")]
    pub(crate) push_retry: u32,
    /// How often to try again when a pull fails for a passing reason, if more often than five times.
    #[arg(long, value_name = "NUMBER", default_value = "0")]
    pub(crate) image_download_retry: u32,
}

/// Docker Hub has more than one name, and `docker.io` is what references call it.
const DOCKER_HUB: &str = "docker.io";

/// `host[:port]`, as in references. A scheme or a path would match nothing.
fn registry(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains('/') {
        return Err("expected HOST[:PORT], as in references, without a scheme or a path".to_owned());
    }
    Ok(match text {
        "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB.to_owned(),
        other => other.to_owned(),
    })
}

/// `REGISTRY=VALUE`.
fn of_registry(text: &str) -> Result<Pair, String> {
    let Pair { key, value } = pair(text)?;
    Ok(Pair { key: registry(&key)?, value })
}

/// Some registries, each with a place to ask first.
#[derive(Debug, Clone)]
pub(crate) struct Maps(Vec<Pair>);

/// `REGISTRY=OTHER;REGISTRY=OTHER`.
fn maps(text: &str) -> Result<Maps, String> {
    text.split(';').filter(|part| !part.is_empty()).map(of_registry).collect::<Result<_, _>>().map(Maps)
}

impl RegistryArgs {
    /// Where to ask first, by registry: the flags in their order, then what the environment says.
    pub(crate) fn mirrors(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<BTreeMap<String, Vec<String>>> {
        let mut mirrors: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut given: Vec<Pair> = self.registry_map.iter().flat_map(|Maps(pairs)| pairs.clone()).collect();
        if let Some(text) = variable("KANIKO_REGISTRY_MAP") {
            given.extend(maps(&text).map_err(|error| anyhow!("KANIKO_REGISTRY_MAP={text}: {error}"))?.0);
        }
        let of_environment = variable("KANIKO_REGISTRY_MIRROR").unwrap_or_default();
        let of_environment = of_environment.split(',').map(str::trim).filter(|text| !text.is_empty());
        let hub = self.registry_mirror.iter().map(String::as_str).chain(of_environment);
        given.extend(hub.map(|mirror| Pair { key: DOCKER_HUB.to_owned(), value: mirror.to_owned() }));
        for Pair { key, value } in given {
            // Only the place matters; what is written before it in a browser is no part of a reference.
            let place = value.trim_start_matches("https://").trim_start_matches("http://");
            mirrors.entry(key).or_default().push(place.to_owned());
        }
        Ok(mirrors)
    }

    /// PEM texts, by host and port.
    pub(crate) fn certificates(&self) -> Result<BTreeMap<String, String>> {
        let flag = "--registry-certificate";
        self.registry_certificate
            .iter()
            .map(|pair| Ok((pair.key.clone(), read(flag, pair, &pair.value)?)))
            .collect()
    }

    /// What to show to whom.
    pub(crate) fn client_certificates(&self) -> Result<BTreeMap<String, ClientCertificate>> {
        let flag = "--registry-client-cert";
        let certificate = |pair: &Pair| {
            let (chain, key) = pair.value.split_once(',').with_context(|| {
                format!("{flag} {}={}: expected REGISTRY=FILE,KEYFILE", pair.key, pair.value)
            })?;
            let key = Secret::new(read(flag, pair, key)?);
            Ok((pair.key.clone(), ClientCertificate { chain: read(flag, pair, chain)?, key }))
        };
        self.registry_client_cert.iter().map(certificate).collect()
    }

    /// When to try again. The flags can only ask for more than is done without them.
    pub(crate) fn retry(&self) -> RetryPolicy {
        let usual = RetryPolicy::default();
        let retries = self.push_retry.max(self.image_download_retry).max(usual.retries);
        let max_elapsed = usual.max_elapsed.max(usual.max_delay * retries);
        RetryPolicy { retries, max_elapsed, ..usual }
    }
}

fn read(flag: &str, pair: &Pair, path: &str) -> Result<String> {
    std::fs::read_to_string(Path::new(path)).with_context(|| format!("{flag} {}={path}", pair.key))
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;
    use crate::switch::with_switches;

    fn parse(line: &str) -> Result<RegistryArgs, clap::Error> {
        let command = with_switches(RegistryArgs::augment_args(Command::new("line")));
        RegistryArgs::from_arg_matches(&command.try_get_matches_from(line.split(' '))?)
    }

    #[test]
    fn where_to_ask_first() {
        let check = |line: &str, environment: &[(&str, &str)], expected: &str| {
            let variable = |name: &str| {
                environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            let mirrors = parse(line).unwrap().mirrors(variable).unwrap();
            let shown: Vec<String> =
                mirrors.iter().map(|(registry, places)| format!("{registry}={}", places.join(","))).collect();
            assert_eq!(shown.join(" "), expected, "{line}");
        };
        check("x", &[], "");
        check("x --registry-mirror=m:5000/hub", &[], "docker.io=m:5000/hub");
        check(
            "x --registry-mirror=m --registry-mirror=n",
            &[("KANIKO_REGISTRY_MIRROR", "o, p")],
            "docker.io=m,n,o,p",
        );
        check("x --registry-map index.docker.io=m;gcr.io=n/x", &[], "docker.io=m gcr.io=n/x");
        check("x --registry-map docker.io=m --registry-map docker.io=n", &[], "docker.io=m,n");
        check(
            "x --registry-map=a.example=https://m",
            &[("KANIKO_REGISTRY_MAP", "a.example=n")],
            "a.example=m,n",
        );
    }

    #[test]
    fn registries_are_named_as_in_references() {
        for line in [
            "x --insecure-registry=http://r:5000",
            "x --skip-tls-verify-registry=r/path",
            "x --registry-certificate=https://r=/f",
            "x --registry-map=r",
            "x --registry-map=r/path=m",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        let args = parse("x --insecure-registry=r:5000 --registry-client-cert=r=c.pem").unwrap();
        assert_eq!(args.insecure_registry, ["r:5000"]);
        let error = args.client_certificates().unwrap_err().to_string();
        assert!(error.contains("expected REGISTRY=FILE,KEYFILE"), "{error}");
    }

    #[test]
    fn tries() {
        for (line, retries) in
            [("x", 5), ("x --push-retry=2", 5), ("x --push-retry 9 --image-download-retry=7", 9)]
        {
            assert_eq!(parse(line).unwrap().retry().retries, retries, "{line}");
        }
    }
}
