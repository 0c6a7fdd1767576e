//! x86-64: a call as the tracer sees it in a stopped thread, and what the kernel calls the machine.

use nix::libc::{self, user_regs_struct};
use nix::sys::ptrace;
use nix::unistd::Pid;
use rustix::io::Errno;

/// `AUDIT_ARCH_X86_64`: the calls of 32-bit programs have other numbers. `linux/audit.h`
pub(in crate::supervised) const AUDIT_ARCHITECTURE: u32 = 0xC000_003E;

/// `EM_X86_64`. elf(5)
pub(in crate::supervised) const ELF_MACHINE: u16 = 62;

/// The largest page that programs have to reckon with.
pub(in crate::supervised) const PAGE_MAX: u64 = 0x1000;

/// `mov edi, 7; mov eax, 60 (exit); syscall`
pub(in crate::supervised) const EXIT_7: [u8; 12] = [0xbf, 7, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05];

/// Bytes below the stack pointer that belong to the function that runs. System V ABI, "The Stack Frame"
const RED_ZONE: u64 = 128;

/// The length of the instruction that makes a call.
const SYSCALL: u64 = 2;

/// `ERESTARTSYS` and `ERESTARTNOINTR` of the kernel's `linux/errno.h`.
const RESTART_IF_ASKED: i64 = -512;
const RESTART_ALWAYS: i64 = -513;

/// The registers of a stopped thread.
#[derive(Debug, Clone, Copy)]
pub(in crate::supervised) struct Registers(user_regs_struct);

impl Registers {
    pub(in crate::supervised) fn read(task: i32) -> Result<Self, Errno> {
        ptrace::getregs(Pid::from_raw(task)).map(Registers).map_err(|_| Errno::SRCH)
    }

    pub(in crate::supervised) fn write(&self, task: i32) -> Result<(), Errno> {
        ptrace::setregs(Pid::from_raw(task), self.0).map_err(|_| Errno::SRCH)
    }

    pub(in crate::supervised) fn number(&self) -> i64 {
        self.0.orig_rax.cast_signed()
    }

    pub(in crate::supervised) fn arguments(&self) -> [u64; 6] {
        [self.0.rdi, self.0.rsi, self.0.rdx, self.0.r10, self.0.r8, self.0.r9]
    }

    pub(in crate::supervised) fn set_arguments(&mut self, [a, b, c, d, e, f]: [u64; 6]) {
        (self.0.rdi, self.0.rsi, self.0.rdx, self.0.r10, self.0.r8, self.0.r9) = (a, b, c, d, e, f);
    }

    /// Makes it another call.
    pub(in crate::supervised) fn set_number(&mut self, number: i64) {
        self.0.orig_rax = number.cast_unsigned();
        self.0.rax = number.cast_unsigned();
    }

    /// Skips the call, which fails.
    pub(in crate::supervised) fn fail(&mut self, error: Errno) {
        self.0.orig_rax = u64::MAX;
        self.0.rax = i64::from(-error.raw_os_error()).cast_unsigned();
    }

    /// What the call has returned, once it has.
    pub(in crate::supervised) fn result(&self) -> u64 {
        self.0.rax
    }

    /// A call that was interrupted can be told from one that is about to be made.
    pub(in crate::supervised) const TELL_INTERRUPTED: bool = true;

    /// Whether a signal has interrupted the call that it is in.
    fn is_interrupted(&self) -> bool {
        self.number() >= 0 && self.0.rax.cast_signed() == RESTART_IF_ASKED
    }

    /// A call that a signal has interrupted before it was begun is to be made once more, whatever the signal's handler
    /// asks for: natively no signal interrupts it. False if there was none.
    pub(in crate::supervised) fn restart(&mut self) -> bool {
        let interrupted = self.is_interrupted();
        if interrupted {
            self.0.rax = RESTART_ALWAYS.cast_unsigned();
        }
        interrupted
    }

    /// Whether a signal has interrupted the call whose instruction ends here.
    pub(in crate::supervised) fn is_interrupted_before(&self, instruction: u64) -> bool {
        self.is_interrupted() && self.0.rip == instruction
    }

    /// The call that was interrupted returns this.
    pub(in crate::supervised) fn answered(&self, result: u64) -> Self {
        self.after(result)
    }

    /// Whether a call that has returned is to be made once more after a signal: one of the numbers of the kernel's
    /// `linux/errno.h`.
    pub(in crate::supervised) fn is_to_be_made_again(&self) -> bool {
        (-516..=-512).contains(&self.0.rax.cast_signed())
    }

    /// As they were before a call that was interrupted and has returned with these.
    pub(in crate::supervised) fn interrupted(&self, now: &Self) -> Self {
        let mut registers = *self;
        registers.0.rax = now.0.rax;
        registers
    }

    /// As they were before a call that has returned `result`.
    pub(in crate::supervised) fn after(&self, result: u64) -> Self {
        let mut registers = *self;
        registers.0.rax = result;
        // No call is to be restarted.
        registers.0.orig_rax = u64::MAX;
        registers
    }

    /// To make the same call again from its beginning.
    pub(in crate::supervised) fn again(&self) -> Self {
        let mut registers = *self;
        registers.0.rax = self.0.orig_rax;
        registers.0.rip -= SYSCALL;
        registers.0.orig_rax = u64::MAX;
        registers
    }

    /// The end of what is free below the stack.
    pub(in crate::supervised) fn below_stack(&self) -> u64 {
        self.0.rsp.saturating_sub(RED_ZONE)
    }

    /// The top of the stack.
    pub(in crate::supervised) fn stack(&self) -> u64 {
        self.0.rsp
    }

    /// Makes it a call for more memory. mmap(2)
    pub(in crate::supervised) fn map(&mut self, length: u64) {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        self.set_number(libc::SYS_mmap);
        self.set_arguments([0, length, protection as u64, flags as u64, u64::MAX, 0]);
    }

    /// Whether the call is a clone(2) whose child is in the same memory.
    pub(in crate::supervised) fn shares_memory(&self) -> bool {
        self.number() == libc::SYS_vfork
            || self.number() == libc::SYS_clone && self.arguments()[0] & libc::CLONE_VM as u64 != 0
    }
}
