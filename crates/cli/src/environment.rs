//! What is taken from the environment: folders, credentials, proxies, times. Read once, here and nowhere else.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::bail;
use cloud::Clouds;
use credentials::{Chain, ChainOptions, Environment, Helper};
use registry::{ClientOptions, Exemption, Proxies, Secret};

use crate::certs_d::{self, CertsD};
use crate::kaniko;
use crate::registry_args::RegistryArgs;
use crate::switch::go_bool;
use crate::values::given;

/// Where a build works: as told, else where temporary files go. `/var/tmp` goes before `/tmp`, which is
/// memory on some systems.
pub(crate) fn work_dir(flag: &Option<PathBuf>) -> PathBuf {
    let places = [given(flag), variable("KANIKO_DIR"), variable("TMPDIR")];
    places.into_iter().flatten().next().unwrap_or_else(|| {
        let usual = Path::new("/var/tmp");
        if is_writable(usual) { usual.to_owned() } else { PathBuf::from("/tmp") }
    })
}

/// A path that the environment gives.
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// A text that the environment gives.
pub(crate) fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Bytes that the environment gives; they may be none.
pub(crate) fn bytes(name: &str) -> Option<Vec<u8>> {
    std::env::var_os(name).map(std::os::unix::ffi::OsStringExt::into_vec)
}

/// Who we say that we are; Kaniko's `UPSTREAM_CLIENT_TYPE` adds who uses us.
fn user_agent() -> String {
    let own = concat!("bako/", env!("CARGO_PKG_VERSION"));
    text("UPSTREAM_CLIENT_TYPE").map_or_else(|| own.to_owned(), |client| format!("{own},{client}"))
}

/// Where docker's `config.json` is, for those who write it.
pub(crate) fn docker_config() -> Option<PathBuf> {
    variable("DOCKER_CONFIG").or_else(|| variable("HOME").map(|home| home.join(".docker")))
}

/// Where Skaffold and Cloud Build look for what was built: the file `images` in `$BUILDER_OUTPUT`.
pub(crate) fn builder_output() -> Option<PathBuf> {
    variable("BUILDER_OUTPUT").map(|directory| directory.join("images"))
}

/// What is to be said of variables that are set for Kaniko's sake.
pub(crate) fn kaniko_variables() -> Vec<(String, String)> {
    let set: Vec<_> = std::env::vars_os().collect();
    kaniko::variables(set.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str())))
}

/// Whether not to push: `KANIKO_NO_PUSH` wins over the flag, as with Kaniko.
pub(crate) fn no_push(flag: bool) -> anyhow::Result<bool> {
    match std::env::var_os("KANIKO_NO_PUSH") {
        None => Ok(flag),
        Some(value) => {
            let text = value.to_string_lossy();
            go_bool(&text).map_err(|expected| anyhow::anyhow!("KANIKO_NO_PUSH={text}: {expected}"))
        }
    }
}

/// True if a directory takes new entries: tried, since permissions do not tell of read-only mounts.
fn is_writable(directory: &Path) -> bool {
    let probe = directory.join(format!(".bako-probe-{}", std::process::id()));
    std::fs::create_dir(&probe).is_ok() && std::fs::remove_dir(&probe).is_ok()
}

/// Where bases are kept between builds: as told, else Kaniko's `/cache` if somebody has mounted that.
pub(crate) fn cache_dir(flag: &Option<PathBuf>) -> Option<PathBuf> {
    given(flag).or_else(|| {
        let usual = Path::new("/cache");
        is_writable(usual).then(|| usual.to_owned())
    })
}

/// `SOURCE_DATE_EPOCH`, see <https://reproducible-builds.org/specs/source-date-epoch/>.
pub(crate) fn source_date_epoch(build_args: &BTreeMap<String, String>) -> anyhow::Result<Option<i64>> {
    let given =
        build_args.get("SOURCE_DATE_EPOCH").cloned().or_else(|| std::env::var("SOURCE_DATE_EPOCH").ok());
    match given {
        None => Ok(None),
        Some(text) if text.is_empty() => Ok(None),
        Some(text) => match text.parse() {
            Ok(seconds) => Ok(Some(seconds)),
            Err(_) => bail!("SOURCE_DATE_EPOCH={text}: expected a number of seconds since 1970"),
        },
    }
}

/// `--build-arg`: a name alone takes its value from the environment and, as with Kaniko, is empty without one;
/// `missing` is told of those.
pub(crate) fn build_args(given: &[String], mut missing: impl FnMut(&str)) -> BTreeMap<String, String> {
    given
        .iter()
        .map(|text| match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => {
                let value = std::env::var(text);
                if value.is_err() {
                    missing(text);
                }
                (text.clone(), value.unwrap_or_default())
            }
        })
        .collect()
}

/// The variables that credentials come from.
pub(crate) fn variables() -> Environment {
    let text =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    Environment::new(std::env::vars_os().filter_map(text))
}

/// How to meet registries: flags, credentials and proxies. With it what there is to say of the credentials, and the
/// clouds that give some.
pub(crate) fn client_options(args: &RegistryArgs) -> anyhow::Result<(ClientOptions, Chain, Clouds)> {
    let environment = variables();
    let mut options = without_credentials(args)?;
    let clouds = Clouds::new(options.network(), environment.clone()).map_err(anyhow::Error::msg)?;
    let chain_options = ChainOptions {
        authfiles: args.authfile.clone(),
        helpers: credential_helpers(&args.credential_helpers)?,
        uid: nix::unistd::geteuid().as_raw(),
    };
    let chain = credentials::chain(&chain_options, &environment, clouds.clone())?;
    options.keychain = chain.keychain.clone();
    Ok((options, chain, clouds))
}

