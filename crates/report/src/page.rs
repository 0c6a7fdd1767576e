//! The page: head, numbers at a glance, and sections.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci::Digest;

use crate::layers::layers;
use crate::text::{bytes, escape, time};
use crate::timeline::timeline;
use crate::{BuildReport, Outcome, StepState};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page as a whole.
#[must_use]
pub fn render(report: &BuildReport) -> String {
    let name = report.names.first().map_or("an image without a name", String::as_str);
    let (state, result) = match &report.outcome {
        Outcome::Succeeded => ("good", "built"),
        Outcome::Failed(_) => ("bad", "failed"),
    };
    let mut out = String::with_capacity(64 * 1024);
    let _ = writeln!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}: {result}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <header><h1><span class=\"mark {state}\">{result}</span> {title}</h1><button type=\"button\" id=\"theme\">light or dark</button></header>\n<main>",
        hash = hash(SCRIPT),
        title = escape(name),
    );
    if let Outcome::Failed(reason) = &report.outcome {
        let _ = writeln!(out, "<p class=\"reason\" role=\"alert\">{}</p>", escape(reason));
    }
    tiles(&mut out, report);
    let filters = [
        ("all", "all"),
        ("made", "made"),
        ("cached", "from the cache"),
        ("noted", "no layer"),
        ("failed", "failed"),
    ];
    let mut buttons = String::new();
    for (state, word) in filters {
        let pressed = state == "all";
        let _ = write!(
            buttons,
            "<button type=\"button\" data-filter=\"{state}\" aria-pressed=\"{pressed}\">{word}</button>"
        );
    }
    section(
        &mut out,
        "steps",
        "Steps",
        &format!("<div class=\"filters\">{buttons}</div>{}", timeline(report)),
    );
    section(&mut out, "layers", "Layers", &layers(report));
    section(&mut out, "explained", "Why steps were made, or not", &explained(report));
    section(&mut out, "warnings", "Warnings", &warnings(report));
    section(&mut out, "times", "Where the time went", &times(report));
    let _ = writeln!(
        out,
        "</main>\n<footer>{} · began {}</footer>\n<script>{SCRIPT}</script>\n</body>\n</html>",
        escape(&report.tool),
        escape(&report.started)
    );
    out
}

/// SHA-256 in base64, which is how a policy names a script.
fn hash(text: &str) -> String {
    let hex = Digest::of(text.as_bytes()).hex();
    let bytes: Vec<u8> =
        (0..hex.len()).step_by(2).filter_map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok()).collect();
    STANDARD.encode(bytes)
}

fn section(out: &mut String, id: &str, title: &str, body: &str) {
    let _ = writeln!(out, "<section id=\"{id}\"><h2>{title}</h2>{body}</section>");
}

/// The numbers that are looked for first.
fn tiles(out: &mut String, report: &BuildReport) {
    let with = |state: StepState| report.steps.iter().filter(|step| step.state == state).count();
    let (made, cached) = (with(StepState::Made), with(StepState::Cached));
    let size: u64 = report.layers.iter().map(|layer| layer.size).sum();
    let tile = |name: &str, value: String, note: String| {
        format!("<div class=\"tile\"><span>{name}</span><strong>{value}</strong><small>{note}</small></div>")
    };
    out.push_str("<div class=\"tiles\">");
    let busy = report.cpu.as_secs_f64() / report.elapsed.as_secs_f64().max(0.001);
    out.push_str(&tile("time", time(report.elapsed), format!("{} steps", report.steps.len())));
    out.push_str(&tile("cache", format!("{cached} of {}", made + cached), "layers of steps".to_owned()));
    out.push_str(&tile("processors", time(report.cpu), format!("{busy:.1} busy on average")));
    out.push_str(&tile(
        "network",
        format!("↓ {}", bytes(report.received)),
        format!("↑ {}", bytes(report.sent)),
    ));
    out.push_str(&tile("image", bytes(size), format!("{} layers", report.layers.len())));
    let warned = if report.warnings.is_empty() { "none" } else { "see below" };
    out.push_str(&tile("warnings", report.warnings.len().to_string(), warned.to_owned()));
    out.push_str("</div>\n");
    let mut facts = String::new();
    for name in &report.names {
        let _ = write!(facts, "<code>{}</code> ", escape(name));
    }
    if let Some(digest) = &report.digest {
        let _ = write!(facts, "<code>{}</code>", escape(digest));
    }
    if !facts.is_empty() {
        let _ = writeln!(out, "<p class=\"facts\">{facts}</p>");
    }
}

