//! Every flag of Kaniko's warmer.

use super::entry::{Entry, Takes};

/// In the order of its help.
pub(crate) const WARMER: &[Entry] = &[
    Entry::honoured("--image", "the exit code is 1 if one of them fails, not only if all do"),
    Entry::honoured("--dockerfile", ""),
    Entry::honoured("--build-arg", ""),
    Entry::honoured("--cache-dir", ""),
    Entry::moot(
        "--cache-ttl",
        Takes::Text,
        "blobs are known by their digest and cannot be out of date; a tag is looked up in every build",
    ),
    Entry::moot("--force", Takes::Switch, "a blob that is there is the one that would be fetched").short('f'),
    Entry::honoured("--customPlatform", "also as --custom-platform and --platform"),
    Entry::honoured("--insecure-pull", ""),
    Entry::honoured("--insecure-registry", ""),
    Entry::honoured("--skip-tls-verify-pull", "it has no effect with Kaniko"),
    Entry::honoured("--skip-tls-verify-registry", ""),
    Entry::honoured("--registry-certificate", "trusted for that registry alone"),
    Entry::honoured("--registry-client-cert", ""),
    Entry::honoured("--registry-map", ""),
    Entry::honoured("--registry-mirror", ""),
    Entry::honoured("--skip-default-registry-fallback", ""),
    Entry::honoured("--verbosity", ""),
    Entry::honoured("--log-format", ""),
    Entry::honoured("--log-timestamp", ""),
    Entry::refused(
        "--azure-container-registry-config",
        Takes::Text,
        "put the credentials of the registry into config.json",
    ),
];
