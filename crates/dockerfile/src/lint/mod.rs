//! Lints: what is allowed and probably not meant.
//!
//! The rules, their names and messages are [BuildKit's]. What needs more than the text is told to the
//! [`Linter`]: the values of global variables, and what a stage's base image brings.
//!
//! [BuildKit's]: https://docs.docker.com/reference/build-checks/

mod from;
mod rule;
mod stage;

use std::collections::{BTreeMap, HashSet};

pub use rule::Rule;

use crate::directive::Check;
use crate::graph::Origin;
use crate::{
    Dockerfile, GlobalScope, Graph, Ignore, Instruction, InstructionKind, PlatformArgs, Span, parse_trigger,
};
use stage::State;

/// Something to reconsider.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Warning {
    /// The rule that was broken.
    pub rule: Rule,
    /// What was found.
    pub message: String,
    /// Where.
    pub span: Span,
}

/// What a stage starts with if it starts from an image and not from another stage.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BaseFacts {
    /// The image's environment. `None` if it is not known, and then no variable is called undefined.
    pub environment: Option<BTreeMap<String, String>>,
    /// True if the image's config has a shell of its own. `None` if it is not known, and then no command is
    /// told to use JSON.
    pub has_shell: Option<bool>,
    /// Its `ONBUILD` triggers: they set variables too. What is wrong in them is not said, for nobody can
    /// change them here.
    pub triggers: Vec<Instruction>,
}

/// A rule was broken where `# check=error=true` forbids it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("lint violation found for rules: {}", rules.iter().map(|rule| rule.name()).collect::<Vec<_>>().join(", "))]
pub struct LintError {
    /// The rules, in the order of their names.
    pub rules: Vec<Rule>,
    /// The place of the first.
    pub span: Span,
}

/// Checks one Dockerfile: the file first, then the stages that are built, each after the one it starts from.
#[derive(Debug)]
pub struct Linter<'a> {
    dockerfile: &'a Dockerfile,
    check: Check,
    /// Where a comment `# check=skip=Rule` stands directly above an instruction.
    own: Vec<(Span, Check)>,
    /// How the stages that were checked leave things to those that start from them.
    states: BTreeMap<usize, State>,
    /// What was told.
    found: HashSet<Warning>,
}

impl Warning {
    pub(crate) fn new(rule: Rule, message: impl Into<String>, span: Span) -> Self {
        Warning { rule, message: message.into(), span }
    }
}

impl<'a> Linter<'a> {
    /// A linter with the `# check=` of the Dockerfile, or with what overrides it, as the build argument
    /// `BUILDKIT_DOCKERFILE_CHECK` does.
    #[must_use]
    pub fn new(dockerfile: &'a Dockerfile, check: Option<Check>) -> Self {
        let written = || dockerfile.directives.check.as_ref().map(|check| check.value.clone());
        let check = check.or_else(written).unwrap_or_default();
        Linter {
            dockerfile,
            check,
            own: own_checks(dockerfile),
            states: BTreeMap::new(),
            found: HashSet::new(),
        }
    }

    /// The rules about the file as a whole and its `FROM` lines, those of stages that are not built
    /// included: how it is laid out, its names, its global variables.
    pub fn file(&mut self, platform: &PlatformArgs) -> Vec<Warning> {
        let mut warnings = self.dockerfile.warnings.clone();
        from::layout(self.dockerfile, &mut warnings);
        from::stages(self.dockerfile, platform, &mut warnings);
        self.report(warnings)
    }

    /// The rules about the instructions of one stage. `base` is used if the stage starts from an image or a
    /// context; one that starts from another stage has to come after it, or nothing is known of its
    /// variables. `ignore` is what the main context leaves out.
    ///
    /// A stage may be checked again when more is known of its base: what was said is not said twice.
    pub fn stage(
        &mut self,
        graph: &Graph,
        scope: &GlobalScope,
        stage: usize,
        base: &BaseFacts,
        ignore: Option<&Ignore>,
    ) -> Vec<Warning> {
        let (mut state, triggers) = match graph.nodes[stage].base {
            Origin::Stage(base) => {
                let state = self.states.get(&base).cloned();
                (state.unwrap_or_default().derived(), onbuild(&self.dockerfile.stages[base].instructions))
            }
            Origin::Scratch => (State::new(Some(&BTreeMap::new()), Some(false)), Vec::new()),
            Origin::Context(_) | Origin::Image(_) => {
                (State::new(base.environment.as_ref(), base.has_shell), base.triggers.clone())
            }
        };
        let around = stage::Around { escape: self.dockerfile.directives.escape, scope, ignore };
        for trigger in &triggers {
            state.instruction(&around, trigger);
        }
        let mut warnings = Vec::new();
        for instruction in graph.instructions(stage) {
            warnings.extend(state.instruction(&around, instruction));
        }
        warnings.extend(std::mem::take(&mut state.overridden));
        self.states.insert(stage, state);
        self.report(warnings)
    }

