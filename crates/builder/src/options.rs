//! What a build is asked to do: plain values, resolved once at the edge.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use dockerfile::NamedContext;
use layer::TreePath;
use oci::{Compression, Platform};
use sandbox::{Cancel, Isolation, Secret};

use crate::cache_mounts::CacheMountsOptions;
use crate::event::Report;
use crate::layer_cache::CacheOptions;
use crate::output::Outputs;
use crate::workdir::WorkDir;

/// Everything a build needs to know.
#[derive(Clone)]
pub struct Options {
    /// The directory that COPY and ADD take files from.
    pub context: PathBuf,
    /// Other places to take files from, by name; their platforms as [`Platform`] writes them.
    pub contexts: Vec<NamedContext>,
    /// The Dockerfile's text.
    pub dockerfile: String,
    /// What `.dockerignore` says, or the file of that kind that belongs to the Dockerfile alone.
    pub ignore: Option<String>,
    /// Values for ARG.
    pub build_args: BTreeMap<String, String>,
    /// What RUNs may be given to see, by id: on no disk, in no layer and in no message.
    pub secrets: BTreeMap<String, Secret>,
    /// Sockets of SSH agents that RUNs may be given to use, by id.
    pub agents: BTreeMap<String, PathBuf>,
    /// Whether a file that asks for another frontend than Docker's is read as a Dockerfile.
    pub syntax_ignore: bool,
    /// The stage to build, if not the last.
    pub target: Option<String>,
    /// Stages that are built as well, and go nowhere.
    pub other_targets: Vec<String>,
    /// Labels that win over the Dockerfile's.
    pub labels: Vec<(String, String)>,
    /// What the image is for.
    pub platform: Platform,
    /// How many stages are built at once, of all platforms together; one where the isolation wants a described root.
    pub jobs: NonZeroUsize,
    /// Names and addresses for `/etc/hosts` of a RUN.
    pub add_hosts: Vec<(String, IpAddr)>,
    /// Where it goes.
    pub outputs: Outputs,
    /// How new layers are packed.
    pub compression: Compression,
    /// The format's own level; `None` for the one that suits builds.
    pub compression_level: Option<u32>,
    /// Whether the layers of the image that are made are joined to one.
    pub single_snapshot: bool,
    /// Paths where what a RUN does is in no layer.
    pub ignored_paths: Vec<TreePath>,
    /// The time that is noted as that of the build, in seconds since 1970.
    pub now: i64,
    /// No time in a new layer is later than this (`SOURCE_DATE_EPOCH`).
    pub clamp: Option<i64>,
    /// Where the build works, which is removed with it.
    pub work_dir: Arc<WorkDir>,
    /// Where base layers and indexes are kept between builds.
    pub cache_dir: Option<PathBuf>,
    /// How results of steps are kept between builds, if they are.
    pub cache: Option<CacheOptions>,
    /// Where cache mounts are kept for other machines, if they are.
    pub cache_mounts: Option<CacheMountsOptions>,
    /// Say of each step why a cache has it, or has it not.
    pub explain: bool,
    /// How a RUN is kept to its root; or why that is not possible here, which matters only if there is one.
    pub isolation: Result<Arc<dyn Isolation>, String>,
    /// How servers are met that ADD and contexts are downloaded from.
    pub network: transport::Network,
    /// The most bytes that a file may have which ADD or a context downloads.
    pub download_limit: Option<u64>,
    /// The client for registries.
    pub client: registry::Client,
    /// Who is told what happens.
    pub report: Arc<dyn Report>,
    /// What ends the build early.
    pub cancel: Cancel,
}

impl fmt::Debug for Options {
    /// Values of build arguments may be secrets, whatever they should be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("context", &self.context)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
