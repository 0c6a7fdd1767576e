//! What is kept between builds.
//!
//! On this disk, a [`Store`]: what was got from registries, by digest. For other machines, a [`Repository`]: in
//! it are [`Record`]s of steps, which are found by [`Key`]s. Everything in either can be made again, so nothing
//! here is precious: what is damaged or missing costs time, never a build. Several builds may use one at once.
#![forbid(unsafe_code)]

mod inventory;
mod key;
mod listing;
mod mount;
mod pending;
mod prune;
mod record;
mod repository;
mod signature;
mod store;

pub use inventory::{Inventory, InventoryKind, inventory};
pub use key::{Domain, Input, KEY_VERSION, Key, KeyWriter};
pub use listing::{Entry, Listing};
pub use mount::KeptMount;
pub use pending::Pending;
pub use prune::{Keep, Prunable, prune};
pub use record::{
    EMPTY, INDEX_TYPE, RECORD_TYPE, Record, RecordError, RecordLayer, empty_config, indexes_manifest,
    list_manifest, parse_indexes,
};
pub use repository::{Location, Repository, RepositoryError};
pub use signature::{KeyFileError, SigningKey, VerifyingKey};
pub use store::Store;
