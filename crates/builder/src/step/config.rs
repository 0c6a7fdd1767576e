//! Instructions that change the config and no file.
//!
//! What they leave in the config and in the history is what BuildKit leaves (`dockerfile2llb/convert.go`).

use std::collections::BTreeMap;

use dockerfile::instruction::{Arg, Healthcheck, Probe};
use dockerfile::{Instruction, InstructionKind, ShellOrExec, Word};
use serde_json::json;

use super::{Surroundings, at, expand, located};
use crate::error::{Error, Result};
use crate::scope::PROXY_ARGS;
use crate::stage::Stage;

/// The shell of shell forms if no SHELL says otherwise.
const DEFAULT_SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// The same on Windows.
const SHELL_OF_WINDOWS: [&str; 3] = ["cmd", "/S", "/C"];

/// The shell of shell forms at this point.
pub(crate) fn shell(stage: &Stage) -> Vec<String> {
    match &stage.image.config.config.shell {
        Some(shell) if !shell.is_empty() => shell.clone(),
        _ if stage.image.is_for_windows() => SHELL_OF_WINDOWS.map(str::to_owned).to_vec(),
        _ => DEFAULT_SHELL.map(str::to_owned).to_vec(),
    }
}

/// The arguments a command comes to.
pub(crate) fn command_line(stage: &Stage, command: &ShellOrExec) -> Vec<String> {
    match command {
        ShellOrExec::Exec(arguments) => arguments.clone(),
        ShellOrExec::Shell(text) => shell(stage).into_iter().chain([text.value.clone()]).collect(),
    }
}

pub(super) fn configure(
    around: &Surroundings<'_>,
    stage: &mut Stage,
    instruction: &Instruction,
) -> Result<()> {
    let history = match &instruction.kind {
        InstructionKind::Arg(arg) => declare(around, stage, arg)?,
        InstructionKind::Env(env) => {
            let pairs =
                expand_pairs(around, stage, "ENV", env.pairs.iter().map(|pair| (&pair.key, &pair.value)))?;
            for (name, value) in &pairs {
                stage.scope.set_env(name, value);
                set_variable(&mut stage.image.config.config.env, name, value);
            }
            format!("ENV {}", joined(&pairs))
        }
        InstructionKind::Label(label) => {
            let pairs = expand_pairs(
                around,
                stage,
                "LABEL",
                label.pairs.iter().map(|pair| (&pair.key, &pair.value)),
            )?;
            stage.image.config.config.labels.extend(pairs.iter().cloned());
            format!("LABEL {}", joined(&pairs))
        }
        InstructionKind::Cmd(command) => {
            let arguments = command_line(stage, command);
            let history = format!("CMD {}", quoted_list(&arguments));
            stage.image.config.config.cmd = (!arguments.is_empty()).then_some(arguments);
            stage.has_own_cmd = true;
            history
        }
        InstructionKind::Entrypoint(command) => {
            let arguments = command_line(stage, command);
            let history = format!("ENTRYPOINT {}", quoted_list(&arguments));
            stage.image.config.config.entrypoint = (!arguments.is_empty()).then_some(arguments);
            if !stage.has_own_cmd {
                stage.image.config.config.cmd = None;
            }
            history
        }
        InstructionKind::Expose(expose) => {
            let mut ports = BTreeMap::new();
            for word in &expose.ports {
                for text in expand_words(around, stage, word)? {
                    let parsed = dockerfile::parse_ports(&text)
                        .map_err(|error| at(word, Error::new(error.to_string())))?;
                    ports.extend(parsed.into_iter().map(|port| (port.to_string(), json!({}))));
                }
            }
            let list: Vec<&str> = ports.keys().map(String::as_str).collect();
            let history = format!("EXPOSE [{}]", list.join(" "));
            stage.image.config.config.exposed_ports.extend(ports);
            history
        }
        InstructionKind::Volume(volume) => {
            let mut paths = Vec::new();
            for word in &volume.paths {
                if volume.json {
                    paths.push(expand(around, stage, word)?);
                } else {
                    paths.extend(expand_words(around, stage, word)?);
                }
                if paths.iter().any(|path| path.trim().is_empty()) {
                    return Err(at(word, Error::new("VOLUME specified can not be an empty string")));
                }
            }
            let history = format!("VOLUME [{}]", paths.join(" "));
            stage.image.config.config.volumes.extend(paths.into_iter().map(|path| (path, json!({}))));
            history
        }
        InstructionKind::User(word) => {
            let user = expand(around, stage, word)?;
            stage.image.config.config.user.clone_from(&user);
            format!("USER {user}")
        }
        InstructionKind::Shell(arguments) => {
            stage.image.config.config.shell = Some(arguments.clone());
            format!("SHELL [{}]", arguments.join(" "))
        }
        InstructionKind::Stopsignal(word) => {
            let text = expand(around, stage, word)?;
            text.parse::<dockerfile::Signal>().map_err(|error| at(word, Error::new(error.to_string())))?;
            stage.image.config.config.stop_signal = Some(text.clone());
            format!("STOPSIGNAL {text}")
        }
        InstructionKind::Maintainer(name) => {
            stage.image.config.author = Some(name.value.clone());
            format!("MAINTAINER {}", name.value)
        }
        InstructionKind::Healthcheck(check) => {
            let (config, history) = healthcheck(check);
            stage.image.config.config.healthcheck = Some(config);
            history
        }
        InstructionKind::Onbuild(trigger) => {
            stage.image.config.config.on_build.push(trigger.trigger.value.clone());
            return Ok(());
        }
        InstructionKind::Run(_)
        | InstructionKind::Copy(_)
        | InstructionKind::Add(_)
        | InstructionKind::Workdir(_) => {
            return Err(Error::new(format!("{} changes files", instruction.keyword())));
        }
    };
    stage.image.push_history(around.engine.created(), history, true);
    Ok(())
}

