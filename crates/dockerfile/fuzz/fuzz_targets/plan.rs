//! A Dockerfile from its text to what is built: nothing panics, and every place is inside the text.
#![no_main]

use std::collections::BTreeMap;

use dockerfile::{
    BaseFacts, Check, GlobalScope, Graph, Ignore, InstructionKind, Linter, NamedContext, Outline, PlatformArgs, Span,
    Targets, parse, parse_trigger,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let inside = |span: Span| assert!(text.get(span.range()).is_some(), "{span:?}");
    let _ = dockerfile::detect_syntax(text);
    let dockerfile = match parse(text) {
        Ok(dockerfile) => dockerfile,
        Err(error) => return error.span.into_iter().for_each(inside),
    };
    for instruction in dockerfile.stages.iter().flat_map(|stage| &stage.instructions) {
        assert_eq!(&text[instruction.span.range()], instruction.text);
        if let InstructionKind::Onbuild(onbuild) = &instruction.kind {
            let _ = parse_trigger(&onbuild.trigger.value);
        }
        if let InstructionKind::Run(run) = &instruction.kind {
            let _ = run.script();
            for mount in &run.mounts {
                let _ = mount.resolve(dockerfile.directives.escape, &|_| None);
            }
        }
    }
    assert_eq!(Targets::of(&dockerfile).targets.len(), dockerfile.stages.len());
    let platform = PlatformArgs::new("linux/amd64", "linux/arm64", None);
    let everything = Check::parse("experimental=all").ok();
    let mut linter = Linter::new(&dockerfile, everything);
    let mut warnings = linter.file(&platform);
    let build_args = BTreeMap::from([("A".to_owned(), "$A".to_owned())]);
    let scope = match GlobalScope::new(&dockerfile, &platform, &build_args) {
        Ok(scope) => scope,
        Err(error) => return inside(error.span),
    };
    scope.unused_build_args(&dockerfile);
    let contexts: Vec<NamedContext> = NamedContext::parse("files=folder").into_iter().collect();
    let graph = match Graph::new(&dockerfile, &scope, &contexts, "linux/arm64") {
        Ok(graph) => graph,
        Err(error) => return error.span().into_iter().for_each(inside),
    };
    let base = BaseFacts { environment: Some(BTreeMap::new()), has_shell: Some(false), triggers: Vec::new() };
    let ignore = Ignore::parse("a\n**/b").ok();
    for stage in 0..dockerfile.stages.len() {
        warnings.extend(linter.stage(&graph, &scope, stage, &base, ignore.as_ref()));
        match Outline::of(&dockerfile, &graph, &scope, stage) {
            Ok(_) => assert!(graph.reachable(stage).is_ok_and(|needed| needed.contains(&stage))),
            Err(error) => error.span().into_iter().for_each(inside),
        }
    }
    warnings.iter().for_each(|warning| inside(warning.span));
});
