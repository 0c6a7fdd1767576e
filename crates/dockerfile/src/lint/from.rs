//! Rules about the file as a whole and its `FROM` lines.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::{Rule, Warning};
use crate::instruction::Arg;
use crate::{
    Dockerfile, Expansion, GlobalScope, PlatformArgs, Span, Stage, Word, did_you_mean, expand, is_image_name,
};

/// Casing, names, and comments that look like descriptions.
pub(super) fn layout(dockerfile: &Dockerfile, warnings: &mut Vec<Warning>) {
    casing(dockerfile, warnings);
    for (index, stage) in dockerfile.stages.iter().enumerate() {
        names(dockerfile, index, stage, warnings);
        if let Some(name) = &stage.name {
            warnings.extend(description("FROM", &[name.as_str()], &stage.comments, stage.span));
        }
    }
    for arg in &dockerfile.global_args {
        for declaration in &arg.declarations {
            warnings.extend(secret("ARG", &declaration.name.value, declaration.name.span));
        }
        warnings.extend(arg_description(arg, &arg.comments, arg.span));
    }
}

/// The words `FROM` and `AS`, and the name behind them.
fn names(dockerfile: &Dockerfile, index: usize, stage: &Stage, warnings: &mut Vec<Warning>) {
    let (Some(name), Some(alias)) = (&stage.name, &stage.alias) else { return };
    let mut warn = |rule, message: String| warnings.push(Warning::new(rule, message, stage.span));
    if alias.name.value != *name {
        warn(Rule::StageNameCasing, format!("Stage name '{}' should be lowercase", alias.name));
    }
    // One that is consistent with nothing is told about as such.
    let (keyword, as_keyword) = (first_word(&stage.text), alias.keyword.value.as_str());
    let matches = match case(keyword) {
        Some(Case::Lower) => as_keyword == as_keyword.to_lowercase(),
        Some(Case::Upper) => as_keyword == as_keyword.to_uppercase(),
        None => true,
    };
    if !matches {
        let message = format!("'{as_keyword}' and '{keyword}' keywords' casing do not match");
        warn(Rule::FromAsCasing, message);
    }
    if matches!(name.as_str(), "scratch" | "context") {
        let message = format!("Stage name should not use the same name as reserved stage {name:?}");
        warn(Rule::ReservedStageName, message);
    }
    if dockerfile.stages[..index].iter().any(|earlier| earlier.name == stage.name) {
        let message = format!("Duplicate stage name {name:?}, stage names should be unique");
        warn(Rule::DuplicateStageName, message);
    }
}

/// Keywords written in another case than most. Those in no case of their own have no vote.
fn casing(dockerfile: &Dockerfile, warnings: &mut Vec<Warning>) {
    let mut keywords = Vec::new();
    for stage in &dockerfile.stages {
        keywords.push((first_word(&stage.text), stage.span));
        keywords.extend(stage.instructions.iter().map(|one| (first_word(&one.text), one.span)));
    }
    let count = |wanted| keywords.iter().filter(|(word, _)| case(word) == Some(wanted)).count();
    let (majority, name) = if count(Case::Lower) > count(Case::Upper) {
        (Case::Lower, "lowercase")
    } else {
        (Case::Upper, "uppercase")
    };
    for (word, span) in keywords {
        if case(word) != Some(majority) {
            let message = format!("Command '{word}' should match the case of the command majority ({name})");
            warnings.push(Warning::new(Rule::ConsistentInstructionCasing, message, span));
        }
    }
}

/// The variables in `FROM`.
pub(super) fn stages(dockerfile: &Dockerfile, platform: &PlatformArgs, warnings: &mut Vec<Warning>) {
    let mut declared: BTreeSet<&str> = platform.values.keys().map(String::as_str).collect();
    let global = dockerfile.global_args.iter().flat_map(|arg| &arg.declarations);
    declared.extend(global.map(|declaration| declaration.name.value.as_str()));
    // A default that is wrong in itself fails in the build, with its own message.
    let Ok(defaults) = GlobalScope::new(dockerfile, platform, &BTreeMap::new()) else { return };
    for stage in &dockerfile.stages {
        let mut undeclared: Vec<(String, Span)> = Vec::new();
        if let Some((base, _)) = value(dockerfile, &defaults, &stage.base) {
            if !is_image_name(&base.text) {
                let message = format!(
                    "Default value for ARG {} results in empty or invalid base image name",
                    stage.base
                );
                warnings.push(Warning::new(Rule::InvalidDefaultArgInFrom, message, stage.base.span));
            }
            undeclared.extend(base.unset.into_iter().map(|name| (name, stage.base.span)));
        }
        if let Some(word) = &stage.platform
            && let Some((expansion, used)) = value(dockerfile, &defaults, word)
        {
            warnings.extend(of_platform(stage, word, &expansion, &used, platform));
            undeclared.extend(expansion.unset.into_iter().map(|name| (name, word.span)));
        }
        for (name, span) in undeclared {
            if !declared.contains(name.as_str()) {
                let near = did_you_mean(&name, declared.iter().copied());
                let near = near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
                let message = format!("FROM argument '{name}' is not declared{near}");
                warnings.push(Warning::new(Rule::UndefinedArgInFrom, message, span));
            }
        }
    }
}