    /// The rule about the platform of the image a stage starts from: `os/architecture` of it has to be what
    /// was asked for, whatever the variants.
    pub fn base_platform(&mut self, stage: usize, image: &str, expected: &str, actual: &str) -> Vec<Warning> {
        fn kind(platform: &str) -> impl Iterator<Item = &str> {
            platform.split('/').take(2)
        }
        if kind(expected).eq(kind(actual)) {
            return Vec::new();
        }
        let message = format!(
            "Base image {image} was pulled with platform {actual:?}, expected {expected:?} for current build"
        );
        let span = self.dockerfile.stages[stage].base.span;
        self.report(vec![Warning::new(Rule::InvalidBaseImagePlatform, message, span)])
    }

    /// All that was found so far, as an error if `# check=error=true` says so.
    pub fn verdict(&self) -> Result<(), LintError> {
        let first = self.found.iter().min_by_key(|warning| (warning.span.start, warning.span.end));
        let Some(first) = first.filter(|_| self.check.error) else { return Ok(()) };
        let rules: BTreeMap<&str, Rule> =
            self.found.iter().map(|warning| (warning.rule.name(), warning.rule)).collect();
        Err(LintError { rules: rules.into_values().collect(), span: first.span })
    }

    /// Those that are not switched off and were not told before, from first to last.
    fn report(&mut self, mut warnings: Vec<Warning>) -> Vec<Warning> {
        warnings.retain(|warning| self.is_checked(warning) && !self.found.contains(warning));
        warnings.sort_by_key(|warning| warning.span.start);
        self.found.extend(warnings.iter().cloned());
        warnings
    }

    /// The file's `# check=` together with that of the instruction: `skip` does not reach experimental rules,
    /// which only `experimental` switches on.
    fn is_checked(&self, warning: &Warning) -> bool {
        let name = warning.rule.name();
        let here = |place: &Span| place.start <= warning.span.start && warning.span.end <= place.end;
        let own = self.own.iter().filter(|(place, _)| here(place)).map(|(_, check)| check);
        let mut checks = std::iter::once(&self.check).chain(own);
        if warning.rule.is_experimental() {
            checks.any(|check| check.experimental.contains(name))
        } else {
            !checks.any(|check| check.skip.contains(name))
        }
    }
}

/// The comments that switch rules off or on for one instruction; of several above one, the first counts.
fn own_checks(dockerfile: &Dockerfile) -> Vec<(Span, Check)> {
    let stages = &dockerfile.stages;
    let of_stages = stages.iter().map(|stage| (stage.span, &stage.comments));
    let instructions = stages.iter().flat_map(|stage| &stage.instructions);
    let of_instructions = instructions.map(|instruction| (instruction.span, &instruction.comments));
    let of_args = dockerfile.global_args.iter().map(|arg| (arg.span, &arg.comments));
    let comments = of_stages.chain(of_instructions).chain(of_args);
    let checks = comments.filter_map(|(span, comments)| {
        let first = comments.iter().find_map(|comment| check_comment(comment))?;
        // One that cannot be read changes nothing.
        Some((span, first.ok()?))
    });
    checks.collect()
}

/// `check=skip=Rule`, written like the directive, up to the first blank; anything else is a comment like others.
fn check_comment(comment: &str) -> Option<Result<Check, String>> {
    let (key, value) = comment.split_once('=')?;
    let is_check = key.trim().eq_ignore_ascii_case("check");
    is_check.then(|| Check::parse(value.split_whitespace().next().unwrap_or_default()))
}

/// The triggers a stage leaves to those that start from it. What is no instruction fails in the build.
fn onbuild(instructions: &[Instruction]) -> Vec<Instruction> {
    let triggers = instructions.iter().filter_map(|instruction| match &instruction.kind {
        InstructionKind::Onbuild(onbuild) => parse_trigger(&onbuild.trigger.value).ok(),
        _ => None,
    });
    triggers.collect()
}
