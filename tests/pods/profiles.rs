//! The pods that clusters have, by their security settings.

use crate::security::{Capabilities, DEFAULT, PRIVILEGED, RESTRICTED, Seccomp, Security};

/// A pod's settings with the name that tables have for them.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) security: Security,
}

const RUNTIME_DEFAULT: Security = Security { seccomp: Seccomp::RuntimeDefault, ..DEFAULT };
const NOT_ROOT: Security = Security { seccomp: Seccomp::Unconfined, ..RESTRICTED };

/// All of them.
pub(crate) const PROFILES: [Profile; 14] = [
    Profile { name: "P1", what: "nothing set", security: DEFAULT },
    Profile { name: "P2", what: "RuntimeDefault", security: RUNTIME_DEFAULT },
    Profile {
        name: "P2 CRI-O",
        what: "RuntimeDefault of CRI-O",
        security: Security {
            seccomp: Seccomp::CriO,
            capabilities: Capabilities::CriO,
            bounding: Capabilities::CriO,
            ..DEFAULT
        },
    },
    Profile {
        name: "P3",
        what: "RuntimeDefault, allowPrivilegeEscalation: false",
        security: Security { no_new_privileges: true, ..RUNTIME_DEFAULT },
    },
    Profile { name: "P4", what: "\"restricted\"", security: RESTRICTED },
    Profile {
        name: "P4 podman",
        what: "\"restricted\" with podman's list of calls",
        security: Security { seccomp: Seccomp::Podman, ..RESTRICTED },
    },
    Profile {
        name: "P4b",
        what: "\"restricted\", readOnlyRootFilesystem",
        security: Security { read_only: true, ..RESTRICTED },
    },
    Profile {
        name: "P5",
        what: "user 1000, Unconfined",
        security: Security { bounding: Capabilities::Default, no_new_privileges: false, ..NOT_ROOT },
    },
    Profile { name: "P5n", what: "user 1000, Unconfined, no escalation, drop: [ALL]", security: NOT_ROOT },
    Profile { name: "P6", what: "privileged", security: PRIVILEGED },
    Profile {
        name: "P7",
        what: "hostUsers: false, RuntimeDefault",
        security: Security { user_namespace: true, ..RUNTIME_DEFAULT },
    },
    Profile {
        name: "P7a",
        what: "hostUsers: false, SYS_ADMIN, procMount: Unmasked",
        security: Security {
            user_namespace: true,
            unmasked: true,
            capabilities: Capabilities::WithAdmin,
            bounding: Capabilities::WithAdmin,
            ..RUNTIME_DEFAULT
        },
    },
    Profile {
        name: "P7r",
        what: "hostUsers: false, drop: [ALL], no escalation",
        security: Security { user: 0, user_namespace: true, ..RESTRICTED },
    },
    Profile {
        name: "P8",
        what: "a user of a machine that hides nothing",
        security: Security {
            bounding: Capabilities::All,
            no_new_privileges: false,
            unmasked: true,
            ..NOT_ROOT
        },
    },
];
