//! From flags to what a build is asked to do, and everything that can be wrong before it starts.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, anyhow, bail};
use attest::key::SigningKey;
use builder::{
    Attestations, BuildContext, ContextLocation, ContextOrigin, Event, Fetching, Options, Outputs,
    Provenance, Report as _, TreePath, Warning, WorkDir,
};
use oci::{Compression, Platform, Reference};
use sandbox::{Cancel, Choice, Isolation};
use serde_json::json;
use tokio::runtime::Handle;

use crate::build_args::{BuildArgs, CompressionArg, IsolationArg};
use crate::call::Method;
use crate::context::Located;
use crate::delivery_args::ImageFormatArg;
use crate::diagnostic::Source;
use crate::images_command::signing_key;
use crate::log_args::Verbosity;
use crate::terminal::Terminal;
use crate::values::given;
use crate::{context, dockerfile, environment, git_flag, layer_cache, session};

/// What is to be stated of the image.
fn attestations(args: &BuildArgs, repository: Option<(String, String)>) -> Attestations {
    let provenance = args.attest.provenance().map(|wanted| Provenance { repository, ..wanted });
    Attestations::new(provenance, args.attest.sbom())
}

/// `--sign-key`, if it is of use.
fn sign_key(args: &BuildArgs) -> anyhow::Result<Option<Arc<SigningKey>>> {
    let Some(file) = given(&args.sign_key).filter(|_| args.asked().method == Method::Build) else {
        return Ok(None);
    };
    if environment::no_push(args.no_push)? {
        bail!("--sign-key: signatures are kept beside the image in its registry, and nothing is pushed");
    }
    signing_key(&file).map(Arc::new).map(Some)
}

/// The isolation for a build, or why there is none.
pub(crate) fn choose(
    isolation: IsolationArg,
    required: &[IsolationArg],
    work_dir: &Path,
) -> Result<Arc<dyn Isolation>, String> {
    let choices = choices(isolation, required)?;
    sandbox::choose(&choices, work_dir).map(Arc::from).map_err(|error| error.to_string())
}

/// What is asked for, of that what is good enough.
fn choices(isolation: IsolationArg, required: &[IsolationArg]) -> Result<Vec<Choice>, String> {
    let asked = |isolation: IsolationArg| match isolation {
        IsolationArg::Auto => Choice::ALL.to_vec(),
        IsolationArg::Ns => vec![Choice::Ns],
        IsolationArg::Chroot => vec![Choice::Chroot],
        IsolationArg::Supervised => vec![Choice::Supervised],
    };
    let mut choices = asked(isolation);
    if !required.is_empty() {
        let enough: Vec<Choice> = required.iter().copied().flat_map(asked).collect();
        choices.retain(|choice| enough.contains(choice));
    }
    if choices.is_empty() {
        return Err("what --isolation asks for is not among what --isolation-require lists".to_owned());
    }
    Ok(choices)
}

