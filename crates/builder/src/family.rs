//! Family: the builds for several platforms that are made together, and what they share. A build for one platform is a
//! family of one.

use std::collections::BTreeMap;
use std::sync::Mutex;

use cache::{Key, Store};
use oci::Platform;

use crate::error::{Context, Result};
use crate::image::Layer;
use crate::jobs::Jobs;
use crate::once::Once;
use crate::options::Options;

/// What the builds of one call share.
pub(crate) struct Family {
    /// How much is done at once.
    pub(crate) jobs: Jobs,
    /// The layers that they make.
    pub(crate) store: Store,
    /// Who carries out a step that several have.
    pub(crate) steps: Once,
    /// What has come of those, by their definitions.
    pub(crate) made: Mutex<BTreeMap<Key, Layer>>,
    /// There are several.
    pub(crate) has_several: bool,
}

impl Family {
    /// Nothing is built yet. The layers go into the work directory of these options.
    pub(crate) fn new(options: &Options, platforms: &[Platform]) -> Result<Self> {
        let store = Store::open(&options.work_dir.path().join("store")).during("work directory")?;
        Ok(Family {
            jobs: Jobs::new(options.jobs),
            store,
            steps: Once::default(),
            made: Mutex::default(),
            has_several: platforms.len() > 1,
        })
    }

    /// The only one.
    pub(crate) fn of_one(options: &Options) -> Result<Self> {
        Self::new(options, std::slice::from_ref(&options.platform))
    }
}

/// One of a family's builds: its number, in the order asked for.
#[derive(Clone, Copy)]
pub(crate) struct Member<'a> {
    pub(crate) family: &'a Family,
    pub(crate) number: usize,
}

impl<'a> Member<'a> {
    /// The first, or the only one.
    pub(crate) fn first(family: &'a Family) -> Self {
        Member { family, number: 0 }
    }
}
