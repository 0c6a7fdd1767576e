//! The machine: all that differs from one to the other. Numbers of calls come from `libc`; here are the calls that only
//! one has, the registers of a call, and what programs are like.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
mod x86_64_calls;

#[cfg(target_arch = "aarch64")]
pub(super) use aarch64::{
    AUDIT_ARCHITECTURE, ELF_MACHINE, EXIT_7, OLDER, PAGE_MAX, REFUSED, Registers, SERVED, newer,
};
#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::{AUDIT_ARCHITECTURE, ELF_MACHINE, EXIT_7, PAGE_MAX, Registers};
#[cfg(target_arch = "x86_64")]
pub(super) use x86_64_calls::{OLDER, REFUSED, SERVED, newer};
