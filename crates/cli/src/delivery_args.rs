//! Flags on how an image gets to its registries and what is written of it. Builds and pushes have them alike.

use std::path::PathBuf;

use anyhow::{Result, bail};
use builder::{DigestFile, Outputs};
use clap::{Args, ValueEnum};
use oci::ImageFormat;

use crate::environment;
use crate::values::{given, path};

#[derive(Debug, Args)]
pub(crate) struct DeliveryArgs {
    /// Write the digest of the image to this file, once all is done; or to an https:// URL, by PUT.
    #[arg(long, value_name = "FILE")]
    pub(crate) digest_file: Option<String>,
    /// Write REPOSITORY@DIGEST of each destination to this file, once all is done.
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub(crate) image_name_with_digest_file: Option<PathBuf>,
    /// Write REPOSITORY:TAG@DIGEST of each destination to this file, once all is done.
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub(crate) image_name_tag_with_digest_file: Option<PathBuf>,
    /// The media types of manifest, config and layers. What `push` finds in an OCI layout has its own.
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "oci")]
    pub(crate) image_format: ImageFormatArg,
    /// Do not ask registries beforehand whether they would take the image.
    #[arg(long)]
    pub(crate) skip_push_permission_check: bool,
    /// Go on if a registry does not let a tag be moved: the image keeps the tag that it has there.
    #[arg(long)]
    pub(crate) push_ignore_immutable_tag_errors: bool,
}

/// The media types of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImageFormatArg {
    /// Those of the OCI image spec.
    Oci,
    /// Docker's.
    Docker,
}

impl DeliveryArgs {
    /// What they say of the outputs of an image with these `--destination`s.
    pub(crate) fn outputs(&self, destinations: &[String]) -> Result<Outputs> {
        let named = |flag, path| named_output(flag, path, destinations);
        Ok(Outputs {
            digest_file: digest_file(&self.digest_file)?,
            name_with_digest_file: named("--image-name-with-digest-file", &self.image_name_with_digest_file)?,
            name_tag_with_digest_file: named(
                "--image-name-tag-with-digest-file",
                &self.image_name_tag_with_digest_file,
            )?,
            builder_output: environment::builder_output(),
            format: match self.image_format {
                ImageFormatArg::Oci => ImageFormat::Oci,
                ImageFormatArg::Docker => ImageFormat::Docker,
            },
            skip_push_check: self.skip_push_permission_check,
            keep_immutable_tags: self.push_ignore_immutable_tag_errors,
            ..Outputs::default()
        })
    }
}

/// `--digest-file`: a file, or a URL to put it to.
fn digest_file(given_text: &Option<String>) -> Result<Option<DigestFile>> {
    match given(given_text) {
        None => Ok(None),
        Some(url) if url.starts_with("https://") || url.starts_with("http://") => {
            Ok(Some(DigestFile::Url(url)))
        }
        Some(path) => Ok(late_file("--digest-file", &Some(path.into()))?.map(DigestFile::Path)),
    }
}

/// A file with names of destinations, which there have to be.
fn named_output(flag: &str, path: &Option<PathBuf>, destinations: &[String]) -> Result<Option<PathBuf>> {
    let path = late_file(flag, path)?;
    if path.is_some() && destinations.is_empty() {
        bail!("{flag}: it is a list of destinations; give at least one --destination");
    }
    Ok(path)
}

/// A small file to be written at the end, with the directories on the way.
fn late_file(flag: &str, path: &Option<PathBuf>) -> Result<Option<PathBuf>> {
    let Some(path) = given(path) else { return Ok(None) };
    if path.is_dir() {
        bail!("{flag} {}: is a directory; give a file", path.display());
    }
    Ok(Some(path))
}
