//! Rules about the instructions of a stage, which are followed as in a build: what a variable is, and whether
//! it is one at all, depends on what stands above.

use std::collections::{BTreeMap, BTreeSet};

use super::from::{arg_description, first_word, secret};
use super::{Rule, Warning};
use crate::instruction::{Declaration, Pair, Remote, Source};
use crate::{
    Escape, Expansion, GlobalScope, Ignore, Instruction, InstructionKind, ShellOrExec, Span, Word,
    did_you_mean, expand, expand_words,
};

/// What is the same for every instruction.
pub(super) struct Around<'a> {
    pub(super) escape: Escape,
    pub(super) scope: &'a GlobalScope,
    pub(super) ignore: Option<&'a Ignore>,
}

/// A stage between two of its instructions.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    variables: BTreeMap<String, String>,
    /// The base's environment is among the variables.
    complete: bool,
    /// `ARG`s, with or without a value.
    declared: BTreeSet<String>,
    /// The shell is one that was chosen; `None` if that is not known.
    has_shell: Option<bool>,
    has_workdir: bool,
    /// The last `CMD`, `ENTRYPOINT` and `HEALTHCHECK` of this stage.
    last: BTreeMap<&'static str, Span>,
    /// Warnings about those that came before them.
    pub(super) overridden: Vec<Warning>,
}

/// Arguments that no `RUN` sees and that need no declaration.
const NO_VARIABLES: [&str; 2] = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

impl State {
    /// Above the first instruction of a stage that starts from an image. An image without a `PATH` gets one.
    pub(super) fn new(environment: Option<&BTreeMap<String, String>>, has_shell: Option<bool>) -> Self {
        let mut variables = BTreeMap::from([("PATH".to_owned(), String::new())]);
        variables
            .extend(environment.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
        State { variables, complete: environment.is_some(), has_shell, ..State::default() }
    }

    /// Above the first instruction of a stage that starts from this one.
    pub(super) fn derived(self) -> Self {
        State { last: BTreeMap::new(), overridden: Vec::new(), ..self }
    }

    /// Says what is wrong with an instruction, and takes notice of what it does.
    pub(super) fn instruction(&mut self, around: &Around, instruction: &Instruction) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for place in words(&instruction.kind) {
            self.undefined(around, &place, &mut warnings);
        }
        let written = first_word(&instruction.text);
        let span = instruction.span;
        match &instruction.kind {
            InstructionKind::Cmd(command) | InstructionKind::Entrypoint(command) => {
                self.once(instruction);
                if matches!(command, ShellOrExec::Shell(_)) && self.has_shell == Some(false) {
                    let message = format!(
                        "JSON arguments recommended for {written} to prevent unintended behavior related to OS signals"
                    );
                    warnings.push(Warning::new(Rule::JSONArgsRecommended, message, span));
                }
            }
            InstructionKind::Healthcheck(_) => self.once(instruction),
            InstructionKind::Shell(_) => self.has_shell = Some(true),
            InstructionKind::Maintainer(_) => {
                let message = "Maintainer instruction is deprecated in favor of using label";
                warnings.push(Warning::new(Rule::MaintainerDeprecated, message, span));
            }
            InstructionKind::Workdir(path) => warnings.extend(self.workdir(around, path)),
            InstructionKind::Env(env) => {
                warnings.extend(legacy(env.legacy, instruction));
                self.set(around, &env.pairs, &mut warnings);
            }
            InstructionKind::Label(label) => warnings.extend(legacy(label.legacy, instruction)),
            InstructionKind::Arg(arg) => {
                for declaration in &arg.declarations {
                    self.declare(around, declaration, &mut warnings);
                }
                warnings.extend(arg_description(arg, &instruction.comments, span));
            }
            InstructionKind::Expose(expose) => {
                expose.ports.iter().for_each(|port| self.expose(around, port, &mut warnings));
            }
            InstructionKind::Copy(copy) if copy.from.is_none() => {
                self.ignored(around, "Copy", &copy.sources, &mut warnings);
            }
            InstructionKind::Add(add) => self.ignored(around, "Add", &add.sources, &mut warnings),
            _ => {}
        }
        warnings
    }

    fn expand(&self, around: &Around, word: &Word) -> Option<Expansion> {
        expand(word, around.escape, &|name| self.variables.get(name).cloned()).ok()
    }

