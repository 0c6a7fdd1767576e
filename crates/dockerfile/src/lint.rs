//! Lints: what is allowed and probably not meant.
//!
//! The rules are those of BuildKit that need nothing but the Dockerfile; their names are [documented].
//!
//! [documented]: https://docs.docker.com/reference/build-checks/

use crate::directive::Check;
use crate::instruction::{Declaration, Keyword};
use crate::{Dockerfile, Instruction, InstructionKind, ShellOrExec, Span, Stage};

/// Something to reconsider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The rule's name, which is BuildKit's.
    pub rule: &'static str,
    /// What was found.
    pub message: String,
    /// Where.
    pub span: Span,
}

impl Warning {
    pub(crate) fn new(rule: &'static str, message: impl Into<String>, span: Span) -> Self {
        Warning { rule, message: message.into(), span }
    }
}

/// All that can be said of a Dockerfile by itself, its parse's warnings included, without the rules its
/// `# check=` directive or a comment `# check=skip=Rule` above an instruction switches off.
#[must_use]
pub fn lint(dockerfile: &Dockerfile) -> Vec<Warning> {
    let mut warnings = dockerfile.warnings.clone();
    casing(dockerfile, &mut warnings);
    for declaration in dockerfile.global_args.iter().flat_map(|arg| &arg.declarations) {
        secret(&declaration.name.value, "ARG", declaration.name.span, &mut warnings);
    }
    for (index, stage) in dockerfile.stages.iter().enumerate() {
        from(dockerfile, index, stage, &mut warnings);
        instructions(stage, &mut warnings);
    }
    let skips = dockerfile.directives.check.as_ref().map(|check| &check.value.skip);
    warnings.retain(|warning| !skips.is_some_and(|rules| rules.contains(warning.rule)));
    warnings.sort_by_key(|warning| warning.span.start);
    warnings
}

/// The words `FROM` and `AS` and the names behind them.
fn from(dockerfile: &Dockerfile, index: usize, stage: &Stage, warnings: &mut Vec<Warning>) {
    let mut warn = |rule, message: String| warnings.push(Warning::new(rule, message, stage.span));
    let words: Vec<&str> = stage.text.split_whitespace().collect();
    if let (Some(name), [keyword, .., as_keyword, written]) = (&stage.name, &words[..]) {
        if name != written && written.eq_ignore_ascii_case(name) {
            warn("StageNameCasing", format!("Stage name '{written}' should be lowercase"));
        }
        if is_lower(keyword) != is_lower(as_keyword) {
            let message = format!("'{as_keyword}' and '{keyword}' keywords' casing do not match");
            warn("FromAsCasing", message);
        }
        if matches!(name.as_str(), "scratch" | "context") {
            warn(
                "ReservedStageName",
                format!("Stage name should not use the same name as reserved stage \"{name}\""),
            );
        }
        if dockerfile.stages[..index].iter().any(|earlier| earlier.name == stage.name) {
            let message = format!("Duplicate stage name {name:?}, stage names should be unique");
            warn("DuplicateStageName", message);
        }
    }
    let Some(platform) = &stage.platform else { return };
    let expression = platform.text.trim_matches('"');
    if matches!(expression, "$TARGETPLATFORM" | "${TARGETPLATFORM}") {
        let message = format!(
            "Setting platform to predefined {expression} in FROM is redundant as this is the default behavior"
        );
        warn("RedundantTargetPlatform", message);
    } else if !expression.contains('$') && !names_platform(stage.name.as_deref(), expression) {
        let message = format!("FROM --platform flag should not use constant value {expression:?}");
        warn("FromPlatformFlagConstDisallowed", message);
    }
}

/// A stage that says in its name which platform it is for may have a constant one.
fn names_platform(name: Option<&str>, platform: &str) -> bool {
    name.is_some_and(|name| platform.split('/').any(|part| !part.is_empty() && name.contains(part)))
}

