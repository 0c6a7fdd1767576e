//! Done: the last call that was done for a thread, which must not be done again though its answer was lost.
//!
//! A signal interrupts a caller that waits for us, and the kernel has it make the call once more: a second mkdir(2) finds what
//! the first has made. Since Linux 5.19 the kernel can be asked not to do so once a call was received; but up to Linux 6.16
//! a signal that comes together with the answer is still the stronger. So it is remembered what the answer was. The tracer,
//! who sees each thread that is about to get a signal, gives it to the one whose call was interrupted.

use std::ffi::CString;
use std::os::fd::OwnedFd;

use super::machine::Registers;
use super::memory::Memory;
use crate::sys::notify::Notification;

/// A call that was done.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) call: Notification,
    pub(super) answer: Given,
    /// The kernel has taken the answer, and may have lost it all the same.
    pub(super) is_taken: bool,
    /// Its paths, by their addresses.
    pub(super) words: Vec<(u64, CString)>,
}

/// An answer, or as much of it as could be given.
#[derive(Debug)]
pub(super) enum Given {
    /// What the call returns, as the kernel has it: below 0 an error.
    Value(i64),
    /// A descriptor that the caller has not got yet.
    Descriptor { fd: OwnedFd, close_on_exec: bool },
}

impl Done {
    /// What a thread has not heard of this call, if it is the one that was interrupted.
    pub(super) fn unheard(&self, task: i32, registers: &Registers) -> Option<u64> {
        let Given::Value(value) = self.answer else { return None };
        let call = &self.call;
        let is_it = call.number == registers.number()
            && call.arguments == registers.arguments()
            && registers.is_interrupted_before(call.instruction);
        // If the answer was heard, this is the next call, of which nobody knows yet: it says something else, unless the
        // same is said twice in a row.
        let says_the_same = || {
            let is_same =
                |(at, text): &(u64, CString)| Memory(task).read_path(*at).is_ok_and(|now| now == *text);
            Registers::TELL_INTERRUPTED && self.words.iter().all(is_same)
        };
        (is_it && (!self.is_taken || says_the_same())).then_some(value.cast_unsigned())
    }
}