/// Everything that can be wrong before a build starts.
pub(crate) fn prepare(
    args: &BuildArgs,
    work_dir: Arc<WorkDir>,
    isolation: Result<Arc<dyn Isolation>, String>,
    terminal: Arc<Terminal>,
    cancel: &Cancel,
    runtime: &Handle,
) -> anyhow::Result<Options> {
    // What is only asked goes nowhere.
    let no_push = environment::no_push(args.no_push)? || args.asked().method != Method::Build;
    let destinations = destinations(&args.destination, no_push)?;
    let (compression, compression_level) = compression(args)?;
    let contexts = context::named(&args.build_context)?;
    let (client_options, chain, clouds) = environment::client_options(&args.registries)?;
    session::speak_of_credentials(&chain, &terminal);
    let network = client_options.network();
    let build_args = environment::build_args(&args.build_arg, |name| {
        let text =
            format!("--build-arg {name}: there is no such variable in the environment, so it is empty");
        terminal.line(Verbosity::Warn, &text, json!({ "event": "warning" }));
    });
    let mut unset = Vec::new();
    let secrets = crate::secrets::secrets(&args.secret, &mut unset)?;
    for text in unset {
        terminal.event(Warning::new(text).into());
    }
    let agents = crate::secrets::agents(&args.ssh)?;
    let fetching = Fetching {
        network: &network,
        limit: args.download_limit,
        secrets: &secrets,
        agents: &agents,
        runtime,
        work_dir: &work_dir,
        cancel,
    };
    let object = context::object(&args.context, &clouds, &environment::variables())?;
    let context = fetch_context(args, object, &build_args, fetching, &terminal)?;
    let repository = match &context.origin {
        ContextOrigin::Repository { location, commit } => Some((location.to_string(), commit.to_string())),
        _ => None,
    };
    let dockerfile = dockerfile::find(&context, &args.dockerfile, fetching)?;
    let path = dockerfile.path.display().to_string();
    terminal.show_source(Source { path, text: dockerfile.text.clone() });
    let epoch = environment::source_date_epoch(&build_args)?.or(args.reproducible.then_some(0));
    let mut targets = args.targets().into_iter();
    let cache = layer_cache::options(args, &destinations)?;
    for text in cache.warnings {
        terminal.event(Event::Warning(Warning::new(text)));
    }
    let now =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64);
    Ok(Options {
        ignore: dockerfile::find_ignore(&context, &dockerfile)?,
        context: context.directory,
        contexts,
        dockerfile: dockerfile.text,
        build_args,
        secrets,
        agents,
        syntax_ignore: args.syntax_ignore,
        target: targets.next(),
        other_targets: targets.collect(),
        labels: args.label.iter().map(|pair| (pair.key.clone(), pair.value.clone())).collect(),
        platform: args.platforms().into_iter().next().unwrap_or_else(Platform::host),
        jobs: args.jobs.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN),
        add_hosts: args.add_host.clone(),
        outputs: Outputs {
            destinations,
            no_push,
            tar_path: output_file("--tar-path", &args.tar_path)?,
            oci_layout_path: given(&args.oci_layout_path),
            metadata_file: output_file("--metadata-file", &args.metadata_file)?,
            annotations: args.attest.annotations(),
            attestations: attestations(args, repository),
            sign_key: sign_key(args)?,
            summarize_layers: output_file("--build-report", &args.build_report)?.is_some(),
            ..args.delivery.outputs(&args.destination)?
        },
        compression,
        compression_level,
        single_snapshot: args.single_snapshot,
        ignored_paths: ignored_paths(&args.ignore_path)?,
        now: epoch.unwrap_or(now),
        clamp: epoch,
        work_dir,
        cache_dir: environment::cache_dir(&args.cache_dir),
        cache: cache.options,
        cache_mounts: cache.mounts,
        explain: args.explain,
        isolation,
        download_limit: args.download_limit,
        client: registry::Client::new(client_options)?,
        network,
        report: terminal,
        cancel: cancel.clone(),
    })
}

/// Brings the build context here.
fn fetch_context(
    args: &BuildArgs,
    object: Option<ContextLocation>,
    build_args: &BTreeMap<String, String>,
    fetching: Fetching<'_>,
    terminal: &Arc<Terminal>,
) -> anyhow::Result<BuildContext> {
    let below = given(&args.context_sub_path);
    if args.dockerfile == Path::new("-") && ["-", "tar://stdin"].contains(&args.context.as_str()) {
        bail!("--dockerfile -: standard input is the context already");
    }
    let pull_method = environment::text("GIT_PULL_METHOD");
    let Located { location, skip_tls, notes } = match object {
        Some(location) => Located { location, skip_tls: None, notes: Vec::new() },
        None => context::locate(&args.context, &args.git, pull_method.as_deref())?,
    };
    let mut location = context::with_progress(location, terminal)?;
    for note in notes {
        terminal.event(Event::Note(note));
    }
    let mut network = fetching.network.clone();
    network.skip_tls_verify.extend(skip_tls);
    let secrets = git_flag::credentials(fetching.secrets, environment::text);
    if let ContextLocation::Object(request) = &mut location {
        context::authorize(request, &secrets)?;
    }
    if let ContextLocation::Git(url) = &mut location {
        url.keep_git_dir = url.keep_git_dir.or(git_flag::keep_git_dir(build_args)?);
        if url.keep_git_dir == Some(true) && (url.subdirectory.is_some() || below.is_some()) {
            let text = "the .git of the context is not kept: of the repository, a directory is taken";
            terminal.event(Warning::new(text).into());
        }
    }
    let fetching = Fetching { network: &network, limit: args.download_limit, secrets: &secrets, ..fetching };
    let context =
        BuildContext::fetch(location, below.as_deref(), fetching).map_err(|error| match &error.hint {
            Some(hint) => anyhow!("--context: {error} ({hint})"),
            None => anyhow!("--context: {error}"),
        })?;
    if let ContextOrigin::Repository { location, commit } = &context.origin {
        terminal.event(Event::Note(format!("{location} is at {commit}")));
    }
    Ok(context)
}

