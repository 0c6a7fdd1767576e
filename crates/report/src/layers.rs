//! Layers as areas: how much of the image each one is, and which directories it fills.

use std::fmt::Write as _;

use crate::text::{bytes, escape};
use crate::treemap::{Area, squarify};
use crate::{BuildReport, Layer, Origin};

/// The width of the whole by its height, as the style sheet has it.
const ASPECT: f64 = 2.6;

fn class(origin: Origin) -> &'static str {
    match origin {
        Origin::Base => "base",
        Origin::Cached => "cached",
        Origin::Built => "made",
    }
}

fn word(origin: Origin) -> &'static str {
    match origin {
        Origin::Base => "of the base",
        Origin::Cached => "from the cache",
        Origin::Built => "made by this build",
    }
}

fn style(area: Area) -> String {
    format!("left:{:.2}%;top:{:.2}%;width:{:.2}%;height:{:.2}%", area.left, area.top, area.width, area.height)
}

/// The areas, and a table that says the same.
pub(crate) fn layers(report: &BuildReport) -> String {
    if report.layers.is_empty() {
        return "<p class=\"none\">There is no image, or it has no layers.</p>".to_owned();
    }
    let sizes: Vec<u64> = report.layers.iter().map(|layer| layer.size).collect();
    let mut out = String::from("<div class=\"treemap\">");
    for (number, (layer, area)) in report.layers.iter().zip(squarify(&sizes, ASPECT)).enumerate() {
        cell(&mut out, number + 1, layer, area);
    }
    out.push_str("</div><p id=\"cell\" class=\"cell\" role=\"status\">Choose a layer to see what it is.</p>");
    out.push_str("<table class=\"layers\"><thead><tr><th>#</th><th>size</th><th>from</th><th>made by</th></tr></thead><tbody>");
    for (number, layer) in report.layers.iter().enumerate() {
        let _ = write!(
            out,
            "<tr><td>{}</td><td class=\"size\">{}</td><td><span class=\"dot {}\"></span>{}</td><td><code title=\"{}\">{}</code></td></tr>",
            number + 1,
            bytes(layer.size),
            class(layer.origin),
            word(layer.origin),
            escape(&layer.digest),
            escape(&layer.created_by),
        );
    }
    out.push_str("</tbody></table>");
    out
}

fn cell(out: &mut String, number: usize, layer: &Layer, area: Area) {
    let about =
        format!("layer {number}, {}, {}: {}", bytes(layer.size), word(layer.origin), layer.created_by);
    let _ = write!(
        out,
        "<button type=\"button\" class=\"layer {}\" style=\"{}\" data-about=\"{about}\" title=\"{about}\"><span class=\"label\">{number} · {}</span>",
        class(layer.origin),
        style(area),
        bytes(layer.size),
        about = escape(&about),
    );
    out.push_str("<span class=\"inner\">");
    let sizes: Vec<u64> = layer.contents.iter().map(|(_, size)| *size).collect();
    // What holds it has the proportions of its own area.
    let aspect = if area.height > 0.0 { (area.width * ASPECT / area.height).clamp(0.05, 50.0) } else { 1.0 };
    for ((directory, size), area) in layer.contents.iter().zip(squarify(&sizes, aspect)) {
        let _ = write!(
            out,
            "<span class=\"directory\" style=\"{}\" title=\"{} ({})\"><span>{}</span></span>",
            style(area),
            escape(directory),
            bytes(*size),
            escape(directory),
        );
    }
    out.push_str("</span></button>");
}
