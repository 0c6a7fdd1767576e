//! Which credentials belong to which registry: one chain of files, variables, helpers and clouds.
//!
//! A [`Keychain`] has sources in an order. For a repository it lists the [`Match`]es, best first, and answers each when
//! it is asked to: a file at once, a helper program by running it, a cloud by asking it. What a registry refuses is no
//! reason to give up as long as there is another match. [`chain`] makes the keychain that the command line uses.
#![forbid(unsafe_code)]

mod acr;
mod chain;
mod credential;
mod docker_config;
mod ecr;
mod error;
mod files;
mod helper;
mod hosts;
mod key;
mod keychain;
mod native;

pub use chain::{Chain, ChainOptions, Helper, chain};
pub use cloud::Environment;
pub use credential::Credential;
pub use error::{AnswerError, KeychainError};
pub use keychain::{Answer, Keychain, Match};