/// `--destination`: a tag, `latest` if there is none; a digest cannot be pushed to.
pub(crate) fn destinations(given: &[String], no_push: bool) -> anyhow::Result<Vec<Reference>> {
    if given.is_empty() && !no_push {
        bail!("you must provide --destination, or use --no-push");
    }
    given
        .iter()
        .map(|text| {
            let reference: Reference = text.parse().with_context(|| format!("--destination {text}"))?;
            if reference.digest().is_some() {
                bail!("--destination {text}: an image cannot be pushed to a digest; give a tag");
            }
            Ok(reference.with_tag(reference.tag().unwrap_or("latest")))
        })
        .collect()
}

/// How new layers are packed, if what is asked for goes together.
fn compression(args: &BuildArgs) -> anyhow::Result<(Compression, Option<u32>)> {
    let (compression, name, levels) = match args.compression {
        CompressionArg::Gzip => (Compression::Gzip, "gzip", 0..=12),
        CompressionArg::Zstd => (Compression::Zstd, "zstd", 1..=22),
    };
    if compression == Compression::Zstd {
        if args.delivery.image_format == ImageFormatArg::Docker {
            bail!(
                "--compression zstd: images in Docker's format have no such layers; leave out --image-format"
            );
        }
        if given(&args.tar_path).is_some() {
            bail!("--compression zstd: docker load does not read such layers; leave out --tar-path");
        }
    }
    match u32::try_from(args.compression_level) {
        Ok(level) if levels.contains(&level) => Ok((compression, Some(level))),
        Err(_) if args.compression_level == -1 => Ok((compression, None)),
        _ => bail!(
            "--compression-level {}: levels of {name} are {} to {}, and -1 is what suits builds",
            args.compression_level,
            levels.start(),
            levels.end()
        ),
    }
}

/// `--ignore-path`: paths of the image, absolute as everywhere in Kaniko.
fn ignored_paths(given: &[String]) -> anyhow::Result<Vec<TreePath>> {
    let parse = |text: &String| {
        if !text.starts_with('/') || text.trim_matches('/').is_empty() {
            bail!("--ignore-path {text}: expected an absolute path of the image, below its root");
        }
        TreePath::root().join_clean(text).with_context(|| format!("--ignore-path {text}"))
    };
    given.iter().map(parse).collect()
}

/// A file to be written at the end: better to learn now that it has no place.
fn output_file(flag: &str, path: &Option<PathBuf>) -> anyhow::Result<Option<PathBuf>> {
    let Some(path) = given(path) else { return Ok(None) };
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if folder.is_some_and(|folder| !folder.is_dir()) {
        bail!("{flag} {}: its directory does not exist", path.display());
    }
    if path.is_dir() {
        bail!("{flag} {}: is a directory; give a file", path.display());
    }
    Ok(Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_tags() {
        for (given, no_push, expected) in [
            (&["r.example/a"][..], false, Ok("r.example/a:latest")),
            (&["r.example:5000/a:1", "r.example/b:2"], false, Ok("r.example:5000/a:1 r.example/b:2")),
            (&[], true, Ok("")),
            (&[], false, Err("you must provide --destination, or use --no-push")),
            (&["Not A Reference"], true, Err("--destination Not A Reference")),
            (
                &["r.example/a@sha256:0000000000000000000000000000000000000000000000000000000000000000"],
                false,
                Err("an image cannot be pushed to a digest"),
            ),
        ] {
            let given: Vec<String> = given.iter().map(|text| (*text).to_owned()).collect();
            let found = destinations(&given, no_push);
            match (found, expected) {
                (Ok(found), Ok(expected)) => {
                    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
                    assert_eq!(found.join(" "), expected);
                }
                (Err(error), Err(expected)) => {
                    let text = format!("{error:#}");
                    assert!(text.contains(expected), "{text}");
                }
                (found, _) => panic!("{given:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn output_files_need_a_place() {
        for (path, expected) in [
            (None, Ok(None)),
            (Some(""), Ok(None)),
            (Some("here.tar"), Ok(Some("here.tar"))),
            (Some("/dev/null"), Ok(Some("/dev/null"))),
            (Some("/no/such/x"), Err("--tar-path /no/such/x: its directory does not exist")),
            (Some("/"), Err("--tar-path /: is a directory; give a file")),
        ] {
            let found = output_file("--tar-path", &path.map(PathBuf::from));
            let found = found.map_err(|error| error.to_string());
            assert_eq!(found, expected.map(|path| path.map(PathBuf::from)).map_err(str::to_owned));
        }
    }
}
