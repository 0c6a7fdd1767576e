//! Every flag of Kaniko's executor: of Google's 1.24 and of the 1.28 of its successor at osscontainertools.
//!
//! Flags that do what they say are in `args.rs` as well; a test holds the two together.

use super::entry::{Entry, Takes};

const SWITCH: Takes = Takes::Switch;
const TEXT: Takes = Takes::Text;
const NUMBER: Takes = Takes::Number;

/// In the order of Kaniko's own help, the deprecated ones last.
pub(crate) const EXECUTOR: &[Entry] = &[
    Entry::honoured(
        "--dockerfile",
        "`Dockerfile` itself is looked for in the context first; a URL is downloaded",
    ),
    Entry::honoured("--context", ""),
    Entry::honoured("--context-sub-path", "also of a plain directory"),
    Entry::refused(
        "--bucket",
        TEXT,
        "give the bucket as part of --context, as in gs://BUCKET/context.tar.gz",
    )
    .short('b'),
    Entry::honoured("--destination", ""),
    Entry::moot("--snapshot-mode", Takes::OneOf(&["full", "redo", "time"]), SNAPSHOTS),
    Entry::honoured("--custom-platform", "FROM --platform goes over it, so cross-building stages work"),
    Entry::honoured("--build-arg", "a name without a value that the environment has not either is warned of"),
    Entry::honoured("--target", ""),
    Entry::honoured("--tar-path", "it does not stop the push either: that is --no-push"),
    Entry::honoured("--oci-layout-path", "the image is listed by its tags"),
    Entry::honoured("--digest-file", "written once everything is where it was to go, not before the push"),
    Entry::honoured("--image-name-with-digest-file", "written after the push"),
    Entry::honoured(
        "--image-name-tag-with-digest-file",
        "written after the push, and together with the other one each has its own form",
    ),
    Entry::honoured("--no-push", ""),
    Entry::honoured("--no-push-cache", ""),
    Entry::honoured("--cache", "a hit is never unpacked; the keys are other ones"),
    Entry::honoured("--cache-repo", "on Docker Hub it has to be given"),
    Entry::honoured("--cache-dir", "builds fill it themselves; a warmer may"),
    Entry::honoured("--cache-ttl", "counted from when a result was last of use"),
    Entry::honoured("--cache-copy-layers", ""),
    Entry::honoured("--cache-run-layers", ""),
    Entry::moot(
        "--compressed-caching",
        SWITCH,
        "layers are compressed once, into files: memory does not grow with them",
    ),
    Entry::honoured("--compression", ""),
    Entry::honoured("--compression-level", "0 to 12 for gzip and 1 to 22 for zstd; -1 is the default"),
    Entry::honoured("--single-snapshot", "the layers of the image that are made are joined at the end"),
    Entry::honoured(
        "--reproducible",
        "SOURCE_DATE_EPOCH=0 where none is given; layers of the base stay as they are",
    ),
    Entry::moot("--use-new-run", SWITCH, SNAPSHOTS),
    Entry::moot(
        "--ignore-var-run",
        SWITCH,
        "nothing of the pod is mounted below the root of a RUN, so /var/run is a directory like others",
    ),
    Entry::honoured("--ignore-path", "what a RUN does there is in no layer"),
    Entry::honoured("--label", ""),
    Entry::honoured("--annotation", ""),
    Entry::honoured("--image-format", "oci unless it is given, whatever the base is"),
    Entry::honoured("--secret", "in memory, and in no directory of the image"),
    Entry::honoured(
        "--git",
        "one commit is fetched, so depth= and single-branch= make no difference; other keys are errors",
    ),
    Entry::moot("--cleanup", SWITCH, CLEAN),
    Entry::moot("--pre-cleanup", SWITCH, CLEAN),
    Entry::moot("--preserve-context", SWITCH, CLEAN),
    Entry::refused(
        "--materialize",
        SWITCH,
        "the root of the container is never the image; --tar-path or --oci-layout-path has it as a file",
    ),
    Entry::honoured("--dryrun", "the plan has a form of its own"),
    Entry::moot("--skip-unused-stages", SWITCH, "stages that the target does not need are never built"),
    Entry::moot(
        "--force-build-metadata",
        SWITCH,
        "instructions that change no file have no layer, as with BuildKit",
    ),
    Entry::honoured(
        "--kaniko-dir",
        "it is --work-dir: where a build works; for a config.json in it, set KANIKO_DIR",
    ),
    Entry::moot(
        "--image-fs-extract-retry",
        NUMBER,
        "a layer is unpacked into a directory of its own, where nothing else can be in the way",
    ),
    Entry::honoured("--image-download-retry", "for blobs too; 5 without it"),
    Entry::moot("--force", SWITCH, "a build never touches the root of the machine, so it may run anywhere"),
    Entry::honoured("--verbosity", ""),
    Entry::honoured("--log-format", ""),
    Entry::honoured("--log-timestamp", ""),
    Entry::honoured("--insecure", ""),
    Entry::honoured("--insecure-pull", ""),
    Entry::honoured("--insecure-registry", ""),
    Entry::honoured("--skip-tls-verify", ""),
    Entry::honoured("--skip-tls-verify-pull", "it has no effect with Kaniko"),
    Entry::honoured("--skip-tls-verify-registry", ""),
    Entry::honoured("--registry-certificate", "trusted for that registry alone"),
    Entry::honoured("--registry-client-cert", ""),
    Entry::honoured("--registry-map", "docker.io is a name of Docker Hub too"),
    Entry::honoured("--registry-mirror", ""),
    Entry::honoured("--skip-default-registry-fallback", ""),
    Entry::honoured("--push-retry", "of each request, and not for a refusal as 401; 5 without it"),
    Entry::honoured("--push-ignore-immutable-tag-errors", "also of Harbor and Quay"),
    Entry::honoured("--skip-push-permission-check", ""),
    Entry::honoured("--credential-helpers", ""),
    Entry::moot("--snapshotMode", Takes::OneOf(&["full", "redo", "time"]), SNAPSHOTS),
    Entry::honoured("--customPlatform", "deprecated: it is --custom-platform"),
    Entry::honoured("--tarPath", "deprecated: it is --tar-path"),
    Entry::moot(
        "--whitelist-var-run",
        SWITCH,
        "deprecated: nothing of the pod is mounted below the root of a RUN",
    ),
    Entry::refused(
        "--azure-container-registry-config",
        TEXT,
        "put the credentials of the registry into config.json",
    ),
];