/// `--credential-helpers`, in one argument or in several: all if it is not given, none if it is empty.
fn credential_helpers(given: &[String]) -> anyhow::Result<Vec<Helper>> {
    if given.is_empty() {
        return Ok(Helper::ALL.to_vec());
    }
    let names = given.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|name| !name.is_empty());
    names
        .map(|name| name.parse().map_err(|error: String| anyhow::anyhow!("--credential-helpers: {error}")))
        .collect()
}

fn without_credentials(args: &RegistryArgs) -> anyhow::Result<ClientOptions> {
    let CertsD { mut authorities, mut client_certificates } = CertsD::read(&certs_d::DIRECTORIES)?;
    for (registry, text) in args.certificates()? {
        let known = authorities.entry(registry).or_default();
        known.push_str(&text);
        known.push('\n');
    }
    client_certificates.extend(args.client_certificates()?);
    Ok(ClientOptions {
        plain_http: Exemption {
            pull: args.insecure_pull,
            push: args.insecure,
            registries: args.insecure_registry.iter().cloned().collect(),
        },
        skip_tls_verify: Exemption {
            pull: args.skip_tls_verify_pull || args.skip_tls_verify,
            push: args.skip_tls_verify,
            registries: args.skip_tls_verify_registry.iter().cloned().collect(),
        },
        certificates: authorities,
        client_certificates,
        mirrors: args.mirrors(text)?,
        mirrors_only: args.skip_default_registry_fallback,
        proxies: proxies(),
        retry: args.retry(),
        user_agent: user_agent(),
        ..ClientOptions::default()
    })
}

/// What `KBLD_REGISTRY_*` say: a registry and what proves who we are, several told apart by a suffix of their names.
pub(crate) fn kbld_keychain() -> anyhow::Result<credentials::Keychain> {
    let of_kbld = |name: &std::ffi::OsString| {
        name.to_str().and_then(|name| name.strip_prefix("KBLD_REGISTRY_")).map(str::to_owned)
    };
    let ours = std::env::vars_os().filter_map(|(name, value)| Some((of_kbld(&name)?, value)));
    let ours = ours.map(|(name, value)| (name, value.to_string_lossy().into_owned())).collect();
    match kbld_config(&ours)? {
        Some(config) => Ok(credentials::Keychain::with_helpers(&config, "KBLD_REGISTRY_*", variables())?),
        None => Ok(credentials::Keychain::anonymous()),
    }
}

/// The variables, less what their names begin with, as a Docker config.
fn kbld_config(variables: &BTreeMap<String, String>) -> anyhow::Result<Option<String>> {
    const FIELDS: [(&str, &str); 5] = [
        ("HOSTNAME", ""),
        ("USERNAME", "username"),
        ("PASSWORD", "password"),
        ("IDENTITY_TOKEN", "identitytoken"),
        ("REGISTRY_TOKEN", "registrytoken"),
    ];
    let mut entries: BTreeMap<&str, (String, serde_json::Map<String, serde_json::Value>)> = BTreeMap::new();
    for (name, value) in variables {
        let known = FIELDS.iter().find_map(|(known, field)| {
            let suffix = name.strip_prefix(known)?;
            (suffix.is_empty() || suffix.starts_with('_')).then_some((suffix, *field))
        });
        let Some((suffix, field)) = known else { bail!("Unknown env variable 'KBLD_REGISTRY_{name}'") };
        let entry = entries.entry(suffix).or_default();
        if field.is_empty() {
            if value.is_empty() || value.contains(['/', '@']) {
                bail!(
                    "Parsing registry hostname: registries must be valid RFC 3986 URI authorities: {value} (e.g. gcr.io, index.docker.io)"
                );
            }
            entry.0.clone_from(value);
        } else {
            entry.1.insert(field.to_owned(), value.clone().into());
        }
    }
    let auths: serde_json::Map<_, _> = entries
        .into_values()
        .filter(|(hostname, _)| !hostname.is_empty())
        .map(|(hostname, entry)| (hostname, entry.into()))
        .collect();
    Ok((!auths.is_empty()).then(|| serde_json::json!({ "auths": auths }).to_string()))
}

fn proxies() -> Proxies {
    let of = |names: [&str; 2]| {
        names.iter().find_map(|name| std::env::var(name).ok().filter(|text| !text.is_empty()))
    };
    Proxies {
        http: of(["http_proxy", "HTTP_PROXY"]).map(Secret::new),
        https: of(["https_proxy", "HTTPS_PROXY"]).map(Secret::new),
        no_proxy: of(["no_proxy", "NO_PROXY"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_kbld() {
        for (variables, expected) in [
            (&[][..], Ok("")),
            (
                &[
                    ("HOSTNAME", "r.example"),
                    ("USERNAME", "u"),
                    ("PASSWORD", "p"),
                    ("HOSTNAME_2", "s.example"),
                    ("REGISTRY_TOKEN_2", "t"),
                ][..],
                Ok(
                    r#"{"auths":{"r.example":{"password":"p","username":"u"},"s.example":{"registrytoken":"t"}}}"#,
                ),
            ),
            (&[("NOPE", "x")][..], Err("Unknown env variable 'KBLD_REGISTRY_NOPE'")),
            (
                &[("HOSTNAME", "http://x")][..],
                Err(
                    "Parsing registry hostname: registries must be valid RFC 3986 URI authorities: http://x (e.g. gcr.io, index.docker.io)",
                ),
            ),
        ] {
            let variables =
                variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let found =
                kbld_config(&variables).map(Option::unwrap_or_default).map_err(|error| error.to_string());
            assert_eq!(found.as_deref().map_err(String::as_str), expected);
        }
    }
}
