//! `bako inspect`: what an image is, and what its layers add and hide.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use images::{InspectedLayer, Inspection, Subject, Tally};
use oci::{Descriptor, ImageConfig, Platform};
use report::text;

use super::{client, finish, runtime, told};
use crate::registry_args::RegistryArgs;
use crate::terminal::print_result;

/// What `inspect` is told.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The image: a reference, oci:DIR[:NAME], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME], or the path of a
    /// layout or an archive that begins with / or a dot.
    image: Subject,
    /// Which image, if there are several; this machine's platform if not given.
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// How it is shown.
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text")]
    format: Format,
    /// How many files are named, of each layer and in all.
    #[arg(long, value_name = "NUMBER", default_value = "10")]
    files: usize,
    #[command(flatten)]
    registries: RegistryArgs,
}

/// A form of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs, and with everything that the config says.
    Json,
}

/// Shows an image.
pub(crate) fn run(args: InspectArgs) -> ExitCode {
    finish(|| {
        let client = client(&args.registries)?;
        let runtime = runtime()?;
        let platform = args.platform.as_ref();
        let found = images::inspect(&client, runtime.handle(), &args.image, platform, args.files);
        runtime.shutdown_background();
        let found = found.map_err(told).context("inspect")?;
        print_result(
            match args.format {
                Format::Json => serde_json::to_string_pretty(&found)?,
                Format::Text => text(&found),
            }
            .trim_end(),
        );
        Ok(())
    })
}

/// Text of an image's maker on one line, without what would move a terminal's cursor.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for character in text.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        match character.is_control() {
            true => out.extend(character.escape_default()),
            false => out.push(character),
        }
    }
    out
}

/// At most as much of a text as stands on a line or two.
fn short(text: &str) -> String {
    const LONGEST: usize = 200;
    let text = plain(text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn tally(tally: Tally) -> String {
    let noun = if tally.paths == 1 { "path" } else { "paths" };
    format!("{} {noun}, {}", tally.paths, text::bytes(tally.bytes))
}

fn member(descriptor: &Descriptor) -> String {
    match (descriptor.annotations.get("vnd.docker.reference.type"), &descriptor.platform) {
        (Some(kind), _) => plain(kind),
        (None, Some(platform)) => plain(&platform.to_string()),
        (None, None) => plain(descriptor.media_type.as_str()),
    }
}

fn text(image: &Inspection) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{name:<11} {value}");
    };
    line("image", plain(&image.name));
    if let Some(digest) = &image.digest {
        line("digest", digest.to_string());
    }
    if let Some(media_type) = &image.media_type {
        line("type", plain(media_type.as_str()));
    }
    if let Some(kind) = &image.artifact_type {
        line("artifact", plain(kind));
    }
    if let Some(index) = &image.index {
        let members: Vec<String> = index.manifests.iter().map(member).collect();
        line("in index", format!("{} of {}", index.digest, members.join(", ")));
        for (name, value) in &index.annotations {
            line("", format!("{}={}", plain(name), short(value)));
        }
    }
    if let Some(platform) = &image.platform {
        line("platform", plain(&platform.to_string()));
    }
    if let Some(created) = image.config.as_ref().and_then(|config| config.created.as_ref()) {
        line("created", plain(created));
    }
    let count = match image.layers.len() {
        1 => "1 layer".to_owned(),
        count => format!("{count} layers"),
    };
    let (size, unpacked) = (text::bytes(image.size), text::bytes(image.unpacked));
    line("size", format!("{size} in {count}, {unpacked} unpacked"));
    line("contents", tally(image.contents));
    line("hidden", format!("{} that later layers change or remove", tally(image.hidden)));
    for (number, (name, value)) in image.annotations.iter().enumerate() {
        let title = if number == 0 { "annotations" } else { "" };
        line(title, format!("{}={}", plain(name), short(value)));
    }
    if let Some(config) = &image.config {
        for (name, value) in settings(config) {
            line(name, value);
        }
    }
    out.push_str("\nlayers\n");
    for (number, layer) in image.layers.iter().enumerate() {
        describe(&mut out, number + 1, layer);
    }
    if !image.files.is_empty() {
        out.push_str("\nbiggest files\n");
        for file in &image.files {
            let _ = writeln!(out, "{:>10}  layer {:<3} {}", text::bytes(file.size), file.layer, file.path);
        }
    }
    out
}

