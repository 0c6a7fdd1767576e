//! Resolving: from a reference to the digest that it means, at most two requests for each.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt, stream};
use oci::{ManifestOrIndex, Reference};
use registry::Client;
use tokio::sync::{OnceCell, Semaphore};

use crate::config::{Config, Destination, Source, TagSelection};
use crate::name::Name;
use crate::semver::{Constraints, Version};
use crate::{Origin, Override, PlatformSelection, lock};

/// What a reference means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// What takes its place.
    pub url: String,
    /// How that was found; nothing for what was a digest already.
    pub origins: Vec<Origin>,
}

/// An image to be built.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The reference that asks for it.
    pub image: String,
    /// How.
    pub source: Source,
    /// Where it goes.
    pub destination: Option<Destination>,
}

/// An image that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Its name, by digest.
    pub url: String,
    /// Where it comes from.
    pub origins: Vec<Origin>,
}

/// Whoever can build images. It is called on a thread of its own.
pub trait Build: Send + Sync {
    /// Builds an image and brings it to where it goes; the error says why not.
    fn build(&self, job: &Job) -> Result<Built, String>;
}

/// How references are resolved.
#[derive(Debug, Clone)]
pub struct ResolverOptions {
    /// What is said of them.
    pub config: Config,
    /// Which images of indexes are meant, where an override does not say.
    pub platform: Option<PlatformSelection>,
    /// Whether images may be built.
    pub build: bool,
    /// References that are looked up at the same time.
    pub concurrency: usize,
    /// Images that are built at the same time.
    pub build_concurrency: usize,
}

/// Finds digests.
pub struct Resolver {
    options: ResolverOptions,
    client: Client,
    builder: Arc<dyn Build>,
    builds: Arc<Semaphore>,
    /// By source and destination: what leads to one build is built once.
    built: Shared<(usize, Option<usize>), Built>,
    /// By whole name: what is one image is asked for once.
    looked_up: Shared<String, oci::Digest>,
    chosen: Shared<String, Result<oci::Digest, ()>>,
}

/// Results that several wait for and one works for.
type Shared<K, T> = Mutex<HashMap<K, Arc<OnceCell<Result<T, String>>>>>;

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("options", &self.options).finish_non_exhaustive()
    }
}

async fn once<K, T, F>(shared: &Shared<K, T>, key: K, work: F) -> Result<T, String>
where
    K: std::hash::Hash + Eq,
    T: Clone,
    F: Future<Output = Result<T, String>>,
{
    let cell = {
        let mut cells = shared.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(cells.entry(key).or_default())
    };
    cell.get_or_init(|| work).await.clone()
}

impl Resolver {
    /// A resolver.
    #[must_use]
    pub fn new(options: ResolverOptions, client: Client, builder: Arc<dyn Build>) -> Self {
        Resolver {
            builds: Arc::new(Semaphore::new(options.build_concurrency.max(1))),
            options,
            client,
            builder,
            built: Mutex::default(),
            looked_up: Mutex::default(),
            chosen: Mutex::default(),
        }
    }

    /// Resolves references, several at a time; all of them, even if one fails.
    pub async fn resolve_all(
        &self,
        references: impl IntoIterator<Item = String>,
    ) -> BTreeMap<String, Result<Resolution, String>> {
        let work = references.into_iter().map(|reference| async move {
            let resolved = self.resolve(&reference).await;
            (reference, resolved)
        });
        stream::iter(work).buffer_unordered(self.options.concurrency.max(1)).collect().await
    }

    /// Resolves one reference.
    pub async fn resolve(&self, reference: &str) -> Result<Resolution, String> {
        let config = &self.options.config;
        let found = config.overrides.iter().find(|one| one.image.matches(reference));
        if let Some(one) = found.filter(|one| one.preresolved) {
            let url = one.new_image.clone();
            let origins = match one.origins.is_empty() {
                true => vec![Origin::Preresolved { url: url.clone() }],
                false => one.origins.clone(),
            };
            return Ok(Resolution { url, origins });
        }
        let text = match found {
            Some(Override { new_image, tag_selection: Some(selection), .. }) => {
                format!("{new_image}:{}", self.select_tag(new_image, selection).await?)
            }
            Some(one) => one.new_image.clone(),
            None => reference.to_owned(),
        };
        let platform =
            found.and_then(|one| one.platform_selection.as_ref()).or(self.options.platform.as_ref());
        let (name, mut origins) =
            if let Some(index) = config.sources.iter().position(|source| source.image.matches(&text)) {
                let built = self.build(&text, index).await?;
                if !lock::is_digest(&built.url) {
                    return Ok(Resolution { url: built.url, origins: built.origins });
                }
                (Name::digested(&built.url)?, built.origins)
            } else if text.contains('@') {
                (Name::digested(&text)?, Vec::new())
            } else {
                let name = Name::tagged(&text)?;
                let tag = name.tag.clone().unwrap_or_else(|| "latest".to_owned());
                let digest = self.look_up(&name).await?;
                (name.at(digest), vec![Origin::Resolved { tag, url: text }])
            };
        let Some(platform) = platform else { return Ok(Resolution { url: name.to_string(), origins }) };
        let chosen = self.choose(&name, platform).await?;
        if let Some(digest) = chosen {
            origins.push(Origin::PlatformSelected {
                architecture: platform.architecture.clone(),
                index: name.to_string(),
                os: platform.os.clone(),
                variant: platform.variant.clone(),
            });
            return Ok(Resolution { url: name.at(digest).to_string(), origins });
        }
        Ok(Resolution { url: name.to_string(), origins })
    }

