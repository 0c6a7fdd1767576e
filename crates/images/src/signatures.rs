//! Signatures of images in registries: put beside an image, and found again, in both of the places where cosign keeps
//! them: under a tag made of the image's digest, and as a manifest that refers to the image (OCI 1.1).

use attest::key::{SigningKey, VerifyingKey};
use attest::signature::{ARTIFACT_TYPE, PAYLOAD_LIMIT, PAYLOAD_TYPE, Signed, config, manifest, tag, verify};
use bytes::Bytes;
use oci::{Descriptor, Digest, Index, Manifest, ManifestOrIndex, MediaType, Raw, Reference};
use registry::{BlobSource, Client};
use serde_json::Value;

use crate::{Error, Result};

/// What refers to an image and holds a signature in a form of sigstore's that is not understood here.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";

/// Manifests of signatures that are looked at, at most: anybody who may push can add to them.
const MOST: usize = 100;

/// Where a signature was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedAt {
    /// This key has signed the image before, and nothing was changed.
    Before,
    /// It is there now.
    Now,
}

/// Signs an image that is in a registry: the manifest or index that has this descriptor.
pub async fn sign(
    client: &Client,
    image: &Reference,
    descriptor: &Descriptor,
    key: &SigningKey,
) -> Result<SignedAt> {
    let repository = image.name();
    let signed = attest::signature::sign(key, &repository, descriptor.digest)
        .map_err(|error| Error::new(error.to_string()))?;
    let public = key.verifying_key();
    let mut outcome = SignedAt::Before;

    let tagged = image.with_tag(&tag(descriptor.digest));
    let mut layers = layers_of(client, &tagged).await?;
    if !any_by(client, image, &layers, &public, descriptor.digest).await? {
        layers.push(signed.descriptor.clone());
        let document = put_blobs(client, image, &signed, &layers, None).await?;
        client.push_manifest(&tagged, &MediaType::OciManifest, document.bytes().to_vec()).await?;
        outcome = SignedAt::Now;
    }

    let at_digest = image.at(descriptor.digest);
    let mut referring = Vec::new();
    for found in client.referrers(&at_digest, Some(ARTIFACT_TYPE)).await?.iter().take(MOST) {
        referring.extend(layers_of(client, &image.at(found.digest)).await?);
    }
    if !any_by(client, image, &referring, &public, descriptor.digest).await? {
        let layers = [signed.descriptor.clone()];
        let document = put_blobs(client, image, &signed, &layers, Some(descriptor.clone())).await?;
        let bytes = document.bytes().to_vec();
        client.push_manifest(&image.at(document.digest()), &MediaType::OciManifest, bytes).await?;
        list_referrer(client, &at_digest, descriptor.digest, &document).await?;
        outcome = SignedAt::Now;
    }
    Ok(outcome)
}

/// Brings what a manifest of signatures needs; that manifest.
async fn put_blobs(
    client: &Client,
    image: &Reference,
    signed: &Signed,
    layers: &[Descriptor],
    subject: Option<Descriptor>,
) -> Result<Raw<Manifest>> {
    let config = config(layers);
    let document = Raw::write(manifest(layers.to_vec(), &config, subject));
    let payload = BlobSource::Bytes(Bytes::copy_from_slice(&signed.payload));
    client.push_blob(image, &signed.descriptor, &payload, &[]).await?;
    client.push_blob(image, &document.value().config, &BlobSource::Bytes(config.into()), &[]).await?;
    Ok(document)
}

