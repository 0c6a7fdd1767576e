//! Plans: what a build would do, without doing it.

use std::fmt;

use serde::Serialize;

/// A stage as a build would go about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedStage {
    /// Its name, or its number.
    pub name: String,
    /// What it starts from.
    pub base: String,
    /// The stages that are built before it, or before a step of it. Those that are not after each other are built side
    /// by side.
    pub after: Vec<String>,
    /// False if nothing of it is needed, since a cache has what comes of it.
    pub is_needed: bool,
    /// Its instructions, triggers of its base included.
    pub steps: Vec<PlannedStep>,
}

/// An instruction as a build would go about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedStep {
    /// On one line.
    pub text: String,
    /// The key by its definition, if it makes a layer and all of it is known.
    pub key: Option<String>,
    /// What is done.
    pub what: Planned,
}

/// What is done with an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Planned {
    /// It changes the config.
    Config,
    /// A cache has its layer.
    Cached,
    /// It is carried out, unless a cache turns out to know its files.
    Build,
    /// The same step of an earlier stage is carried out, and what it makes is taken.
    Joined,
    /// Nothing.
    Pruned,
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Planned::Config => "config",
            Planned::Cached => "cached",
            Planned::Build => "build",
            Planned::Joined => "joined",
            Planned::Pruned => "pruned",
        })
    }
}

impl fmt::Display for PlannedStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pruned = if self.is_needed { "" } else { ", pruned" };
        let after = match self.after[..] {
            [] => String::new(),
            _ => format!(", after {}", self.after.join(", ")),
        };
        writeln!(f, "stage {} from {}{after}{pruned}", self.name, self.base)?;
        for step in &self.steps {
            let key = step.key.as_ref().map_or("-", |key| &key[..12]);
            writeln!(f, "  {:<6}  {key:<12}  {}", step.what, step.text)?;
        }
        Ok(())
    }
}
