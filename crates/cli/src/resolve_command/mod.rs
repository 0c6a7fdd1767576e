//! `bako resolve`, and `kbld` where the program is called by that name: digests for the images of manifests.

mod args;
mod builds;
mod flags;
mod kbld;
mod program;
mod relocate;
mod run;

pub(crate) use args::ResolveArgs;
pub(crate) use kbld::{is_called, run_as_kbld};
pub(crate) use run::{Manner, run};
