//! A file over HTTP or HTTPS, into a file below a directory that the caller gives.
//!
//! What comes is streamed: no buffer grows with the file. A download that breaks goes on where it broke if the server
//! can show that it is still the same file; else it begins again. The file has its name only once it is whole and its
//! checksum was found right; a download that fails, or whose future is dropped, leaves nothing.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use download::{Downloader, Outcome, Request};
//!
//! let downloader = Downloader::new(transport::Network::default())?;
//! let request = Request::new("https://host.example/v1/tool.tar.gz")?;
//! if let Outcome::Fetched(fetched) = downloader.fetch(&request, std::path::Path::new("/var/tmp/work")).await? {
//!     println!("{} has {} bytes", fetched.path.display(), fetched.size);
//! }
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod authorize;
mod checksum;
mod downloader;
mod error;
mod name;
mod partial;
mod request;

pub use authorize::{Authorize, Authorizing};
pub use checksum::{Checksum, ChecksumError};
pub use downloader::{Downloader, Fetched, Outcome, Validators};
pub use error::{Error, ErrorKind};
pub use name::file_name;
pub use request::{Progress, Request, UrlError};
