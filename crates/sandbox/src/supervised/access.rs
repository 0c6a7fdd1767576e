//! Access: whether somebody may do something with a file, by its owner and mode as they are said to be.
//! path_resolution(7), "Permissions". ACLs are not asked.

use nix::libc;
use rustix::io::Errno;

use super::credentials::{Credentials, capability};

pub(super) const READ: u32 = 4;
pub(super) const WRITE: u32 = 2;
pub(super) const EXECUTE: u32 = 1;

/// Refuses what `who` may not do: some of [`READ`], [`WRITE`] and [`EXECUTE`].
pub(super) fn check(who: &Credentials, file: &libc::stat, wanted: u32) -> Result<(), Errno> {
    if may(who, file, wanted, who.uid.file, who.is_in_group(file.st_gid)) {
        Ok(())
    } else {
        Err(Errno::ACCESS)
    }
}

/// As [`check`], but for the real ids, as access(2) wants it.
pub(super) fn check_real(who: &Credentials, file: &libc::stat, wanted: u32) -> Result<(), Errno> {
    let mut real = who.clone();
    (real.uid.file, real.gid.file) = (who.uid.real, who.gid.real);
    // "If the real user is root the check is done with its permitted capabilities."
    real.effective = if who.uid.real == 0 { who.permitted } else { 0 };
    check(&real, file, wanted)
}

fn may(who: &Credentials, file: &libc::stat, wanted: u32, uid: u32, in_group: bool) -> bool {
    let shift = match () {
        () if uid == file.st_uid => 6,
        () if in_group => 3,
        () => 0,
    };
    if wanted & !(file.st_mode >> shift) & 7 == 0 {
        return true;
    }
    let is_directory = file.st_mode & libc::S_IFMT == libc::S_IFDIR;
    who.can(capability::DAC_OVERRIDE) && (wanted & EXECUTE == 0 || is_directory || file.st_mode & 0o111 != 0)
}

/// Whether `who` owns a file, or may act as if.
pub(super) fn check_owner(who: &Credentials, file: &libc::stat) -> Result<(), Errno> {
    if who.uid.file == file.st_uid || who.can(capability::FOWNER) { Ok(()) } else { Err(Errno::PERM) }
}

/// Refuses to remove or rename `file` from a sticky directory that belongs to neither.
pub(super) fn check_sticky(
    who: &Credentials,
    directory: &libc::stat,
    file: &libc::stat,
) -> Result<(), Errno> {
    let sticky = directory.st_mode & libc::S_ISVTX != 0;
    if sticky && who.uid.file != directory.st_uid && check_owner(who, file).is_err() {
        return Err(Errno::PERM);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_class_that_fits_decides() {
        let file = |uid, gid, mode| {
            let bytes = vec![0; size_of::<libc::stat>()];
            let mut file: libc::stat = crate::sys::plain::from_bytes(&bytes).expect("there are enough");
            (file.st_uid, file.st_gid, file.st_mode) = (uid, gid, libc::S_IFREG | mode);
            file
        };
        let mut user = Credentials::root();
        user.set_groups(vec![50]).expect("root may");
        user.set_gids([1000; 3]).expect("root may");
        user.set_uids([1000; 3]).expect("root may");
        for (file, wanted, expected) in [
            (file(1000, 0, 0o600), READ | WRITE, true),
            (file(1000, 0, 0o077), READ, false),
            (file(0, 50, 0o640), READ, true),
            (file(0, 50, 0o640), WRITE, false),
            (file(0, 50, 0o607), READ, false),
            (file(0, 0, 0o644), READ, true),
            (file(0, 0, 0o644), WRITE, false),
        ] {
            assert_eq!(check(&user, &file, wanted).is_ok(), expected, "{:o} {wanted}", file.st_mode);
        }
        let root = Credentials::root();
        assert!(check(&root, &file(7, 7, 0), READ | WRITE).is_ok());
        assert!(check(&root, &file(7, 7, 0o600), EXECUTE).is_err());
        assert!(check(&root, &file(7, 7, 0o001), EXECUTE).is_ok());
    }
}
