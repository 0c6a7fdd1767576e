//! Joining: members from any repository become one index in another.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use oci::{Descriptor, Digest, Index, ManifestOrIndex, Platform, Reference};
use registry::Client;
use serde::Deserialize;

use crate::copy::bring;
use crate::list::{ListType, render};
use crate::store::{Stored, full};
use crate::{Error, Place, Result};

/// Members that are fetched, or brought, at the same time.
const AT_ONCE: usize = 16;

/// What an image may be as a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Members {
    /// A single image; an index is an error, as with `docker manifest`.
    Images,
    /// An index is taken apart into its images.
    Indexes,
}

/// An image that is to be a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Where it is.
    pub reference: Reference,
    /// What it may be.
    pub members: Members,
    /// What it is for, if that is known. An image is then not asked, and of an index only what is for this platform is
    /// taken, with its attestations.
    pub platform: Option<Platform>,
}

/// Fetches several images, sixteen at a time; what became of each, in their order.
pub async fn gather_all(client: &Client, wanted: &[Wanted]) -> Vec<Result<Vec<Stored>>> {
    stream::iter(wanted.iter().map(|one| gather(client, one))).buffered(AT_ONCE).collect().await
}

/// Fetches an image for a list: its manifest, and from its config what it is for, as a manifest does not say that. Of an
/// index, its members.
pub async fn gather(client: &Client, wanted: &Wanted) -> Result<Vec<Stored>> {
    let reference = full(&wanted.reference);
    let place = Place::Registry(client.clone(), reference.clone());
    match place.root().await? {
        ManifestOrIndex::Index(_) if wanted.members == Members::Images => {
            Err(Error::new(format!("{reference} is a manifest list")))
        }
        ManifestOrIndex::Index(index) => {
            let chosen = match &wanted.platform {
                Some(platform) => {
                    let chosen = only(index.value(), platform);
                    chosen.map_err(|error| Error::new(format!("{reference}: {error}")))?
                }
                None => index.value().manifests.iter().collect(),
            };
            let children = chosen.into_iter().map(|child| {
                let (place, reference) = (&place, reference.at(child.digest));
                async move {
                    let manifest = place.manifest(child).await?;
                    Ok::<_, Error>(Stored {
                        reference,
                        descriptor: child.clone(),
                        raw: manifest.bytes().to_vec(),
                    })
                }
            });
            stream::iter(children).buffered(AT_ONCE).try_collect().await
        }
        ManifestOrIndex::Manifest(manifest) => {
            let media_type = ManifestOrIndex::Manifest(manifest.clone()).media_type();
            let mut descriptor = Descriptor::of(media_type, &manifest);
            descriptor.platform = Some(match &wanted.platform {
                Some(platform) => platform.clone(),
                None => platform(&place.small_blob(&manifest.value().config).await?, &reference)?,
            });
            Ok(vec![Stored { reference, descriptor, raw: manifest.bytes().to_vec() }])
        }
    }
}

/// What of an index is for a platform: an image and what is said of it.
fn only<'a>(
    index: &'a Index,
    platform: &Platform,
) -> std::result::Result<Vec<&'a Descriptor>, oci::ManifestError> {
    const OF: &str = "vnd.docker.reference.digest";
    let image = index.for_platform(platform)?;
    let digest = image.digest.to_string();
    let said = index.manifests.iter().filter(|one| one.annotations.get(OF) == Some(&digest));
    Ok([image].into_iter().chain(said).collect())
}

/// What a config says the image is for, word for word.
fn platform(config: &[u8], reference: &Reference) -> Result<Platform> {
    #[derive(Deserialize)]
    struct Said {
        #[serde(default)]
        architecture: String,
        #[serde(default)]
        os: String,
        #[serde(default, rename = "os.version")]
        os_version: Option<String>,
        #[serde(default, rename = "os.features")]
        os_features: Option<Vec<String>>,
        #[serde(default)]
        variant: Option<String>,
    }
    let said: Said = serde_json::from_slice(config)
        .map_err(|source| Error::Json { what: format!("config of {reference}"), source })?;
    Ok(Platform {
        architecture: said.architecture,
        os: said.os,
        os_version: said.os_version.filter(|text| !text.is_empty()),
        os_features: said.os_features.unwrap_or_default(),
        variant: said.variant.filter(|text| !text.is_empty()),
    })
}

/// Pushes a list with its members, in their order, under every name; names are of one repository. Members of other
/// repositories are brought along first: taken over where the registry can, and copied else.
pub async fn push(
    client: &Client,
    names: &[Reference],
    members: &[Stored],
    list_type: ListType,
    annotations: &BTreeMap<String, String>,
    mut brought: impl FnMut(&Reference),
) -> Result<Digest> {
    let Some(first) = names.first() else { return Err(Error::new("a list needs a name")) };
    for member in members {
        let known = member.descriptor.platform.as_ref();
        if known.is_none_or(|platform| platform.os.is_empty() || platform.architecture.is_empty()) {
            let reference = &member.reference;
            return Err(Error::new(format!(
                "manifest {reference} must have an OS and Architecture to be pushed to a registry"
            )));
        }
    }
    let to = Place::Registry(client.clone(), full(first));
    let foreign: Vec<&Stored> =
        members.iter().filter(|member| member.reference.name() != first.name()).collect();
    let work = foreign.iter().map(|member| {
        let (to, from) = (&to, Place::Registry(client.clone(), member.reference.clone()));
        async move {
            let parsed =
                ManifestOrIndex::parse(member.raw.clone(), Some(member.descriptor.media_type.as_str()));
            let manifest = parsed.map_err(|error| Error::new(format!("{}: {error}", member.reference)))?;
            bring(&from, to, &manifest, 0).await?;
            to.put_manifest(&member.descriptor.media_type, &member.raw).await?;
            Ok::<_, Error>(first.at(member.descriptor.digest))
        }
    });
    let done: Vec<Reference> = stream::iter(work).buffered(AT_ONCE).try_collect().await?;
    done.iter().for_each(&mut brought);
    let descriptors: Vec<Descriptor> = members
        .iter()
        .map(|member| Descriptor { urls: Vec::new(), artifact_type: None, ..member.descriptor.clone() })
        .collect();
    let media_type = list_type.media_type(&descriptors);
    let list = render(&media_type, &descriptors, annotations);
    for name in names {
        Place::Registry(client.clone(), full(name)).put_root(&media_type, list.as_bytes()).await?;
    }
    Ok(Digest::of(list.as_bytes()))
}
