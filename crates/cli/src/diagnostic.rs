//! An error as a person sees it: what, where in the Dockerfile, and what to do about it.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// The text of an error, without a newline at its end. `source` is the Dockerfile's text.
pub(crate) fn render(error: &builder::Error, path: &str, source: &str, colour: bool) -> String {
    let Some(range) = error.lines.as_ref().and_then(|lines| bytes_of_lines(source, lines)) else {
        let hint = error.hint.as_ref().map_or(String::new(), |hint| format!("\nhint: {hint}"));
        return format!("error: {}{hint}", error.message);
    };
    let snippet =
        Snippet::source(source).path(path).fold(true).annotation(AnnotationKind::Primary.span(range));
    let mut report = Level::ERROR.primary_title(error.message.as_str()).element(snippet);
    if let Some(hint) = &error.hint {
        report = report.element(Level::HELP.message(hint.as_str()));
    }
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[report])
}

/// From the first byte of the first line that is no blank to the end of the last.
fn bytes_of_lines(source: &str, lines: &std::ops::RangeInclusive<usize>) -> Option<std::ops::Range<usize>> {
    let mut starts = std::iter::once(0).chain(source.match_indices('\n').map(|(at, _)| at + 1));
    let start = starts.nth(lines.start().checked_sub(1)?)?;
    let start = start + source[start..].len() - source[start..].trim_start_matches([' ', '\t']).len();
    let mut ends = source.match_indices('\n').map(|(at, _)| at).chain([source.len()]);
    let end = ends.nth(lines.end().checked_sub(1)?)?;
    Some(start..end.max(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "FROM a\n  RUN x \\\n    y\nCMD z";

    #[test]
    fn shows_the_lines_and_the_hint() {
        let error = builder::Error::new("no such thing").lines(2..=3).hint("try another");
        let text = render(&error, "Dockerfile", SOURCE, false);
        for part in ["error: no such thing", "Dockerfile:2", "RUN x", "try another"] {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
        let plain = render(&builder::Error::new("x").hint("y"), "Dockerfile", SOURCE, false);
        assert_eq!(plain, "error: x\nhint: y");
    }

    #[test]
    fn lines_to_bytes() {
        assert_eq!(bytes_of_lines(SOURCE, &(2..=3)).map(|range| &SOURCE[range]), Some("RUN x \\\n    y"));
        assert_eq!(bytes_of_lines(SOURCE, &(4..=4)).map(|range| &SOURCE[range]), Some("CMD z"));
        assert_eq!(bytes_of_lines(SOURCE, &(9..=9)), None);
        assert_eq!(bytes_of_lines(SOURCE, &(0..=0)), None);
    }
}
