//! A build: from flags to options, then the build, then its result.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow, bail};
use attest::key::SigningKey;
use builder::{
    Attestations, BuildContext, ContextLocation, ContextOrigin, Error, Event, Fetching, Options, Outputs,
    Provenance, Report as _, TreePath, Warning, WorkDir,
};
use oci::{Compression, Platform, Reference};
use report::text;
use sandbox::{Cancel, Choice, Isolation, RootShape};
use serde_json::json;
use tokio::runtime::Handle;

use crate::build_args::{BuildArgs, CompressionArg, IsolationArg};
use crate::build_report::Recorder;
use crate::call::{self, Findings, Method};
use crate::context::Located;
use crate::delivery_args::ImageFormatArg;
use crate::diagnostic::Source;
use crate::images_command::signing_key;
use crate::kaniko::Entry;
use crate::log_args::Verbosity;
use crate::terminal::{Terminal, print_result};
use crate::values::given;
use crate::{context, environment, git_flag, layer_cache, session, signals};

/// Builds, or asks, and says how it went.
pub(crate) fn run(args: BuildArgs, used: &[&Entry]) -> ExitCode {
    // From here on there may be something to remove.
    let signals = signals::hold();
    let (log_format, verbosity) = args.log();
    let terminal = Arc::new(Terminal::new(log_format, verbosity, args.logging.log_timestamp));
    crate::terminal::show_library_logs(log_format, verbosity);
    if let Err(error) = session::speak_of_kaniko(used, &terminal) {
        terminal.error(&error, crate::USAGE);
        return ExitCode::from(crate::USAGE);
    }
    let work_dir = match WorkDir::create(&environment::work_dir(&args.work_dir)) {
        Ok(work_dir) => Arc::new(work_dir),
        Err(error) => {
            terminal.error(&error, 1);
            return ExitCode::FAILURE;
        }
    };
    let asked = args.asked();
    // Before any thread is started: it may have to move this process into a user namespace.
    let isolation = match asked.method {
        Method::Build => choose(args.isolation, &args.isolation_require, work_dir.path()),
        _ => Err("nothing is built".to_owned()),
    };
    if let Err(error) = sandbox::protect_self() {
        terminal.line(
            Verbosity::Warn,
            &format!("this process cannot be hidden from a RUN: {error}"),
            json!({}),
        );
    }
    let cancel = Cancel::new();
    // The directory goes with the build, not with who listens for signals.
    let runtime = match signals.start_runtime(&cancel, Arc::downgrade(&work_dir), &terminal) {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal.error(&Error::new(format!("start: {error}")), 1);
            return ExitCode::FAILURE;
        }
    };
    let prepared = prepare(&args, work_dir, isolation, terminal.clone(), &cancel, runtime.handle());
    let mut options = match prepared {
        Ok(options) => options,
        Err(error) => {
            runtime.shutdown_timeout(Duration::from_secs(1));
            let (text, code) = match cancel.signal() {
                // Whatever went wrong then went wrong for that reason.
                Some(signal) => (format!("ended by signal {signal}"), 128 + signal),
                None => (format!("{error:#}"), 1),
            };
            let code = u8::try_from(code).unwrap_or(1);
            terminal.error(&Error::new(text), code);
            return ExitCode::from(code);
        }
    };
    if asked.method != Method::Build {
        let findings = Arc::new(Findings::new(terminal.clone()));
        options.report = findings.clone();
        let answer = call::answer(asked, &options, runtime.handle().clone(), &findings, &terminal);
        runtime.shutdown_timeout(Duration::from_secs(1));
        return answer;
    }
    let recorder = match given(&args.build_report).map(|path| record(&mut options, path)).transpose() {
        Ok(recorder) => recorder,
        Err(error) => {
            terminal.error(&Error::new(error.to_string()), 1);
            return ExitCode::FAILURE;
        }
    };
    let platforms = args.platforms();
    let is_alone = platforms.len() < 2 && !options.outputs.attestations.are_wanted();
    let outcome = match &platforms[..] {
        _ if is_alone => builder::build(&options, runtime.handle().clone()),
        // What is stated of an image stands beside it in an index.
        [] => {
            let platform = options.platform.clone();
            builder::build_platforms(&options, &[platform], runtime.handle().clone())
        }
        platforms => builder::build_platforms(&options, platforms, runtime.handle().clone()),
    };
    let written = recorder.map_or(Ok(()), |(recorder, path)| {
        let names = options.outputs.destinations.iter().map(ToString::to_string).collect();
        recorder.write(&path, names, outcome.as_ref())
    });
    let outcome = match (outcome, written) {
        (Ok(_), Err(error)) => Err(Error::new(format!("{error:#}"))),
        // The error of the build is the one that matters.
        (outcome, _) => outcome,
    };
    // Tasks hold on to the work directory, and one that writes would disturb its removal.
    runtime.shutdown_timeout(Duration::from_secs(1));
    match outcome {
        Ok(outcome) => {
            if args.timings {
                for (kind, time) in outcome.timings.list() {
                    let text = format!("{:>10}  {kind}", text::time(time));
                    terminal.line(
                        Verbosity::Info,
                        &text,
                        json!({ "event": "timing", "kind": kind, "ms": time.as_millis() as u64 }),
                    );
                }
            }
            print_result(&outcome.digest.to_string());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let code = error.exit_code.and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0);
            let code = code.unwrap_or(1);
            terminal.error(&error, code);
            ExitCode::from(code)
        }
    }
}

