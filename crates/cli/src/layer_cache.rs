//! Where results of steps are kept: from what is typed to places.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use builder::{CacheLocation, CacheMountsOptions, CacheOptions, NoCache, SigningKey, VerifyingKey};
use oci::Reference;

use crate::build_args::BuildArgs;
use crate::values::given;

/// What the flags come to, and what there is to say about them.
pub(crate) struct Flags {
    pub(crate) options: Option<CacheOptions>,
    pub(crate) mounts: Option<CacheMountsOptions>,
    pub(crate) warnings: Vec<String>,
}

/// `--cache`, `--cache-repo`, `--cache-from`, `--cache-to` and those that go with them.
pub(crate) fn options(args: &BuildArgs, destinations: &[Reference]) -> anyhow::Result<Flags> {
    let mut warnings = Vec::new();
    let (mut from, mut to) = (Vec::new(), Vec::new());
    let repository = given(&args.cache_repo);
    if args.cache {
        let location = match &repository {
            Some(text) => Some(location(text).with_context(|| format!("--cache-repo {text}"))?),
            None => match default_repository(destinations)? {
                Ok(location) => Some(location),
                Err(text) => {
                    warnings.push(text);
                    None
                }
            },
        };
        from.extend(location.clone());
        to.extend(location.filter(|_| !args.no_push_cache));
    } else if repository.is_some() && args.cache_from.is_empty() && args.cache_to.is_empty() {
        warnings.push("--cache-repo is without effect, as --cache is not given".to_owned());
    }
    for text in &args.cache_from {
        from.push(place(text, "src").with_context(|| format!("--cache-from {text}"))?);
    }
    for text in &args.cache_to {
        to.push(place(text, "dest").with_context(|| format!("--cache-to {text}"))?);
    }
    dedup(&mut from);
    dedup(&mut to);
    let sign = key("--cache-sign-key", &args.cache_sign_key, SigningKey::from_pem)?.map(Arc::new);
    let verify = key("--cache-verify-key", &args.cache_verify_key, VerifyingKey::from_pem)?;
    let clock =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64);
    let mounts = mounts(args, &from, &to, &mut warnings)?.map(|(from, to)| CacheMountsOptions {
        from,
        to,
        ttl: Some(args.cache_ttl),
        max_size: args.cache_mounts_max_size,
        clock,
        sign: sign.clone(),
        verify: verify.clone(),
    });
    if from.is_empty() && to.is_empty() {
        warnings.extend(without_effect(args, mounts.is_some()));
        // A plan has keys, and an explanation reasons, if nothing is kept anywhere.
        if !args.dryrun && !args.explain {
            return Ok(Flags { options: None, mounts, warnings });
        }
    }
    let no_cache = match &args.no_cache_filter[..] {
        _ if args.no_cache => NoCache::Everything,
        [] => NoCache::Nothing,
        stages => NoCache::Stages(stages.to_vec()),
    };
    let options = CacheOptions {
        from,
        to,
        ttl: Some(args.cache_ttl),
        copy_layers: args.cache_copy_layers,
        run_layers: args.cache_run_layers,
        no_cache,
        clock,
        sign,
        verify,
    };
    Ok(Flags { options: Some(options), mounts, warnings })
}

/// Where cache mounts are looked for, and where they are kept; `None` if they stay on this machine.
fn mounts(
    args: &BuildArgs,
    from: &[CacheLocation],
    to: &[CacheLocation],
    warnings: &mut Vec<String>,
) -> anyhow::Result<Option<(Vec<CacheLocation>, Vec<CacheLocation>)>> {
    if !args.cache_mounts {
        if given(&args.cache_mounts_repo).is_some() {
            warnings
                .push("--cache-mounts-repo is without effect, as --cache-mounts=false is given".to_owned());
        }
        return Ok(None);
    }
    let (from, to) = match given(&args.cache_mounts_repo) {
        Some(text) => {
            let location = location(&text).with_context(|| format!("--cache-mounts-repo {text}"))?;
            let to = if args.no_push_cache { Vec::new() } else { vec![location.clone()] };
            (vec![location], to)
        }
        None => (from.to_vec(), to.to_vec()),
    };
    Ok((!from.is_empty() || !to.is_empty()).then_some((from, to)))
}

/// What `--cache-ttl` is if it is not given.
const TTL: Duration = Duration::from_secs(336 * 3600);