/// A registry that does not list what refers to an image leaves that to clients: an index under a tag made of the
/// image's digest (distribution-spec, "Referrers Tag Schema").
async fn list_referrer(
    client: &Client,
    at_digest: &Reference,
    digest: Digest,
    document: &Raw<Manifest>,
) -> Result<()> {
    let listed = client.referrers(at_digest, None).await?;
    if listed.iter().any(|descriptor| descriptor.digest == document.digest()) {
        return Ok(());
    }
    let tagged = at_digest.with_tag(&format!("{}-{}", digest.algorithm(), digest.hex()));
    let mut index = match client.manifest(&tagged).await {
        Ok(ManifestOrIndex::Index(index)) => index.into_value(),
        Ok(ManifestOrIndex::Manifest(_)) => {
            return Err(Error::new(format!("{tagged} is no index of what refers to the image")));
        }
        Err(error) if error.is_not_found() => Index::new(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut descriptor = Descriptor::of(MediaType::OciManifest, document);
    descriptor.artifact_type = Some(ARTIFACT_TYPE.to_owned());
    index.manifests.push(descriptor);
    let index = Raw::write(index);
    client.push_manifest(&tagged, &MediaType::OciIndex, index.bytes().to_vec()).await?;
    Ok(())
}

/// The layers of a manifest of signatures; none if it is not there.
async fn layers_of(client: &Client, reference: &Reference) -> Result<Vec<Descriptor>> {
    match client.manifest(reference).await {
        Ok(ManifestOrIndex::Manifest(manifest)) => Ok(manifest.into_value().layers),
        Ok(ManifestOrIndex::Index(_)) => {
            Err(Error::new(format!("{reference} is an index, and no manifest of signatures")))
        }
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// True if one of these signatures is of this image and by this key.
async fn any_by(
    client: &Client,
    image: &Reference,
    layers: &[Descriptor],
    key: &VerifyingKey,
    digest: Digest,
) -> Result<bool> {
    let mut why = Vec::new();
    Ok(!check(client, image, layers, key, digest, &mut why).await?.is_empty())
}

/// The texts of those signatures that are right; `why` gets what is wrong with the others.
async fn check(
    client: &Client,
    image: &Reference,
    layers: &[Descriptor],
    key: &VerifyingKey,
    digest: Digest,
    why: &mut Vec<String>,
) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    for layer in layers.iter().filter(|layer| layer.media_type.as_str() == PAYLOAD_TYPE).take(MOST) {
        let payload = client.blob_bytes(image, layer, PAYLOAD_LIMIT).await?;
        match verify(key, layer, &payload, digest) {
            Ok(value) => found.push(value),
            Err(error) => why.push(error.to_string()),
        }
    }
    Ok(found)
}

/// An image that is signed.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Which one: what a tag meant when it was looked up.
    pub digest: Digest,
    /// The texts that were signed, with what their signers have added.
    pub payloads: Vec<Value>,
}

/// Finds the signatures of an image; an error if none of them is by this key.
pub async fn verify_image(client: &Client, image: &Reference, key: &VerifyingKey) -> Result<Verified> {
    let digest = client.head_manifest(image).await?.digest;
    let at_digest = image.at(digest);
    let mut layers = layers_of(client, &image.with_tag(&tag(digest))).await?;
    let referrers = client.referrers(&at_digest, None).await?;
    let is_ours = |descriptor: &&Descriptor| descriptor.artifact_type.as_deref() == Some(ARTIFACT_TYPE);
    for found in referrers.iter().filter(is_ours).take(MOST) {
        layers.extend(layers_of(client, &image.at(found.digest)).await?);
    }
    let mut why = Vec::new();
    let mut payloads: Vec<Value> = Vec::new();
    for payload in check(client, image, &layers, key, digest, &mut why).await? {
        // Either place has it.
        if !payloads.contains(&payload) {
            payloads.push(payload);
        }
    }
    if payloads.is_empty() {
        let is_bundle = |kind: &Option<String>| kind.as_deref().is_some_and(|kind| kind.starts_with(BUNDLE));
        let bundles = referrers.iter().filter(|found| is_bundle(&found.artifact_type)).count();
        why.sort();
        why.dedup();
        let mut text = match (layers.len(), why.is_empty()) {
            (0, _) | (_, true) => format!("{at_digest} has no signature"),
            (1, _) => format!("the signature of {at_digest} is not valid: {}", why.join("; ")),
            (count, _) => {
                format!("none of the {count} signatures of {at_digest} is valid: {}", why.join("; "))
            }
        };
        if bundles > 0 {
            text.push_str(&format!(
                "; {bundles} in sigstore's bundle format, which is not understood here, are passed over"
            ));
        }
        return Err(Error::new(text));
    }
    Ok(Verified { digest, payloads })
}
