//! A build: from flags to options, then the build, then its result.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use build::{Error, Options, Outcome, Outputs, WorkDir};
use oci::{Platform, Reference};
use sandbox::{Cancel, Choice, Isolation};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{BuildArgs, IsolationArg, Verbosity};
use crate::terminal::{Terminal, human_time, print_result};
use crate::{diagnostic, environment};

/// How long a build may take to end itself once it was told to.
const GRACE: Duration = Duration::from_secs(8);

/// Builds, and says how it went.
pub(crate) fn run(args: BuildArgs) -> ExitCode {
    let terminal = Arc::new(Terminal::new(args.log_format, args.verbosity));
    let work_dir = match WorkDir::create(&environment::work_dir(args.work_dir.clone())) {
        Ok(work_dir) => Arc::new(work_dir),
        Err(error) => {
            terminal.line(Verbosity::Error, &error.to_string(), json!({}));
            return ExitCode::FAILURE;
        }
    };
    // Before any thread is started: it may have to move this process into a user namespace.
    let isolation = choose(args.isolation, work_dir.path());
    if let Err(error) = sandbox::protect_self() {
        terminal.line(
            Verbosity::Warn,
            &format!("this process cannot be hidden from a RUN: {error}"),
            json!({}),
        );
    }
    let prepared = prepare(&args, work_dir, isolation, terminal.clone());
    let (options, dockerfile_path) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            terminal.line(Verbosity::Error, &format!("{error:#}"), json!({}));
            return ExitCode::FAILURE;
        }
    };
    match build_with_signals(&options) {
        Ok(outcome) => {
            if args.timings {
                for (kind, time) in outcome.timings.list() {
                    let text = format!("{:>10}  {kind}", human_time(time));
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
            if terminal.is_json() {
                let lines = error.lines.as_ref().map(|lines| json!([lines.start(), lines.end()]));
                terminal.line(
                    Verbosity::Error,
                    &error.message,
                    json!({ "lines": lines, "hint": error.hint }),
                );
            } else {
                let text =
                    diagnostic::render(&error, &dockerfile_path, &options.dockerfile, terminal.colour());
                terminal.raw(&text);
            }
            let code = error.exit_code.and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0);
            ExitCode::from(code.unwrap_or(1))
        }
    }
}

fn choose(isolation: IsolationArg, work_dir: &Path) -> Result<Arc<dyn Isolation>, String> {
    let choice = match isolation {
        IsolationArg::Auto => Choice::Auto,
        IsolationArg::Ns => Choice::Ns,
        IsolationArg::Chroot => Choice::Chroot,
    };
    sandbox::choose(choice, work_dir).map(Arc::from).map_err(|error| error.to_string())
}

/// Everything that can be wrong before a build starts.
fn prepare(
    args: &BuildArgs,
    work_dir: Arc<WorkDir>,
    isolation: Result<Arc<dyn Isolation>, String>,
    terminal: Arc<Terminal>,
) -> anyhow::Result<(Options, String)> {
    let destinations = destinations(args)?;
    if let Some((scheme, _)) = args.context.split_once("://").filter(|(scheme, _)| *scheme != "dir") {
        bail!(
            "--context {}: contexts of kind {scheme}:// are not supported yet; give a directory",
            args.context
        );
    }
    let context = PathBuf::from(args.context.strip_prefix("dir://").unwrap_or(&args.context));
    if !context.is_dir() {
        bail!("--context {}: no such directory", context.display());
    }
    let (dockerfile_path, dockerfile) = find_dockerfile(&context, &args.dockerfile)?;
    let build_args = environment::build_args(&args.build_arg);
    let epoch = environment::source_date_epoch(&build_args)?;
    let now =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64);
    let options = Options {
        ignore: find_ignore(&context, &dockerfile_path)?,
        context,
        dockerfile,
        build_args,
        target: args.target.clone(),
        labels: args.label.iter().map(|pair| (pair.key.clone(), pair.value.clone())).collect(),
        platform: Platform::host(),
        outputs: Outputs {
            destinations,
            no_push: args.no_push,
            tar_path: args.tar_path.clone(),
            oci_layout_path: args.oci_layout_path.clone(),
            digest_file: args.digest_file.clone(),
        },
        now: epoch.unwrap_or(now),
        clamp: epoch,
        work_dir,
        cache_dir: environment::cache_dir(args.cache_dir.clone()),
        isolation,
        client: registry::Client::new(environment::client_options(args)?)?,
        report: terminal,
        cancel: Cancel::new(),
    };
    Ok((options, dockerfile_path.display().to_string()))
}

/// `--destination`: a tag, `latest` if there is none; a digest cannot be pushed to.
fn destinations(args: &BuildArgs) -> anyhow::Result<Vec<Reference>> {
    if args.destination.is_empty() && !args.no_push {
        bail!("you must provide --destination, or use --no-push");
    }
    args.destination
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

/// Kaniko's order: relative to the current folder, then in the context. Docker's default name has a second
/// spelling.
fn find_dockerfile(context: &Path, given: &Path) -> anyhow::Result<(PathBuf, String)> {
    let mut candidates = vec![given.to_owned(), context.join(given)];
    if given == Path::new("Dockerfile") {
        // The default is meant to be the context's own, wherever we are started.
        candidates = vec![context.join(given), context.join("dockerfile"), given.to_owned()];
    }
    let Some(path) = candidates.iter().find(|path| path.is_file()) else {
        let looked: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
        bail!("--dockerfile {}: no such file; looked for {}", given.display(), looked.join(", "));
    };
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let text = String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8", path.display()))?;
    Ok((path.clone(), text))
}

/// The ignore file that belongs to the Dockerfile alone, else the context's.
fn find_ignore(context: &Path, dockerfile: &Path) -> anyhow::Result<Option<String>> {
    let mut own = dockerfile.as_os_str().to_owned();
    own.push(".dockerignore");
    for path in [PathBuf::from(own), context.join(".dockerignore")] {
        match std::fs::read(&path) {
            Ok(bytes) => {
                let text =
                    String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8", path.display()))?;
                return Ok(Some(text));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        }
    }
    Ok(None)
}

/// Runs the build on this thread while another listens for signals. The first one ends the RUN and, at the
/// next step, the build; a build that does not end is ended, with what it has on disk.
fn build_with_signals(options: &Options) -> Result<Outcome, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Error::new(format!("start: {error}")))?;
    let cancel = options.cancel.clone();
    let work_dir = options.work_dir.clone();
    runtime.spawn(async move {
        let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
        let mut listeners = Vec::new();
        for kind in kinds {
            // Without a handler the default action ends us, and the next build collects what is left.
            let Ok(listener) = signal(kind) else { return };
            listeners.push((kind, listener));
        }
        let [(_, terminate), (_, interrupt), (_, hangup)] = &mut listeners[..] else { return };
        let kind = tokio::select! {
            _ = terminate.recv() => kinds[0],
            _ = interrupt.recv() => kinds[1],
            _ = hangup.recv() => kinds[2],
        };
        cancel.cancel(kind.as_raw_value());
        tokio::time::sleep(GRACE).await;
        // What cannot be removed now is collected by the next build.
        let _ = work_dir.remove();
        std::process::exit(128 + kind.as_raw_value());
    });
    let outcome = build::build(options, runtime.handle().clone());
    runtime.shutdown_background();
    outcome
}