const SNAPSHOTS: &str = "what a RUN has changed is found exactly and without reading files that did not move";
const CLEAN: &str = "a build works in a directory of its own and removes it, so the container stays as it is";

/// Flags of `executor login`.
#[cfg(test)]
pub(crate) const LOGIN: &[Entry] = &[
    Entry::honoured("--username", ""),
    Entry::honoured("--password", "a command line can be read by others: --password-stdin is better"),
    Entry::honoured("--password-stdin", ""),
];

/// Flags of `executor push`.
pub(crate) const PUSH: &[Entry] = &[
    Entry::honoured("--destination", ""),
    Entry::honoured("--digest-file", "promised by Kaniko, and not there"),
    Entry::honoured("--image-name-with-digest-file", "promised by Kaniko, and not there"),
    Entry::honoured("--image-name-tag-with-digest-file", "promised by Kaniko, and not there"),
    Entry::honoured("--skip-push-permission-check", ""),
    Entry::honoured("--insecure", "as of a build"),
    Entry::honoured("--insecure-pull", "as of a build"),
    Entry::honoured("--insecure-registry", "as of a build"),
    Entry::honoured("--skip-tls-verify", "as of a build"),
    Entry::honoured("--skip-tls-verify-pull", "as of a build"),
    Entry::honoured("--skip-tls-verify-registry", "as of a build"),
    Entry::honoured("--registry-certificate", "as of a build"),
    Entry::honoured("--registry-client-cert", "as of a build"),
    Entry::honoured("--registry-map", "as of a build"),
    Entry::honoured("--registry-mirror", "as of a build"),
    Entry::honoured("--skip-default-registry-fallback", "as of a build"),
    Entry::honoured("--push-retry", "as of a build"),
    Entry::honoured("--push-ignore-immutable-tag-errors", "as of a build"),
    Entry::honoured("--image-download-retry", "as of a build"),
    Entry::honoured("--credential-helpers", "as of a build"),
];
