//! What there is to show of a build.

use std::time::Duration;

/// A build, from its beginning to its end.
#[derive(Debug, Clone, Default)]
pub struct BuildReport {
    /// What the image is called; empty if it has no name.
    pub names: Vec<String>,
    /// The digest of what was made.
    pub digest: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// When it began, RFC 3339.
    pub started: String,
    /// How long it took.
    pub elapsed: Duration,
    /// Time of processors, of this program and of what it ran.
    pub cpu: Duration,
    /// Bytes from registries.
    pub received: u64,
    /// Bytes to registries.
    pub sent: u64,
    /// The program and its version.
    pub tool: String,
    /// Instructions, in the order in which they began.
    pub steps: Vec<Step>,
    /// Layers of the image, bottom first.
    pub layers: Vec<Layer>,
    /// Why a cache had a step, or had it not.
    pub explanations: Vec<Explanation>,
    /// What was warned of.
    pub warnings: Vec<String>,
    /// What time was spent on; kinds overlap.
    pub timings: Vec<(String, Duration)>,
}

/// How a build ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Outcome {
    /// There is an image.
    #[default]
    Succeeded,
    /// There is none, for this reason.
    Failed(String),
}

/// An instruction.
#[derive(Debug, Clone, Default)]
pub struct Step {
    /// Its stage.
    pub stage: String,
    /// The instruction on one line.
    pub text: String,
    /// When it began, since the build did.
    pub start: Duration,
    /// How long it took.
    pub elapsed: Duration,
    /// What became of it.
    pub state: StepState,
    /// Time of processors while it ran.
    pub cpu: Duration,
    /// Bytes from registries while it ran.
    pub received: u64,
    /// Bytes to registries while it ran.
    pub sent: u64,
    /// The size of its layer, compressed.
    pub layer: Option<u64>,
    /// The end of what it printed.
    pub output: String,
}

/// What became of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StepState {
    /// It made a layer.
    Made,
    /// A cache had its layer.
    Cached,
    /// It only noted something.
    #[default]
    Noted,
    /// It did not come to an end.
    Failed,
}

/// A layer of the image.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The blob's digest.
    pub digest: String,
    /// The blob's bytes.
    pub size: u64,
    /// Where it is from.
    pub origin: Origin,
    /// The instruction that made it.
    pub created_by: String,
    /// Directories and the bytes of the files in them, biggest first; empty if nobody has looked into it.
    pub contents: Vec<(String, u64)>,
}

/// Where a layer is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From the image that the Dockerfile starts from.
    Base,
    /// From a cache.
    Cached,
    /// This build has made it.
    Built,
}

/// Why a cache had a step, or had it not.
#[derive(Debug, Clone, Default)]
pub struct Explanation {
    /// Its stage.
    pub stage: String,
    /// The instruction on one line.
    pub step: String,
    /// A cache had it.
    pub found: bool,
    /// Why.
    pub reason: String,
    /// Inputs that are otherwise than in the nearest earlier step.
    pub differences: Vec<String>,
}
