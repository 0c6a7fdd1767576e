//! Flags that users of other builders type, and what to do here instead.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Flags of `docker build`, with what to say of each.
const FOREIGN: [(&[&str], &str); 15] = [
    (
        &["--output", "-o"],
        "an image goes to --destination, --oci-layout-path (type=oci) or --tar-path (type=docker)",
    ),
    (&["--push"], "an image is pushed to each --destination unless --no-push is given"),
    (&["--load"], "there is no daemon to load it into; --tar-path writes an archive for docker load"),
    (
        &["--iidfile"],
        "there is no daemon that knows images by an id; --digest-file writes the digest of the manifest",
    ),
    (&["--pull"], "bases are looked up in their registry in every build"),
    (&["--network"], "a RUN has the builder's network; RUN --network=none takes it away"),
    (&["--add-hosts"], "it is --add-host"),
    (&["--allow"], "a RUN never has more privilege than the builder"),
    (
        &["--memory", "-m", "--memory-swap", "--cpu-shares", "--cpu-quota", "--cpu-period", "--cpuset-cpus"],
        "a RUN has the resources of the builder; limit those",
    ),
    (&["--shm-size", "--ulimit", "--cgroup-parent"], "a RUN has the limits of the builder; set those"),
    (&["--rm", "--force-rm"], "no containers are left behind"),
    (&["--squash", "--compress"], "this is a flag of Docker's former builder"),
    (&["--builder"], "there is no daemon: this program is the builder"),
    (
        &["--source-policy"],
        "name bases by digest, or put others in their place with --build-context or --registry-map",
    ),
    (&["--proxy-network"], "HTTPS_PROXY and --build-arg HTTPS_PROXY= say which proxy is used"),
];

/// Isolations that other builders have.
const ISOLATIONS: [(&str, &str); 2] = [
    (
        "inplace",
        "a RUN in the builder's own root would replace the files of its container and could read its credentials; \
         --isolation supervised needs no more privilege, and keeps both apart",
    ),
    (
        "ns1",
        "a user namespace with one id can give files to nobody else; --isolation supervised needs none, and remembers \
         owners",
    ),
];

/// What to do instead of a flag, or an isolation, that was not understood.
pub(crate) fn remedy(error: &clap::Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::UnknownArgument => {}
        ErrorKind::InvalidValue => return isolation_remedy(error),
        _ => return None,
    }
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else { return None };
    let flag = argument.split('=').next().unwrap_or_default();
    FOREIGN.iter().find(|(names, _)| names.contains(&flag)).map(|(_, remedy)| *remedy)
}

/// What to do instead of an isolation that there is not.
fn isolation_remedy(error: &clap::Error) -> Option<&'static str> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let of_isolation = text(ContextKind::InvalidArg)?.starts_with("--isolation");
    let value = text(ContextKind::InvalidValue)?;
    ISOLATIONS.iter().find(|(name, _)| of_isolation && *name == value).map(|(_, remedy)| *remedy)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Cli;

    /// A flag that has come to be ours needs no remedy.
    #[test]
    fn none_of_them_is_ours() {
        let command = Cli::command();
        for name in FOREIGN.iter().flat_map(|(names, _)| *names) {
            let is_ours = command.get_arguments().any(|argument| match name.strip_prefix("--") {
                Some(long) => argument.get_long_and_visible_aliases().is_some_and(|all| all.contains(&long)),
                None => argument.get_short_and_visible_aliases().is_some_and(|all| name.ends_with(&all[..])),
            });
            assert!(!is_ours, "{name}");
        }
    }

    #[test]
    fn what_is_said() {
        for (line, expected) in [
            ("bako --push", Some("--destination")),
            ("bako --output=type=oci", Some("--oci-layout-path")),
            ("bako -o out", Some("--oci-layout-path")),
            ("bako -m 1g", Some("resources")),
            ("bako --nonsense", None),
        ] {
            let error = Cli::read(line.split(' ').map(Into::into)).unwrap_err();
            let found = remedy(&error);
            match expected {
                Some(part) => assert!(found.is_some_and(|text| text.contains(part)), "{line}: {found:?}"),
                None => assert_eq!(found, None, "{line}"),
            }
        }
    }
}