/// Lets a recorder listen to the build.
fn record(options: &mut Options, path: PathBuf) -> registry::Result<(Arc<Recorder>, PathBuf)> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let recorder = Recorder::new(options.report.clone(), i64::try_from(now).unwrap_or(i64::MAX));
    options.client = recorder.count(&options.client)?;
    let recorder = Arc::new(recorder);
    options.report = recorder.clone();
    Ok((recorder, path))
}

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
    let dockerfile = find_dockerfile(&context, &args.dockerfile, fetching)?;
    let path = dockerfile.path.display().to_string();
    terminal.show_source(Source { path, text: dockerfile.text.clone() });
    let epoch = environment::source_date_epoch(&build_args)?.or(args.reproducible.then_some(0));
    if args.jobs.is_some_and(|jobs| jobs.get() > 1)
        && let Ok(isolation) = &isolation
        && isolation.shape() == RootShape::Described
    {
        let text =
            format!("--jobs: with the isolation {}, stages are built one after the other", isolation.name());
        terminal.event(Warning::new(text).into());
    }
    let mut targets = args.targets().into_iter();
    let cache = layer_cache::options(args, &destinations)?;
    for text in cache.warnings {
        terminal.event(Event::Warning(Warning::new(text)));
    }
    let now =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64);
    Ok(Options {
        ignore: find_ignore(&context, &dockerfile)?,
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

/// The Dockerfile, and where it was found.
struct Dockerfile {
    path: PathBuf,
    text: String,
    place: Place,
}

/// Where a Dockerfile was found.
enum Place {
    /// On this machine.
    Here,
    /// In a context that was fetched, where its path begins.
    Fetched,
    /// On standard input, or at a URL: nothing is beside it.
    Piped,
}

/// Kaniko's order: relative to the current folder, then in the context. Docker's default name has a second
/// spelling.
fn find_dockerfile(
    context: &BuildContext,
    given: &Path,
    fetching: Fetching<'_>,
) -> anyhow::Result<Dockerfile> {
    let text = given.to_string_lossy();
    match text.split_once("://") {
        Some(("http" | "https", _)) => {
            let downloaded = builder::download_text(&text, fetching);
            let downloaded = downloaded.map_err(|error| anyhow!("--dockerfile: {error}"))?;
            let name = text.split(['?', '#']).next().unwrap_or_default().rsplit('/').next();
            let path = PathBuf::from(name.unwrap_or_default());
            return Ok(Dockerfile { path, text: downloaded, place: Place::Piped });
        }
        Some((scheme, _)) => {
            bail!("--dockerfile {text}: {scheme}:// is not possible; give a file or an https:// URL")
        }
        None => {}
    }
    if given == Path::new("-") {
        let text = read_standard_input().context("--dockerfile -")?;
        return Ok(Dockerfile { path: given.to_owned(), text, place: Place::Piped });
    }
    let here = |path: &Path| {
        let found = |text| Dockerfile { path: path.to_owned(), text, place: Place::Here };
        read_text(path).map(|text| text.map(found))
    };
    let in_context = |name: &Path| match context.origin {
        ContextOrigin::Local => here(&context.directory.join(name)),
        // A link in what came from elsewhere leads nowhere outside of it.
        _ => {
            let found = |text| Dockerfile { path: name.to_owned(), text, place: Place::Fetched };
            Ok(context.read_text(&name.to_string_lossy())?.map(found))
        }
    };
    let mut looked = vec![given.display().to_string(), format!("{} in the context", given.display())];
    let found = if given == Path::new("Dockerfile") {
        // The default is meant to be the context's own, wherever we are started.
        looked =
            ["Dockerfile in the context", "dockerfile in the context", "Dockerfile"].map(Into::into).into();
        match in_context(given)? {
            None => match in_context(Path::new("dockerfile"))? {
                None => here(given)?,
                found => found,
            },
            found => found,
        }
    } else {
        match here(given)? {
            None => in_context(given)?,
            found => found,
        }
    };
    found.with_context(|| {
        format!("--dockerfile {}: no such file; looked for {}", given.display(), looked.join(", "))
    })
}

/// The largest Dockerfile on standard input, in bytes: far more than anybody writes.
const LARGEST: u64 = 16 << 20;

fn read_standard_input() -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        bail!("standard input is a terminal; pipe a Dockerfile into it");
    }
    let mut text = String::new();
    let read = stdin.lock().take(LARGEST + 1).read_to_string(&mut text)?;
    if read as u64 > LARGEST {
        bail!("it is larger than {LARGEST} bytes");
    }
    Ok(text)
}

/// The text of a file; `None` if there is no such file.
fn read_text(path: &Path) -> anyhow::Result<Option<String>> {
    if !path.is_file() {
        return Ok(None);
    }
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let text = String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8", path.display()))?;
    Ok(Some(text))
}

/// The ignore file that belongs to the Dockerfile alone, else the context's.
fn find_ignore(context: &BuildContext, dockerfile: &Dockerfile) -> anyhow::Result<Option<String>> {
    let mut own = dockerfile.path.as_os_str().to_owned();
    own.push(".dockerignore");
    let own = match (&context.origin, &dockerfile.place) {
        (ContextOrigin::Archive, _) => return Ok(None),
        (_, Place::Fetched) => context.read_text(&own.to_string_lossy())?,
        (_, Place::Here) => read_text(Path::new(&own))?,
        (_, Place::Piped) => None,
    };
    match (own, &context.origin) {
        (Some(own), _) => Ok(Some(own)),
        (None, ContextOrigin::Local) => read_text(&context.directory.join(".dockerignore")),
        (None, _) => Ok(context.read_text(".dockerignore")?),
    }
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
