//! The timeline: a row for each instruction, and in it a bar for when it ran.

use std::fmt::Write as _;
use std::time::Duration;

use crate::text::{bytes, escape, time};
use crate::{BuildReport, Step, StepState};

pub(crate) fn class(state: StepState) -> &'static str {
    match state {
        StepState::Made => "made",
        StepState::Cached => "cached",
        StepState::Noted => "noted",
        StepState::Failed => "failed",
    }
}

fn word(state: StepState) -> &'static str {
    match state {
        StepState::Made => "made",
        StepState::Cached => "from the cache",
        StepState::Noted => "no layer",
        StepState::Failed => "failed",
    }
}

fn percent(part: Duration, whole: Duration) -> f64 {
    (part.as_secs_f64() / whole.as_secs_f64().max(0.001) * 100.0).clamp(0.0, 100.0)
}

/// The rows, with a heading above those of each stage.
pub(crate) fn timeline(report: &BuildReport) -> String {
    let mut out = String::from("<div class=\"scale\" aria-hidden=\"true\">");
    for quarter in 0..=4_u32 {
        let _ = write!(out, "<span>{}</span>", time(report.elapsed * quarter / 4));
    }
    out.push_str("</div>");
    let mut stage = None;
    for (number, step) in report.steps.iter().enumerate() {
        if stage != Some(&step.stage) {
            let _ = write!(out, "<h3 class=\"stage\">stage {}</h3>", escape(&step.stage));
            stage = Some(&step.stage);
        }
        row(&mut out, number + 1, step, report.elapsed);
    }
    if report.steps.is_empty() {
        out.push_str("<p class=\"none\">No instruction was begun.</p>");
    }
    out
}

fn row(out: &mut String, number: usize, step: &Step, whole: Duration) {
    let state = class(step.state);
    let left = percent(step.start, whole);
    let width = percent(step.elapsed, whole).min(100.0 - left);
    // Of one processor; with more of them it is full.
    let busy = percent(step.cpu, step.elapsed);
    let open = if step.state == StepState::Failed { " open" } else { "" };
    let _ = write!(
        out,
        "<details class=\"step {state}\" data-state=\"{state}\"{open}><summary><span class=\"number\">{number}</span>\
         <code class=\"text\">{text}</code><span class=\"lane\"><span class=\"bar\" style=\"left:{left:.2}%;width:max(3px,{width:.2}%)\">\
         <span class=\"cpu\" style=\"width:{busy:.0}%\"></span></span></span><span class=\"took\">{took}</span></summary>\
         <div class=\"more\"><code>{text}</code><dl>",
        text = escape(&step.text),
        took = time(step.elapsed),
    );
    let layer = step.layer.map_or_else(|| "none".to_owned(), bytes);
    for (name, value) in [
        ("state", word(step.state).to_owned()),
        ("began after", time(step.start)),
        ("took", time(step.elapsed)),
        ("processors", time(step.cpu)),
        ("received", bytes(step.received)),
        ("sent", bytes(step.sent)),
        ("layer", layer),
    ] {
        let _ = write!(out, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    }
    out.push_str("</dl>");
    if !step.output.is_empty() {
        let _ = write!(out, "<pre>{}</pre>", escape(&step.output));
    }
    out.push_str("</div></details>");
}
