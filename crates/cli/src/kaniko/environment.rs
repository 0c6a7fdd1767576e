//! Every variable of the environment that Kaniko or its successor reads.

use super::entry::{Entry, Takes};

/// Kaniko's own, then those of others that it reads too. Names with `<…>` are patterns.
pub(crate) const ENVIRONMENT: &[Entry] = &[
    Entry::honoured(
        "KANIKO_DIR",
        "where a build works, which --work-dir goes over; .docker/config.json in it is read",
    ),
    Entry::honoured("KANIKO_NO_PUSH", ""),
    Entry::honoured("KANIKO_REGISTRY_MIRROR", "several, separated by commas"),
    Entry::honoured("KANIKO_REGISTRY_MAP", ""),
    Entry::moot_variable("KANIKO_CLEANUP", CLEAN),
    Entry::moot_variable("KANIKO_PRE_CLEANUP", CLEAN),
    Entry::moot_variable("KANIKO_PRESERVE_CONTEXT", CLEAN),
    Entry::moot_variable("KANIKO_PRINT_PLAN", "--dryrun prints the plan, and builds nothing"),
    Entry::moot_variable("KANIKO_IGNORE_ASSERTIONS", "there are no assertions that a run can do without"),
    Entry::moot_variable("KANIKO_TELEMETRY_ENDPOINT", TELEMETRY),
    Entry::moot_variable("KANIKO_TELEMETRY_OMIT_DOCKERFILE", TELEMETRY),
    Entry::moot_variable("OTEL_EXPORTER_OTLP_HEADERS", TELEMETRY),
    Entry::moot_variable("OTEL_RESOURCE_ATTRIBUTES", TELEMETRY),
    Entry::moot_variable("OTEL_SERVICE_NAME", TELEMETRY),
    Entry::moot_variable("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", TELEMETRY),
    Entry::moot_variable("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", TELEMETRY),
    Entry::honoured("KANIKO_<FQDN>_USER", "with the port too, as in KANIKO_REGISTRY_EXAMPLE_5000_USER"),
    Entry::honoured("KANIKO_<FQDN>_PASSWORD", ""),
    Entry::honoured("DOCKER_CONFIG", ""),
    Entry::honoured("DOCKER_AUTH_CONFIG", ""),
    Entry::honoured("REGISTRY_AUTH_FILE", ""),
    Entry::honoured("XDG_RUNTIME_DIR", ""),
    Entry::honoured("XDG_CONFIG_HOME", ""),
    Entry::honoured("GOOGLE_APPLICATION_CREDENTIALS", ""),
    Entry::honoured("AWS_<…>", ""),
    Entry::honoured("S3_ENDPOINT", ""),
    Entry::honoured("S3_FORCE_PATH_STYLE", ""),
    Entry::honoured("AZURE_STORAGE_ACCESS_KEY", ""),
    Entry::honoured("AZURE_<…>", "but for certificates, which are refused"),
    Entry::honoured("CI_REGISTRY", ""),
    Entry::honoured("CI_REGISTRY_USER", ""),
    Entry::honoured("CI_REGISTRY_PASSWORD", ""),
    Entry::honoured("GIT_USERNAME", GIT),
    Entry::honoured("GIT_PASSWORD", GIT),
    Entry::honoured("GIT_TOKEN", "said to the host of --context alone, as the password of x-access-token"),
    Entry::honoured("GIT_PULL_METHOD", "also git, for the protocol of that name"),
    Entry::honoured("HTTP_PROXY", ""),
    Entry::honoured("HTTPS_PROXY", ""),
    Entry::honoured("NO_PROXY", ""),
    Entry::honoured(
        "SSL_CERT_DIR",
        "of an image from scratch, where there are none, Mozilla's authorities are compiled in",
    ),
    Entry::honoured("SSL_CERT_FILE", ""),
    Entry::moot_variable(
        "SNAPSHOT_TIMEOUT_DURATION",
        "finding what a RUN has changed is no walk that could take so long",
    ),
    Entry::honoured("UPSTREAM_CLIENT_TYPE", ""),
    Entry::honoured("BUILDER_OUTPUT", "$BUILDER_OUTPUT/images, after all pushes"),
    Entry::moot_variable("STACKLOG_PATH", "there are no goroutines; -v trace shows what happens"),
    Entry::moot_variable("BENCHMARK_FILE", "--timings says where the time went"),
    Entry::moot_variable("container", "it makes no difference whether this is a container"),
];

const CLEAN: &str = "a build works in a directory of its own and removes it, so the container stays as it is";
const TELEMETRY: &str = "nothing is sent to anybody; --log-format json and --timings say where the time went";
const GIT: &str = "said to the host of --context alone";

/// How the switches of the successor begin. One that is in no table is warned of.
pub(crate) const FEATURE_PREFIX: &str = "FF_KANIKO_";

