//! Extended attributes: which of them belong to an image, and how they are read and set.
//!
//! A layer that we make holds `security.capability` and `user.*`. ACLs (`system.posix_acl_*`) stay out:
//! no other builder writes them, a default ACL on the work directory would get into every file made below
//! it, and the mode already holds their mask. `security.selinux`, `trusted.*` and the like belong to the
//! machine. So do the marks that overlayfs keeps under `trusted.overlay.` and `user.overlay.`, which are
//! neither read nor, when a layer brings them, set: they would change what the overlay shows.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

/// Attributes by full name.
pub(crate) type Xattrs = BTreeMap<Box<[u8]>, Box<[u8]>>;

pub(crate) const CAPABILITY: &[u8] = b"security.capability";

/// What overlayfs marks directories with, depending on its option `userxattr`.
const OVERLAY: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];

/// True for the attributes that we put in a layer.
pub(crate) fn is_kept(name: &[u8]) -> bool {
    (name == CAPABILITY || name.starts_with(b"user.")) && !is_overlay(name)
}

fn is_overlay(name: &[u8]) -> bool {
    OVERLAY.iter().any(|prefix| name.starts_with(prefix))
}

/// The attributes of a layer's entry that we would put in a layer, in their normal form.
pub(crate) fn kept(all: &Xattrs) -> Xattrs {
    let kept = all.iter().filter(|(name, _)| is_kept(name));
    kept.map(|(name, value)| (name.clone(), normal(name, value))).collect()
}

/// Reads the attributes that belong in a layer.
pub(crate) fn read(file: impl AsFd) -> io::Result<Xattrs> {
    let file = file.as_fd();
    let mut found = Xattrs::new();
    for name in names(file)? {
        if !is_kept(name.to_bytes()) {
            continue;
        }
        if let Some(value) = value(file, &name)? {
            found.insert(name.to_bytes().into(), normal(name.to_bytes(), &value));
        }
    }
    Ok(found)
}

/// What overlayfs has written on a directory or file of an upper directory, without the prefix.
pub(crate) fn overlay_mark(file: impl AsFd, mark: &str) -> io::Result<Option<Vec<u8>>> {
    for prefix in OVERLAY {
        let name = CString::new([prefix, mark.as_bytes()].concat())?;
        if let Some(value) = value(file.as_fd(), &name)? {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// Sets what a layer says, but for what cannot be set: because this filesystem does not hold it, because we
/// may not, or because the value is none. The tree has it all the same.
pub(crate) fn set(file: impl AsFd, xattrs: &Xattrs) -> io::Result<()> {
    for (name, value) in xattrs {
        let Ok(c_name) = CString::new(&**name) else { continue };
        if is_overlay(name) {
            continue;
        }
        match rustix::fs::fsetxattr(&file, &c_name, value, XattrFlags::empty()) {
            Ok(())
            | Err(
                Errno::PERM
                | Errno::ACCESS
                | Errno::OPNOTSUPP
                | Errno::INVAL
                | Errno::RANGE
                | Errno::TOOBIG
                | Errno::NOSPC,
            ) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Ok(())
}

/// Removes attributes that belong in a layer and that `xattrs` does not have.
pub(crate) fn remove_others(file: impl AsFd, xattrs: &Xattrs) -> io::Result<()> {
    for name in names(file.as_fd())? {
        if is_kept(name.to_bytes()) && !xattrs.contains_key(name.to_bytes()) {
            rustix::fs::fremovexattr(&file, &name)?;
        }
    }
    Ok(())
}

fn names(file: BorrowedFd<'_>) -> io::Result<Vec<CString>> {
    let list = grown(|buffer| rustix::fs::flistxattr(file, buffer))?.unwrap_or_default();
    let names = list.split(|&byte| byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| CString::new(name).expect("split at every NUL")).collect())
}

fn value(file: BorrowedFd<'_>, name: &CStr) -> io::Result<Option<Vec<u8>>> {
    grown(|buffer| rustix::fs::fgetxattr(file, name, buffer))
}

/// Calls with more and more room, up to what the kernel has at most (64 KiB). `None` if there is nothing, or
/// no attributes on this filesystem.
fn grown(call: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = vec![0; 256];
    loop {
        match call(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(Some(buffer));
            }
            Err(Errno::RANGE) if buffer.len() < 128 * 1024 => buffer.resize(buffer.len() * 4, 0),
            Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
            Err(other) => return Err(other.into()),
        }
    }
}

/// In a user namespace the kernel writes `security.capability` as version 3, which names the namespace's
/// root; an image has version 2 (`linux/capability.h`, `VFS_CAP_REVISION_3`).
fn normal(name: &[u8], value: &[u8]) -> Box<[u8]> {
    if name != CAPABILITY || value.len() != 24 || value[3] != 3 {
        return value.into();
    }
    let mut value: Box<[u8]> = value[..20].into();
    value[3] = 2;
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_in_a_layer() {
        for (name, expected) in [
            ("security.capability", true),
            ("user.mime_type", true),
            ("user.overlay.opaque", false),
            ("trusted.overlay.opaque", false),
            ("system.posix_acl_access", false),
            ("security.selinux", false),
        ] {
            assert_eq!(is_kept(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn capabilities_have_one_form() {
        let mut third = vec![1, 0, 0, 3];
        third.extend([7; 16]);
        third.extend(100_000u32.to_le_bytes());
        let mut second = vec![1, 0, 0, 2];
        second.extend([7; 16]);
        assert_eq!(*normal(CAPABILITY, &third), *second);
        assert_eq!(*normal(CAPABILITY, &second), *second);
        assert_eq!(*normal(b"user.x", &third), *third);
    }
}
