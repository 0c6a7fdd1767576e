//! A build: from flags to options, then the build, then its result.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use builder::{Error, Options, WorkDir};
use report::text;
use sandbox::Cancel;
use serde_json::json;

use crate::build_args::BuildArgs;
use crate::build_options::{choose, prepare};
use crate::build_report::Recorder;
use crate::call::{self, Findings, Method};
use crate::kaniko::Entry;
use crate::log_args::Verbosity;
use crate::terminal::{Terminal, print_result};
use crate::values::given;
use crate::{environment, session, signals};

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
