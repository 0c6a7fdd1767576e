//! Structs that the kernel fills or reads, as bytes: what goes to and comes from the memory of another process.

use std::mem::MaybeUninit;

use nix::libc;

/// A struct of integers without a byte of padding that matters: any bytes are a valid value of it.
///
/// # Safety
///
/// Implementors hold integers alone, in `repr(C)`.
pub(crate) unsafe trait Plain: Copy + Sized {}

// SAFETY: structs of the kernel's interface, which consist of integers.
unsafe impl Plain for libc::stat {}
// SAFETY: as above.
unsafe impl Plain for libc::statx {}
// SAFETY: as above.
unsafe impl Plain for libc::statfs {}
// SAFETY: as above.
unsafe impl Plain for libc::timespec {}
// SAFETY: two of them.
unsafe impl Plain for [libc::timespec; 2] {}
// SAFETY: as above.
unsafe impl Plain for libc::timeval {}
// SAFETY: as above.
unsafe impl Plain for libc::utimbuf {}
// SAFETY: as above.
unsafe impl Plain for libc::open_how {}
// SAFETY: an integer.
unsafe impl Plain for u32 {}
// SAFETY: an integer.
unsafe impl Plain for u64 {}
// SAFETY: integers.
unsafe impl<const N: usize> Plain for [u32; N] {}

/// The value whose bytes these are, if there are enough of them.
pub(crate) fn from_bytes<T: Plain>(bytes: &[u8]) -> Option<T> {
    if bytes.len() < size_of::<T>() {
        return None;
    }
    // SAFETY: there are as many bytes as are read, their alignment does not matter, and any of them make a `T`.
    Some(unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast()) })
}

/// The bytes of a value.
pub(crate) fn to_bytes<T: Plain>(value: &T) -> Vec<u8> {
    let mut bytes = vec![0; size_of::<T>()];
    // SAFETY: source and target are live, do not overlap, and have this length; padding is copied as it is, into a
    // buffer that was initialised.
    unsafe { std::ptr::copy_nonoverlapping((&raw const *value).cast(), bytes.as_mut_ptr(), bytes.len()) };
    bytes
}

/// `stat(2)`'s and its kin's answers in the kernel's own form, which the caller's memory is to hold.
pub(crate) fn stat_at(
    directory: std::os::fd::BorrowedFd<'_>,
    path: &std::ffi::CStr,
    flags: i32,
) -> std::io::Result<libc::stat> {
    use std::os::fd::AsRawFd;
    let mut stat = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: the path is a C string and the struct is live; on success the kernel has filled it.
    super::check(unsafe {
        libc::syscall(libc::SYS_newfstatat, directory.as_raw_fd(), path.as_ptr(), stat.as_mut_ptr(), flags)
    })?;
    // SAFETY: it was zeroed, which is valid, and then filled.
    Ok(unsafe { stat.assume_init() })
}

/// As [`stat_at`], for statx(2).
pub(crate) fn statx_at(
    directory: std::os::fd::BorrowedFd<'_>,
    path: &std::ffi::CStr,
    flags: i32,
    mask: u32,
) -> std::io::Result<libc::statx> {
    use std::os::fd::AsRawFd;
    let mut statx = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: as above.
    super::check(unsafe {
        libc::syscall(libc::SYS_statx, directory.as_raw_fd(), path.as_ptr(), flags, mask, statx.as_mut_ptr())
    })?;
    // SAFETY: as above.
    Ok(unsafe { statx.assume_init() })
}

/// What a statx(2) with `STATX_BASIC_STATS` says, as far as stat(2) says it too; of its times only the seconds.
pub(crate) fn stat_of_statx(statx: &libc::statx) -> libc::stat {
    let mut stat = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: all zeroes is a valid value of this struct of integers.
    let stat_fields = unsafe { stat.assume_init_mut() };
    stat_fields.st_dev = rustix::fs::makedev(statx.stx_dev_major, statx.stx_dev_minor);
    stat_fields.st_rdev = rustix::fs::makedev(statx.stx_rdev_major, statx.stx_rdev_minor);
    stat_fields.st_ino = statx.stx_ino;
    stat_fields.st_mode = statx.stx_mode.into();
    (stat_fields.st_uid, stat_fields.st_gid) = (statx.stx_uid, statx.stx_gid);
    stat_fields.st_size = statx.stx_size.cast_signed();
    *stat_fields
}

/// As [`stat_at`], for fstatfs(2).
pub(crate) fn stat_filesystem(file: std::os::fd::BorrowedFd<'_>) -> std::io::Result<libc::statfs> {
    use std::os::fd::AsRawFd;
    let mut statfs = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: as above.
    super::check(unsafe { libc::syscall(libc::SYS_fstatfs, file.as_raw_fd(), statfs.as_mut_ptr()) })?;
    // SAFETY: as above.
    Ok(unsafe { statfs.assume_init() })
}

/// inotify_add_watch(2) and the like want numbers that no crate passes on unchanged: utimensat(2) on a path of ours,
/// with the flags of the caller.
pub(crate) fn set_times(
    directory: std::os::fd::BorrowedFd<'_>,
    path: &std::ffi::CStr,
    times: Option<&[libc::timespec; 2]>,
    flags: i32,
) -> std::io::Result<()> {
    use std::os::fd::AsRawFd;
    let times = times.map_or(std::ptr::null(), |times| times.as_ptr());
    // SAFETY: the path is a C string; the times are two live structs, or null, which means now.
    super::check(unsafe {
        libc::syscall(libc::SYS_utimensat, directory.as_raw_fd(), path.as_ptr(), times, flags)
    })
}