fn instructions(stage: &Stage, warnings: &mut Vec<Warning>) {
    let mut shell_is_set = false;
    let mut workdir_is_absolute = false;
    for (index, instruction) in stage.instructions.iter().enumerate() {
        let keyword = instruction.keyword();
        let mut found = Vec::new();
        let mut warn = |rule, message: String| found.push(Warning::new(rule, message, instruction.span));
        let is_last = || !stage.instructions[index + 1..].iter().any(|later| later.keyword() == keyword);
        if matches!(keyword, Keyword::Cmd | Keyword::Entrypoint | Keyword::Healthcheck) && !is_last() {
            let message = format!(
                "Multiple {keyword} instructions should not be used in the same stage because only the last one will be used"
            );
            warn("MultipleInstructionsDisallowed", message);
        }
        match &instruction.kind {
            InstructionKind::Cmd(ShellOrExec::Shell(_))
            | InstructionKind::Entrypoint(ShellOrExec::Shell(_))
                if !shell_is_set =>
            {
                let message = format!(
                    "JSON arguments recommended for {keyword} to prevent unintended behavior related to OS signals"
                );
                warn("JSONArgsRecommended", message);
            }
            InstructionKind::Shell(_) => shell_is_set = true,
            InstructionKind::Maintainer(_) => {
                warn(
                    "MaintainerDeprecated",
                    "Maintainer instruction is deprecated in favor of using label".to_owned(),
                );
            }
            InstructionKind::Workdir(path) => {
                let absolute = path.text.trim_start_matches('"').starts_with(['/', '$']);
                if !absolute && !workdir_is_absolute {
                    let message = format!(
                        "Relative workdir {:?} can have unexpected results if the base image changes",
                        path.text
                    );
                    warn("WorkdirRelativePath", message);
                }
                workdir_is_absolute |= absolute;
            }
            InstructionKind::Env(env) => {
                for pair in &env.pairs {
                    secret(&pair.key.text, "ENV", pair.key.span, &mut found);
                }
                legacy(env.legacy, instruction, &mut found);
            }
            InstructionKind::Label(label) => legacy(label.legacy, instruction, &mut found),
            InstructionKind::Arg(arg) => {
                for Declaration { name, .. } in &arg.declarations {
                    secret(&name.value, "ARG", name.span, &mut found);
                }
            }
            InstructionKind::Expose(expose) => {
                for port in &expose.ports {
                    let text = &port.text;
                    if text.contains('$') {
                        continue;
                    }
                    if text.contains(':') {
                        let message = format!(
                            "EXPOSE instruction should not define an IP address or host-port mapping, found '{text}'"
                        );
                        found.push(Warning::new("ExposeInvalidFormat", message, port.span));
                    }
                    if text.split_once('/').is_some_and(|(_, protocol)| !is_lower(protocol)) {
                        let message =
                            format!("Defined protocol '{text}' in EXPOSE instruction should be lowercase");
                        found.push(Warning::new("ExposeProtoCasing", message, port.span));
                    }
                }
            }
            _ => {}
        }
        let skipped = |warning: &Warning| {
            let checks = instruction.comments.iter().filter_map(|comment| comment.strip_prefix("check="));
            checks.filter_map(|check| Check::parse(check).ok()).any(|check| check.skip.contains(warning.rule))
        };
        warnings.extend(found.into_iter().filter(|warning| !skipped(warning)));
    }
}

fn legacy(is_legacy: bool, instruction: &Instruction, warnings: &mut Vec<Warning>) {
    if is_legacy {
        let keyword = instruction.keyword();
        let message = format!(
            "\"{keyword} key=value\" should be used instead of legacy \"{keyword} key value\" format"
        );
        warnings.push(Warning::new("LegacyKeyValueFormat", message, instruction.span));
    }
}

/// A name that says it holds a secret: what `ARG` and `ENV` hold is in the image for everyone to read.
fn secret(name: &str, keyword: &str, span: Span, warnings: &mut Vec<Warning>) {
    const TELLING: [&str; 10] = [
        "apikey",
        "auth",
        "credential",
        "credentials",
        "key",
        "password",
        "pword",
        "passwd",
        "secret",
        "token",
    ];
    const HARMLESS: [&str; 5] = ["public", "file", "version", "path", "id"];
    let name_lower = name.to_lowercase();
    let has = |words: &[&str]| name_lower.split('_').any(|part| words.contains(&part));
    if has(&TELLING) && !has(&HARMLESS) {
        let message = format!("Do not use ARG or ENV instructions for sensitive data ({keyword} {name:?})");
        warnings.push(Warning::new("SecretsUsedInArgOrEnv", message, span));
    }
}

/// Keywords written in another case than most.
fn casing(dockerfile: &Dockerfile, warnings: &mut Vec<Warning>) {
    let mut keywords = Vec::new();
    for stage in &dockerfile.stages {
        keywords.push((first_word(&stage.text), stage.span));
        keywords.extend(stage.instructions.iter().map(|one| (first_word(&one.text), one.span)));
    }
    let lower = keywords.iter().filter(|(word, _)| is_lower(word)).count();
    let majority_is_lower = lower > keywords.len() - lower;
    for (word, span) in keywords {
        let consistent = if majority_is_lower { is_lower(word) } else { word == word.to_uppercase() };
        if !consistent {
            let majority = if majority_is_lower { "lowercase" } else { "uppercase" };
            let message =
                format!("Command '{word}' should match the case of the command majority ({majority})");
            warnings.push(Warning::new("ConsistentInstructionCasing", message, span));
        }
    }
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

fn is_lower(word: &str) -> bool {
    word == word.to_lowercase()
}
