//! What a person, or a log, sees of a build. Everything goes to stderr; nothing is ever clipped.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use build::{Event, Report};
use sandbox::Stream;
use serde_json::{Value, json};

use crate::args::{LogFormat, Verbosity};

/// Turns events into lines.
pub(crate) struct Terminal {
    format: LogFormat,
    verbosity: Verbosity,
    colour: bool,
    start: Instant,
    /// What a RUN has written since its last newline, by stream.
    partial: Mutex<[Vec<u8>; 2]>,
}

impl Terminal {
    pub(crate) fn new(format: LogFormat, verbosity: Verbosity) -> Self {
        let colour = format == LogFormat::Color
            && std::io::stderr().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Terminal { format, verbosity, colour, start: Instant::now(), partial: Mutex::default() }
    }

    /// True if messages may be coloured.
    pub(crate) fn colour(&self) -> bool {
        self.colour
    }

    /// True if errors are to be JSON too.
    pub(crate) fn is_json(&self) -> bool {
        self.format == LogFormat::Json
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
        write_line(line.as_bytes());
    }

    /// Text that is laid out already.
    pub(crate) fn raw(&self, text: &str) {
        write_line(text.as_bytes());
    }

    /// Writes what a RUN has printed, a whole line at a time, so that lines of two streams do not mix.
    fn output(&self, stream: Stream, bytes: &[u8]) {
        let mut partial = self.partial.lock().unwrap_or_else(PoisonError::into_inner);
        let partial = &mut partial[usize::from(stream == Stream::Stderr)];
        partial.extend_from_slice(bytes);
        // A program that never ends its line must not take all memory.
        const LONGEST: usize = 64 * 1024;
        while let Some(end) =
            partial.iter().position(|&byte| byte == b'\n').or((partial.len() > LONGEST).then_some(LONGEST))
        {
            let line: Vec<u8> = partial.drain(..=end.min(partial.len() - 1)).collect();
            self.output_line(stream, &line);
        }
    }

    fn finish_output(&self) {
        let mut partial = self.partial.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, bytes) in partial.iter_mut().enumerate() {
            if !bytes.is_empty() {
                let stream = if index == 1 { Stream::Stderr } else { Stream::Stdout };
                self.output_line(stream, &std::mem::take(bytes));
            }
        }
    }

    fn output_line(&self, stream: Stream, line: &[u8]) {
        if self.verbosity < Verbosity::Info {
            return;
        }
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if self.format == LogFormat::Json {
            let name = if stream == Stream::Stderr { "stderr" } else { "stdout" };
            let text = String::from_utf8_lossy(line);
            self.line(Verbosity::Info, &text, json!({ "event": "output", "stream": name }));
        } else {
            let mut out = b"  | ".to_vec();
            out.extend_from_slice(line);
            write_line(&out);
        }
    }
}

impl Report for Terminal {
    fn event(&self, event: Event) {
        match event {
            Event::Output { stream, bytes } => self.output(stream, &bytes),
            Event::Stage { name, base } => self.line(
                Verbosity::Info,
                &format!("stage {name} from {base}"),
                json!({ "event": "stage", "stage": name, "base": base }),
            ),
            Event::Step { number, total, stage, text } => self.line(
                Verbosity::Info,
                &format!("[{number}/{total}] {text}"),
                json!({ "event": "step", "number": number, "total": total, "stage": stage }),
            ),
            Event::StepDone { elapsed, layer } => {
                self.finish_output();
                let layer_text = layer.map_or(String::new(), |size| format!(", layer of {}", human_bytes(size)));
                // Steps that only note something in the config are not worth a line of their own.
                if layer.is_some() || elapsed > Duration::from_millis(200) {
                    self.line(
                        Verbosity::Info,
                        &format!("  done in {}{layer_text}", human_time(elapsed)),
                        json!({ "event": "step_done", "ms": u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX), "layer_bytes": layer }),
                    );
                }
            }
            Event::Resolved { reference, digest } => self.line(
                Verbosity::Info,
                &format!("{reference} is {digest}"),
                json!({ "event": "resolved", "reference": reference.to_string(), "digest": digest }),
            ),
            Event::Pulling { digest, size } => self.line(
                Verbosity::Info,
                &format!("pulling {} ({})", digest.short(), human_bytes(size)),
                json!({ "event": "pulling", "digest": digest, "bytes": size }),
            ),
            Event::Pushed { repository, digest, size, how } => self.line(
                Verbosity::Debug,
                &format!("{repository}: {} ({}) {how}", digest.short(), human_bytes(size)),
                json!({ "event": "pushed", "repository": repository, "digest": digest, "bytes": size, "how": how }),
            ),
            Event::Image { reference, digest } => self.line(
                Verbosity::Info,
                &format!("pushed {reference}@{digest}"),
                json!({ "event": "image", "reference": reference.to_string(), "digest": digest }),
            ),
            Event::Warning { line, text } => {
                let whole = line.map_or(text.clone(), |line| format!("line {line}: {text}"));
                self.line(Verbosity::Warn, &whole, json!({ "event": "warning", "line": line }));
            }
            Event::Note(text) => self.line(Verbosity::Debug, &text, json!({ "event": "note" })),
        }
    }
}

/// Writes a result to stdout, where nothing else goes.
pub(crate) fn print_result(text: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that has gone away wants no result.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// One line about why a small command has failed.
pub(crate) fn print_error(text: &str) {
    write_line(format!("error: {text}").as_bytes());
}

fn write_line(line: &[u8]) {
    let mut out = std::io::stderr().lock();
    // Whoever closed our stderr does not want to read this; the build goes on.
    let _ = out.write_all(line).and_then(|()| out.write_all(b"\n"));
}

/// `12.3 MB`, in powers of ten as registries show sizes.
pub(crate) fn human_bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

/// `1.23 s`, `45 ms`.
pub(crate) fn human_time(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.2} s", time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1_234_567, "1.2 MB"),
            (2_000_000_000_000, "2.0 TB"),
        ] {
            assert_eq!(human_bytes(bytes), text);
        }
        assert_eq!(human_time(Duration::from_millis(45)), "45 ms");
        assert_eq!(human_time(Duration::from_millis(1234)), "1.23 s");
    }
}