    /// Variables of a word that are nothing.
    fn undefined(&self, around: &Around, place: &Place, warnings: &mut Vec<Warning>) {
        let lookup = |name: &str| self.variables.get(name).cloned();
        let expansion = match place {
            Place::Word(word) => expand(word, around.escape, &lookup),
            Place::Heredoc(heredoc) => heredoc.expanded(&lookup),
        };
        // What has no value at all fails in the build.
        let Ok(expansion) = expansion else { return };
        warnings.extend(self.unset(expansion.unset, place.span()));
    }

    fn unset(&self, names: Vec<String>, span: Span) -> impl Iterator<Item = Warning> {
        let unknown = names.into_iter().filter(|name| {
            self.complete && !self.declared.contains(name) && !NO_VARIABLES.contains(&name.as_str())
        });
        unknown.map(move |name| undefined_var(&name, self.variables.keys().map(String::as_str), span))
    }

    /// All values are those before the instruction.
    fn set(&mut self, around: &Around, pairs: &[Pair], warnings: &mut Vec<Warning>) {
        let mut values = Vec::new();
        for Pair { key, value } in pairs {
            let (Some(name), Some(value)) = (self.expand(around, key), self.expand(around, value)) else {
                continue;
            };
            warnings.extend(secret("ENV", &name.text, key.span));
            values.push((name.text, value.text));
        }
        self.variables.extend(values);
    }

    /// Each default sees the declarations before it.
    fn declare(&mut self, around: &Around, declaration: &Declaration, warnings: &mut Vec<Warning>) {
        let Declaration { name, default, .. } = declaration;
        warnings.extend(secret("ARG", &name.value, name.span));
        if let Some(default) = default {
            self.undefined(around, &Place::Word(default), warnings);
        }
        let lookup = |name: &str| self.variables.get(name).cloned();
        let value = around.scope.stage_value(declaration, around.escape, &lookup).ok().flatten();
        self.declared.insert(name.value.clone());
        self.variables.extend(value.map(|value| (name.value.clone(), value)));
    }

    /// Only the first of a stage counts: whoever makes that absolute has made all the others so.
    fn workdir(&mut self, around: &Around, path: &Word) -> Option<Warning> {
        if std::mem::replace(&mut self.has_workdir, true) {
            return None;
        }
        let value = self.expand(around, path)?;
        // With a variable of a base that is not known nobody can tell.
        let known = self.complete || value.unset.is_empty();
        (known && !is_absolute(&value.text)).then(|| {
            let message = format!(
                "Relative workdir {:?} can have unexpected results if the base image changes",
                value.text
            );
            Warning::new(Rule::WorkdirRelativePath, message, path.span)
        })
    }

    /// Of several, all but the last are as if they were not there.
    fn once(&mut self, instruction: &Instruction) {
        let keyword = instruction.keyword();
        if let Some(before) = self.last.insert(keyword.as_str(), instruction.span) {
            let written = first_word(&instruction.text);
            let message = format!(
                "Multiple {written} instructions should not be used in the same stage because only the last one will be used"
            );
            self.overridden.push(Warning::new(Rule::MultipleInstructionsDisallowed, message, before));
        }
    }

    fn expose(&self, around: &Around, port: &Word, warnings: &mut Vec<Warning>) {
        let lookup = |name: &str| self.variables.get(name).cloned();
        let Ok(ports) = expand_words(port, around.escape, &lookup) else { return };
        for text in ports.words {
            if text.contains(':') {
                let message = format!(
                    "EXPOSE instruction should not define an IP address or host-port mapping, found '{text}'"
                );
                warnings.push(Warning::new(Rule::ExposeInvalidFormat, message, port.span));
            }
            if text.split_once('/').is_some_and(|(_, protocol)| protocol != protocol.to_lowercase()) {
                let message = format!("Defined protocol '{text}' in EXPOSE instruction should be lowercase");
                warnings.push(Warning::new(Rule::ExposeProtoCasing, message, port.span));
            }
        }
    }

    fn ignored(&self, around: &Around, verb: &str, sources: &[Source], warnings: &mut Vec<Warning>) {
        let Some(ignore) = around.ignore else { return };
        for source in sources {
            if let Source::Path(word) = source
                && let Some(path) = self.expand(around, word)
            {
                warnings.extend(copy_ignored_file(verb, &path.text, ignore, word.span));
            }
        }
    }
}

