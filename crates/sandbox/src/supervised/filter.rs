//! The filter: which calls of a RUN the kernel does, which are served, which are traced and which are refused. seccomp(2)

use nix::libc::{self, sock_filter};

use super::{calls, machine};

/// The newest call that we know (`mseal`, Linux 6.10). Later ones take paths in ways of their own; a program that gets
/// ENOSYS does without them. The numbers of the x32 interface are higher still.
const NEWEST: u32 = 462;

/// Calls that only their caller can make, after we have changed what they say.
pub(super) const TRACED: [(&str, i64); 6] = [
    ("execve", libc::SYS_execve),
    ("execveat", libc::SYS_execveat),
    ("bind", libc::SYS_bind),
    ("connect", libc::SYS_connect),
    ("getsockname", libc::SYS_getsockname),
    ("inotify_add_watch", libc::SYS_inotify_add_watch),
];

/// Calls for which a `RUN` has no right in any isolation, or which would lead past the supervisor.
const REFUSED: [i64; 49] = [
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_ptrace,
    libc::SYS_kcmp,
    libc::SYS_open_by_handle_at,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fsconfig,
    libc::SYS_fspick,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_mount_setattr,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_reboot,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_syslog,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_pidfd_getfd,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_vhangup,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    457, // statmount
    458, // listmount
];

/// Calls that a container's own filter refuses without a capability that we do not have, and that are served all the
/// same: of two filters' answers that of the trap counts more than an error's, which counts more than a notification's.
/// seccomp(2)
pub(super) const TRAPPED: [(&str, i64); 1] = [("chroot", libc::SYS_chroot)];

