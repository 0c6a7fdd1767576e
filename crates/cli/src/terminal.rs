//! What a person, or a log, sees of a build. Everything goes to stderr; nothing is ever clipped.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use builder::{Error, Event, Report, StageName, Warning};
use report::text;
use sandbox::Stream;
use serde_json::{Value, json};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::diagnostic::{self, Source};
use crate::log_args::{LogFormat, Verbosity};

/// A text lists so many differences of a step; JSON has all of them.
const SHOWN_DIFFERENCES: usize = 10;

/// What is written and is no line yet, by stage and by whether it is standard error.
type Partial = BTreeMap<(Arc<StageName>, bool), Vec<u8>>;

/// Turns events into lines.
pub(crate) struct Terminal {
    format: LogFormat,
    verbosity: Verbosity,
    colour: bool,
    /// Whether lines begin with the time.
    timestamps: bool,
    start: Instant,
    out: Mutex<Box<dyn Write + Send>>,
    /// What RUNs have written since their last newline, by stage and stream.
    partial: Mutex<Partial>,
    /// The Dockerfile, once it is read.
    source: OnceLock<Source>,
}

impl Terminal {
    pub(crate) fn new(format: LogFormat, verbosity: Verbosity, timestamps: bool) -> Self {
        let colour = format == LogFormat::Color
            && std::io::stderr().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Terminal { colour, timestamps, ..Terminal::to(Box::new(std::io::stderr()), format, verbosity) }
    }

    /// One without colour that writes elsewhere.
    pub(crate) fn to(out: Box<dyn Write + Send>, format: LogFormat, verbosity: Verbosity) -> Self {
        let (start, out) = (Instant::now(), Mutex::new(out));
        let (partial, source) = (Mutex::default(), OnceLock::new());
        Terminal { format, verbosity, colour: false, timestamps: false, start, out, partial, source }
    }

    /// From now on, what is said of the Dockerfile shows it. A process reads one.
    pub(crate) fn show_source(&self, source: Source) {
        let _ = self.source.set(source);
    }

    /// The Dockerfile, if it is read.
    pub(crate) fn source(&self) -> Option<&Source> {
        self.source.get()
    }

    /// Why all of it failed, and what the process is about to exit with.
    pub(crate) fn error(&self, error: &Error, exit_code: u8) {
        self.finish_output(None);
        if self.format != LogFormat::Json {
            self.write(diagnostic::error(error, self.source.get(), self.colour).as_bytes());
            return;
        }
        let mut fields = self.place(error.span);
        fields["event"] = json!("error");
        fields["hint"] = json!(error.hint);
        fields["exit_code"] = json!(exit_code);
        self.line(Verbosity::Error, &error.message, fields);
    }

    fn warning(&self, warning: &Warning) {
        if self.format != LogFormat::Json
            && let Some(text) = diagnostic::warning(warning, self.source.get(), self.colour)
        {
            if self.verbosity >= Verbosity::Warn {
                self.write(text.as_bytes());
            }
            return;
        }
        let mut fields = self.place(warning.span);
        fields["event"] = json!("warning");
        if let Some(rule) = &warning.rule {
            fields["rule"] = json!(rule.name());
            fields["url"] = json!(rule.url());
        }
        self.line(Verbosity::Warn, &warning.text, fields);
    }

    /// Where that is, as fields of a log line; of nothing if it is nowhere.
    fn place(&self, span: Option<builder::Span>) -> Value {
        match (self.source.get(), span) {
            (Some(source), Some(span)) => source.place(span),
            _ => json!({}),
        }
    }

