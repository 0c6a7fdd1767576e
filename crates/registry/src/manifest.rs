//! Manifests: from a reference to what an image is made of, and back.

use oci::{
    Descriptor, Digest, ImageConfig, Manifest, ManifestOrIndex, MediaType, Platform, Raw, Reference, Target,
};
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LINK};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

use crate::call::{Address, Call};
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::options::Access;
use crate::payload::Payload;
use transport::same_origin;

/// What registries store at most, by the [distribution spec].
///
/// [distribution spec]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests
const MANIFEST_LIMIT: usize = 4 << 20;

/// Configs have no limit of their own; this one is far above any in use.
const CONFIG_LIMIT: u64 = 8 << 20;

/// Indexes within indexes.
const NESTING: usize = 4;

/// Pages of a list, of a thousand entries where the registry chooses no other number.
const PAGES: usize = 1000;

/// An image for one platform, as a reference was found to mean.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageManifest {
    /// The manifest.
    pub manifest: Raw<Manifest>,
    /// Its type.
    pub media_type: MediaType,
    /// The digest of the index it was chosen from, if it was.
    pub index: Option<Digest>,
    /// The repository, at the manifest's digest: what to ask for the blobs.
    pub reference: Reference,
}

impl Client {
    /// The image for a platform. A reference to a single image is that image, whatever the platform: only its
    /// config tells.
    ///
    /// Mirrors of the registry are asked first. Whatever is wrong with one, the next is asked, and the last one's
    /// failure is the one told; the image's `reference` says which of them answered.
    pub async fn resolve(&self, reference: &Reference, platform: &Platform) -> Result<ImageManifest> {
        let mut locations = self.locations(reference);
        let last = locations.pop().unwrap_or_else(|| reference.clone());
        for location in locations {
            match self.resolve_at(&location, platform).await {
                Ok(image) => return Ok(image),
                Err(error) => tracing::debug!(%error, "next mirror"),
            }
        }
        self.resolve_at(&last, platform).await
    }

    async fn resolve_at(&self, reference: &Reference, platform: &Platform) -> Result<ImageManifest> {
        let mut index = None;
        let mut at = reference.clone();
        for _ in 0..NESTING {
            let found = self.manifest(&at).await?;
            let media_type = found.media_type();
            match found {
                ManifestOrIndex::Manifest(manifest) => {
                    let reference = reference.at(manifest.digest());
                    return Ok(ImageManifest { manifest, media_type, index, reference });
                }
                ManifestOrIndex::Index(list) => {
                    let chosen = list.value().for_platform(platform).map_err(|error| {
                        Error::new(&format!("pull {reference}"), ErrorKind::Manifest(error))
                    })?;
                    at = reference.at(chosen.digest);
                    index.get_or_insert(list.digest());
                }
            }
        }
        Err(Error::protocol(
            &format!("pull {reference}"),
            format!("more than {NESTING} indexes in one another"),
        ))
    }

    /// What a reference points to, verified if the reference or the registry names a digest.
    pub async fn manifest(&self, reference: &Reference) -> Result<ManifestOrIndex> {
        let subject = format!("pull {reference}");
        let endpoint = self.endpoint(reference.registry(), Access::Pull)?;
        let call = manifest_call(&endpoint, &subject, reference, Method::GET)?;
        let (headers, body) = self.document(&call, MANIFEST_LIMIT).await?;
        let digest = Digest::of(&body);
        if let Some(asked) = reference.digest()
            && asked != digest
        {
            return Err(Error::corrupt(&subject, format!("the manifest sent is {digest}")));
        }
        if let Some(said) = content_digest(&headers)
            && said != digest
        {
            return Err(Error::corrupt(&subject, format!("the registry says {said} and sends {digest}")));
        }
        ManifestOrIndex::parse(body, text(&headers, CONTENT_TYPE))
            .map_err(|error| Error::new(&subject, ErrorKind::Manifest(error)))
    }

