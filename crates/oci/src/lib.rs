//! The vocabulary of OCI images, as the [image spec] and the [distribution spec] define it.
//!
//! Values only: nothing here opens a file or a socket. What came from outside and was hashed keeps
//! its bytes beside its parsed form ([`Raw`]), and only those bytes are ever sent on.
//!
//! [image spec]: https://github.com/opencontainers/image-spec
//! [distribution spec]: https://github.com/opencontainers/distribution-spec
#![forbid(unsafe_code)]

mod config;
mod digest;
mod manifest;
mod media_type;
mod platform;
mod raw;
mod reference;

pub use config::{Config, Healthcheck, History, ImageConfig, RootFs};
pub use digest::{DiffId, Digest, DigestError, Hasher};
pub use manifest::{Descriptor, Index, Manifest, ManifestError, ManifestOrIndex};
pub use media_type::{Compression, ImageFormat, MediaType};
pub use platform::{Platform, PlatformError};
pub use raw::Raw;
pub use reference::{Reference, ReferenceError, Target};
