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
    /// Its texts, by their addresses.
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
    /// Whether its caller has not got its descriptor, which only the same call once more can give it.
    pub(super) fn is_owed(&self) -> bool {
        matches!(self.answer, Given::Descriptor { .. })
    }

    /// Whether `call` is that.
    pub(super) fn is_made_again(&self, call: &Notification) -> bool {
        !self.is_taken && self.call.is_again(call) && self.says_the_same()
    }

    /// What a thread has not heard of this call, if it is the one that was interrupted.
    pub(super) fn unheard(&self, registers: &Registers) -> Option<u64> {
        let Given::Value(value) = self.answer else { return None };
        let call = &self.call;
        let is_it = call.number == registers.number()
            && call.arguments == registers.arguments()
            && registers.is_interrupted_before(call.instruction);
        // If the answer was heard, this is the next call, of which nobody knows yet: it says something else, unless the
        // same is said twice in a row, as by who goes upwards twice.
        let is_next = || !Registers::TELL_INTERRUPTED || self.goes_up() || !self.says_the_same();
        (is_it && !(self.is_taken && is_next())).then_some(value.cast_unsigned())
    }

    fn goes_up(&self) -> bool {
        self.words.iter().any(|(_, text)| text.to_bytes() == b"..")
    }

    /// Whether its texts are still what they were.
    fn says_the_same(&self) -> bool {
        let memory = Memory(self.call.task);
        self.words.iter().all(|(at, text)| memory.read_path(*at).is_ok_and(|now| now == *text))
    }
}
