//! Run one process inside a root: the isolations, and the probe that chooses among them.
//!
//! ```no_run
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     sandbox::init_if_asked(); // first: this program is also started as its own helper
//!     let isolation = sandbox::choose(&sandbox::Choice::ALL, "/workspace".as_ref())?; // before any thread
//!     sandbox::protect_self()?;
//!     println!("RUN works by {}", isolation.name());
//!     Ok(())
//! }
//! ```
//!
//! [`Isolation::run`] never forks the program it is called in. It starts `/proc/self/exe` again with an empty
//! environment, sends it the [`Process`] over a socket, and that *helper*, which has one thread and knows nothing
//! else, makes the namespaces or the chroot, starts the process and stays until the last descendant is gone.
//!
//! ```text
//! program -- socket --> helper: unshare, mount, pivot_root --> supervisor: reap, forward signals --> the process
//! ```

mod cancel;
mod chroot;
mod failure;
mod helper;
mod isolation;
mod job;
mod launch;
mod memory;
mod mount;
mod namespaces;
mod probe;
mod process;
mod protect;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod supervised;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[path = "supervised/elsewhere.rs"]
mod supervised;
mod supervision;
mod sys;
mod trace;
mod user_namespace;

pub use cancel::Cancel;
pub use chroot::Chroot;
pub use failure::Failure;
pub use helper::init_if_asked;
pub use isolation::{ExecError, ExecErrorKind, Isolation, RootFiles, RootShape, RunError};
pub use memory::share_memory;
pub use mount::{Mount, Secret, Writes};
pub use namespaces::{Namespaces, NamespacesPlan, OverlayPlan};
pub use probe::{Choice, ChooseError, Probe, Refusal, choose, probe};
pub use process::{Exit, Network, Process, Stream, User};
pub use protect::protect_self;
#[cfg(fuzzing)]
pub use supervised::fuzzing;
pub use supervision::Supervised;
pub use trace::{ServedCalls, Trace};
