//! Credentials: who a thread is said to be. The rules are those of credentials(7) and capabilities(7).

use rustix::io::Errno;

/// Docker's set, which every isolation gives to root: `00000000a80425fb` in `/proc/self/status`.
const ROOT: u64 = 0xa804_25fb;

/// The capabilities that calls are checked for here, by their numbers in capabilities(7).
pub(super) mod capability {
    pub(in super::super) const CHOWN: u32 = 0;
    pub(in super::super) const DAC_OVERRIDE: u32 = 1;
    pub(in super::super) const FOWNER: u32 = 3;
    pub(in super::super) const FSETID: u32 = 4;
    pub(in super::super) const KILL: u32 = 5;
    pub(in super::super) const SETGID: u32 = 6;
    pub(in super::super) const SETUID: u32 = 7;
    pub(in super::super) const SETPCAP: u32 = 8;
    pub(in super::super) const SYS_CHROOT: u32 = 18;
    pub(in super::super) const MKNOD: u32 = 27;
    pub(in super::super) const SETFCAP: u32 = 31;
}

/// Those that go with being root for files: CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID, MKNOD and two more.
const FILES: u64 = 0x1f | 1 << 9 | 1 << 27 | 1 << 32;

/// `SECBIT_*` of capabilities(7).
const NO_ROOT: u32 = 1;
const NO_SETUID_FIXUP: u32 = 4;
const KEEP_CAPABILITIES: u32 = 16;

/// The ids of one kind, user or group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ids {
    pub(super) real: u32,
    pub(super) effective: u32,
    pub(super) saved: u32,
    /// For access to files.
    pub(super) file: u32,
}

impl Ids {
    pub(super) fn all(id: u32) -> Self {
        Ids { real: id, effective: id, saved: id, file: id }
    }

    fn has(self, id: u32) -> bool {
        [self.real, self.effective, self.saved].contains(&id)
    }
}

/// "As it is", in the calls that set several ids.
const SAME: u32 = u32::MAX;

/// What an executable file asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Grant {
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    /// The value of `security.capability`.
    pub(super) capability: Option<Box<[u8]>>,
}

/// Who a thread is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) uid: Ids,
    pub(super) gid: Ids,
    pub(super) groups: Vec<u32>,
    pub(super) permitted: u64,
    pub(super) effective: u64,
    pub(super) inheritable: u64,
    pub(super) bounding: u64,
    pub(super) ambient: u64,
    pub(super) secure_bits: u32,
    pub(super) no_new_privileges: bool,
}

impl Credentials {
    /// Root, with what a `RUN` has.
    pub(super) fn root() -> Self {
        Credentials {
            uid: Ids::default(),
            gid: Ids::default(),
            groups: Vec::new(),
            permitted: ROOT,
            effective: ROOT,
            inheritable: 0,
            bounding: ROOT,
            ambient: 0,
            secure_bits: 0,
            no_new_privileges: false,
        }
    }

    pub(super) fn can(&self, capability: u32) -> bool {
        self.effective >> capability & 1 == 1
    }

    pub(super) fn is_in_group(&self, gid: u32) -> bool {
        self.gid.file == gid || self.groups.contains(&gid)
    }

    fn may_set_uid(&self, id: u32) -> Result<(), Errno> {
        if id == SAME || self.can(capability::SETUID) || self.uid.has(id) { Ok(()) } else { Err(Errno::PERM) }
    }

    fn may_set_gid(&self, id: u32) -> Result<(), Errno> {
        if id == SAME || self.can(capability::SETGID) || self.gid.has(id) { Ok(()) } else { Err(Errno::PERM) }
    }

    pub(super) fn set_uid(&mut self, id: u32) -> Result<(), Errno> {
        if id == SAME {
            return Err(Errno::INVAL);
        }
        let ids = set_id(self.uid, id, self.can(capability::SETUID))?;
        self.become_user(ids);
        Ok(())
    }

    pub(super) fn set_gid(&mut self, id: u32) -> Result<(), Errno> {
        if id == SAME {
            return Err(Errno::INVAL);
        }
        self.gid = set_id(self.gid, id, self.can(capability::SETGID))?;
        Ok(())
    }

    pub(super) fn set_real_uid(&mut self, real: u32, effective: u32) -> Result<(), Errno> {
        self.may_set_uid(real)?;
        self.may_set_uid(effective)?;
        self.become_user(set_real(self.uid, real, effective));
        Ok(())
    }