/// Calls that seem not to be there, so that programs take another way: clone3 has its flags where no filter can look.
const MISSING: [i64; 4] =
    [libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// Calls that succeed without doing anything, see `helper::no_sync`.
const SYNCS: [i64; 5] =
    [libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_sync, libc::SYS_syncfs, libc::SYS_sync_file_range];

/// The flags of clone(2) that would lead away from us: namespaces, and to be born untraced.
const NAMESPACES: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_UNTRACED;

/// fcntl(2)
const F_SETOWN_EX: u32 = 15;
/// `linux/prctl.h`
const PR_SCHED_CORE: u32 = 62;
/// `asm-generic/socket.h`
const SO_PASSPIDFD: u32 = 76;
const SO_PEERPIDFD: u32 = 77;
/// `linux/sockios.h`
const FIOSETOWN: u32 = 0x8901;
const SIOCSPGRP: u32 = 0x8902;

/// Offsets in `struct seccomp_data`; both halves of an argument are little-endian.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

/// The program, in the classic BPF of seccomp(2). A jump's two targets count the instructions to skip.
pub(super) fn filter() -> Vec<sock_filter> {
    let load = |offset| instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0);
    let answer = |action| instruction(libc::BPF_RET | libc::BPF_K, action, 0, 0);
    let if_equal = |value, yes, no| instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, yes, no);
    let if_above = |value, yes, no| instruction(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K, value, yes, no);
    let if_bit = |value, yes, no| instruction(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, value, yes, no);
    let fail = |errno: i32| libc::SECCOMP_RET_ERRNO | errno.cast_unsigned();
    let serve = libc::SECCOMP_RET_USER_NOTIF;

    let mut program = vec![
        load(ARCH),
        if_equal(machine::AUDIT_ARCHITECTURE, 1, 0),
        answer(fail(libc::ENOSYS)),
        load(NUMBER),
        if_above(NEWEST, 0, 1),
        answer(fail(libc::ENOSYS)),
    ];
    let mut on = |calls: &[i64], action| {
        for &call in calls {
            let number = u32::try_from(call).expect("system call numbers are small");
            program.extend([if_equal(number, 0, 1), answer(action)]);
        }
    };
    let about_another: &[i64] = &calls::ABOUT_A_TASK;
    let conditional = [&[libc::SYS_prctl, libc::SYS_sendto, libc::SYS_fcntl][..], about_another].concat();
    on(&TRAPPED.map(|(_, number)| number), libc::SECCOMP_RET_TRAP);
    let served = calls::SERVED.iter().map(|(_, number, _)| *number);
    let served: Vec<i64> = served.filter(|number| !conditional.contains(number)).collect();
    on(&served, serve);
    on(machine::OLDER, serve);
    on(&TRACED.map(|(_, number)| number), libc::SECCOMP_RET_TRACE);
    on(&REFUSED, fail(libc::EPERM));
    on(machine::REFUSED, fail(libc::EPERM));
    on(&MISSING, fail(libc::ENOSYS));
    on(&[libc::SYS_name_to_handle_at], fail(libc::EOPNOTSUPP));
    on(&SYNCS, fail(0));

    let number = |call: i64| u32::try_from(call).expect("system call numbers are small");
    for &call in about_another {
        program.extend([
            if_equal(number(call), 0, 4),
            load(argument(0)),
            if_equal(0, 1, 0),
            answer(serve),
            answer(libc::SECCOMP_RET_ALLOW),
        ]);
    }
    // What signals can be sent to the other end of a socket with, who may be the builder: pidfds, Linux 6.5.
    for (call, option) in [(libc::SYS_getsockopt, SO_PEERPIDFD), (libc::SYS_setsockopt, SO_PASSPIDFD)] {
        program.extend([
            if_equal(number(call), 0, 6),
            load(argument(1)),
            if_equal(libc::SOL_SOCKET.cast_unsigned(), 0, 3),
            load(argument(2)),
            if_equal(option, 0, 1),
            answer(fail(libc::ENOPROTOOPT)),
            answer(libc::SECCOMP_RET_ALLOW),
        ]);
    }
    program.extend([
        if_equal(number(libc::SYS_clone), 0, 4),
        load(argument(0)),
        if_bit(NAMESPACES.cast_unsigned(), 0, 1),
        answer(fail(libc::EPERM)),
        answer(libc::SECCOMP_RET_ALLOW),
        // msync with MS_ASYNC costs nothing, and is asked by stack unwinders to find out whether memory is mapped.
        if_equal(number(libc::SYS_msync), 0, 4),
        load(argument(2)),
        if_bit(libc::MS_SYNC.cast_unsigned(), 0, 1),
        answer(fail(0)),
        answer(libc::SECCOMP_RET_ALLOW),
        // Only with an address.
        if_equal(number(libc::SYS_sendto), 0, 6),
        load(argument(4)),
        if_equal(0, 0, 2),
        load(argument(4) + 4),
        if_equal(0, 1, 0),
        answer(serve),
        answer(libc::SECCOMP_RET_ALLOW),
        // Only whom a file sends signals to. The newer form of it, and the older one, have that where no filter can look.
        if_equal(number(libc::SYS_fcntl), 0, 6),
        load(argument(1)),
        if_equal(libc::F_SETOWN.cast_unsigned(), 0, 1),
        answer(serve),
        if_equal(F_SETOWN_EX, 0, 1),
        answer(fail(libc::EINVAL)),
        answer(libc::SECCOMP_RET_ALLOW),
        if_equal(number(libc::SYS_ioctl), 0, 5),
        load(argument(1)),
        if_equal(FIOSETOWN, 1, 0),
        if_equal(SIOCSPGRP, 0, 1),
        answer(fail(libc::EINVAL)),
        answer(libc::SECCOMP_RET_ALLOW),
        // As Docker answers who may not write to the machine's audit log; that EPERM is for root, programs do not expect.
        if_equal(number(libc::SYS_socket), 0, 6),
        load(argument(0)),
        if_equal(libc::AF_NETLINK.cast_unsigned(), 0, 3),
        load(argument(2)),
        if_equal(libc::NETLINK_AUDIT.cast_unsigned(), 0, 1),
        answer(fail(libc::EINVAL)),
        answer(libc::SECCOMP_RET_ALLOW),
        if_equal(number(libc::SYS_prctl), 1, 0),
        answer(libc::SECCOMP_RET_ALLOW),
        load(argument(0)),
        // It is about other processes.
        if_equal(PR_SCHED_CORE, 0, 1),
        answer(fail(libc::EINVAL)),
    ]);
    for option in calls::OPTIONS {
        program.extend([if_equal(option.cast_unsigned(), 0, 1), answer(serve)]);
    }
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    program
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: u16::try_from(code).expect("operation codes have 16 bits"), jt, jf, k }
}