/// The successor's switches between an older and a newer behaviour.
pub(crate) const FEATURES: &[Entry] = &[
    feature(
        "FF_KANIKO_BUILDKIT_ARG_ENV_PRECEDENCE",
        "always so: ARG and ENV count in the order in which they stand",
    ),
    feature("FF_KANIKO_CLEAN_KANIKO_DIR", "always so: nothing of a build is left"),
    feature(
        "FF_KANIKO_DEPRECATE_INTER_STAGE_RESTORE",
        "the root of the container is never changed, so there is nothing to restore",
    ),
    feature("FF_KANIKO_NO_PROPAGATE_ANNOTATIONS", "always so: annotations are those of --annotation alone"),
    feature("FF_KANIKO_OCI_WARMER", "always so: what is kept are blobs by digest"),
    feature("FF_KANIKO_PRESERVE_HARDLINKS", "always so: hard links stay hard links"),
    feature("FF_KANIKO_PRESERVE_MOUNTED_PATHS", "mounts of the pod are not in the root of a build"),
    feature("FF_KANIKO_RELATIVE_LINK_TARGETS", "always so"),
    feature("FF_KANIKO_RUN_MOUNT_BIND", "always so: all types of RUN --mount are there"),
    feature(
        "FF_KANIKO_SECUREJOIN_EXTRACTION",
        "always so: links of an archive or an image lead nowhere outside of it",
    ),
    feature("FF_KANIKO_VOLUME_SKIP_MKDIR", "always so: VOLUME makes no directory"),
    feature("FF_KANIKO_WARMER_CACHE_LOCK", "always so: several may share a cache directory"),
    feature("FF_KANIKO_CACHE_LOOKAHEAD", "a developer's check of Kaniko's own"),
    feature("FF_KANIKO_CACHE_PROBE_AFTER_MISS", KEYS),
    feature("FF_KANIKO_CHOWN_ON_IMPLICIT_DIRS", AS_BUILDKIT),
    feature("FF_KANIKO_COPY_AS_ROOT", "always so: files belong to 0:0 unless --chown says otherwise"),
    feature("FF_KANIKO_COPY_CHMOD_ON_IMPLICIT_DIRS", AS_BUILDKIT),
    feature("FF_KANIKO_CROSS_REPO_MOUNT", "always so: layers that the registry has are mounted"),
    feature("FF_KANIKO_DISABLE_HTTP2", "HTTP/2 is used where a registry offers it"),
    feature(
        "FF_KANIKO_EXPAND_HEREDOC",
        "always so: variables in heredocs are expanded unless the delimiter is quoted",
    ),
    feature("FF_KANIKO_HASH_DIR_FRAMING", KEYS),
    feature("FF_KANIKO_IGNORE_CACHED_MANIFEST", "always so: manifests are fetched in every build"),
    feature("FF_KANIKO_INFER_CROSS_STAGE_CACHE_KEY", KEYS),
    feature("FF_KANIKO_OCI_SCRATCH_BASE", "always so, unless --image-format=docker"),
    feature(
        "FF_KANIKO_PATH_SCOPED_REGISTRY_AUTH",
        "always so: the longest key that covers a repository counts",
    ),
    feature("FF_KANIKO_PRECOMPILE_DOCKERIGNORE", "always so"),
    feature("FF_KANIKO_REPRODUCIBLE_PRESERVE_BASE_LAYERS", "always so: layers of the base stay as they are"),
    feature("FF_KANIKO_RESOLVE_CACHE_KEY", KEYS),
    feature("FF_KANIKO_ROLLING_CACHE_KEY", KEYS),
    feature("FF_KANIKO_RUN_HONOR_GROUP", "always so: a RUN has the group of USER"),
    feature(
        "FF_KANIKO_RUN_VIA_TINI",
        "processes that a RUN leaves are ended with it, without another program",
    ),
    feature("FF_KANIKO_SCOPED_DOCKERIGNORE", "always so: the patterns are for the context alone"),
    feature("FF_KANIKO_SHARED_BASE_CACHE", "always so: a base is fetched once"),
    feature("FF_KANIKO_SKIP_CACHED_STAGES", KEYS),
    feature("FF_KANIKO_SKIP_RELABEL_RECOMPRESS", "always so: blobs of the base stay as they are"),
    feature("FF_KANIKO_SKIP_WRITE_WHITEOUTS", "always so"),
    feature(
        "FF_KANIKO_UNTAR_SKIP_ROOT",
        "always so: the entry `.` of an archive does not change the destination",
    ),
    feature("FF_KANIKO_PLATFORM_CACHE_KEY", KEYS),
    feature("FF_KANIKO_NATIVE_COPY", "always so"),
    feature("FF_KANIKO_PRESERVE_MOUNTED_SYMLINKS", "mounts of the pod are not in the root of a build"),
];

const KEYS: &str =
    "always so: keys hold the platform and what is expanded, framed; stages that are cached are not built";
const AS_BUILDKIT: &str = "directories on the way are as BuildKit makes them";

const fn feature(name: &'static str, note: &'static str) -> Entry {
    Entry::moot(name, Takes::Elsewhere, note)
}
