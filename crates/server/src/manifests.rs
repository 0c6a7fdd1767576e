//! Manifests: what makes images of blobs, and tags of images.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use layout::{Layout, LayoutError, REFERENCE_NAME};
use oci::{Descriptor, Digest, Index, Manifest, ManifestOrIndex, MediaType, Raw, Target};

use crate::refusal::{Refusal, blocking};
use crate::registry::{CONTENT_DIGEST, Parameters};
use crate::route::parse_digest;
use crate::{Registry, Repository};

/// The most bytes a manifest may have; the distribution spec asks for at least as much.
const LIMIT: u64 = 4 * 1024 * 1024;

const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");

impl Registry {
    /// `GET` and `HEAD /v2/NAME/manifests/REFERENCE`
    pub(crate) async fn get_manifest(
        self: Arc<Self>,
        repository: Repository,
        reference: String,
    ) -> Result<Response, Refusal> {
        blocking(move || {
            let target = parse_target(&reference)?.ok_or_else(|| unknown(&reference))?;
            let layout = self.layout(&repository)?;
            let (media_type, bytes) = find(&layout, &target)?.ok_or_else(|| unknown(&reference))?;
            let digest = Digest::of(&bytes);
            Ok((
                [
                    (header::CONTENT_TYPE, media_type.to_string()),
                    (header::ETAG, format!("\"{digest}\"")),
                    (CONTENT_DIGEST, digest.to_string()),
                ],
                bytes,
            )
                .into_response())
        })
        .await
    }

    /// `PUT /v2/NAME/manifests/REFERENCE`
    pub(crate) async fn put_manifest(
        self: Arc<Self>,
        repository: Repository,
        reference: String,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response, Refusal> {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.map(str::to_owned);
        let target = parse_target(&reference)?.ok_or_else(|| invalid(format!("{reference:?} is no tag")))?;
        let bytes = axum::body::to_bytes(body, LIMIT as usize).await.map_err(|_| {
            let message = format!("a manifest has at most {LIMIT} bytes, and has to arrive whole");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", message)
        })?;
        blocking(move || {
            let document = ManifestOrIndex::parse(bytes.to_vec(), content_type.as_deref())
                .map_err(|error| invalid(error.to_string()))?;
            let digest = document.digest();
            if let Target::Digest(expected) = target
                && expected != digest
            {
                let message = format!("the manifest has the digest {digest}");
                return Err(Refusal::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message));
            }
            let media_type = check_type(&document, content_type.as_deref())?;
            let layout = self.create(&repository)?;
            check_parts(&layout, &document)?;
            layout.write_blob(&bytes)?;
            let descriptor = Descriptor::new(media_type, digest, bytes.len() as u64);
            layout.edit_index(|index| match &target {
                Target::Tag(tag) => name(index, descriptor, tag),
                Target::Digest(_) => list(index, descriptor),
            })?;
            let mut answer = Vec::from([
                (header::LOCATION, format!("/v2/{repository}/manifests/{digest}")),
                (CONTENT_DIGEST, digest.to_string()),
            ]);
            answer.extend(subject(&document).map(|subject| (SUBJECT, subject.to_string())));
            Ok((StatusCode::CREATED, axum::response::AppendHeaders(answer)).into_response())
        })
        .await
    }

    /// `DELETE /v2/NAME/manifests/REFERENCE`: a tag alone, or a digest with all its tags.
    pub(crate) async fn delete_manifest(
        self: Arc<Self>,
        repository: Repository,
        reference: String,
    ) -> Result<Response, Refusal> {
        blocking(move || {
            let target = parse_target(&reference)?.ok_or_else(|| unknown(&reference))?;
            let layout = self.layout(&repository)?;
            let found = match &target {
                Target::Tag(tag) => layout.edit_index(|index| unname(index, tag))?,
                Target::Digest(digest) => {
                    let listed = layout.edit_index(|index| {
                        let before = index.manifests.len();
                        index.manifests.retain(|descriptor| descriptor.digest != *digest);
                        index.manifests.len() < before
                    })?;
                    listed && layout.remove_blob(*digest)?
                }
            };
            if found { Ok(StatusCode::ACCEPTED.into_response()) } else { Err(unknown(&reference)) }
        })
        .await
    }

    /// `GET /v2/NAME/referrers/DIGEST`: the manifests whose subject has the digest.
    pub(crate) async fn referrers(
        self: Arc<Self>,
        repository: Repository,
        digest: Digest,
        parameters: Parameters,
    ) -> Result<Response, Refusal> {
        blocking(move || {
            let wanted = parameters.get("artifactType");
            let found = match self.layout(&repository) {
                Ok(layout) => referrers(&layout, digest, wanted)?,
                // To "not found" clients answer by doing without this route, also for what they push next.
                Err(LayoutError::NotALayout { .. }) => Vec::new(),
                Err(error) => return Err(error.into()),
            };
            let index = Raw::write(Index::new(found));
            let mut response =
                ([(header::CONTENT_TYPE, MediaType::OciIndex.as_str())], index.bytes().to_vec())
                    .into_response();
            if wanted.is_some() {
                response.headers_mut().insert(FILTERS, "artifactType".parse().expect("it is a word"));
            }
            Ok(response)
        })
        .await
    }
}