/// What to say of flags that have no cache to be about. Those that ask for nothing to be used or kept have what they
/// want.
fn without_effect(args: &BuildArgs, has_mounts: bool) -> Option<String> {
    let of_steps = [
        ("--cache-copy-layers", args.cache_copy_layers),
        ("--cache-run-layers", !args.cache_run_layers),
        ("--no-cache-filter", !args.no_cache_filter.is_empty()),
    ];
    let of_any = [
        ("--cache-sign-key", given(&args.cache_sign_key).is_some()),
        ("--cache-verify-key", given(&args.cache_verify_key).is_some()),
        ("--cache-ttl", args.cache_ttl != TTL),
    ];
    let given: Vec<&str> = of_steps
        .into_iter()
        .chain(of_any.into_iter().filter(|_| !has_mounts))
        .filter_map(|(flag, is_given)| is_given.then_some(flag))
        .collect();
    let verb = if given.len() == 1 { "is" } else { "are" };
    let flags = given.join(", ");
    (!given.is_empty())
        .then(|| format!("{flags} {verb} without effect: no cache is given, as by --cache or --cache-to"))
}

/// A key in a file, if one is given.
fn key<K, E: std::error::Error + Send + Sync + 'static>(
    flag: &str,
    path: &Option<PathBuf>,
    parse: impl Fn(&str) -> Result<K, E>,
) -> anyhow::Result<Option<K>> {
    let Some(path) = given(path) else { return Ok(None) };
    let during = || format!("{flag} {}", path.display());
    let text = std::fs::read_to_string(&path).with_context(during)?;
    parse(&text).map(Some).with_context(during)
}

/// Kaniko's default: below the repository of the first destination. The inner error is a reason to do without.
fn default_repository(destinations: &[Reference]) -> anyhow::Result<Result<CacheLocation, String>> {
    let Some(destination) = destinations.first() else {
        bail!("--cache needs a --cache-repo where there is no --destination");
    };
    let name = destination.name();
    if matches!(destination.registry(), "docker.io" | "index.docker.io" | "registry-1.docker.io") {
        return Ok(Err(format!(
            "nothing is cached: Docker Hub has no repositories below {name}; give --cache-repo another one"
        )));
    }
    let reference = format!("{name}/cache").parse().context("--cache")?;
    Ok(Ok(CacheLocation::Registry(reference)))
}

/// `oci:DIR`, or a repository. A tag is as Docker has it, and does not matter: each result has its own.
pub(crate) fn location(text: &str) -> anyhow::Result<CacheLocation> {
    if let Some(directory) = text.strip_prefix("oci:") {
        if directory.is_empty() {
            bail!("expected oci:DIR");
        }
        return Ok(CacheLocation::Directory(PathBuf::from(directory)));
    }
    let reference: Reference = text.parse()?;
    if reference.digest().is_some() {
        bail!("a cache is a repository, and not one image of it");
    }
    Ok(CacheLocation::Registry(reference.with_tag("latest")))
}

/// What Docker's users write: `type=registry,ref=…`, `type=local,src=…`, or a repository alone.
fn place(text: &str, path_key: &str) -> anyhow::Result<CacheLocation> {
    if !text.contains('=') {
        return location(text);
    }
    let (mut kind, mut reference, mut path) = ("registry", None, None);
    for field in text.split(',') {
        match field.split_once('=') {
            Some(("type", value)) => kind = value,
            Some(("ref", value)) => reference = Some(value),
            Some((key, value)) if key == path_key => path = Some(value),
            Some(("mode", "max")) => {}
            Some(("mode", _)) => bail!("results of all steps are kept, which is mode=max"),
            // So it is always.
            Some(("image-manifest" | "oci-mediatypes" | "ignore-error", "true")) => {}
            _ => bail!("{field} is not supported"),
        }
    }
    match (kind, reference, path) {
        ("registry", Some(reference), None) => location(reference),
        ("local", None, Some(path)) => Ok(CacheLocation::Directory(PathBuf::from(path))),
        ("registry", ..) => bail!("expected type=registry,ref=REPOSITORY"),
        ("local", ..) => bail!("expected type=local,{path_key}=DIR"),
        ("inline", ..) => bail!("results are not kept in the image; give type=registry,ref=REPOSITORY"),
        (other, ..) => bail!("type={other} is not supported; there are type=registry and type=local"),
    }
}

