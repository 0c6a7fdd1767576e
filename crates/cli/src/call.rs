//! `--check` and `--call`: what a Dockerfile is asked besides being built. The answer goes to stdout, in the
//! fields that BuildKit's clients know where it is JSON.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use builder::{Error, Event, Location, Options, Outline, Report, Targets, Warning, did_you_mean};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::diagnostic::{self, Source};
use crate::terminal::{Terminal, print_result};

/// What is asked, and how the answer is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) json: bool,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// To be built.
    Build,
    /// What the lints find.
    Check,
    /// What a target can be given.
    Outline,
    /// Which stages there are.
    Targets,
    /// What a build would do: `--dryrun`.
    Plan,
}

const METHODS: [(&str, Method); 4] = [
    ("build", Method::Build),
    ("check", Method::Check),
    ("outline", Method::Outline),
    ("targets", Method::Targets),
];

/// `METHOD` or `METHOD,format=json`; a method also by the name that BuildKit has for it.
pub(crate) fn call(text: &str) -> Result<Call, String> {
    let (name, rest) = text.split_once(',').unwrap_or((text, ""));
    let json = match rest {
        "" | "format=text" => false,
        "format=json" => true,
        other => return Err(format!("unknown option {other:?}: expected format=text or format=json")),
    };
    let short = match name.strip_prefix("frontend.") {
        Some("lint") => "check",
        Some(other) => other,
        None => name,
    };
    match METHODS.iter().find(|(known, _)| *known == short) {
        Some((_, method)) => Ok(Call { method: *method, json }),
        None => {
            let near = did_you_mean(short, METHODS.iter().map(|(known, _)| *known));
            let near = near.map_or(String::new(), |near| format!(" (did you mean {near}?)"));
            Err(format!("unknown method {name:?}{near}: expected build, check, outline or targets"))
        }
    }
}

/// Gathers what the lints find; the rest of what happens is for the terminal.
pub(crate) struct Findings {
    terminal: Arc<Terminal>,
    found: Mutex<Vec<Warning>>,
}

impl Findings {
    pub(crate) fn new(terminal: Arc<Terminal>) -> Self {
        Findings { terminal, found: Mutex::default() }
    }
}

impl Report for Findings {
    fn event(&self, event: Event) {
        match event {
            Event::Warning(warning) if warning.rule.is_some() => {
                self.found.lock().unwrap_or_else(PoisonError::into_inner).push(warning);
            }
            other => self.terminal.event(other),
        }
    }
}

/// Asks, and prints the answer.
pub(crate) fn answer(
    call: Call,
    options: &Options,
    runtime: Handle,
    findings: &Findings,
    terminal: &Terminal,
) -> ExitCode {
    let answer = match call.method {
        Method::Build | Method::Check => return check(call, options, runtime, findings, terminal),
        Method::Outline => builder::outline(options).map(|outline| match call.json {
            true => format!("{:#}", with_source(json!(outline), terminal.source())),
            false => outline_text(&outline),
        }),
        Method::Plan => builder::plan(options, runtime).map(|stages| match call.json {
            true => format!("{:#}", json!(stages)),
            false => stages.iter().map(ToString::to_string).collect(),
        }),
        Method::Targets => builder::targets(options).map(|targets| match call.json {
            true => format!("{:#}", with_source(json!(targets), terminal.source())),
            false => targets_text(&targets),
        }),
    };
    match answer {
        Ok(text) => {
            print_result(text.trim_end());
            ExitCode::SUCCESS
        }
        Err(error) => {
            terminal.error(&error, 1);
            ExitCode::FAILURE
        }
    }
}

/// An answer that ends with the text it is about, as BuildKit's does.
fn with_source(mut answer: Value, source: Option<&Source>) -> Value {
    let text = |source: &Source| base64::engine::general_purpose::STANDARD.encode(&source.text);
    answer["sources"] = source.map(text).into_iter().collect();
    answer
}

