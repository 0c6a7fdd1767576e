//! Registers: a call as the tracer sees it in a stopped thread, on x86-64.

use nix::libc::{self, user_regs_struct};
use nix::sys::ptrace;
use nix::unistd::Pid;
use rustix::io::Errno;

/// Bytes below the stack pointer that belong to the function that runs. System V ABI, "The Stack Frame"
const RED_ZONE: u64 = 128;

/// The length of the instruction that makes a call.
const SYSCALL: u64 = 2;

/// The registers of a stopped thread.
#[derive(Debug, Clone, Copy)]
pub(super) struct Registers(user_regs_struct);

impl Registers {
    pub(super) fn read(task: i32) -> Result<Self, Errno> {
        ptrace::getregs(Pid::from_raw(task)).map(Registers).map_err(|_| Errno::SRCH)
    }

    pub(super) fn write(&self, task: i32) -> Result<(), Errno> {
        ptrace::setregs(Pid::from_raw(task), self.0).map_err(|_| Errno::SRCH)
    }

    pub(super) fn number(&self) -> i64 {
        self.0.orig_rax.cast_signed()
    }

    pub(super) fn arguments(&self) -> [u64; 6] {
        [self.0.rdi, self.0.rsi, self.0.rdx, self.0.r10, self.0.r8, self.0.r9]
    }

    pub(super) fn set_arguments(&mut self, [a, b, c, d, e, f]: [u64; 6]) {
        (self.0.rdi, self.0.rsi, self.0.rdx, self.0.r10, self.0.r8, self.0.r9) = (a, b, c, d, e, f);
    }

    /// Makes it another call.
    pub(super) fn set_number(&mut self, number: i64) {
        self.0.orig_rax = number.cast_unsigned();
        self.0.rax = number.cast_unsigned();
    }

    /// Skips the call, which fails.
    pub(super) fn fail(&mut self, error: Errno) {
        self.0.orig_rax = u64::MAX;
        self.0.rax = i64::from(-error.raw_os_error()).cast_unsigned();
    }

    /// What the call has returned, once it has.
    pub(super) fn result(&self) -> u64 {
        self.0.rax
    }

    /// A call that a signal has interrupted before it was begun is to be made once more, whatever the signal's handler
    /// asks for: natively no signal interrupts it. False if there was none.
    pub(super) fn restart(&mut self) -> bool {
        // `ERESTARTSYS` and `ERESTARTNOINTR` of the kernel's `linux/errno.h`.
        const IF_ASKED: i64 = -512;
        const ALWAYS: i64 = -513;
        let interrupted = self.number() >= 0 && self.0.rax.cast_signed() == IF_ASKED;
        if interrupted {
            self.0.rax = ALWAYS.cast_unsigned();
        }
        interrupted
    }

    /// As they were before a call that has returned `result`.
    pub(super) fn after(&self, result: u64) -> Self {
        let mut registers = *self;
        registers.0.rax = result;
        // No call is to be restarted.
        registers.0.orig_rax = u64::MAX;
        registers
    }

    /// To make the same call again from its beginning.
    pub(super) fn again(&self) -> Self {
        let mut registers = *self;
        registers.0.rax = self.0.orig_rax;
        registers.0.rip -= SYSCALL;
        registers.0.orig_rax = u64::MAX;
        registers
    }

    /// The end of what is free below the stack.
    pub(super) fn below_stack(&self) -> u64 {
        self.0.rsp.saturating_sub(RED_ZONE)
    }

    /// The top of the stack.
    pub(super) fn stack(&self) -> u64 {
        self.0.rsp
    }

    /// Makes it a call for more memory. mmap(2)
    pub(super) fn map(&mut self, length: u64) {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        self.set_number(libc::SYS_mmap);
        self.set_arguments([0, length, protection as u64, flags as u64, u64::MAX, 0]);
    }

    /// Whether the call is a clone(2) whose child is in the same memory.
    pub(super) fn shares_memory(&self) -> bool {
        self.number() == libc::SYS_vfork
            || self.number() == libc::SYS_clone && self.arguments()[0] & libc::CLONE_VM as u64 != 0
    }
}