/// ARG: the caller's value, else the default, else what the ARG of that name before the first FROM has.
fn declare(around: &Surroundings<'_>, stage: &mut Stage, arg: &Arg) -> Result<String> {
    let mut shown = Vec::new();
    for declaration in &arg.declarations {
        let name = &declaration.name.value;
        let lookup = |name: &str| stage.scope.get(name).map(str::to_owned);
        let value = around
            .engine
            .globals
            .stage_value(declaration, around.escape, &lookup)
            .map_err(|error| located(declaration.name.span, Error::new(error.to_string())))?;
        shown.push(match &value {
            Some(value) => format!("{name}={value}"),
            None => name.clone(),
        });
        stage.scope.declare_arg(name, value.as_deref());
    }
    Ok(format!("ARG {}", shown.join(" ")))
}

/// Proxy settings the caller has given, for the environment of a RUN: programs read one spelling or the
/// other, so both are set, whichever was given.
pub(crate) fn proxies(build_arg: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let both = |upper: &str| {
        let lower = upper.to_lowercase();
        let (given_upper, given_lower) = (build_arg(upper), build_arg(&lower));
        let pairs = [
            (upper.to_owned(), given_upper.clone().or_else(|| given_lower.clone())),
            (lower, given_lower.or(given_upper)),
        ];
        pairs.into_iter().filter_map(|(name, value)| Some((name, value?)))
    };
    PROXY_ARGS.into_iter().flat_map(both).collect()
}

fn healthcheck(check: &Healthcheck) -> (oci::Healthcheck, String) {
    let test = match &check.probe {
        Probe::None => vec!["NONE".to_owned()],
        Probe::Command(ShellOrExec::Exec(arguments)) => {
            ["CMD".to_owned()].into_iter().chain(arguments.iter().cloned()).collect()
        }
        Probe::Command(ShellOrExec::Shell(text)) => vec!["CMD-SHELL".to_owned(), text.value.clone()],
    };
    let config = oci::Healthcheck {
        test,
        interval: nanoseconds(check.interval),
        timeout: nanoseconds(check.timeout),
        start_period: nanoseconds(check.start_period),
        start_interval: nanoseconds(check.start_interval),
        retries: u64::from(check.retries.unwrap_or_default()),
    };
    let history = format!(
        "HEALTHCHECK {{Test:[{}] Interval:{} Timeout:{} StartPeriod:{} StartInterval:{} Retries:{}}}",
        config.test.join(" "),
        go_duration(config.interval),
        go_duration(config.timeout),
        go_duration(config.start_period),
        go_duration(config.start_interval),
        config.retries
    );
    (config, history)
}

