//! `bako probe --trace`: runs a command of an image under the isolation `supervised`, and says which of its calls were
//! answered by the supervisor, how often, how long that took and what they failed with.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use builder::{Error, WorkDir};
use oci::Reference;
use report::text;
use sandbox::{Cancel, Choice, ServedCalls, Supervised, Trace};
use serde_json::{Value, json};

use crate::args::Cli;
use crate::build_options::prepare;
use crate::log_args::{LogFormat, Verbosity};
use crate::probe_command::{ProbeArgs, ProbeFormat};
use crate::terminal::{Terminal, print_result};
use crate::{environment, signals};

/// Runs the command. Exits as it does.
pub(crate) fn run(args: &ProbeArgs) -> ExitCode {
    // From here on there may be something to remove.
    let signals = signals::hold();
    let terminal = Arc::new(Terminal::new(LogFormat::Color, Verbosity::Info, false));
    let failed = |error: &Error, code: u8| {
        terminal.error(error, code);
        ExitCode::from(code)
    };
    let work_dir = match WorkDir::create(&environment::work_dir(&args.work_dir)) {
        Ok(work_dir) => Arc::new(work_dir),
        Err(error) => return failed(&error, 1),
    };
    // Before any thread is started.
    if let Err(error) = sandbox::choose(&[Choice::Supervised], work_dir.path()) {
        return failed(&Error::new(error.to_string()), 1);
    }
    if let Err(error) = sandbox::protect_self() {
        return failed(&Error::new(format!("this process cannot be hidden from a RUN: {error}")), 1);
    }
    let cancel = Cancel::new();
    let runtime = match signals.start_runtime(&cancel, Arc::downgrade(&work_dir), &terminal) {
        Ok(runtime) => runtime,
        Err(error) => return failed(&Error::new(format!("start: {error}")), 1),
    };
    let trace = Trace::default();
    let isolation = Supervised { trace: Some(trace.clone()) };
    let options = dockerfile(args).and_then(|dockerfile| {
        let context = work_dir.path().join("nothing");
        std::fs::create_dir(&context).with_context(|| context.display().to_string())?;
        let file = work_dir.path().join("Dockerfile");
        std::fs::write(&file, dockerfile).with_context(|| file.display().to_string())?;
        let line = ["bako".into(), "--no-push".into(), "--context".into(), context.into()];
        let (cli, _) = Cli::read(line.into_iter().chain(["--dockerfile".into(), file.into()]))?;
        prepare(
            &cli.build,
            work_dir.clone(),
            Ok(Arc::new(isolation)),
            terminal.clone(),
            &cancel,
            runtime.handle(),
        )
    });
    let outcome = match options {
        Ok(options) => builder::build(&options, runtime.handle().clone()).map(drop),
        Err(error) => Err(Error::new(format!("{error:#}"))),
    };
    // Tasks hold on to the work directory, and one that writes would disturb its removal.
    runtime.shutdown_timeout(Duration::from_secs(1));
    let calls = trace.calls();
    if outcome.is_ok() || !calls.is_empty() {
        print_result(&match args.format {
            ProbeFormat::Text => as_text(&calls),
            ProbeFormat::Json => format!("{:#}", as_json(&calls)),
        });
    }
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = error.exit_code.and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0);
            failed(&error, code.unwrap_or(1))
        }
    }
}

/// What a build does that runs the command in the image.
fn dockerfile(args: &ProbeArgs) -> anyhow::Result<String> {
    let image = args.image.as_deref().unwrap_or_default();
    let reference: Reference = image.parse().with_context(|| format!("--image {image}"))?;
    Ok(format!("FROM {reference}\nRUN {}\n", json!(args.command)))
}

/// A line for each name, those that took the longest first.
fn as_text(calls: &[ServedCalls]) -> String {
    let (count, time) =
        calls.iter().fold((0, 0), |(count, time), call| (count + call.count, time + call.nanoseconds));
    let mut lines = format!("{count} calls answered in {}\n", text::time(Duration::from_nanos(time)));
    lines += &format!("{:>9} {:>12} {:>9}  {:<20} errors", "calls", "microseconds", "each", "call");
    for ServedCalls { name, count, nanoseconds, errors } in calls {
        let mut errors: Vec<_> = errors.iter().collect();
        errors.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let errors: Vec<String> = errors.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let micros = *nanoseconds as f64 / 1e3;
        let line = format!(
            "{count:>9} {micros:>12.0} {:>9.1}  {name:<20} {}",
            micros / *count as f64,
            errors.join(", ")
        );
        lines += "\n";
        lines += line.trim_end();
    }
    lines
}

fn as_json(calls: &[ServedCalls]) -> Value {
    let calls: Vec<Value> = calls
        .iter()
        .map(|ServedCalls { name, count, nanoseconds, errors }| {
            json!({ "call": name, "count": count, "nanoseconds": nanoseconds, "errors": errors })
        })
        .collect();
    json!({ "isolation": "supervised", "calls": calls })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn calls() -> Vec<ServedCalls> {
        let errors = BTreeMap::from([("EACCES".to_owned(), 2), ("ENOENT".to_owned(), 40)]);
        let openat = ServedCalls { name: "openat".to_owned(), count: 100, nanoseconds: 450_000, errors };
        let getuid =
            ServedCalls { name: "getuid".to_owned(), count: 2, nanoseconds: 3_000, ..ServedCalls::default() };
        vec![openat, getuid]
    }

    #[test]
    fn lines_for_people() {
        let text = as_text(&calls());
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert!(text.starts_with("102 calls answered in "), "{text}");
        assert_eq!(
            lines,
            [
                "    calls microseconds      each  call                 errors",
                "      100          450       4.5  openat               ENOENT 40, EACCES 2",
                "        2            3       1.5  getuid",
            ]
        );
    }

    #[test]
    fn json_for_programs() {
        let expected = json!({ "isolation": "supervised", "calls": [
            { "call": "openat", "count": 100, "nanoseconds": 450_000, "errors": { "EACCES": 2, "ENOENT": 40 } },
            { "call": "getuid", "count": 2, "nanoseconds": 3_000, "errors": {} },
        ] });
        assert_eq!(as_json(&calls()), expected);
    }

    #[test]
    fn what_is_built() {
        let args = |line: &str| match Cli::read(line.split(' ').map(Into::into)).unwrap().0.command {
            Some(crate::args::Command::Probe(args)) => args,
            other => panic!("{other:?}"),
        };
        let text = dockerfile(&args("bako probe --trace --image a/b:1 -- sh -c a\"b")).unwrap();
        assert_eq!(text.lines().last(), Some(r#"RUN ["sh","-c","a\"b"]"#));
        assert!(text.starts_with("FROM ") && text.contains("a/b:1\n"), "{text}");
        for line in ["--image x", "--trace --image x", "--trace -- sh", "-- sh"] {
            let words = ["bako", "probe"].into_iter().chain(line.split(' '));
            assert!(Cli::read(words.map(Into::into)).is_err(), "{line}");
        }
    }
}