/// A tag or a digest; `None` for what can be neither, and so cannot have been stored.
fn parse_target(text: &str) -> Result<Option<Target>, Refusal> {
    if text.contains(':') {
        return parse_digest(text).map(|digest| Some(Target::Digest(digest)));
    }
    Ok(Repository::is_tag(text).then(|| Target::Tag(text.to_owned())))
}

fn unknown(reference: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", format!("there is no manifest {reference}"))
}

fn invalid(message: String) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", message)
}

/// A manifest's type and bytes.
fn find(layout: &Layout, target: &Target) -> Result<Option<(MediaType, Vec<u8>)>, Refusal> {
    let index = layout.index()?;
    let listed = index.manifests.into_iter().find(|descriptor| match target {
        Target::Tag(tag) => descriptor.annotations.get(REFERENCE_NAME) == Some(tag),
        Target::Digest(digest) => descriptor.digest == *digest,
    });
    let digest = match (&listed, target) {
        (Some(descriptor), _) => descriptor.digest,
        // The images of a multi-platform index are not listed by the tools that copy to a layout.
        (None, Target::Digest(digest)) => *digest,
        (None, Target::Tag(_)) => return Ok(None),
    };
    let bytes = match layout.read_blob(digest, LIMIT) {
        Ok(bytes) => bytes,
        Err(LayoutError::Unknown { .. }) => return Ok(None),
        Err(LayoutError::TooLarge { .. }) if listed.is_none() => return Ok(None),
        // It is the server's fault, and not the client's as with bytes that it sends.
        Err(LayoutError::Mismatch { .. }) => {
            let message = format!("the stored manifest {digest} is damaged");
            return Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", message));
        }
        Err(error) => return Err(error.into()),
    };
    match listed {
        Some(descriptor) => Ok(Some((descriptor.media_type, bytes))),
        None => Ok(ManifestOrIndex::parse(bytes, None)
            .ok()
            .map(|document| (document.media_type(), document.bytes().to_vec()))),
    }
}

/// The type of a manifest, about which the document and the client must not disagree.
fn check_type(document: &ManifestOrIndex, content_type: Option<&str>) -> Result<MediaType, Refusal> {
    let (version, own) = match document {
        ManifestOrIndex::Manifest(raw) => (raw.value().schema_version, &raw.value().media_type),
        ManifestOrIndex::Index(raw) => (raw.value().schema_version, &raw.value().media_type),
    };
    if version != 2 {
        return Err(invalid(format!("schema version {version} is not supported")));
    }
    let given = content_type
        .map(|text| MediaType::from(text.split(';').next().unwrap_or(text).trim()))
        .filter(|media_type| media_type.is_manifest() || media_type.is_index());
    match (own, given) {
        (Some(own), Some(given)) if *own != given => {
            Err(invalid(format!("the manifest says that it is {own}, its Content-Type {given}")))
        }
        (Some(own), _) => Ok(own.clone()),
        (None, Some(given)) => Ok(given),
        (None, None) => Ok(document.media_type()),
    }
}

/// Refuses a manifest that names what is not there.
fn check_parts(layout: &Layout, document: &ManifestOrIndex) -> Result<(), Refusal> {
    let parts: Vec<&Descriptor> = match document {
        ManifestOrIndex::Manifest(raw) => {
            let Manifest { config, layers, .. } = raw.value();
            std::iter::once(config).chain(layers).filter(|part| is_distributable(part)).collect()
        }
        ManifestOrIndex::Index(raw) => raw.value().manifests.iter().collect(),
    };
    for part in parts {
        match layout.has(part.digest)? {
            Some(size) if size == part.size => {}
            Some(size) => {
                let message = format!("{} has {size} bytes and not {}", part.digest, part.size);
                return Err(Refusal::new(StatusCode::BAD_REQUEST, "SIZE_INVALID", message));
            }
            None => {
                let message = format!("the manifest names {}, which is not here", part.digest);
                return Err(Refusal::new(StatusCode::NOT_FOUND, "MANIFEST_BLOB_UNKNOWN", message));
            }
        }
    }
    Ok(())
}

/// False for a layer that clients are told not to push.
fn is_distributable(part: &Descriptor) -> bool {
    part.media_type != MediaType::DockerForeignLayer
        && !part.media_type.as_str().starts_with("application/vnd.oci.image.layer.nondistributable.")
        && part.urls.is_empty()
}