    async fn look_up(&self, name: &Name) -> Result<oci::Digest, String> {
        let reference: Reference = name.reference()?;
        once(&self.looked_up, reference.to_string(), async {
            let found = self.client.head_manifest(&reference).await;
            found.map(|descriptor| descriptor.digest).map_err(|error| error.to_string())
        })
        .await
    }

    /// The image of an index for a platform; `None` for what is a single image.
    async fn choose(&self, name: &Name, platform: &PlatformSelection) -> Result<Option<oci::Digest>, String> {
        let reference = name.reference()?;
        let key = format!("{reference} {platform:?}");
        let chosen = once(&self.chosen, key, async {
            let found = self.client.manifest(&reference).await.map_err(|error| error.to_string())?;
            match found {
                ManifestOrIndex::Manifest(_) => Ok(Err(())),
                ManifestOrIndex::Index(index) => {
                    platform.choose(&index.value().manifests, &name.to_string()).map(|entry| Ok(entry.digest))
                }
            }
        });
        chosen.await.map(Result::ok)
    }

    async fn select_tag(&self, new_image: &str, selection: &TagSelection) -> Result<String, String> {
        let name = Name::tagged(new_image)?;
        if name.tag.is_some() {
            return Err(format!("Expected image '{new_image}' to carry no tag, since one is selected"));
        }
        let tags = self.client.tags(&name.reference()?).await.map_err(|error| error.to_string())?;
        select(&tags, selection)
    }

    async fn build(&self, image: &str, source: usize) -> Result<Built, String> {
        if !self.options.build {
            return Err(
                "Expected image to be built already: building is switched off by --build=false".to_owned()
            );
        }
        let config = &self.options.config;
        let destination = config.destinations.iter().position(|one| one.image.matches(image));
        let job = Job {
            image: image.to_owned(),
            source: config.sources[source].clone(),
            destination: destination.map(|index| config.destinations[index].clone()),
        };
        once(&self.built, (source, destination), async {
            let _place = self.builds.acquire().await.map_err(|error| error.to_string())?;
            let builder = Arc::clone(&self.builder);
            let built = tokio::task::spawn_blocking(move || builder.build(&job)).await;
            built.unwrap_or_else(|_| Err("the build ended without a result".to_owned()))
        })
        .await
    }
}

/// The tag of the highest version.
fn select(tags: &[String], selection: &TagSelection) -> Result<String, String> {
    let within = |error: String| format!("Selecting versions: {error}");
    let constraints = match selection.constraints.is_empty() {
        true => None,
        false => Some(Constraints::parse(&selection.constraints).map_err(within)?),
    };
    let versions = tags
        .iter()
        .filter_map(|tag| Version::parse(tag.strip_prefix('v').unwrap_or(tag)).map(|version| (version, tag)));
    let allowed = versions.filter(|(version, _)| {
        let prerelease = version.prerelease.is_empty()
            || selection.prereleases.as_ref().is_some_and(|identifiers| {
                identifiers.is_empty() || identifiers.iter().any(|one| version.prerelease.contains(one))
            });
        prerelease && constraints.as_ref().is_none_or(|constraints| constraints.allow(version))
    });
    let highest = allowed.max_by(|(left, _), (right, _)| left.cmp(right));
    highest
        .map(|(_, tag)| tag.clone())
        .ok_or_else(|| "Expected to find at least one version, but did not".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        let tags: Vec<String> =
            ["latest", "1.0.0", "v1.2.0", "1.10.0", "2.0.0-rc.1", "2.0.0-beta.1"].map(str::to_owned).into();
        let selection = |constraints: &str, prereleases: Option<&[&str]>| TagSelection {
            constraints: constraints.to_owned(),
            prereleases: prereleases.map(|list| list.iter().map(|one| (*one).to_owned()).collect()),
        };
        for (selection, expected) in [
            (selection("", None), Ok("1.10.0")),
            (selection("<1.5.0", None), Ok("v1.2.0")),
            (selection("", Some(&[])), Ok("2.0.0-rc.1")),
            (selection("", Some(&["beta"])), Ok("2.0.0-beta.1")),
            (selection(">3.0.0", None), Err("Expected to find at least one version, but did not")),
            (
                selection("a", None),
                Err("Selecting versions: Parsing version constraint 'a': Could not parse Range \"a\""),
            ),
        ] {
            let found = select(&tags, &selection);
            assert_eq!(found.as_deref().map_err(String::as_str), expected);
        }
    }
}