fn nanoseconds(duration: Option<std::time::Duration>) -> u64 {
    duration.map_or(0, |duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

/// A duration as Go prints it: `5m0s`, `1.5s`, `20ms`.
fn go_duration(nanoseconds: u64) -> String {
    let decimal = |value: u64, unit: u64, name: &str| {
        let fraction = format!("{:0width$}", value % unit, width = unit.ilog10() as usize);
        let fraction = fraction.trim_end_matches('0');
        let dot = if fraction.is_empty() { "" } else { "." };
        format!("{}{dot}{fraction}{name}", value / unit)
    };
    match nanoseconds {
        0 => "0s".to_owned(),
        1..=999 => format!("{nanoseconds}ns"),
        1_000..=999_999 => decimal(nanoseconds, 1_000, "µs"),
        1_000_000..=999_999_999 => decimal(nanoseconds, 1_000_000, "ms"),
        _ => {
            let minutes = nanoseconds / 60_000_000_000;
            let seconds = decimal(nanoseconds % 60_000_000_000, 1_000_000_000, "s");
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

fn expand_pairs<'w>(
    around: &Surroundings<'_>,
    stage: &Stage,
    keyword: &str,
    pairs: impl Iterator<Item = (&'w Word, &'w Word)>,
) -> Result<Vec<(String, String)>> {
    pairs
        .map(|(key, value)| {
            let expanded = expand(around, stage, key)?;
            if expanded.is_empty() {
                return Err(at(key, Error::new(format!("{keyword} names can not be blank"))));
            }
            Ok((expanded, expand(around, stage, value)?))
        })
        .collect()
}

fn expand_words(around: &Surroundings<'_>, stage: &Stage, word: &Word) -> Result<Vec<String>> {
    let lookup = |name: &str| stage.scope.get(name).map(str::to_owned);
    let expanded = dockerfile::expand_words(word, around.escape, &lookup)
        .map_err(|error| at(word, Error::new(error.to_string())))?;
    Ok(expanded.words)
}

/// A variable keeps its place in the list when its value changes.
pub(crate) fn set_variable(env: &mut Vec<String>, name: &str, value: &str) {
    let pair = format!("{name}={value}");
    match env.iter_mut().find(|known| known.split('=').next() == Some(name)) {
        Some(known) => *known = pair,
        None => env.push(pair),
    }
}

fn joined(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

/// Go's `%q` of a list, which is how BuildKit notes CMD and ENTRYPOINT.
fn quoted_list(arguments: &[String]) -> String {
    let quoted: Vec<String> = arguments.iter().map(|argument| quoted(argument)).collect();
    format!("[{}]", quoted.join(" "))
}

/// Go's `%q`, control characters in its spelling.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            other if other.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(other))),
            other if other.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(other))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_go_prints_them() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (20_000_000, "20ms"),
            (1_500_000_000, "1.5s"),
            (300_000_000_000, "5m0s"),
            (3_601_000_000_000, "1h0m1s"),
        ] {
            assert_eq!(go_duration(nanoseconds), text);
        }
    }

    #[test]
    fn quotes_as_go_prints_them() {
        for (text, quoted_text) in [
            ("plain é", r#""plain é""#),
            ("a \"b\" \\ c", r#""a \"b\" \\ c""#),
            ("a\n\tb\r", r#""a\n\tb\r""#),
            ("\u{7}\u{8}\u{b}\u{c}", r#""\a\b\v\f""#),
            ("\u{1b}[1m\u{7f}\u{85}", r#""\x1b[1m\x7f\u0085""#),
        ] {
            assert_eq!(quoted(text), quoted_text);
        }
        assert_eq!(quoted_list(&[]), "[]");
        assert_eq!(quoted_list(&["a".to_owned(), "b c".to_owned()]), r#"["a" "b c"]"#);
    }

    #[test]
    fn proxies_are_spelled_both_ways() {
        for (given, expected) in [
            (&[("HTTP_PROXY", "a")][..], &[("HTTP_PROXY", "a"), ("http_proxy", "a")][..]),
            (&[("no_proxy", "b")], &[("NO_PROXY", "b"), ("no_proxy", "b")]),
            (&[("ALL_PROXY", "c"), ("all_proxy", "d")], &[("ALL_PROXY", "c"), ("all_proxy", "d")]),
            (&[("OTHER", "e")], &[]),
        ] {
            let lookup = |name: &str| {
                given.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            let found = proxies(lookup);
            let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_variable_keeps_its_place() {
        let mut env = vec!["A=1".to_owned(), "B=2".to_owned()];
        set_variable(&mut env, "A", "3");
        set_variable(&mut env, "C", "4");
        assert_eq!(env, ["A=3", "B=2", "C=4"]);
    }
}