fn explained(report: &BuildReport) -> String {
    if report.explanations.is_empty() {
        return "<p class=\"none\">Nothing was asked of a cache.</p>".to_owned();
    }
    let mut out = String::new();
    for one in &report.explanations {
        let (class, word) = if one.found { ("cached", "hit") } else { ("made", "miss") };
        let _ = write!(
            out,
            "<details class=\"explanation\"><summary><span class=\"tag {class}\">{word}</span><code>{}</code> <span>{}</span></summary>",
            escape(&one.step),
            escape(&one.reason)
        );
        out.push_str("<ul>");
        let _ = write!(out, "<li>stage {}</li>", escape(&one.stage));
        for difference in &one.differences {
            let _ = write!(out, "<li><code>{}</code></li>", escape(difference));
        }
        out.push_str("</ul></details>");
    }
    out
}

fn warnings(report: &BuildReport) -> String {
    if report.warnings.is_empty() {
        return "<p class=\"none\">There were none.</p>".to_owned();
    }
    let mut out = String::from("<ul class=\"warnings\">");
    for text in &report.warnings {
        let _ = write!(out, "<li>{}</li>", escape(text));
    }
    out + "</ul>"
}

fn times(report: &BuildReport) -> String {
    let most = report.timings.iter().map(|(_, time)| time.as_secs_f64()).fold(0.001, f64::max);
    let mut out = String::from("<table class=\"times\"><tbody>");
    for (kind, spent) in &report.timings {
        let width = spent.as_secs_f64() / most * 100.0;
        let _ = write!(
            out,
            "<tr><th>{}</th><td class=\"size\">{}</td><td class=\"wide\"><span class=\"bar\" style=\"width:{width:.1}%\"></span></td></tr>",
            escape(kind),
            time(*spent)
        );
    }
    if report.timings.is_empty() {
        return "<p class=\"none\">Nothing was measured.</p>".to_owned();
    }
    out + "</tbody></table><p class=\"none\">Kinds overlap: uploads go on while later steps run.</p>"
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Explanation, Layer, Origin, Step};

    const HOSTILE: &str = "</script></style>\"'><img src=x onerror=alert(1)>";

    fn hostile() -> BuildReport {
        let text = HOSTILE.to_owned();
        let step = Step {
            stage: text.clone(),
            text: text.clone(),
            output: text.clone(),
            elapsed: Duration::from_secs(2),
            state: StepState::Failed,
            ..Step::default()
        };
        let layer = Layer {
            digest: text.clone(),
            size: 10,
            origin: Origin::Built,
            created_by: text.clone(),
            contents: vec![(text.clone(), 3), ("/x".to_owned(), 1)],
        };
        BuildReport {
            names: vec![text.clone()],
            digest: Some(text.clone()),
            outcome: Outcome::Failed(text.clone()),
            started: text.clone(),
            tool: text.clone(),
            steps: vec![step],
            layers: vec![layer],
            explanations: vec![Explanation {
                stage: text.clone(),
                step: text.clone(),
                reason: text.clone(),
                differences: vec![text.clone()],
                found: false,
            }],
            warnings: vec![text.clone()],
            timings: vec![(text, Duration::from_secs(1))],
            ..BuildReport::default()
        }
    }

    #[test]
    fn nothing_from_outside_is_markup() {
        let page = render(&hostile());
        assert!(!page.contains("<img"), "{page}");
        assert!(!page.contains("\"'>"), "{page}");
        assert_eq!(page.matches("</script>").count(), 1);
        assert_eq!(page.matches("</style>").count(), 1);
        assert!(page.matches("&lt;img src=x onerror=alert(1)&gt;").count() >= 14);
    }

    #[test]
    fn the_page_asks_for_nothing() {
        let page = render(&hostile());
        for word in ["http://", "https://", "src=\"", "href=", "url(", "@import", "fetch("] {
            assert!(!page.contains(word), "{word}");
        }
        assert!(page.contains(&format!("script-src 'sha256-{}'", hash(SCRIPT))));
        assert_eq!(hash(""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }

    #[test]
    fn an_empty_build_is_a_page() {
        let page = render(&BuildReport::default());
        for text in ["an image without a name", "No instruction was begun", "There were none"] {
            assert!(page.contains(text), "{text}");
        }
    }
}