/// Fails if anything was found, so that a pipeline can stop there.
fn check(
    call: Call,
    options: &Options,
    runtime: Handle,
    findings: &Findings,
    terminal: &Terminal,
) -> ExitCode {
    let error = builder::check(options, runtime).err();
    let mut warnings = std::mem::take(&mut *findings.found.lock().unwrap_or_else(PoisonError::into_inner));
    warnings.sort_by_key(|warning| warning.span.map(|span| span.start));
    if call.json {
        print_result(&format!("{:#}", check_json(&warnings, error.as_ref(), terminal.source())));
    } else {
        for warning in &warnings {
            if let Some(text) = diagnostic::warning(warning, terminal.source(), false) {
                print_result(&format!("{text}\n"));
            }
        }
        match (&error, warnings.len()) {
            (Some(error), _) => terminal.error(error, 1),
            (None, 0) => print_result("Check complete, no warnings found."),
            (None, 1) => print_result("Check complete, 1 warning has been found!"),
            (None, count) => print_result(&format!("Check complete, {count} warnings have been found!")),
        }
    }
    if warnings.is_empty() && error.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// BuildKit's `LintResults`.
fn check_json(warnings: &[Warning], error: Option<&Error>, source: Option<&Source>) -> Value {
    let found: Vec<Value> = warnings
        .iter()
        .filter_map(|warning| {
            let rule = warning.rule?;
            Some(json!({
                "ruleName": rule.name(),
                "description": rule.description(),
                "url": rule.url(),
                "detail": warning.text,
                "location": warning.span.map(Location::from),
            }))
        })
        .collect();
    let sources: Vec<Value> = source
        .into_iter()
        .map(|source| {
            let data = base64::engine::general_purpose::STANDARD.encode(&source.text);
            json!({ "filename": source.path, "language": "Dockerfile", "data": data })
        })
        .collect();
    let mut results = json!({ "warnings": found, "sources": sources });
    if let Some(error) = error {
        results["buildError"] =
            json!({ "message": error.message, "location": error.span.map(Location::from) });
    }
    results
}

fn targets_text(targets: &Targets) -> String {
    let rows = targets.targets.iter().map(|target| {
        let name = if target.name.is_empty() { "-" } else { target.name.as_str() };
        let default = if target.default { " (default)" } else { "" };
        vec![format!("{name}{default}"), target.description.clone().unwrap_or_default()]
    });
    table(&["TARGET", "DESCRIPTION"], rows)
}

fn outline_text(outline: &Outline) -> String {
    let mut parts = Vec::new();
    let about = [("TARGET:", Some(&outline.name)), ("DESCRIPTION:", outline.description.as_ref())];
    let about = about.into_iter().filter_map(|(title, text)| {
        text.filter(|text| !text.is_empty()).map(|text| vec![title.to_owned(), text.clone()])
    });
    parts.push(rows_text(&about.collect::<Vec<_>>()));
    if !outline.args.is_empty() {
        let rows = outline.args.iter().map(|arg| {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            vec![arg.name.clone(), text(&arg.value), text(&arg.description)]
        });
        parts.push(table(&["BUILD ARG", "VALUE", "DESCRIPTION"], rows));
    }
    for (title, list) in [("SECRET", &outline.secrets), ("SSH", &outline.ssh)] {
        if !list.is_empty() {
            let required = |required: bool| if required { "true" } else { "" }.to_owned();
            let rows = list.iter().map(|given| vec![given.name.clone(), required(given.required)]);
            parts.push(table(&[title, "REQUIRED"], rows));
        }
    }
    if !outline.cache.is_empty() {
        parts.push(table(&["CACHE MOUNT"], outline.cache.iter().map(|cache| vec![cache.id.clone()])));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

fn table(titles: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let titles = titles.iter().map(|title| (*title).to_owned()).collect();
    rows_text(&std::iter::once(titles).chain(rows).collect::<Vec<Vec<String>>>())
}

/// Rows whose columns begin below each other, without blanks at their ends.
fn rows_text(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default() + 3
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        cells.collect::<String>().trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read() {
        for (text, expected) in [
            ("check", Ok((Method::Check, false))),
            ("check,format=json", Ok((Method::Check, true))),
            ("frontend.lint", Ok((Method::Check, false))),
            ("frontend.outline,format=text", Ok((Method::Outline, false))),
            ("targets", Ok((Method::Targets, false))),
            ("build", Ok((Method::Build, false))),
            (
                "chekc",
                Err(
                    "unknown method \"chekc\" (did you mean check?): expected build, check, outline or targets",
                ),
            ),
            ("help", Err("unknown method \"help\": expected build, check, outline or targets")),
            ("check,format=xml", Err("unknown option \"format=xml\": expected format=text or format=json")),
        ] {
            let found = call(text).map(|call| (call.method, call.json));
            assert_eq!(found, expected.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn columns_are_aligned() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let text = rows_text(&[row(&["A", "B"]), row(&["long é", ""]), row(&["x", "y"])]);
        assert_eq!(text, "A        B\nlong é\nx        y");
    }
}
