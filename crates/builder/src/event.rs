//! What a build tells whoever watches it.

use std::sync::Arc;
use std::time::Duration;

use dockerfile::{Rule, Span};
use oci::{Digest, Reference};
use sandbox::Stream;

use crate::layer_summary::LayerSummary;

/// Something that has happened. Libraries print nothing: the command line turns these into lines.
#[derive(Debug, Clone)]
pub enum Event {
    /// A stage begins.
    Stage {
        /// Which.
        stage: Arc<StageName>,
        /// What it starts from.
        base: String,
    },
    /// An instruction begins.
    Step {
        /// Its number among those of its stage, from one.
        number: usize,
        /// How many its stage has.
        total: usize,
        /// The stage.
        stage: Arc<StageName>,
        /// The instruction, on one line.
        text: String,
    },
    /// The instruction of a stage that began last is done.
    StepDone {
        /// The stage.
        stage: Arc<StageName>,
        /// How long it took.
        elapsed: Duration,
        /// Size of the layer it made, compressed, in bytes.
        layer: Option<u64>,
        /// A cache had the layer.
        cached: bool,
    },
    /// Why a cache has a step, or has it not.
    Explained {
        /// The stage's name, or its number.
        stage: String,
        /// The instruction, on one line.
        step: String,
        /// A cache has it.
        found: bool,
        /// Why.
        reason: String,
        /// Inputs that are otherwise than in the nearest earlier step.
        differences: Vec<String>,
    },
    /// A RUN has written something.
    Output {
        /// Of which stage.
        stage: Arc<StageName>,
        /// Where to.
        stream: Stream,
        /// What, as it came.
        bytes: Vec<u8>,
    },
    /// A reference of a base image turned out to be this image.
    Resolved {
        /// As the Dockerfile has it.
        reference: Reference,
        /// Its manifest.
        digest: Digest,
    },
    /// A blob is being fetched.
    Pulling {
        /// Which.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
    },
    /// A blob is at its destination.
    Pushed {
        /// The repository.
        repository: String,
        /// Which.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
        /// How it came there.
        how: &'static str,
    },
    /// An image is at its destination.
    Image {
        /// Where.
        reference: Reference,
        /// Its manifest.
        digest: Digest,
    },
    /// An image is signed.
    Signed {
        /// The repository, and the image's digest.
        reference: Reference,
        /// It was signed with this key before.
        before: bool,
    },
    /// What the layers of the image are, if that was asked for.
    Layers(Vec<LayerSummary>),
    /// Something the user should know which does not stop the build.
    Warning(Warning),
    /// Something that explains the build without being news.
    Note(String),
}

/// Which stage an event is about. Events of stages that are built side by side come in any order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StageName {
    /// Its name, or its number.
    pub name: String,
    /// What the build is for, if it is one for several platforms.
    pub platform: Option<String>,
    /// Others are built in the same build, so that it matters which it is.
    pub is_one_of_several: bool,
}

impl StageName {
    /// What a line has to say to tell its stage from others: nothing, where there are no others.
    #[must_use]
    pub fn label(&self) -> String {
        let name = self.is_one_of_several.then_some(self.name.as_str());
        self.platform.as_deref().into_iter().chain(name).collect::<Vec<_>>().join(" ")
    }
}

/// Something to reconsider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What.
    pub text: String,
    /// The word or the instruction of the Dockerfile it is about.
    pub span: Option<Span>,
    /// The lint rule that found it.
    pub rule: Option<Rule>,
}

impl Warning {
    /// A warning that is not about a place.
    pub fn new(text: impl Into<String>) -> Self {
        Warning { text: text.into(), span: None, rule: None }
    }

    /// Adds what it is about.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }
}

impl From<&dockerfile::Warning> for Warning {
    fn from(found: &dockerfile::Warning) -> Self {
        Warning { text: found.message.clone(), span: Some(found.span), rule: Some(found.rule) }
    }
}

impl From<Warning> for Event {
    fn from(warning: Warning) -> Self {
        Event::Warning(warning)
    }
}

/// Receives events, from several threads.
pub trait Report: Send + Sync {
    /// Takes one event.
    fn event(&self, event: Event);
}