    /// One line about something that happened.
    pub(crate) fn line(&self, level: Verbosity, text: &str, fields: Value) {
        if level > self.verbosity {
            return;
        }
        let line = match self.format {
            LogFormat::Json => {
                let mut object = json!({
                    "level": format!("{level:?}").to_lowercase(),
                    "elapsed_ms": u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX),
                    "msg": text,
                });
                if self.timestamps {
                    object["time"] = json!(now());
                }
                if let (Value::Object(object), Value::Object(fields)) = (&mut object, fields) {
                    object.extend(fields);
                }
                object.to_string()
            }
            LogFormat::Text | LogFormat::Color => {
                let (before, after) = match level {
                    _ if !self.colour => ("", ""),
                    Verbosity::Error => ("\x1b[31;1m", "\x1b[0m"),
                    Verbosity::Warn => ("\x1b[33m", "\x1b[0m"),
                    Verbosity::Info => ("", ""),
                    Verbosity::Debug | Verbosity::Trace => ("\x1b[2m", "\x1b[0m"),
                };
                let word = match level {
                    Verbosity::Error => "error: ",
                    Verbosity::Warn => "warning: ",
                    _ => "",
                };
                format!("{before}{word}{text}{after}")
            }
        };
        self.write(line.as_bytes());
    }

    fn write(&self, line: &[u8]) {
        let mut stamped;
        let line = if self.timestamps && self.format != LogFormat::Json {
            stamped = now().into_bytes();
            stamped.push(b' ');
            stamped.extend_from_slice(line);
            &stamped
        } else {
            line
        };
        write_line(&mut *self.out.lock().unwrap_or_else(PoisonError::into_inner), line);
    }

    /// Writes what a RUN has printed, a whole line at a time, so that lines of two streams, or of two stages, do not
    /// mix.
    fn output(&self, stage: &Arc<StageName>, stream: Stream, bytes: &[u8]) {
        let mut partial = self.partial.lock().unwrap_or_else(PoisonError::into_inner);
        let partial = partial.entry((stage.clone(), stream == Stream::Stderr)).or_default();
        partial.extend_from_slice(bytes);
        let mut shown = 0;
        while let Some(length) = length_of_line(&partial[shown..]) {
            self.output_line(stage, stream, &partial[shown..shown + length]);
            shown += length;
        }
        partial.drain(..shown);
    }

    /// Shows what RUNs have written after their last newline, since nothing more will come: that of one stage, or of
    /// all.
    pub(crate) fn finish_output(&self, of: Option<&StageName>) {
        let mut partial = self.partial.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |stage: &StageName| of.is_none_or(|of| of == stage);
        for ((stage, is_error), bytes) in partial.extract_if(.., |(stage, _), _| is_over(stage)) {
            if !bytes.is_empty() {
                let stream = if is_error { Stream::Stderr } else { Stream::Stdout };
                self.output_line(&stage, stream, &bytes);
            }
        }
    }

    fn output_line(&self, stage: &StageName, stream: Stream, line: &[u8]) {
        if self.verbosity < Verbosity::Info {
            return;
        }
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if self.format == LogFormat::Json {
            let name = if stream == Stream::Stderr { "stderr" } else { "stdout" };
            let text = String::from_utf8_lossy(line);
            self.stage_line(stage, &text, json!({ "event": "output", "stream": name }));
        } else {
            let label = stage.label();
            let space = if label.is_empty() { "" } else { " " };
            let mut out = format!("  {label}{space}| ").into_bytes();
            out.extend_from_slice(line);
            self.write(&out);
        }
    }

    /// One line about a stage.
    fn stage_line(&self, stage: &StageName, text: &str, mut fields: Value) {
        fields["stage"] = json!(stage.name);
        if let Some(platform) = &stage.platform {
            fields["platform"] = json!(platform);
        }
        self.line(Verbosity::Info, text, fields);
    }
}

/// Shows what the libraries log, for whoever debugs us. Called once, at the start.
pub(crate) fn show_library_logs(format: LogFormat, verbosity: Verbosity) {
    let level = match verbosity {
        Verbosity::Error => LevelFilter::ERROR,
        Verbosity::Warn | Verbosity::Info => LevelFilter::WARN,
        Verbosity::Debug => LevelFilter::DEBUG,
        Verbosity::Trace => LevelFilter::TRACE,
    };
    let crates = ["cloud", "credentials", "download", "objects", "registry", "server"];
    let ours = Targets::new().with_targets(crates.map(|name| (name, level)));
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let layer = match format {
        LogFormat::Json => layer.json().boxed(),
        LogFormat::Text | LogFormat::Color => layer.without_time().boxed(),
    };
    // It fails only if there is one already, which then shows them.
    let _ = tracing_subscriber::registry().with(layer.with_filter(ours)).try_init();
}