fn dedup(places: &mut Vec<CacheLocation>) {
    let mut seen = Vec::new();
    places.retain(|place| {
        let is_new = !seen.contains(place);
        if is_new {
            seen.push(place.clone());
        }
        is_new
    });
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::args::Cli;

    /// `from | to`, or what the error says.
    fn check(line: &str, expected: Result<&str, &str>) {
        let args = Cli::read(format!("bako {line}").split_whitespace().map(Into::into)).unwrap().0.build;
        let destinations: Vec<Reference> =
            args.destination.iter().map(|text| text.parse().unwrap()).collect();
        let shown = options(&args, &destinations).map(|flags| {
            let list = |places: &[CacheLocation]| {
                places.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
            };
            match (flags.options, flags.warnings.first().cloned()) {
                (Some(options), _) => format!("{} | {}", list(&options.from), list(&options.to)),
                (None, warning) => warning.unwrap_or_default(),
            }
        });
        match (shown, expected) {
            (Ok(shown), Ok(expected)) => assert!(shown.starts_with(expected), "{line}: {shown}"),
            (Err(error), Err(expected)) => {
                assert!(format!("{error:#}").contains(expected), "{line}: {error:#}")
            }
            (shown, _) => panic!("{line}: {shown:?}"),
        }
    }

    #[test]
    fn where_results_are_kept() {
        check("", Ok(""));
        check("--cache -d r.example/a:1", Ok("r.example/a/cache | r.example/a/cache"));
        check("--cache=true --cache-repo r.example/c -d r.example/a", Ok("r.example/c | r.example/c"));
        check("--cache --no-push-cache --cache-repo oci:/c", Ok("oci:/c | "));
        check("--cache --no-push", Err("--cache needs a --cache-repo"));
        check("--cache -d user/app", Ok("nothing is cached: Docker Hub"));
        check("--cache-repo r.example/c", Ok("--cache-repo is without effect"));
        check(
            "--cache-from r.example/a:t --cache-from type=registry,ref=r.example/b --cache-to type=local,dest=/c,mode=max",
            Ok("r.example/a r.example/b | oci:/c"),
        );
        check("--cache-from type=local,src=/c --cache-from oci:/c", Ok("oci:/c | "));
        check("--cache-to type=gha", Err("type=gha is not supported"));
        check("--cache-to type=inline", Err("not kept in the image"));
        check("--cache-to type=registry,ref=r.example/a,mode=min", Err("mode=max"));
        check("--cache-from type=local,dest=/c", Err("dest=/c is not supported"));
        check("--cache --cache-repo oci:", Err("expected oci:DIR"));
    }

    #[test]
    fn where_cache_mounts_are_kept() {
        let check = |line: &str, expected: &str| {
            let line = format!("bako --no-push {line}");
            let args = Cli::read(line.split_whitespace().map(Into::into)).unwrap().0.build;
            let list = |places: &[CacheLocation]| {
                places.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
            };
            let mounts = options(&args, &[]).unwrap().mounts;
            let shown = mounts.map(|mounts| format!("{} | {}", list(&mounts.from), list(&mounts.to)));
            assert_eq!(shown.unwrap_or_default(), expected, "{line}");
        };
        check("", "");
        check("--cache --cache-repo r.example/c", "r.example/c | r.example/c");
        check("--cache --cache-repo r.example/c --cache-mounts=false", "");
        check("--cache --cache-repo r.example/c --no-push-cache", "r.example/c | ");
        check("--cache --cache-repo r.example/c --cache-mounts-repo oci:/m", "oci:/m | oci:/m");
        check("--cache-mounts-repo r.example/m", "r.example/m | r.example/m");
        check("--cache-mounts-repo r.example/m --no-push-cache", "r.example/m | ");
        check("--cache-from r.example/a --cache-to oci:/b", "r.example/a | oci:/b");
    }

    #[test]
    fn flags_without_a_cache_are_told() {
        let check = |line: &str, expected: &[&str]| {
            let line = format!("bako --no-push {line}");
            let args = Cli::read(line.split_whitespace().map(Into::into)).unwrap().0.build;
            let warnings = options(&args, &[]).unwrap().warnings;
            assert_eq!(warnings.len(), expected.len(), "{line}: {warnings:?}");
            for (warning, start) in warnings.iter().zip(expected) {
                assert!(warning.starts_with(start), "{line}: {warning}");
            }
        };
        check("--no-push-cache --no-cache --cache-run-layers --cache-ttl 336h", &[]);
        check("--cache-repo r.example/c", &["--cache-repo is without effect"]);
        check("--cache-copy-layers", &["--cache-copy-layers is without effect"]);
        check("--no-cache-filter a --cache-ttl 1h", &["--no-cache-filter, --cache-ttl are without effect"]);
        check("--cache-mounts-repo oci:/m --cache-ttl 1h", &[]);
        check("--cache-to oci:/c --cache-copy-layers --cache-ttl 1h", &[]);
        check("--cache-mounts=false --cache-mounts-repo oci:/m", &["--cache-mounts-repo is without effect"]);
        let line = "bako --no-push --cache-sign-key /no/such/key";
        let missing = Cli::read(line.split_whitespace().map(Into::into)).unwrap().0.build;
        assert!(options(&missing, &[]).is_err());
    }
}
