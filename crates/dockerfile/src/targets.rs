//! `--call=targets`: the stages that can be built, with BuildKit's field names.

use serde::Serialize;

use crate::location::Location;
use crate::{Dockerfile, Stage};

/// The stages of a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Targets {
    /// In the order of the file.
    pub targets: Vec<Target>,
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Target {
    /// Its name; empty if it has none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// It is what is built if nothing is said.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
    /// What a comment `# name text` above it says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it starts from, as it is written.
    pub base: String,
    /// The platform, as it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Where its `FROM` is.
    pub location: Location,
}

impl Targets {
    /// The stages of a Dockerfile; nothing is expanded.
    #[must_use]
    pub fn of(dockerfile: &Dockerfile) -> Self {
        let last = dockerfile.stages.len().saturating_sub(1);
        let target = |(index, stage): (usize, &Stage)| Target {
            name: stage.name.clone().unwrap_or_default(),
            default: index == last,
            description: stage.description.clone(),
            base: stage.base.text.clone(),
            platform: stage.platform.as_ref().map(|platform| platform.text.clone()),
            location: stage.span.into(),
        };
        Targets { targets: dockerfile.stages.iter().enumerate().map(target).collect() }
    }
}
