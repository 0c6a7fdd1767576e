//! A repository at a reference as a directory, without the git program: an image made from scratch has none.
//!
//! HTTP and HTTPS, git's own protocol, and ssh by way of the ssh program, where there is one. Only the commit that is
//! asked for is fetched, without history, unless the server will not have that. Nothing of what a repository holds is
//! run: no hook, no filter, no command of `.gitmodules`; so a file that is stored by git-lfs is there as its pointer.
//! No configuration of this machine is read. A blob is held in memory while it is written, and so is the list of files.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use git::{Git, Location, Options, Request, Revision};
//!
//! let git = Git::new(Options::default())?;
//! let (location, _) = Location::parse("https://host.example/team/app.git")?;
//! let request = Request { revision: Revision::Name("v1.2".to_owned()), ..Request::new(location) };
//! let checkout = git.checkout(&request, "/var/tmp/app".as_ref(), std::future::pending()).await?;
//! println!("{} at {}", checkout.commit, checkout.path.display());
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod checkout;
mod client;
mod connect;
mod error;
mod fetch;
mod http;
mod location;
mod pipe;
mod repository;
mod request;
mod stop;
mod submodule;
mod tree;

pub use client::{Checkout, Git};
pub use error::{Error, ErrorKind};
pub use location::{Location, LocationError};
pub use request::{Authorization, Options, Request, Revision, Ssh, Times};
