//! The supervisor: it answers the system calls of a `RUN` that take a path or ask who somebody is. It runs in the helper; see
//! `docs/decisions/0008-supervised-isolation.md`.

mod access;
mod area;
mod calls;
mod credentials;
mod directories;
mod done;
mod elf;
mod filter;
mod furnish;
#[cfg(fuzzing)]
pub mod fuzzing;
mod journal;
mod machine;
mod memory;
mod proc;
mod program;
mod resolve;
mod room;
mod run;
mod serve;
mod spot;
mod start;
mod supervisor;
mod tally;
mod task;
mod together;
mod tracer;

pub(crate) use run::{rehearse, run};
