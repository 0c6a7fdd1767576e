//! What files can be taken from: stages, images, contexts. One lookup for `FROM`, `--from` and `from=`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use cache::Key;
use dockerfile::graph::Origin;
use dockerfile::{ContextSource, NamedContext};
use oci::{Digest, Platform, Reference};

use crate::checkout::location;
use crate::context::{describe, open_named, unpack_url};
use crate::copy::DirectorySource;
use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::image::Image;
use crate::once::lock;
use crate::stage::Stage;
use crate::stages::{SharedStage, Stages};

/// Everything of this build that files can be taken from.
#[derive(Default)]
pub(crate) struct Sources {
    /// Stages that are done or under way.
    pub(crate) stages: Stages,
    /// Images that are copied from.
    images: Mutex<BTreeMap<Origin, SharedStage>>,
    /// Named contexts that were asked for, each for a platform.
    contexts: Mutex<BTreeMap<(String, String), Given>>,
    /// How stages are made, whether they are built or not.
    pub(crate) definitions: BTreeMap<usize, Key>,
}

/// Something that files can be taken from, by COPY or by a mount.
pub(crate) enum Place {
    /// A stage that is done, or an image: known as a tree, its files in layers or unpacked.
    Stage(SharedStage),
    /// The build context, or a named one that is a directory.
    Directory(Arc<DirectorySource>),
}

/// What a named context has turned out to be.
#[derive(Clone)]
pub(crate) enum Given {
    Image(Image),
    Directory(Arc<DirectorySource>),
}

impl Sources {
    /// What an origin stands for. Each is looked for once.
    pub(crate) fn get(&self, engine: &Engine<'_>, origin: &Origin) -> Result<Place> {
        let platform = &engine.options.platform;
        let image = match origin {
            Origin::Stage(number) => {
                let stage = self.stages.get(*number).ok_or_else(|| Error::new("the stage is not built"));
                return stage.map(Place::Stage);
            }
            Origin::Context(name) => match self.context(engine, name, platform)? {
                Given::Directory(directory) => return Ok(Place::Directory(directory)),
                Given::Image(image) => image,
            },
            Origin::Scratch => Image::scratch(platform),
            Origin::Image(name) => engine.pull(&name.parse::<Reference>()?, platform)?,
        };
        let name = match origin {
            Origin::Image(name) | Origin::Context(name) => name.as_str(),
            _ => "scratch",
        };
        let mut images = lock(&self.images);
        let new = || SharedStage::new(Stage::new(name, image));
        Ok(Place::Stage(images.entry(origin.clone()).or_insert_with(new).clone()))
    }

    /// Every stage that was built, and every image that was taken from.
    pub(crate) fn all(&self) -> Vec<SharedStage> {
        let mut all = self.stages.done();
        all.extend(lock(&self.images).values().cloned());
        all
    }

    /// The key of what a stage is at its end, by how it is made.
    pub(crate) fn definition(&self, stage: usize) -> Option<Key> {
        self.definitions.get(&stage).copied()
    }

    /// A named context, for a platform.
    pub(crate) fn context(&self, engine: &Engine<'_>, name: &str, platform: &Platform) -> Result<Given> {
        let key = (name.to_owned(), platform.to_string());
        engine.once.alone(format!("context {name} {platform}"), || {
            if let Some(given) = lock(&self.contexts).get(&key).cloned() {
                return Ok(given);
            }
            let found = NamedContext::find(&engine.options.contexts, name, &key.1);
            let context = found.ok_or_else(|| Error::new(format!("no named context {name}")))?;
            let given = bring(engine, context, platform)?;
            lock(&self.contexts).insert(key.clone(), given.clone());
            Ok(given)
        })
    }

    /// True if a named context was asked for.
    pub(crate) fn has_used(&self, name: &str) -> bool {
        lock(&self.contexts).keys().any(|(used, _)| used == name)
    }
}

/// Brings a named context here.
fn bring(engine: &Engine<'_>, context: &NamedContext, platform: &Platform) -> Result<Given> {
    let during = || describe(&context.name);
    match &context.source {
        ContextSource::Directory(path) => {
            Ok(Given::Directory(Arc::new(open_named(&context.name, path.as_ref())?)))
        }
        ContextSource::Image(reference) => {
            let reference = reference.parse::<Reference>().during(during())?;
            Ok(Given::Image(engine.pull(&reference, platform)?))
        }
        ContextSource::OciLayout { path, tag, digest } => {
            let digest =
                digest.as_ref().map(|digest| digest.parse::<Digest>()).transpose().during(during())?;
            let image = engine.image_of_layout(path.as_ref(), tag.as_deref(), digest, platform);
            Ok(Given::Image(image.map_err(|error| error.during(during()))?))
        }
        ContextSource::Http(url) => {
            let files = engine.scratch_directory("context")?.join("files");
            unpack_url(url, &files, engine.fetching()).map_err(|error| error.during(during()))?;
            Ok(Given::Directory(Arc::new(DirectorySource::open(&during(), &files, None)?)))
        }
        ContextSource::Git(url) => {
            Ok(Given::Directory(engine.checkout(url).map_err(|error| error.during(during()))?))
        }
    }
}

/// Refuses named contexts that cannot be right, before anything is fetched.
pub(crate) fn check(contexts: &[NamedContext]) -> Result<()> {
    for context in contexts {
        let during = || describe(&context.name);
        match &context.source {
            ContextSource::Directory(path) => open_named(&context.name, path.as_ref()).map(drop)?,
            ContextSource::Git(url) => location(url).map(drop).map_err(|error| error.during(during()))?,
            ContextSource::Http(url) => {
                download::Request::new(url)
                    .map(drop)
                    .map_err(|error| Error::new(error.to_string()).during(during()))?;
            }
            ContextSource::Image(reference) => drop(reference.parse::<Reference>().during(during())?),
            ContextSource::OciLayout { digest: Some(digest), .. } => {
                digest.parse::<Digest>().during(during())?;
            }
            _ => {}
        }
    }
    Ok(())
}