/// The warning about a variable that is nothing, with the one that was probably meant.
fn undefined_var<'a>(name: &str, known: impl Iterator<Item = &'a str>, span: Span) -> Warning {
    let near = did_you_mean(name, known).map(|near| format!(" (did you mean ${near}?)")).unwrap_or_default();
    Warning::new(Rule::UndefinedVar, format!("Usage of undefined variable '${name}'{near}"), span)
}

/// The warning about a source that is not there because `.dockerignore` leaves it out. Where a pattern takes
/// something in again nothing is said: a directory that is left out may hold what is taken in.
fn copy_ignored_file(verb: &str, path: &str, ignore: &Ignore, span: Span) -> Option<Warning> {
    if ignore.has_exceptions() || Remote::of(path).is_some() {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    // The context itself cannot be left out.
    (!path.is_empty() && ignore.excludes(&path)).then(|| {
        let message = format!("Attempting to {verb} file {path:?} that is excluded by .dockerignore");
        Warning::new(Rule::CopyIgnoredFile, message, span)
    })
}

fn legacy(is_legacy: bool, instruction: &Instruction) -> Option<Warning> {
    let keyword = first_word(&instruction.text);
    is_legacy.then(|| {
        let message = format!(
            "\"{keyword} key=value\" should be used instead of legacy \"{keyword} key value\" format"
        );
        Warning::new(Rule::LegacyKeyValueFormat, message, instruction.span)
    })
}

/// Text that is expanded.
enum Place<'a> {
    Word(&'a Word),
    Heredoc(&'a crate::Heredoc),
}

impl Place<'_> {
    fn span(&self) -> Span {
        match self {
            Place::Word(word) => word.span,
            Place::Heredoc(heredoc) => heredoc.span,
        }
    }
}

/// All that is expanded in an instruction, but for `ARG`, where what stands before matters.
fn words(kind: &InstructionKind) -> Vec<Place<'_>> {
    fn copied<'a>(sources: &'a [Source], more: [Option<&'a Word>; 4]) -> Vec<Place<'a>> {
        let sources = sources.iter().map(|source| match source {
            Source::Path(word) => Place::Word(word),
            Source::Heredoc(heredoc) => Place::Heredoc(heredoc),
        });
        sources.chain(more.into_iter().flatten().map(Place::Word)).collect()
    }
    fn both(pairs: &[Pair]) -> Vec<Place<'_>> {
        pairs.iter().flat_map(|pair| [Place::Word(&pair.key), Place::Word(&pair.value)]).collect()
    }
    match kind {
        InstructionKind::Copy(copy) => {
            let words = [Some(&copy.destination), copy.chown.as_ref(), copy.chmod.as_ref(), None];
            copied(&copy.sources, words)
        }
        InstructionKind::Add(add) => {
            let words =
                [Some(&add.destination), add.chown.as_ref(), add.chmod.as_ref(), add.checksum.as_ref()];
            copied(&add.sources, words)
        }
        InstructionKind::Env(env) => both(&env.pairs),
        InstructionKind::Label(label) => both(&label.pairs),
        InstructionKind::Expose(expose) => expose.ports.iter().map(Place::Word).collect(),
        InstructionKind::Volume(volume) => volume.paths.iter().map(Place::Word).collect(),
        InstructionKind::Stopsignal(word) | InstructionKind::User(word) | InstructionKind::Workdir(word) => {
            vec![Place::Word(word)]
        }
        InstructionKind::Run(run) => {
            let fields = run.mounts.iter().flat_map(|mount| &mount.fields);
            fields.filter_map(|field| field.value.as_ref()).map(Place::Word).collect()
        }
        InstructionKind::Arg(_)
        | InstructionKind::Cmd(_)
        | InstructionKind::Entrypoint(_)
        | InstructionKind::Healthcheck(_)
        | InstructionKind::Maintainer(_)
        | InstructionKind::Onbuild(_)
        | InstructionKind::Shell(_) => Vec::new(),
    }
}

/// True for a path from the root, of Unix or of Windows.
fn is_absolute(path: &str) -> bool {
    let has_drive =
        path.as_bytes().get(1) == Some(&b':') && path.starts_with(|one: char| one.is_ascii_alphabetic());
    path.starts_with(['/', '\\']) || has_drive
}
