//! `RUN`: a command that is run in the stage, and what it is given for the time it runs.

use std::borrow::Cow;

use crate::flag::Flags;
use crate::parse::Statement;
use crate::{Heredoc, Literal, MountFlag, ParseError, ShellOrExec, Spanned};

/// A command to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What was written; [`Run::script`] says what it comes to.
    pub command: ShellOrExec,
    /// The documents below it.
    pub heredocs: Vec<Heredoc>,
    /// `--mount`
    pub mounts: Vec<MountFlag>,
    /// `--network`
    pub network: Option<Spanned<Network>>,
    /// `--security`
    pub security: Option<Spanned<Security>>,
    /// `--device`
    pub devices: Vec<Spanned<Device>>,
}

/// The network a command sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Whatever the build uses.
    Default,
    /// Loopback only.
    None,
    /// The host's.
    Host,
}

/// How much a command is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Like any other.
    Sandbox,
    /// With every capability.
    Insecure,
}

/// A device by its CDI name, as in `--device=vendor.com/class=name,required`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The name of the device or of a class of them.
    pub name: String,
    /// The build fails if there is none.
    pub required: bool,
}

/// What is to be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script<'a> {
    /// These arguments, without a shell.
    Exec(&'a [String]),
    /// This text as one argument to the shell.
    Shell(Cow<'a, str>),
    /// This content as an executable file, whose path is given to the shell: a heredoc that says with `#!`
    /// what runs it.
    File {
        /// The file's name.
        name: &'a str,
        /// Its content.
        content: Cow<'a, str>,
    },
}

impl Run {
    pub(crate) fn read(statement: &Statement) -> Result<Self, ParseError> {
        let flags = &statement.flags;
        flags.check(&["network", "security"], &["mount", "device"])?;
        Ok(Run {
            command: ShellOrExec::read(statement.arguments)?,
            heredocs: statement.heredocs.clone(),
            mounts: flags.literals("mount")?.into_iter().map(MountFlag::read).collect::<Result<_, _>>()?,
            network: choice(flags, "network", "network mode", &Network::CHOICES)?,
            security: choice(flags, "security", "security mode", &Security::CHOICES)?,
            devices: flags.literals("device")?.into_iter().map(Device::read).collect::<Result<_, _>>()?,
        })
    }

    /// What is to be executed. A single heredoc without a command is the script itself; heredocs beside a
    /// command are the shell's to read, so it is given them as they were written.
    #[must_use]
    pub fn script(&self) -> Script<'_> {
        let text = match &self.command {
            ShellOrExec::Exec(arguments) => return Script::Exec(arguments),
            ShellOrExec::Shell(text) => text.value.as_str(),
        };
        match &self.heredocs[..] {
            [] => Script::Shell(Cow::Borrowed(text)),
            [heredoc] if Heredoc::announced_by(text).is_some() => {
                let content = heredoc.content();
                if content.starts_with("#!") {
                    Script::File { name: &heredoc.name, content }
                } else {
                    Script::Shell(content)
                }
            }
            heredocs => Script::Shell(Cow::Owned(with_heredocs(text, heredocs))),
        }
    }
}

/// An instruction's text with its documents below it again.
pub(crate) fn with_heredocs(text: &str, heredocs: &[Heredoc]) -> String {
    let documents = heredocs.iter().map(|heredoc| format!("\n{}{}", heredoc.source, heredoc.name));
    std::iter::once(text.to_owned()).chain(documents).collect()
}

impl Network {
    const CHOICES: [(&'static str, Network); 3] =
        [("default", Network::Default), ("none", Network::None), ("host", Network::Host)];
}

impl Security {
    const CHOICES: [(&'static str, Security); 2] =
        [("sandbox", Security::Sandbox), ("insecure", Security::Insecure)];
}

impl Device {
    fn read(flag: Literal) -> Result<Spanned<Self>, ParseError> {
        let mut device = Device { name: String::new(), required: false };
        for field in flag.value.split(',') {
            match field.split_once('=') {
                None if field.eq_ignore_ascii_case("required") => device.required = true,
                Some((key, "true")) if key.eq_ignore_ascii_case("required") => device.required = true,
                Some((key, "false")) if key.eq_ignore_ascii_case("required") => device.required = false,
                Some((key, name)) if key.eq_ignore_ascii_case("name") => device.name = name.to_owned(),
                _ if device.name.is_empty() => device.name = field.to_owned(),
                _ => {
                    return Err(ParseError::new(
                        flag.span,
                        format!("unexpected value '{field}' in --device"),
                    ));
                }
            }
        }
        if device.name.is_empty() {
            return Err(ParseError::new(flag.span, "missing a name in --device"));
        }
        Ok(Spanned { value: device, span: flag.span })
    }
}

/// The value of a flag that is one of a few words.
fn choice<T: std::marker::Copy>(
    flags: &Flags,
    name: &str,
    what: &str,
    choices: &[(&'static str, T)],
) -> Result<Option<Spanned<T>>, ParseError> {
    let Some(flag) = flags.literal(name)? else { return Ok(None) };
    match choices.iter().find(|(text, _)| *text == flag.value) {
        Some((_, value)) => Ok(Some(Spanned { value: *value, span: flag.span })),
        None => {
            let error = ParseError::new(flag.span, format!("invalid {what} {:?}", flag.value));
            Err(error.suggest(&flag.value, choices.iter().map(|(text, _)| *text)))
        }
    }
}