    /// Type, digest and size of what a reference points to, without fetching it where the registry can say so.
    pub async fn head_manifest(&self, reference: &Reference) -> Result<Descriptor> {
        let subject = format!("pull {reference}");
        let endpoint = self.endpoint(reference.registry(), Access::Pull)?;
        let call = manifest_call(&endpoint, &subject, reference, Method::HEAD)?;
        let response = self.expect(&call, &[StatusCode::OK]).await?;
        let headers = response.headers();
        let size = text(headers, CONTENT_LENGTH).and_then(|size| size.parse().ok());
        match (text(headers, CONTENT_TYPE), content_digest(headers).or(reference.digest()), size) {
            (Some(_), Some(digest), Some(_)) if reference.digest().is_some_and(|asked| asked != digest) => {
                Err(Error::corrupt(&subject, format!("the registry has {digest} under it")))
            }
            (Some(media_type), Some(digest), Some(size)) => {
                Ok(Descriptor::new(MediaType::from(media_type), digest, size))
            }
            _ => {
                let manifest = self.manifest(reference).await?;
                let size = manifest.bytes().len() as u64;
                Ok(Descriptor::new(manifest.media_type(), manifest.digest(), size))
            }
        }
    }

    /// An image's config, verified.
    pub async fn config(&self, reference: &Reference, descriptor: &Descriptor) -> Result<Raw<ImageConfig>> {
        let bytes = self.blob_bytes(reference, descriptor, CONFIG_LIMIT).await?;
        Raw::parse(bytes).map_err(|error| {
            let subject = format!("pull {}", reference.at(descriptor.digest));
            Error::protocol(&subject, format!("malformed image config: {error}"))
        })
    }

    /// Puts a manifest or index under the reference's tag, or under its digest if it has no tag and the digest is that
    /// of the bytes.
    pub async fn push_manifest(
        &self,
        reference: &Reference,
        media_type: &MediaType,
        bytes: impl Into<bytes::Bytes>,
    ) -> Result<Digest> {
        let subject = format!("push {reference}");
        let bytes = bytes.into();
        let digest = Digest::of(&bytes);
        if reference.digest().is_some_and(|asked| asked != digest) {
            return Err(Error::corrupt(&subject, format!("the manifest to push is {digest}")));
        }
        let target = match reference.tag() {
            Some(tag) => tag.to_owned(),
            None => reference.target().to_string(),
        };
        let endpoint = self.endpoint(reference.registry(), Access::Push)?;
        let path = format!("{}/manifests/{target}", reference.repository());
        let mut call = Call::new(&endpoint, &subject, reference.repository(), Method::PUT, path)
            .header(CONTENT_TYPE, media_type.as_str())?;
        call.payload = Payload::Document(bytes);
        let stored = [StatusCode::CREATED, StatusCode::OK, StatusCode::ACCEPTED];
        let response = self.expect(&call, &stored).await?;
        match content_digest(response.headers()) {
            Some(said) if said != digest => {
                Err(Error::corrupt(&subject, format!("{digest} was sent and the registry has {said}")))
            }
            _ => Ok(digest),
        }
    }

    /// Removes a tag, or by digest a manifest with all its tags.
    pub async fn delete_manifest(&self, reference: &Reference) -> Result<()> {
        let subject = format!("delete {reference}");
        let endpoint = self.endpoint(reference.registry(), Access::Push)?;
        let path = format!("{}/manifests/{}", reference.repository(), reference.target());
        let mut call = Call::new(&endpoint, &subject, reference.repository(), Method::DELETE, path);
        call.scopes = vec![format!("repository:{}:delete", reference.repository())];
        self.expect(&call, &[StatusCode::ACCEPTED, StatusCode::OK, StatusCode::NO_CONTENT]).await?;
        Ok(())
    }

