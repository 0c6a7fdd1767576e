//! Everything else that is read from one word.
#![no_main]

use dockerfile::{
    Check, ContextSource, Escape, Frontend, GitUrl, InstructionKind, ModeChange, NamedContext, Owner, Signal, Syntax,
    did_you_mean, familiar_name, is_image_name, parse, parse_duration, parse_ports,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(Some(url)) = GitUrl::parse(text) {
        // What git is given is no option, and says nothing else than before when it is read again.
        assert!(!url.remote.starts_with('-') && !url.host.starts_with('-'));
        assert!(url.reference.as_ref().is_none_or(|reference| !reference.starts_with('-')));
        let again = GitUrl::parse(&url.remote).ok().flatten();
        assert_eq!(again.map(|again| (again.remote, again.host)), Some((url.remote.clone(), url.host.clone())));
        let _ = (url.name(), url.to_string());
    }
    let _ = GitUrl::parse_context(text);
    if let Ok(context) = NamedContext::parse(text) {
        assert!(!context.name.is_empty());
        if let ContextSource::OciLayout { path, tag, digest } = &context.source {
            assert!(!path.is_empty() && (tag.is_some() || digest.is_some()));
        }
        let written = text.split('=').next().unwrap_or_default();
        let written = written.split_once("::").map_or(written, |(name, _)| name);
        let found = NamedContext::find(std::slice::from_ref(&context), written, "linux/amd64");
        assert_eq!(found.is_some(), context.platform.as_deref().is_none_or(|platform| platform == "linux/amd64"));
    }
    if let Ok(dockerfile) = parse(&format!("FROM x\nRUN --mount={text} y")) {
        for instruction in &dockerfile.stages[0].instructions {
            if let InstructionKind::Run(run) = &instruction.kind {
                for mount in &run.mounts {
                    let _ = mount.resolve(Escape::Backslash, &|name| Some(name.to_owned()));
                }
            }
        }
    }
    if let Ok(change) = ModeChange::parse(text) {
        for mode in [0, 0o644, 0o7777] {
            assert!(change.apply(mode, true) <= 0o7777 && change.apply(mode, false) <= 0o7777);
        }
    }
    let _ = text.parse::<Owner>();
    let _ = text.parse::<Signal>();
    let _ = parse_ports(text);
    let _ = parse_duration(text);
    let _ = Check::parse(text);
    let _ = Frontend::of(&Syntax::parse(text));
    let _ = (is_image_name(text), familiar_name(text));
    let _ = did_you_mean(text, ["COPY", "target", "x"]);
});
