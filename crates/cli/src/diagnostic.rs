//! What is wrong, as a person sees it: what, where in the Dockerfile, and what to do about it.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use builder::{Error, Span, Warning};
use serde_json::{Value, json};

/// Lines shown of an instruction that goes over more: who reads an error does not want the script again.
const LONGEST: usize = 12;

const BOM: char = '\u{feff}';

/// A Dockerfile that is at hand when something has to be said of it.
#[derive(Debug)]
pub(crate) struct Source {
    /// Where it was read from.
    pub(crate) path: String,
    /// What was read.
    pub(crate) text: String,
}

impl Source {
    /// The place as a log line has it: file, line and column, counted from 1, the column in characters.
    pub(crate) fn place(&self, span: Span) -> Value {
        json!({
            "file": self.path,
            "line": span.first_line,
            "column": self.column(span),
            "lines": [span.first_line, span.last_line],
        })
    }

    /// The column of the first character, from 1.
    fn column(&self, span: Span) -> usize {
        let before = self.text.get(..span.start).unwrap_or_default();
        before.rsplit('\n').next().unwrap_or_default().trim_start_matches(BOM).chars().count() + 1
    }

    /// The text without a byte order mark, which would count as a column, and what to point at in it: not
    /// the blanks at the end, nor more lines than are read.
    fn part(&self, span: Span) -> Option<(&str, std::ops::Range<usize>)> {
        let shown = self.text.trim_start_matches(BOM);
        let mark = self.text.len() - shown.len();
        let start = span.start.checked_sub(mark)?;
        let text = shown.get(start..span.end.checked_sub(mark)?)?;
        let end = text.match_indices('\n').nth(LONGEST - 1).map_or(text.len(), |(at, _)| at);
        let length = text[..end].trim_end().len();
        (span.first_line > 0).then_some((shown, start..start + length))
    }
}

/// The text of an error, without a newline at its end.
pub(crate) fn error(error: &Error, source: Option<&Source>, colour: bool) -> String {
    render(Level::ERROR, &error.message, error.span, source, &[(Level::HELP, error.hint.as_deref())], colour)
        .unwrap_or_else(|| {
            let hint = error.hint.as_ref().map_or(String::new(), |hint| format!("\nhint: {hint}"));
            format!("error: {}{hint}", error.message)
        })
}

/// The text of a warning that is about a place; `None` if it is about none.
pub(crate) fn warning(warning: &Warning, source: Option<&Source>, colour: bool) -> Option<String> {
    let see = warning.rule.as_ref().map(|rule| format!("{}, see {}", rule.name(), rule.url()));
    let notes = [(Level::NOTE, see.as_deref())];
    render(Level::WARNING, &warning.text, warning.span, source, &notes, colour)
}

fn render(
    level: Level<'_>,
    title: &str,
    span: Option<Span>,
    source: Option<&Source>,
    notes: &[(Level<'_>, Option<&str>)],
    colour: bool,
) -> Option<String> {
    let source = source?;
    let (text, range) = source.part(span?)?;
    let snippet = Snippet::source(text)
        .path(source.path.as_str())
        .fold(true)
        .annotation(AnnotationKind::Primary.span(range));
    let mut report = level.primary_title(title).element(snippet);
    for (level, note) in notes {
        if let Some(note) = note {
            report = report.element(level.clone().message(*note));
        }
    }
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    Some(renderer.render(&[report]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\u{feff}FROM a\n  COPY é b \\\n    c\nCMD z\n";

    fn source() -> Source {
        Source { path: "Dockerfile".to_owned(), text: TEXT.to_owned() }
    }

    /// The place of a part of the text.
    fn span(part: &str) -> Span {
        let start = TEXT.find(part).unwrap();
        let line = |at: usize| TEXT[..at].matches('\n').count() + 1;
        let end = start + part.len();
        Span { start, end, first_line: line(start), last_line: line(end) }
    }

    #[test]
    fn points_at_the_word() {
        for (part, place, marked) in [
            ("a", "Dockerfile:1:6", "1 | FROM a\n  |      ^"),
            ("b", "Dockerfile:2:10", "2 |   COPY é b \\\n  |          ^"),
            ("COPY é b \\\n    c", "Dockerfile:2:3", "2 | /   COPY é b \\\n3 | |     c\n  | |_____^"),
            ("CMD z\n", "Dockerfile:4:1", "4 | CMD z\n  | ^^^^^"),
        ] {
            let found = Error::new("no such thing").at(span(part)).hint("try another");
            let text = error(&found, Some(&source()), false);
            for part in ["error: no such thing", place, marked, "= help: try another"] {
                assert!(text.contains(part), "{part:?} is not in:\n{text}");
            }
            assert_eq!(
                source().place(span(part))["column"],
                place.rsplit(':').next().unwrap().parse::<usize>().unwrap()
            );
        }
    }

    #[test]
    fn long_instructions_are_not_shown_in_full() {
        let text = format!("RUN <<EOF\n{}EOF\n", "line\n".repeat(100));
        let span = Span { start: 0, end: text.len() - 1, first_line: 1, last_line: 102 };
        let shown = error(&Error::new("x").at(span), Some(&Source { path: "d".to_owned(), text }), false);
        assert!(shown.lines().count() < 20, "{shown}");
    }

    #[test]
    fn what_is_about_no_place() {
        let found = Error::new("x").hint("y");
        assert_eq!(error(&found, Some(&source()), false), "error: x\nhint: y");
        assert_eq!(error(&found.at(span("a")), None, false), "error: x\nhint: y");
        assert_eq!(warning(&Warning::new("x"), Some(&source()), false), None);
        let nowhere = Error::new("x").at(Span { start: 900, end: 901, first_line: 70, last_line: 70 });
        assert_eq!(error(&nowhere, Some(&source()), false), "error: x");
    }
}