/// The value of a word of `FROM`, and the variables that gave something to it.
fn value(dockerfile: &Dockerfile, scope: &GlobalScope, word: &Word) -> Option<(Expansion, BTreeSet<String>)> {
    let used = RefCell::new(BTreeSet::new());
    let lookup = |name: &str| {
        let value = scope.get(name).map(str::to_owned);
        if value.is_some() {
            used.borrow_mut().insert(name.to_owned());
        }
        value
    };
    let expansion = expand(word, dockerfile.directives.escape, &lookup).ok()?;
    Some((expansion, used.into_inner()))
}

fn of_platform(
    stage: &Stage,
    word: &Word,
    expansion: &Expansion,
    used: &BTreeSet<String>,
    platform: &PlatformArgs,
) -> Option<Warning> {
    if !expansion.unset.is_empty() {
        return None;
    }
    if used.is_empty() {
        // A stage that says in its name which platform it is for may have a constant one.
        let mut parts = expansion.text.split('/').take(2).filter(|part| !part.is_empty());
        let named = stage.name.as_ref().is_some_and(|name| parts.any(|part| name.contains(part)));
        // What is empty or has variables with defaults is no constant.
        return (!named && !expansion.text.is_empty() && !word.text.contains('$')).then(|| {
            let message = format!("FROM --platform flag should not use constant value {:?}", expansion.text);
            Warning::new(Rule::FromPlatformFlagConstDisallowed, message, word.span)
        });
    }
    let target = platform.values.get("TARGETPLATFORM");
    let redundant = used.len() == 1 && used.contains("TARGETPLATFORM") && target == Some(&expansion.text);
    redundant.then(|| {
        let message = format!(
            "Setting platform to predefined {word} in FROM is redundant as this is the default behavior"
        );
        Warning::new(Rule::RedundantTargetPlatform, message, word.span)
    })
}

/// A name that says it holds a secret: what `ARG` and `ENV` hold is in the image for everyone to read.
pub(super) fn secret(keyword: &str, name: &str, span: Span) -> Option<Warning> {
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
    const HARMLESS: [&str; 3] = ["public", "file", "version"];
    let lower = name.to_lowercase();
    let has = |words: &[&str]| lower.split('_').any(|part| words.contains(&part));
    (has(&TELLING) && !has(&HARMLESS)).then(|| {
        let message = format!("Do not use ARG or ENV instructions for sensitive data ({keyword} {name:?})");
        Warning::new(Rule::SecretsUsedInArgOrEnv, message, span)
    })
}

/// The comment above an `ARG`.
pub(super) fn arg_description(arg: &Arg, comments: &[String], span: Span) -> Option<Warning> {
    let names: Vec<&str> =
        arg.declarations.iter().map(|declaration| declaration.name.value.as_str()).collect();
    description("ARG", &names, comments, span)
}

/// The comment directly above a definition has to begin with a name that is defined.
fn description(keyword: &str, names: &[&str], comments: &[String], span: Span) -> Option<Warning> {
    let is_directive =
        |comment: &str| ["check=", "syntax=", "escape="].iter().any(|key| comment.starts_with(key));
    let comment = comments.iter().rev().find(|comment| !is_directive(comment))?;
    let first = comment.split(' ').next().unwrap_or_default();
    if names.contains(&first) {
        return None;
    }
    let example = if let [name] = names { name } else { "<arg_key>" };
    let message = format!("Comment for {keyword} should follow the format: `# {example} <description>`");
    Some(Warning::new(Rule::InvalidDefinitionDescription, message, span))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Lower,
    Upper,
}

fn case(word: &str) -> Option<Case> {
    if word == word.to_lowercase() {
        Some(Case::Lower)
    } else if word == word.to_uppercase() {
        Some(Case::Upper)
    } else {
        None
    }
}

pub(super) fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}