impl Report for Terminal {
    fn event(&self, event: Event) {
        match event {
            Event::Output { stage, stream, bytes } => self.output(&stage, stream, &bytes),
            Event::Stage { stage, base } => {
                let platform = stage.platform.as_ref().map_or(String::new(), |platform| format!(" for {platform}"));
                let text = format!("stage {} from {base}{platform}", stage.name);
                self.stage_line(&stage, &text, json!({ "event": "stage", "base": base }));
            }
            Event::Step { number, total, stage, text } => {
                let label = stage.label();
                let space = if label.is_empty() { "" } else { " " };
                self.stage_line(
                    &stage,
                    &format!("[{label}{space}{number}/{total}] {text}"),
                    json!({ "event": "step", "number": number, "total": total }),
                );
            }
            Event::StepDone { stage, elapsed, layer, cached } => {
                self.finish_output(Some(&stage));
                let layer_text = layer.map_or(String::new(), |size| format!(", layer of {}", text::bytes(size)));
                // Steps that only note something in the config are not worth a line of their own.
                if layer.is_some() || elapsed > Duration::from_millis(200) {
                    let label = stage.label();
                    let colon = if label.is_empty() { "" } else { ": " };
                    let what = match cached {
                        true => "cached".to_owned(),
                        false => format!("done in {}", text::time(elapsed)),
                    };
                    let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
                    self.stage_line(
                        &stage,
                        &format!("  {label}{colon}{what}{layer_text}"),
                        json!({ "event": "step_done", "ms": ms, "layer_bytes": layer, "cached": cached }),
                    );
                }
            }
            Event::Explained { stage, step, found, reason, differences } => {
                let what = if found { "hit" } else { "miss" };
                let mut text = format!("{what}: {stage}: {step}: {reason}");
                for difference in differences.iter().take(SHOWN_DIFFERENCES) {
                    text.push_str(&format!("\n  {difference}"));
                }
                if differences.len() > SHOWN_DIFFERENCES {
                    text.push_str(&format!("\n  and {} more", differences.len() - SHOWN_DIFFERENCES));
                }
                self.line(
                    Verbosity::Info,
                    &text,
                    json!({ "event": "explained", "stage": stage, "step": step, "found": found, "reason": reason, "differences": differences }),
                );
            }
            Event::Resolved { reference, digest } => self.line(
                Verbosity::Info,
                &format!("{reference} is {digest}"),
                json!({ "event": "resolved", "reference": reference.to_string(), "digest": digest }),
            ),
            Event::Pulling { digest, size } => self.line(
                Verbosity::Info,
                &format!("pulling {} ({})", digest.short(), text::bytes(size)),
                json!({ "event": "pulling", "digest": digest, "bytes": size }),
            ),
            Event::Pushed { repository, digest, size, how } => self.line(
                Verbosity::Debug,
                &format!("{repository}: {} ({}) {how}", digest.short(), text::bytes(size)),
                json!({ "event": "pushed", "repository": repository, "digest": digest, "bytes": size, "how": how }),
            ),
            Event::Image { reference, digest } => self.line(
                Verbosity::Info,
                &format!("pushed {reference}@{digest}"),
                json!({ "event": "image", "reference": reference.to_string(), "digest": digest }),
            ),
            Event::Signed { reference, before } => {
                let text = match before {
                    false => format!("signed {reference}"),
                    true => format!("{reference} was signed with this key before"),
                };
                let fields = json!({ "event": "signed", "reference": reference.to_string() });
                self.line(Verbosity::Info, &text, fields);
            }
            Event::Layers(_) => {}
            Event::Warning(warning) => self.warning(&warning),
            Event::Note(text) => self.line(Verbosity::Debug, &text, json!({ "event": "note" })),
        }
    }
}

/// How many bytes to show as a line, its newline included; `None` if it is not at its end yet. A program that
/// never ends its line must not take all memory.
fn length_of_line(bytes: &[u8]) -> Option<usize> {
    const LONGEST: usize = 64 * 1024;
    match bytes.iter().position(|&byte| byte == b'\n') {
        Some(end) => Some(end + 1),
        None if bytes.len() <= LONGEST => None,
        // Not within a character of UTF-8, whose later bytes are 10xxxxxx.
        None => (LONGEST - 3..=LONGEST).rev().find(|&end| bytes[end] & 0xc0 != 0x80).or(Some(LONGEST)),
    }
}