/// How a container starts, as lines.
fn settings(config: &ImageConfig) -> Vec<(&'static str, String)> {
    let config = &config.config;
    let mut found = Vec::new();
    let words = |words: &Option<Vec<String>>| {
        words.as_ref().map(|words| plain(&serde_json::json!(words).to_string()))
    };
    let mut add = |name, value: Option<String>| found.extend(value.map(|value| (name, value)));
    add("entrypoint", words(&config.entrypoint));
    add("cmd", words(&config.cmd));
    add("user", Some(plain(&config.user)).filter(|user| !user.is_empty()));
    add("workdir", Some(plain(&config.working_dir)).filter(|path| !path.is_empty()));
    let ports: Vec<String> = config.exposed_ports.keys().map(|port| plain(port)).collect();
    add("ports", Some(ports.join(", ")).filter(|ports| !ports.is_empty()));
    let volumes: Vec<String> = config.volumes.keys().map(|path| plain(path)).collect();
    add("volumes", Some(volumes.join(", ")).filter(|volumes| !volumes.is_empty()));
    add("stopsignal", config.stop_signal.as_deref().map(plain));
    let env = config.env.iter().map(|pair| short(pair));
    let labels = config.labels.iter().map(|(name, value)| format!("{}={}", plain(name), short(value)));
    for (title, lines) in [("env", env.collect::<Vec<_>>()), ("labels", labels.collect())] {
        for (number, text) in lines.into_iter().enumerate() {
            found.push((if number == 0 { title } else { "" }, text));
        }
    }
    found
}

fn describe(out: &mut String, number: usize, layer: &InspectedLayer) {
    let mut size = text::bytes(layer.size);
    match layer.unpacked {
        Some(unpacked) => {
            let _ = write!(size, ", {} unpacked", text::bytes(unpacked));
        }
        None => size.push_str(", not looked into"),
    }
    let _ = writeln!(out, "{number:>3}  {}  {size}", layer.digest.short());
    if let Some(maker) = &layer.created_by {
        let _ = writeln!(out, "     {}", short(maker));
    }
    let Some(changes) = &layer.changes else {
        let kind = layer.media_type.as_ref().map(|kind| plain(kind.as_str())).unwrap_or_default();
        let _ = writeln!(out, "     {kind}");
        return;
    };
    let mut parts = Vec::new();
    for (word, what) in [("adds", changes.added), ("changes", changes.changed), ("removes", changes.removed)]
    {
        if what.paths > 0 {
            parts.push(format!("{word} {}", tally(what)));
        }
    }
    if changes.hidden.bytes > 0 {
        parts.push(format!("hides {}", text::bytes(changes.hidden.bytes)));
    }
    let parts = if parts.is_empty() { "changes nothing".to_owned() } else { parts.join("; ") };
    let _ = writeln!(out, "     {parts}");
    for file in &changes.files {
        let _ = writeln!(out, "     + {:>8}  {}", text::bytes(file.size), file.path);
    }
    for path in &changes.gone {
        let _ = writeln!(out, "     -           {path}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_maker_wrote_moves_no_cursor() {
        for (text, expected) in
            [("a  b\n\tc", "a b c"), ("\u{1b}[2Jx", "\\u{1b}[2Jx"), ("é", "é"), ("\u{9b}1m", "\\u{9b}1m")]
        {
            assert_eq!(plain(text), expected);
        }
        assert_eq!(short(&"é".repeat(300)), format!("{}…", "é".repeat(200)));
    }
}