fn subject(document: &ManifestOrIndex) -> Option<Digest> {
    let subject = match document {
        ManifestOrIndex::Manifest(raw) => &raw.value().subject,
        ManifestOrIndex::Index(raw) => &raw.value().subject,
    };
    subject.as_ref().map(|descriptor| descriptor.digest)
}

/// The manifests with a subject, of one type if one is wanted, each once and in a stable order.
fn referrers(layout: &Layout, to: Digest, wanted: Option<&String>) -> Result<Vec<Descriptor>, LayoutError> {
    let mut found: BTreeMap<Digest, Descriptor> = BTreeMap::new();
    for listed in layout.index()?.manifests {
        // What was removed or damaged behind our back refers to nothing.
        let Ok(bytes) = layout.read_blob(listed.digest, LIMIT) else { continue };
        let Ok(document) = ManifestOrIndex::parse(bytes, Some(listed.media_type.as_str())) else { continue };
        let referrer = describe(&document, listed);
        if subject(&document) == Some(to)
            && wanted.is_none_or(|wanted| referrer.artifact_type.as_ref() == Some(wanted))
        {
            found.insert(referrer.digest, referrer);
        }
    }
    Ok(found.into_values().collect())
}

/// The descriptor of a referrer. A manifest without a type of its own has its config's.
fn describe(document: &ManifestOrIndex, listed: Descriptor) -> Descriptor {
    let (artifact_type, annotations) = match document {
        ManifestOrIndex::Manifest(raw) => {
            let Manifest { artifact_type, config, annotations, .. } = raw.value();
            let artifact_type = artifact_type.clone().filter(|text| !text.is_empty());
            (artifact_type.or_else(|| Some(config.media_type.to_string())), annotations)
        }
        ManifestOrIndex::Index(raw) => (raw.value().artifact_type.clone(), &raw.value().annotations),
    };
    let mut descriptor = Descriptor::new(listed.media_type, listed.digest, listed.size);
    descriptor.artifact_type = artifact_type;
    descriptor.annotations = annotations.clone();
    descriptor
}

/// Gives a manifest a name. What had it before stays, by its digest.
fn name(index: &mut Index, mut descriptor: Descriptor, tag: &str) {
    unname(index, tag);
    index.manifests.retain(|other| other.digest != descriptor.digest || is_named(other));
    descriptor.annotations.insert(REFERENCE_NAME.to_owned(), tag.to_owned());
    index.manifests.push(descriptor);
}

/// Lists a manifest without a name, unless it is listed already.
fn list(index: &mut Index, descriptor: Descriptor) {
    if index.manifests.iter().all(|other| other.digest != descriptor.digest) {
        index.manifests.push(descriptor);
    }
}

/// Takes a name away; false if there was none.
fn unname(index: &mut Index, tag: &str) -> bool {
    let (removed, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut index.manifests)
        .into_iter()
        .partition(|descriptor| descriptor.annotations.get(REFERENCE_NAME).is_some_and(|name| name == tag));
    index.manifests = kept;
    let found = !removed.is_empty();
    for mut descriptor in removed {
        descriptor.annotations.remove(REFERENCE_NAME);
        list(index, descriptor);
    }
    found
}

fn is_named(descriptor: &Descriptor) -> bool {
    descriptor.annotations.contains_key(REFERENCE_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_stays_listed_when_its_names_go() {
        let mut index = Index::new(Vec::new());
        let descriptor = |content: &str| {
            Descriptor::new(MediaType::OciManifest, Digest::of(content.as_bytes()), content.len() as u64)
        };
        let show = |index: &Index| {
            let entries = index.manifests.iter().map(|entry| {
                let content = ["x", "y"].into_iter().find(|text| Digest::of(text.as_bytes()) == entry.digest);
                let name = entry.annotations.get(REFERENCE_NAME).map_or("", String::as_str);
                format!("{}:{name}", content.unwrap())
            });
            entries.collect::<Vec<_>>().join(" ")
        };
        list(&mut index, descriptor("x"));
        list(&mut index, descriptor("x"));
        assert_eq!(show(&index), "x:");
        name(&mut index, descriptor("x"), "1");
        assert_eq!(show(&index), "x:1");
        name(&mut index, descriptor("x"), "2");
        assert_eq!(show(&index), "x:1 x:2");
        name(&mut index, descriptor("y"), "2");
        assert_eq!(show(&index), "x:1 y:2");
        name(&mut index, descriptor("y"), "1");
        assert_eq!(show(&index), "y:2 x: y:1");
        assert!(unname(&mut index, "2"));
        assert!(unname(&mut index, "1"));
        assert!(!unname(&mut index, "1"));
        assert_eq!(show(&index), "x: y:");
    }
}
