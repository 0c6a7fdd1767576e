//! Instructions: what a stage does, one typed value for each keyword.

use std::fmt;
use std::str::FromStr;

use crate::logical::Fragment;
use crate::{Literal, ParseError, Span, Spanned, Word, json};

pub use crate::copy::{Add, Copy, Remote, Source};
pub use crate::healthcheck::{Healthcheck, Probe};
pub use crate::key_value::{Arg, Declaration, Env, Label, Pair};
pub use crate::onbuild::Onbuild;
pub use crate::run::{Device, Network, Run, Script, Security};

/// One instruction of a stage, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// What it does.
    pub kind: InstructionKind,
    /// From its keyword to its last line, heredocs included.
    pub span: Span,
    /// Its source, as it is written.
    pub text: String,
    /// The comments directly above it, without their `#`.
    pub comments: Vec<String>,
}

impl Instruction {
    /// The sources it names, in order: the `--from` of a COPY, the `from=` of each mount of a RUN. An empty one
    /// is none.
    #[must_use]
    pub fn froms(&self) -> Vec<&Spanned<String>> {
        let named = |from: &&Spanned<String>| !from.value.is_empty();
        match &self.kind {
            InstructionKind::Copy(copy) => copy.from.iter().filter(named).collect(),
            InstructionKind::Run(run) => {
                run.mounts.iter().filter_map(|mount| mount.from.as_ref()).filter(named).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// What an instruction does. `FROM` is not here: it is a [`crate::Stage`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum InstructionKind {
    Add(Add),
    Arg(Arg),
    Cmd(ShellOrExec),
    Copy(Copy),
    Entrypoint(ShellOrExec),
    Env(Env),
    Expose(Expose),
    Healthcheck(Healthcheck),
    Label(Label),
    Maintainer(Literal),
    Onbuild(Onbuild),
    Run(Run),
    Shell(Vec<String>),
    Stopsignal(Word),
    User(Word),
    Volume(Volume),
    Workdir(Word),
}

/// The word an instruction starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Keyword {
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
}

/// A command line, for the shell or for the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShellOrExec {
    /// Text for the shell to read; it replaces the variables in it, we do not. Empty if nothing was written.
    Shell(Literal),
    /// The arguments themselves, from a JSON array.
    Exec(Vec<String>),
}

/// `EXPOSE`: ports, each word one or, after expansion, several; see [`crate::parse_ports`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expose {
    /// What is to be exposed.
    pub ports: Vec<Word>,
}

/// `VOLUME`: directories that outlive a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// The paths. A word of the shell form may stand for several after expansion.
    pub paths: Vec<Word>,
    /// Written as a JSON array.
    pub json: bool,
}

impl Instruction {
    /// The keyword it starts with.
    #[must_use]
    pub fn keyword(&self) -> Keyword {
        match &self.kind {
            InstructionKind::Add(_) => Keyword::Add,
            InstructionKind::Arg(_) => Keyword::Arg,
            InstructionKind::Cmd(_) => Keyword::Cmd,
            InstructionKind::Copy(_) => Keyword::Copy,
            InstructionKind::Entrypoint(_) => Keyword::Entrypoint,
            InstructionKind::Env(_) => Keyword::Env,
            InstructionKind::Expose(_) => Keyword::Expose,
            InstructionKind::Healthcheck(_) => Keyword::Healthcheck,
            InstructionKind::Label(_) => Keyword::Label,
            InstructionKind::Maintainer(_) => Keyword::Maintainer,
            InstructionKind::Onbuild(_) => Keyword::Onbuild,
            InstructionKind::Run(_) => Keyword::Run,
            InstructionKind::Shell(_) => Keyword::Shell,
            InstructionKind::Stopsignal(_) => Keyword::Stopsignal,
            InstructionKind::User(_) => Keyword::User,
            InstructionKind::Volume(_) => Keyword::Volume,
            InstructionKind::Workdir(_) => Keyword::Workdir,
        }
    }
}

impl Keyword {
    /// Every keyword.
    pub const ALL: [Keyword; 18] = [
        Keyword::Add,
        Keyword::Arg,
        Keyword::Cmd,
        Keyword::Copy,
        Keyword::Entrypoint,
        Keyword::Env,
        Keyword::Expose,
        Keyword::From,
        Keyword::Healthcheck,
        Keyword::Label,
        Keyword::Maintainer,
        Keyword::Onbuild,
        Keyword::Run,
        Keyword::Shell,
        Keyword::Stopsignal,
        Keyword::User,
        Keyword::Volume,
        Keyword::Workdir,
    ];

    /// The keyword in capitals.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Keyword::Add => "ADD",
            Keyword::Arg => "ARG",
            Keyword::Cmd => "CMD",
            Keyword::Copy => "COPY",
            Keyword::Entrypoint => "ENTRYPOINT",
            Keyword::Env => "ENV",
            Keyword::Expose => "EXPOSE",
            Keyword::From => "FROM",
            Keyword::Healthcheck => "HEALTHCHECK",
            Keyword::Label => "LABEL",
            Keyword::Maintainer => "MAINTAINER",
            Keyword::Onbuild => "ONBUILD",
            Keyword::Run => "RUN",
            Keyword::Shell => "SHELL",
            Keyword::Stopsignal => "STOPSIGNAL",
            Keyword::User => "USER",
            Keyword::Volume => "VOLUME",
            Keyword::Workdir => "WORKDIR",
        }
    }

    pub(crate) fn read(word: Fragment) -> Result<Self, ParseError> {
        let text = word.as_str();
        text.parse().map_err(|()| {
            let error = ParseError::new(word.span(), format!("unknown instruction: {text}"));
            error.suggest(text, Keyword::ALL.map(Keyword::as_str))
        })
    }
}

impl FromStr for Keyword {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Keyword::ALL.into_iter().find(|keyword| keyword.as_str().eq_ignore_ascii_case(text)).ok_or(())
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ShellOrExec {
    pub(crate) fn read(arguments: Fragment) -> Result<Self, ParseError> {
        Ok(match json::strings(arguments)? {
            Some(arguments) => ShellOrExec::Exec(arguments),
            None => ShellOrExec::Shell(arguments.literal()),
        })
    }

    /// True if nothing was written, or an empty array.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            ShellOrExec::Shell(text) => text.value.is_empty(),
            ShellOrExec::Exec(arguments) => arguments.is_empty(),
        }
    }
}