/// The time, for those who keep logs without one.
fn now() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    builder::rfc3339(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// Writes a result to stdout, where nothing else goes.
pub(crate) fn print_result(text: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that has gone away wants no result.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// One line about why a small command has failed.
pub(crate) fn print_error(text: &str) {
    write_line(&mut std::io::stderr(), format!("error: {text}").as_bytes());
}

/// One line on standard error, whatever is to be said there.
pub(crate) fn print_line(text: &str) {
    write_line(&mut std::io::stderr(), text.as_bytes());
}

/// In one write, so that what other processes write there does not come between.
fn write_line(out: &mut dyn Write, line: &[u8]) {
    // Whoever closed our stderr does not want to read this; the build goes on.
    let _ = out.write_all(&[line, b"\n"].concat());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(std::sync::Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn stage(name: &str, is_one_of_several: bool) -> Arc<StageName> {
        Arc::new(StageName { name: name.to_owned(), platform: None, is_one_of_several })
    }

    #[test]
    fn lines_of_stages_do_not_mix() {
        let buffer = Buffer::default();
        let terminal = Terminal::to(Box::new(buffer.clone()), LogFormat::Text, Verbosity::Info);
        let (a, b) = (stage("a", true), stage("b", true));
        let say = |stage: &Arc<StageName>, text: &str| {
            let (stage, bytes) = (stage.clone(), text.as_bytes().to_vec());
            terminal.event(Event::Output { stage, stream: Stream::Stdout, bytes });
        };
        let step = Event::Step { number: 1, total: 2, stage: a.clone(), text: "RUN x".to_owned() };
        terminal.event(step);
        say(&a, "one ");
        say(&b, "two ");
        say(&a, "line\nand ");
        say(&b, "words");
        let elapsed = Duration::from_millis(5);
        terminal.event(Event::StepDone { stage: b.clone(), elapsed, layer: Some(1), cached: false });
        say(&a, "more\n");
        terminal.event(Event::StepDone { stage: a.clone(), elapsed, layer: Some(1), cached: true });
        drop(terminal);
        let text = String::from_utf8(std::mem::take(&mut *buffer.0.lock().unwrap())).unwrap();
        assert_eq!(
            text,
            "[a 1/2] RUN x\n  a | one line\n  b | two words\n  b: done in 5 ms, layer of 1 B\n  a | and more\n  a: cached, layer of 1 B\n"
        );
    }

    /// What some pieces of output look like.
    fn shown(format: LogFormat, pieces: &[(Stream, &[u8])]) -> Vec<u8> {
        let buffer = Buffer::default();
        let terminal = Terminal::to(Box::new(buffer.clone()), format, Verbosity::Info);
        for (stream, bytes) in pieces {
            let stage = stage("0", false);
            terminal.event(Event::Output { stage, stream: *stream, bytes: bytes.to_vec() });
        }
        terminal.finish_output(None);
        drop(terminal);
        std::mem::take(&mut *buffer.0.lock().unwrap())
    }

    #[test]
    fn output_of_a_run_as_text() {
        use Stream::{Stderr, Stdout};
        for (pieces, expected) in [
            (&[(Stdout, &b"a\nb\n"[..])][..], &b"  | a\n  | b\n"[..]),
            (&[(Stdout, b"a"), (Stderr, b"x\ny"), (Stdout, b"b\n")], b"  | x\n  | ab\n  | y\n"),
            (&[(Stdout, b"last words")], b"  | last words\n"),
            (&[(Stdout, b"\n\n")], b"  | \n  | \n"),
            (&[(Stderr, b"\x1b[31mred\xff\r50%\n")], b"  | \x1b[31mred\xff\r50%\n"),
        ] {
            assert_eq!(shown(LogFormat::Text, pieces), expected, "{pieces:?}");
        }
    }

    #[test]
    fn everything_is_a_line_of_json() {
        let every_byte: Vec<u8> = (0..=255).collect();
        let long = "é".repeat(100_000);
        let pieces = [
            (Stream::Stdout, &every_byte[..]),
            (Stream::Stderr, b"\x1b[0m\n"),
            (Stream::Stdout, long.as_bytes()),
        ];
        let text = String::from_utf8(shown(LogFormat::Json, &pieces)).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines.iter().all(|line| line["level"] == "info" && line["event"] == "output"));
        let of = |stream: &str| -> String {
            lines
                .iter()
                .filter(|line| line["stream"] == stream)
                .filter_map(|line| line["msg"].as_str())
                .collect()
        };
        assert_eq!(of("stderr"), "\x1b[0m");
        let expected = String::from_utf8_lossy(&every_byte).replace('\n', "") + &long;
        assert_eq!(of("stdout"), expected);
    }
}
