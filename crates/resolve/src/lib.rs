//! Image references in manifests: found by rules, resolved to digests, written back.
//!
//! What is done with which reference is what [kbld] does: its configuration, its search rules, its annotation and its
//! lock files. What it loses on the way (large integers, annotations, a second JSON object) is kept here.
//!
//! The steps are apart: an [`Inputs`] reads everything and holds it on disk, [`Inputs::references`] says what is
//! referred to, a [`Resolver`] finds the digests, and [`Inputs::print`] writes the documents with them. Nothing here
//! builds an image or prints; who can build says so as a [`Build`].
//!
//! [kbld]: https://carvel.dev/kbld/docs/latest/
#![forbid(unsafe_code)]

mod annotation;
mod config;
mod error;
mod fields;
mod git;
mod input;
mod inspect;
mod lock;
mod name;
mod origin;
mod output;
mod platform;
mod relocation;
mod resolver;
mod resource;
mod rules;
mod semver;

pub use annotation::IMAGES_ANNOTATION;
pub use config::{
    Builder, Config, Destination, DockerBuild, ImageMatch, Override, Pack, ProgramBuild, Source, TagSelection,
};
pub use error::{Error, indented};
pub use git::git_origin;
pub use input::{Document, Inputs};
pub use inspect::{Row, rows};
pub use lock::{image_map, images_lock, lock};
pub use name::{Name, is_plain_http, repository_part};
pub use origin::Origin;
pub use output::Printer;
pub use platform::PlatformSelection;
pub use relocation::{relocated, relocation_lock};
pub use resolver::{Build, Built, Job, Resolution, Resolver, ResolverOptions};
pub use resource::Resource;
pub use rules::{KeyMatcher, PathPart, Rule, Strategy, ValueMatcher};
