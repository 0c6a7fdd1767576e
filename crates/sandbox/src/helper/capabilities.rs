//! Capabilities: a `RUN` has those that Docker gives to a container, however many we have ourselves.

use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};

use crate::failure::{During, Failure};

/// Docker's and containerd's default set, `00000000a80425fb` in `/proc/self/status`.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::AUDIT_WRITE)
    .union(CapabilitySet::SETFCAP);

/// Gives up all others, in every set and for good. Inheritable and ambient ones would be kept by programs that are
/// not root any more, so there are none.
pub(super) fn limit() -> Result<(), Failure> {
    for number in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << number);
        // EINVAL: there is no capability of this number, nor a higher one.
        if KEPT.contains(one) || capability_is_in_bounding_set(one) != Ok(true) {
            continue;
        }
        remove_capability_from_bounding_set(one).during(format_args!("drop capability {number}"))?;
    }
    match clear_ambient_capability_set() {
        // EINVAL: a kernel before 4.3, which has no ambient set.
        Ok(()) | Err(Errno::INVAL) => {}
        Err(error) => return Err(error).during("clear the ambient capabilities"),
    }
    keep(KEPT)
}

/// Gives up all that `uid` does not have: a user has none until it executes a program which grants some.
pub(super) fn limit_to_user(uid: u32) -> Result<(), Failure> {
    keep(if uid == 0 { KEPT } else { CapabilitySet::empty() })
}

/// Gives up all of them.
pub(crate) fn give_up_all() -> Result<(), Failure> {
    keep(CapabilitySet::empty())
}

fn keep(kept: CapabilitySet) -> Result<(), Failure> {
    let now = capabilities(None).during("capget")?;
    let permitted = now.permitted & kept;
    let sets = CapabilitySets { effective: permitted, permitted, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).during("capset")
}
