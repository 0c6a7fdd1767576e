//! Plan and execute a build: stages to steps, steps to layers, images to outputs.
//!
//! [`build`] is the whole of it. It prints nothing and reads no environment: what it is asked to do is in
//! [`Options`], what happens is told as [`Event`]s.
#![forbid(unsafe_code)]

mod attempt;
mod attestation;
mod build;
mod cache_mounts;
mod cache_writer;
mod call;
mod checkout;
mod checks;
mod context;
mod copy;
mod deliver;
mod engine;
mod error;
mod event;
mod explain;
mod family;
mod fetch;
mod forecast;
mod image;
mod interruptible;
mod jobs;
mod known;
mod layer_cache;
mod layer_summary;
mod layout_image;
mod lineage;
mod making;
mod new_layer;
mod once;
mod options;
mod output;
mod plan;
mod planned;
mod platforms;
mod remote;
mod rfc3339;
mod scope;
mod sources;
mod squash;
mod stage;
mod stages;
mod step;
mod stored;
mod timings;
mod users;
mod waiting;
mod warm;
mod windows;
mod workdir;

pub use attest::provenance::Detail;
pub use attestation::{Attestations, Provenance};
pub use build::{Outcome, build, plan};
pub use cache::{Location as CacheLocation, SigningKey, VerifyingKey};
pub use cache_mounts::CacheMountsOptions;
pub use call::{check, outline, targets};
pub use context::{BuildContext, ContextLocation, ContextOrigin, Fetching, download_text};
pub use dockerfile::{
    GitTransport, GitUrl, Location, NamedContext, Outline, Rule, Span, Targets, did_you_mean, parse_duration,
};
pub use error::{Error, Result};
pub use event::{Event, Report, StageName, Warning};
pub use explain::{INPUTS_TYPE, Told, decode as decode_inputs};
pub use layer::TreePath;
pub use layer_cache::{CacheOptions, INPUTS_LIMIT, NoCache};
pub use layer_summary::{LayerSummary, SummaryOrigin};
pub use options::Options;
pub use output::{Annotation, AnnotationLevel, DigestFile, Outputs};
pub use planned::{Planned, PlannedStage, PlannedStep};
pub use platforms::build_platforms;
pub use rfc3339::rfc3339;
pub use stored::{Push, push};
pub use timings::Timings;
pub use transport::Network;
pub use waiting::cancelled;
pub use warm::{Warm, WarmLock, warm};
pub use workdir::WorkDir;
