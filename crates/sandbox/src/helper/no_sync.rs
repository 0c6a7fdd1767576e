//! No sync: a filter under which fsync and its kin succeed at once.
//!
//! A root is a cache: if the machine stops during a `RUN`, the root is thrown away, whatever had reached the disk.
//! Package managers sync after every file, which is most of the time they take.

use nix::libc::{self, sock_filter};
use rustix::thread::{CapabilitySet, capabilities, no_new_privs};

use crate::sys;

/// The calls that return 0 without doing anything. `msync` is treated apart.
const SYNCS: [libc::c_long; 5] =
    [libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_sync, libc::SYS_syncfs, libc::SYS_sync_file_range];

/// `AUDIT_ARCH_*`: calls made in another ABI (32-bit programs) have other numbers and are left alone.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xC000_003E;
/// `AUDIT_ARCH_*`, see above.
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xC000_00B7;

/// Offsets in `struct seccomp_data`; both architectures are little-endian.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const THIRD_ARGUMENT: u32 = 32;

/// Installs the filter where that costs nothing else: without CAP_SYS_ADMIN it would need no_new_privs, which
/// breaks setuid programs. Where the kernel refuses it, the same is done, only slower.
pub(super) fn install() {
    let may = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN));
    if may || no_new_privs() == Ok(true) {
        let _ = sys::install_seccomp(&mut filter());
    }
}

/// The program, in the classic BPF of seccomp(2). A jump's two targets count the instructions to skip.
fn filter() -> Vec<sock_filter> {
    const DO_NOTHING: u32 = libc::SECCOMP_RET_ERRNO; // with error number 0: the call returns 0
    let load = |offset| instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0);
    let answer = |action| instruction(libc::BPF_RET | libc::BPF_K, action, 0, 0);
    let if_equal = |value, yes, no| instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, yes, no);
    let if_bit = |value, yes, no| instruction(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, value, yes, no);
    let number = |call: libc::c_long| u32::try_from(call).expect("system call numbers are small");

    let mut program =
        vec![load(ARCH), if_equal(ARCHITECTURE, 1, 0), answer(libc::SECCOMP_RET_ALLOW), load(NUMBER)];
    for call in SYNCS {
        program.extend([if_equal(number(call), 0, 1), answer(DO_NOTHING)]);
    }
    program.extend([
        // msync with MS_ASYNC costs nothing, and is asked by stack unwinders to find out whether memory is mapped.
        if_equal(number(libc::SYS_msync), 0, 3),
        load(THIRD_ARGUMENT),
        if_bit(libc::MS_SYNC.cast_unsigned(), 0, 1),
        answer(DO_NOTHING),
        answer(libc::SECCOMP_RET_ALLOW),
    ]);
    program
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: u16::try_from(code).expect("operation codes have 16 bits"), jt, jf, k }
}
