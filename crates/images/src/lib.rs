//! Images as wholes: copied from one place to another, and joined to indexes of several platforms.
//!
//! Manifests are carried as the bytes that they are, so what is copied keeps its digest. A blob goes from registry to
//! registry through memory at most, and is taken over within one registry where that can be asked for.
#![forbid(unsafe_code)]

mod archive;
mod bundle;
mod copy;
mod error;
mod hashed;
mod inspect;
mod join;
mod list;
mod location;
mod place;
mod signatures;
mod spec;
mod store;
mod tarball;
mod unpack;

pub use bundle::{BundleEvent, Bundled, kept_tag, package, relocate, unpackage};
pub use copy::{Selection, copy};
pub use error::{Error, Result};
pub use inspect::{Changes, FileSize, InspectedIndex, InspectedLayer, Inspection, Subject, Tally, inspect};
pub use join::{Members, Wanted, gather, gather_all, push};
pub use list::{ListType, is_known, render};
pub use location::Location;
pub use place::Place;
pub use signatures::{SignedAt, Verified, sign, verify_image};
pub use spec::{Spec, SpecPlatform};
pub use store::{Store, Stored};
pub use unpack::{ArchiveKind, unpack};