    pub(super) fn set_real_gid(&mut self, real: u32, effective: u32) -> Result<(), Errno> {
        self.may_set_gid(real)?;
        self.may_set_gid(effective)?;
        self.gid = set_real(self.gid, real, effective);
        Ok(())
    }

    pub(super) fn set_uids(&mut self, ids: [u32; 3]) -> Result<(), Errno> {
        ids.iter().try_for_each(|&id| self.may_set_uid(id))?;
        self.become_user(set_all(self.uid, ids));
        Ok(())
    }

    pub(super) fn set_gids(&mut self, ids: [u32; 3]) -> Result<(), Errno> {
        ids.iter().try_for_each(|&id| self.may_set_gid(id))?;
        self.gid = set_all(self.gid, ids);
        Ok(())
    }

    /// Sets the user for access to files; the one before.
    pub(super) fn set_file_uid(&mut self, id: u32) -> u32 {
        let before = self.uid.file;
        if id != SAME && (id == before || self.may_set_uid(id).is_ok()) {
            self.uid.file = id;
            if self.secure_bits & NO_SETUID_FIXUP == 0 {
                match (before, id) {
                    (0, 1..) => self.effective &= !FILES,
                    (1.., 0) => self.effective |= self.permitted & FILES,
                    _ => {}
                }
            }
        }
        before
    }

    pub(super) fn set_file_gid(&mut self, id: u32) -> u32 {
        let before = self.gid.file;
        if id != SAME && (id == before || self.may_set_gid(id).is_ok()) {
            self.gid.file = id;
        }
        before
    }

    pub(super) fn set_groups(&mut self, mut groups: Vec<u32>) -> Result<(), Errno> {
        if !self.can(capability::SETGID) {
            return Err(Errno::PERM);
        }
        // The kernel keeps them sorted, and so shows them.
        groups.sort_unstable();
        self.groups = groups;
        Ok(())
    }

    /// Changes the user ids, and with them the capabilities: "Effect of user ID changes".
    fn become_user(&mut self, ids: Ids) {
        let before = std::mem::replace(&mut self.uid, ids);
        if self.secure_bits & NO_SETUID_FIXUP != 0 {
            return;
        }
        if before.has(0) && !ids.has(0) {
            if self.secure_bits & KEEP_CAPABILITIES == 0 {
                (self.permitted, self.effective) = (0, 0);
            }
            self.ambient = 0;
        }
        match (before.effective, ids.effective) {
            (0, 1..) => self.effective = 0,
            (1.., 0) => self.effective = self.permitted,
            _ => {}
        }
    }

    /// `PR_SET_KEEPCAPS`.
    pub(super) fn keep_capabilities(&mut self, keep: bool) {
        if keep {
            self.secure_bits |= KEEP_CAPABILITIES;
        } else {
            self.secure_bits &= !KEEP_CAPABILITIES;
        }
    }

    pub(super) fn keeps_capabilities(&self) -> bool {
        self.secure_bits & KEEP_CAPABILITIES != 0
    }

    /// capset(2).
    pub(super) fn set_capabilities(
        &mut self,
        effective: u64,
        permitted: u64,
        inheritable: u64,
    ) -> Result<(), Errno> {
        let may_inherit = if self.can(capability::SETPCAP) { self.bounding } else { self.permitted };
        if permitted & !self.permitted != 0
            || effective & !permitted != 0
            || inheritable & !(self.inheritable | may_inherit) != 0
        {
            return Err(Errno::PERM);
        }
        (self.effective, self.permitted, self.inheritable) = (effective, permitted, inheritable);
        self.ambient &= permitted & inheritable;
        Ok(())
    }