    /// The tags of the reference's repository, in the registry's order.
    pub async fn tags(&self, reference: &Reference) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let subject = format!("list tags of {}", reference.name());
        let path = format!("{}/tags/list?n=1000", reference.repository());
        let pages: Vec<Page> = self.pages(&subject, reference, path).await?;
        Ok(pages.into_iter().flat_map(|page| page.tags.unwrap_or_default()).collect())
    }

    /// The manifests about the one that the reference names by digest, of one artifact type if one is given.
    ///
    /// A registry without this question has them in an index tagged with the digest, if whoever pushed them cared.
    pub async fn referrers(
        &self,
        reference: &Reference,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            manifests: Vec<Descriptor>,
        }
        let subject = format!("list referrers of {reference}");
        let Target::Digest(digest) = reference.target() else {
            let reason = "only what is named by its digest can be referred to".to_owned();
            return Err(Error::new(&subject, ErrorKind::Options { reason }));
        };
        let path = format!("{}/referrers/{digest}", reference.repository());
        let pages: Result<Vec<Page>> = self.pages(&subject, reference, path).await;
        let mut found: Vec<Descriptor> = match pages {
            Ok(pages) => pages.into_iter().flat_map(|page| page.manifests).collect(),
            Err(error) if error.is_not_found() || error.refused_with().is_some() => {
                let tag = format!("{}-{}", digest.algorithm(), digest.hex());
                match self.manifest(&reference.with_tag(&tag)).await {
                    Ok(ManifestOrIndex::Index(index)) => index.into_value().manifests,
                    Ok(ManifestOrIndex::Manifest(_)) => Vec::new(),
                    Err(error) if error.is_not_found() => Vec::new(),
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        };
        // A registry may leave the choice to us.
        found.retain(|descriptor| {
            artifact_type.is_none_or(|wanted| descriptor.artifact_type.as_deref() == Some(wanted))
        });
        Ok(found)
    }

    /// All pages of a list, each of which names the next in `Link`.
    async fn pages<T: serde::de::DeserializeOwned>(
        &self,
        subject: &str,
        reference: &Reference,
        path: String,
    ) -> Result<Vec<T>> {
        let endpoint = self.endpoint(reference.registry(), Access::Pull)?;
        let mut call = Call::new(&endpoint, subject, reference.repository(), Method::GET, path.as_str());
        let base = endpoint.base(subject).await?;
        let mut at = base.join("v2/").and_then(|base| base.join(&path)).map_err(|error| {
            Error::protocol(subject, format!("{path:?} is no path of a registry: {error}"))
        })?;
        let mut pages = Vec::new();
        for _ in 0..PAGES {
            let (headers, body) = self.document(&call, MANIFEST_LIMIT).await?;
            let page = serde_json::from_slice(&body)
                .map_err(|error| Error::protocol(subject, format!("malformed list: {error}")))?;
            pages.push(page);
            match next_page(&at, &headers) {
                Some(next) if next != at && same_origin(&next, base) => at = next,
                _ => return Ok(pages),
            }
            call.address = Address::Url(at.clone());
        }
        Err(Error::protocol(subject, format!("more than {PAGES} pages")))
    }
}

fn manifest_call<'a>(
    endpoint: &'a crate::endpoint::Endpoint,
    subject: &'a str,
    reference: &'a Reference,
    method: Method,
) -> Result<Call<'a>> {
    let path = format!("{}/manifests/{}", reference.repository(), reference.target());
    let accepted = MediaType::ACCEPTED.each_ref().map(MediaType::as_str).join(", ");
    Call::new(endpoint, subject, reference.repository(), method, path).header(ACCEPT, &accepted)
}

/// `Docker-Content-Digest`, if it is there and of an algorithm that we can compare.
pub(crate) fn content_digest(headers: &HeaderMap) -> Option<Digest> {
    headers.get("docker-content-digest")?.to_str().ok()?.parse().ok()
}

fn text(headers: &HeaderMap, name: reqwest::header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The address in `Link: <…>; rel="next"` ([RFC 8288](https://www.rfc-editor.org/rfc/rfc8288)).
fn next_page(from: &Url, headers: &HeaderMap) -> Option<Url> {
    headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok()).find_map(|value| {
        let (address, parameters) = value.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|parameter| {
            parameter.trim().strip_prefix("rel=").is_some_and(|rel| rel.trim_matches('"') == "next")
        });
        is_next.then(|| from.join(address).ok()).flatten()
    })
}
