//! aarch64: a call as the tracer sees it in a stopped thread, and what the kernel calls the machine. Of the older calls
//! it has but those whose newer form has flags.

use nix::libc::{self, user_regs_struct};
use nix::sys::ptrace;
use nix::unistd::Pid;
use rustix::io::Errno;

use crate::supervised::calls::{FCHMODAT2, Served};
use crate::sys::trace;

/// `AUDIT_ARCH_AARCH64`: the calls of 32-bit programs have other numbers. `linux/audit.h`
pub(in crate::supervised) const AUDIT_ARCHITECTURE: u32 = 0xC000_00B7;

/// `EM_AARCH64`. elf(5)
pub(in crate::supervised) const ELF_MACHINE: u16 = 183;

/// The largest page that programs have to reckon with.
pub(in crate::supervised) const PAGE_MAX: u64 = 0x1_0000;

/// `mov x0, #7; mov x8, #93 (exit); svc #0`
pub(in crate::supervised) const EXIT_7: [u8; 12] =
    [0xe0, 0x00, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4];

/// Every call that is another in an older form.
pub(in crate::supervised) const OLDER: &[i64] =
    &[libc::SYS_faccessat, libc::SYS_fchmodat, libc::SYS_renameat];

/// Calls that exist on this machine alone and are no other call.
pub(in crate::supervised) const SERVED: &[(&str, i64, Served)] = &[];

/// Calls of this machine alone that are refused.
pub(in crate::supervised) const REFUSED: &[i64] = &[];

/// The newer form of a call.
pub(in crate::supervised) fn newer(number: i64, [a, b, c, d, e, f]: [u64; 6]) -> (i64, [u64; 6]) {
    match number {
        libc::SYS_faccessat => (libc::SYS_faccessat2, [a, b, c, 0, 0, 0]),
        libc::SYS_fchmodat => (FCHMODAT2, [a, b, c, 0, 0, 0]),
        libc::SYS_renameat => (libc::SYS_renameat2, [a, b, c, d, 0, 0]),
        _ => (number, [a, b, c, d, e, f]),
    }
}

/// The length of the instruction that makes a call.
const SYSCALL: u64 = 4;

/// No call. What is in its place in the registers is what it has returned.
const NONE: i32 = -1;

/// The registers of a stopped thread.
#[derive(Debug, Clone, Copy)]
pub(in crate::supervised) struct Registers {
    general: user_regs_struct,
    /// The number of the call, which the kernel keeps apart from the register that it came in.
    call: i32,
}

impl Registers {
    pub(in crate::supervised) fn read(task: i32) -> Result<Self, Errno> {
        let general = ptrace::getregs(Pid::from_raw(task)).map_err(|_| Errno::SRCH)?;
        let call = trace::call(task).map_err(|_| Errno::SRCH)?;
        Ok(Registers { general, call })
    }

    pub(in crate::supervised) fn write(&self, task: i32) -> Result<(), Errno> {
        ptrace::setregs(Pid::from_raw(task), self.general).map_err(|_| Errno::SRCH)?;
        trace::set_call(task, self.call).map_err(|_| Errno::SRCH)
    }

    pub(in crate::supervised) fn number(&self) -> i64 {
        // After a signal of the filter's it is in its register alone.
        if self.call == NONE { self.general.regs[8].cast_signed() } else { self.call.into() }
    }

    pub(in crate::supervised) fn arguments(&self) -> [u64; 6] {
        let [a, b, c, d, e, f, ..] = self.general.regs;
        [a, b, c, d, e, f]
    }

    pub(in crate::supervised) fn set_arguments(&mut self, arguments: [u64; 6]) {
        self.general.regs[..6].copy_from_slice(&arguments);
    }

    /// Makes it another call.
    pub(in crate::supervised) fn set_number(&mut self, number: i64) {
        self.call = i32::try_from(number).expect("system call numbers are small");
        self.general.regs[8] = number.cast_unsigned();
    }

    /// Skips the call, which fails.
    pub(in crate::supervised) fn fail(&mut self, error: Errno) {
        self.call = NONE;
        self.general.regs[0] = i64::from(-error.raw_os_error()).cast_unsigned();
    }

    /// What the call has returned, once it has.
    pub(in crate::supervised) fn result(&self) -> u64 {
        self.general.regs[0]
    }

    /// A call that a signal has interrupted before it was begun: here the kernel has prepared to make it once more before
    /// it tells of the signal, unless the signal's handler asks for the opposite; so there is nothing to change.
    #[expect(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "on other machines there is")]
    pub(in crate::supervised) fn restart(&mut self) -> bool {
        false
    }

    /// A call that was interrupted looks like one that is about to be made.
    pub(in crate::supervised) const TELL_INTERRUPTED: bool = false;

    /// Whether a signal has interrupted the call whose instruction ends here: the kernel has gone back to its beginning.
    pub(in crate::supervised) fn is_interrupted_before(&self, instruction: u64) -> bool {
        self.call == NONE && self.general.pc + SYSCALL == instruction
    }

    /// The call that was interrupted returns this.
    pub(in crate::supervised) fn answered(&self, result: u64) -> Self {
        let mut registers = self.after(result);
        registers.general.pc += SYSCALL;
        registers
    }

    /// Whether a call that has returned is to be made once more after a signal: one of the numbers of the kernel's
    /// `linux/errno.h`.
    pub(in crate::supervised) fn is_to_be_made_again(&self) -> bool {
        (-516..=-512).contains(&self.general.regs[0].cast_signed())
    }

    /// As they were before a call that was interrupted and has returned with these. The kernel keeps the first argument
    /// elsewhere.
    pub(in crate::supervised) fn interrupted(&self, now: &Self) -> Self {
        let mut registers = *self;
        registers.general.regs[0] = now.general.regs[0];
        registers.call = now.call;
        registers
    }

    /// As they were before a call that has returned `result`.
    pub(in crate::supervised) fn after(&self, result: u64) -> Self {
        let mut registers = *self;
        registers.general.regs[0] = result;
        // No call is to be restarted.
        registers.call = NONE;
        registers
    }

    /// To make the same call again from its beginning.
    pub(in crate::supervised) fn again(&self) -> Self {
        let mut registers = *self;
        registers.general.pc -= SYSCALL;
        registers.call = NONE;
        registers
    }

    /// The end of what is free below the stack: below the pointer nothing is anybody's. Procedure Call Standard for the
    /// Arm 64-bit Architecture, "The Stack"
    pub(in crate::supervised) fn below_stack(&self) -> u64 {
        self.general.sp
    }

    /// The top of the stack.
    pub(in crate::supervised) fn stack(&self) -> u64 {
        self.general.sp
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
        self.number() == libc::SYS_clone && self.arguments()[0] & libc::CLONE_VM as u64 != 0
    }
}