    /// What an exec of a file makes of them: "Transformation of capabilities during execve()".
    pub(super) fn execute(&mut self, grant: &Grant) {
        let grant = if self.no_new_privileges { &Grant::default() } else { grant };
        if let Some(uid) = grant.uid {
            self.uid.effective = uid;
        }
        if let Some(gid) = grant.gid {
            self.gid.effective = gid;
        }
        (self.uid.saved, self.uid.file) = (self.uid.effective, self.uid.effective);
        (self.gid.saved, self.gid.file) = (self.gid.effective, self.gid.effective);
        let (mut may, mut inherits, mut at_once) = (0, 0, false);
        if let Some(value) = &grant.capability {
            let word = |at: usize| {
                let bytes = value.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
                u64::from(u32::from_le_bytes(bytes.unwrap_or_default()))
            };
            at_once = word(0) & 1 == 1;
            may = word(4) | word(12) << 32;
            inherits = word(8) | word(16) << 32;
        }
        let named = grant.capability.is_some();
        if named || grant.uid.is_some() || grant.gid.is_some() {
            self.ambient = 0;
        }
        if self.secure_bits & NO_ROOT == 0 {
            if self.uid.real == 0 || self.uid.effective == 0 {
                (may, inherits) = (u64::MAX, u64::MAX);
            }
            at_once |= self.uid.effective == 0;
        }
        self.permitted = self.inheritable & inherits | may & self.bounding | self.ambient;
        self.effective = if at_once { self.permitted } else { self.ambient };
        self.keep_capabilities(false);
    }
}

fn set_id(mut ids: Ids, id: u32, privileged: bool) -> Result<Ids, Errno> {
    if privileged {
        return Ok(Ids::all(id));
    }
    if id != ids.real && id != ids.saved {
        return Err(Errno::PERM);
    }
    (ids.effective, ids.file) = (id, id);
    Ok(ids)
}

fn set_real(before: Ids, real: u32, effective: u32) -> Ids {
    let mut ids = before;
    if real != SAME {
        ids.real = real;
    }
    if effective != SAME {
        ids.effective = effective;
    }
    if real != SAME || effective != SAME && effective != before.real {
        ids.saved = ids.effective;
    }
    ids.file = ids.effective;
    ids
}

fn set_all(mut ids: Ids, [real, effective, saved]: [u32; 3]) -> Ids {
    for (id, new) in [(&mut ids.real, real), (&mut ids.effective, effective), (&mut ids.saved, saved)] {
        if new != SAME {
            *id = new;
        }
    }
    ids.file = ids.effective;
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_becomes_a_user_and_cannot_go_back() {
        let mut who = Credentials::root();
        who.set_groups(vec![50]).expect("root may");
        who.set_gids([1000; 3]).expect("root may");
        who.set_uids([1000; 3]).expect("root may");
        assert_eq!((who.permitted, who.effective), (0, 0));
        assert_eq!(who.set_uid(0), Err(Errno::PERM));
        assert_eq!(who.set_groups(Vec::new()), Err(Errno::PERM));
        assert_eq!(who.set_uids([SAME, 1000, SAME]), Ok(()));
    }

    #[test]
    fn capabilities_are_kept_when_asked_for() {
        // What setpriv(1) and sudo do: the user first, the groups after it.
        let mut who = Credentials::root();
        who.keep_capabilities(true);
        who.set_uids([1000; 3]).expect("root may");
        assert_eq!((who.permitted, who.effective), (ROOT, 0));
        who.set_capabilities(ROOT, ROOT, 0).expect("they are permitted");
        who.set_gids([1000; 3]).expect("the capability is effective");
        who.execute(&Grant::default());
        assert_eq!((who.permitted, who.effective), (0, 0));
    }

    #[test]
    fn a_temporary_user_can_go_back() {
        let mut who = Credentials::root();
        who.set_uids([SAME, 33, SAME]).expect("root may");
        assert_eq!((who.permitted, who.effective), (ROOT, 0));
        who.set_uids([SAME, 0, SAME]).expect("it is the saved one");
        assert_eq!(who.effective, ROOT);
    }

    #[test]
    fn files_grant() {
        let user = || {
            let mut who = Credentials::root();
            who.set_uids([1000; 3]).expect("root may");
            who
        };
        let mut who = user();
        who.execute(&Grant { uid: Some(0), ..Grant::default() });
        assert_eq!((who.uid.real, who.uid.effective, who.effective), (1000, 0, ROOT));

        let mut who = user();
        who.no_new_privileges = true;
        who.execute(&Grant { uid: Some(0), ..Grant::default() });
        assert_eq!((who.uid.effective, who.effective), (1000, 0));

        let net_raw = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let mut who = user();
        who.execute(&Grant { capability: Some(net_raw.into()), ..Grant::default() });
        assert_eq!((who.permitted, who.effective), (1 << 13, 1 << 13));
    }
}
