//! The command line: Kaniko's flags for a build, and a few commands beside it.
//!
//! Only text is checked here; nothing is opened.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use oci::{Platform, PlatformError};

use crate::call::{Call, Method, call};
use crate::git_flag::{GitFlag, git_flag};
use crate::images_command::{CopyArgs, DigestArgs, LsArgs, ManifestCommand};
use crate::kaniko::{self, EXECUTOR, Entry, PUSH, WARMER};
use crate::registry_args::RegistryArgs;
use crate::resolve_command::ResolveArgs;
use crate::secrets::{SecretFlag, secret_flag};

/// Builds OCI images from a Dockerfile, without a daemon, in any container.
///
/// Without a command, builds: the flags are those of Kaniko's executor. The digest of the image goes to
/// stdout, everything else to stderr.
#[derive(Debug, Parser)]
#[command(
    name = "bako",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    // As with Go's flags, the last one counts.
    args_override_self = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) build: BuildArgs,
}

impl Cli {
    /// The command line, with flags of Kaniko's that are known only to say what becomes of them.
    pub(crate) fn with_kaniko(command: clap::Command) -> clap::Command {
        kaniko::add_to(command, EXECUTOR)
            .mut_subcommand("push", |command| kaniko::add_to(command, PUSH))
            .mut_subcommand("warmer", |command| kaniko::add_to(command, WARMER))
    }

    /// Reads a command line; also which flags of Kaniko's there is something to be said of.
    pub(crate) fn read(
        arguments: impl Iterator<Item = OsString>,
    ) -> Result<(Cli, Vec<&'static Entry>), clap::Error> {
        let arguments = kaniko::by_name(arguments);
        let matches: ArgMatches = Cli::with_kaniko(Cli::command()).try_get_matches_from(arguments)?;
        let used = match matches.subcommand() {
            None => kaniko::used(&matches, EXECUTOR),
            Some(("push", matches)) => kaniko::used(matches, PUSH),
            Some(("warmer", matches)) => kaniko::used(matches, WARMER),
            Some(_) => Vec::new(),
        };
        Ok((Cli::from_arg_matches(&matches)?, used))
    }
}

/// What else there is to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show which isolations for RUN work here, and why the others do not.
    Probe {
        /// Where a build would work.
        #[arg(long, value_name = "DIR", value_parser = path())]
        work_dir: Option<PathBuf>,
    },
    /// A small registry for laptops, tests and sites without a network.
    #[command(subcommand)]
    Registry(RegistryCommand),
    /// Push an image that is in a docker archive or an OCI layout.
    Push(PushArgs),
    /// Note a user and a password for a registry in docker's config.json.
    Login(LoginArgs),
    /// Bring base images into a cache directory before builds ask for them.
    Warmer(WarmerArgs),
    /// Copy an image, or an index with all its images, between registries, layouts and archives.
    Copy(Box<CopyArgs>),
    /// Print the digest of an image.
    Digest(Box<DigestArgs>),
    /// List the tags of a repository.
    Ls(Box<LsArgs>),
    /// Join images to an index of several platforms: what docker manifest does.
    #[command(subcommand)]
    Manifest(Box<ManifestCommand>),
    /// Pin the images of manifests to digests, and build those that have a source: what kbld does.
    Resolve(Box<ResolveArgs>),
    /// Print the version.
    Version,
}

/// A push of what is there already.
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// The archive (of docker save, of --tar-path, or an OCI layout in a tar) or the OCI layout.
    #[arg(value_name = "ARCHIVE|LAYOUT")]
    pub(crate) from: PathBuf,
    /// Where to push the image, as REGISTRY/REPOSITORY:TAG. May be repeated.
    #[arg(long, short = 'd', value_name = "IMAGE", required = true)]
    pub(crate) destination: Vec<String>,
    /// The media types of an image that a docker archive holds. What an OCI layout holds has its own.
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "oci")]
    pub(crate) image_format: ImageFormatArg,
    /// Write the digest of the image to this file, once all is done; or to an https:// URL, by PUT.
    #[arg(long, value_name = "FILE")]
    pub(crate) digest_file: Option<String>,
    /// Write REPOSITORY@DIGEST of each destination to this file, once all is done.
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub(crate) image_name_with_digest_file: Option<PathBuf>,
    /// Write REPOSITORY:TAG@DIGEST of each destination to this file, once all is done.
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub(crate) image_name_tag_with_digest_file: Option<PathBuf>,
    /// Do not ask registries first whether they would take the image.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = go_bool, action = clap::ArgAction::Set)]
    pub(crate) skip_push_permission_check: bool,
    /// Go on if a registry does not let a tag be moved: the image keeps the tag that it has there.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = go_bool, action = clap::ArgAction::Set)]
    pub(crate) push_ignore_immutable_tag_errors: bool,
    #[command(flatten)]
    pub(crate) registries: RegistryArgs,
    #[command(flatten)]
    pub(crate) logging: LogArgs,
    /// Where to unpack an archive. A directory is made in it, and removed at the end.
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub(crate) work_dir: Option<PathBuf>,
}

/// A login.
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// The registry, as HOST[:PORT]; Docker Hub if not given.
    #[arg(value_name = "REGISTRY", default_value = "docker.io")]
    pub(crate) registry: String,
    /// The user.
    #[arg(long, short = 'u')]
    pub(crate) username: String,
    /// The password. Other users of the machine can see it while this runs.
    #[arg(long, short = 'p', required_unless_present = "password_stdin", conflicts_with = "password_stdin")]
    pub(crate) password: Option<String>,
    /// Read the password from standard input.
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

/// What a cache is to hold.
#[derive(Debug, Args)]
pub(crate) struct WarmerArgs {
    /// An image to fetch. May be repeated.
    #[arg(long, short = 'i', value_name = "IMAGE")]
    pub(crate) image: Vec<String>,
    /// A Dockerfile, all of whose bases are fetched.
    #[arg(long, short = 'd', value_name = "FILE", value_parser = path())]
    pub(crate) dockerfile: Option<PathBuf>,
    /// Value of an ARG before its first FROM, as NAME=VALUE. May be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) build_arg: Vec<String>,
    /// The cache directory; made if it is not there.
    #[arg(long, short = 'c', value_name = "DIR", value_parser = path(), default_value = "/cache")]
    pub(crate) cache_dir: PathBuf,
    /// What for, as OS/ARCHITECTURE[/VARIANT]; this machine's platform if not given.
    #[arg(long, aliases = ["custom-platform", "customPlatform"], value_name = "PLATFORM", value_parser = platform)]
    pub(crate) platform: Option<Platform>,
    #[command(flatten)]
    pub(crate) registries: RegistryArgs,
    #[command(flatten)]
    pub(crate) logging: LogArgs,
}

/// What to do with a registry.
#[derive(Debug, Subcommand)]
pub(crate) enum RegistryCommand {
    /// Serve the OCI distribution protocol. Each repository is kept as an OCI layout.
    Serve {
        /// Where the repositories are.
        #[arg(long)]
        dir: PathBuf,
        /// Address and port; port 0 takes a free one and prints it.
        #[arg(long, default_value = "127.0.0.1:5000")]
        listen: std::net::SocketAddr,
    },
}

/// A boolean as Go's flag package reads it.
pub(crate) fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

/// A path; an empty one, as a pipeline passes for a variable it does not set, is none.
pub(crate) fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// What was given, unless it is empty.
pub(crate) fn given<T: AsRef<std::ffi::OsStr> + Clone>(value: &Option<T>) -> Option<T> {
    value.clone().filter(|value| !value.as_ref().is_empty())
}

/// `KEY=VALUE`.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) key: String,
    pub(crate) value: String,
}

pub(crate) fn pair(text: &str) -> Result<Pair, String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok(Pair { key: key.to_owned(), value: value.to_owned() }),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// A duration as Go writes it: `336h`, `1h30m`.
fn duration(text: &str) -> Result<Duration, String> {
    let nanoseconds = builder::parse_duration(text).map_err(|error| error.to_string())?;
    u64::try_from(nanoseconds)
        .map(Duration::from_nanos)
        .map_err(|_| "expected no negative duration".to_owned())
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Plain lines.
    Text,
    /// Lines with colour, where stderr is a terminal that shows it.
    Color,
    /// One JSON object a line.
    Json,
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Verbosity {
    /// Errors only; Kaniko's `panic` and `fatal` are the same here.
    #[value(alias = "panic", alias = "fatal")]
    Error,
    /// And warnings.
    #[value(alias = "warning")]
    Warn,
    /// And what is being done.
    Info,
    /// And why.
    Debug,
    /// And every request.
    Trace,
}

/// How a RUN is kept to its root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IsolationArg {
    /// The best of those that work here.
    Auto,
    /// Namespaces and, where the kernel allows it, an overlay.
    Ns,
    /// chroot(2) alone.
    Chroot,
    /// No privilege: a supervisor that answers system calls.
    Supervised,
}

/// True if a command line that cannot be understood as a whole wants its log as JSON.
pub(crate) fn asks_for_json(arguments: impl Iterator<Item = std::ffi::OsString>) -> bool {
    let arguments: Vec<String> = arguments.map(|text| text.to_string_lossy().to_ascii_lowercase()).collect();
    arguments.iter().any(|text| text == "--log-format=json")
        || arguments.windows(2).any(|pair| pair == ["--log-format", "json"])
}

/// `NAME:ADDRESS` or `NAME=ADDRESS`, an IPv6 address also in brackets.
fn host(text: &str) -> Result<(String, IpAddr), String> {
    let (name, address) = text.split_once(['=', ':']).ok_or("expected NAME:ADDRESS")?;
    let usable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if name.is_empty() || !name.chars().all(usable) {
        return Err(format!("{name:?} is no host name"));
    }
    if address == "host-gateway" {
        return Err("host-gateway is an address only Docker's daemon knows; give the address".to_owned());
    }
    let plain = address.strip_prefix('[').and_then(|address| address.strip_suffix(']')).unwrap_or(address);
    let parsed = plain.parse().map_err(|_| format!("{address:?} is no IP address"))?;
    Ok((name.to_owned(), parsed))
}

/// A number of bytes, or of the binary multiples `k`, `m`, `g`, as Docker has them.
fn size(text: &str) -> Result<u64, String> {
    let lower = text.to_ascii_lowercase();
    let lower = lower.strip_suffix('b').unwrap_or(&lower);
    let units = [('k', 10), ('m', 20), ('g', 30), ('t', 40)];
    let unit = units.iter().find_map(|(unit, shift)| Some((lower.strip_suffix(*unit)?, *shift)));
    let (digits, shift) = unit.unwrap_or((lower, 0));
    let number = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let bytes = number
        .and_then(|digits| digits.parse::<u64>().ok())
        .and_then(|number| number.checked_mul(1 << shift));
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| "expected a number of bytes, as in 500m or 2g".to_owned())
}

/// Platforms, at least one and each once, in the order in which they were given.
#[derive(Debug, Clone)]
pub(crate) struct Platforms(pub(crate) Vec<Platform>);

fn platforms(text: &str) -> Result<Platforms, String> {
    let mut found: Vec<Platform> = Vec::new();
    for one in text.split(',') {
        let platform: Platform = one.trim().parse().map_err(|error: PlatformError| error.to_string())?;
        if found.contains(&platform) {
            return Err(format!("{platform} is given twice"));
        }
        found.push(platform);
    }
    Ok(Platforms(found))
}

/// One platform.
fn platform(text: &str) -> Result<Platform, String> {
    if text.contains(',') {
        return Err("expected one platform".to_owned());
    }
    text.parse().map_err(|error: PlatformError| error.to_string())
}

/// How Docker's users ask for what `--log-format` and `--verbosity` say here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Plain,
    Auto,
    Quiet,
}

fn progress(text: &str) -> Result<Progress, String> {
    match text {
        "plain" => Ok(Progress::Plain),
        "auto" | "tty" => Ok(Progress::Auto),
        "quiet" | "none" => Ok(Progress::Quiet),
        "rawjson" => {
            Err("BuildKit's own events are not made; --log-format json has a line for each event".to_owned())
        }
        _ => Err("expected auto, plain, tty or quiet".to_owned()),
    }
}

impl BuildArgs {
    /// The platforms that were given.
    pub(crate) fn platforms(&self) -> Vec<Platform> {
        self.platform.as_ref().map(|given| given.0.clone()).unwrap_or_default()
    }

    /// What `--progress` and `--quiet` come to, in our words.
    pub(crate) fn log(&self) -> (LogFormat, Verbosity) {
        let quiet = self.quiet || self.progress == Some(Progress::Quiet);
        let format = match (self.logging.log_format, self.progress) {
            (LogFormat::Color, Some(Progress::Plain)) => LogFormat::Text,
            (format, _) => format,
        };
        (format, if quiet { Verbosity::Error } else { self.logging.verbosity })
    }

    /// The stages to build, the one that goes somewhere first.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.target.iter().filter(|name| !name.is_empty()).cloned().collect()
    }

    /// What is to be done with the Dockerfile.
    pub(crate) fn asked(&self) -> Call {
        match (self.check, self.dryrun) {
            (true, _) => Call { method: Method::Check, ..self.call },
            (_, true) => {
                let json = self.call.json || self.logging.log_format == LogFormat::Json;
                Call { method: Method::Plan, json }
            }
            _ => self.call,
        }
    }
}

/// The media types of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImageFormatArg {
    /// Those of the OCI image spec.
    Oci,
    /// Docker's.
    Docker,
}

/// How much is said, and how.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// How much to say.
    #[arg(long, short = 'v', value_enum, default_value = "info", ignore_case = true)]
    pub(crate) verbosity: Verbosity,
    /// How to say it.
    #[arg(long, value_enum, default_value = "color", ignore_case = true)]
    pub(crate) log_format: LogFormat,
    /// Begin each line with the time.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = go_bool, action = clap::ArgAction::Set)]
    pub(crate) log_timestamp: bool,
}

/// How layers are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompressionArg {
    /// For every engine.
    Gzip,
    /// Smaller and faster, for engines of the last years.
    Zstd,
}

#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// The files to build from: a directory, `dir://DIR`, `tar://FILE`, `https://…` for an archive to download, `-`
    /// for one on standard input, or a git repository: `git://HOST/PATH#REF`, `https://….git#REF:DIR`, `ssh://…`.
    #[arg(long, short = 'c', value_name = "CONTEXT", default_value = "/workspace/")]
    pub(crate) context: String,
    /// How the git repository of `--context` is fetched: branch=NAME, recurse-submodules=BOOL,
    /// insecure-skip-tls=BOOL, with commas between. May be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = git_flag)]
    pub(crate) git: Vec<GitFlag>,
    /// The directory of the context that is meant, if not all.
    #[arg(long, value_name = "DIR")]
    pub(crate) context_sub_path: Option<String>,
    /// Another place to take files from, as NAME=DIR, NAME=docker-image://IMAGE, NAME=oci-layout://DIR:TAG,
    /// NAME=https://… or a git repository; NAME::PLATFORM= for one platform alone. May be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) build_context: Vec<String>,
    /// The Dockerfile: a path from here or, if there is none, in the context; `-` is standard input.
    #[arg(long, short = 'f', alias = "file", value_name = "FILE", default_value = "Dockerfile")]
    pub(crate) dockerfile: PathBuf,
    /// Where to push the image, as REGISTRY/REPOSITORY:TAG. May be repeated.
    #[arg(long, short = 'd', alias = "tag", short_alias = 't', value_name = "IMAGE")]
    pub(crate) destination: Vec<String>,
    /// What the image is for, as OS/ARCHITECTURE[/VARIANT]; this machine's platform if not given. Several, with commas,
    /// make an index.
    #[arg(long, aliases = ["custom-platform", "customPlatform"], value_name = "PLATFORM", value_parser = platforms)]
    pub(crate) platform: Option<Platforms>,
    /// A line for `/etc/hosts` of each RUN, as NAME:ADDRESS. May be repeated.
    #[arg(long, value_name = "NAME:ADDRESS", value_parser = host)]
    pub(crate) add_host: Vec<(String, IpAddr)>,
    /// Only say what the lints find in the Dockerfile, and fail if that is anything.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = go_bool, action = clap::ArgAction::Set)]
    pub(crate) check: bool,
    /// What to do with the Dockerfile: build, check, outline or targets; with `,format=json` the answer is JSON.
    #[arg(long, value_name = "METHOD", value_parser = call, default_value = "build")]
    pub(crate) call: Call,
    /// Value of an ARG, as NAME=VALUE; NAME alone takes the value of that environment variable. May be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) build_arg: Vec<String>,
    /// Read the file as a plain Dockerfile though its `# syntax=` names a frontend that is not Docker's.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = go_bool, action = clap::ArgAction::Set)]
    pub(crate) syntax_ignore: bool,
    /// The stage to build; the last one if not given. Further ones, also after a comma, are built and go nowhere.
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    pub(crate) target: Vec<String>,
    /// A secret for `RUN --mount=type=secret`, as id=ID,src=FILE or id=ID,env=NAME. May be repeated.
    #[arg(long, value_name = "id=ID[,src=FILE|,env=NAME]", value_parser = secret_flag)]
    pub(crate) secret: Vec<SecretFlag>,
    /// An SSH agent for `RUN --mount=type=ssh`, as ID=SOCKET; ID alone is the one of `SSH_AUTH_SOCK`. May be
    /// repeated.
    #[arg(long, value_name = "ID[=SOCKET]")]
    pub(crate) ssh: Vec<String>,
    /// A label of the image, as NAME=VALUE. May be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) label: Vec<Pair>,
    /// Build, but do not push. `KANIKO_NO_PUSH` in the environment says the same.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = go_bool, action = clap::ArgAction::Set)]
    pub(crate) no_push: bool,
    /// Do not ask registries before the build whether they would take the image.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = go_bool, action = clap::ArgAction::Set)]
    pub(crate) skip_push_permission_check: bool,
    /// Go on if a registry does not let a tag be moved: the image keeps the tag that it has there.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = go_bool, action = clap::ArgAction::Set)]
    pub(crate) push_ignore_immutable_tag_errors: bool,
    /// Write an archive for `docker load` to this file.
    #[arg(long, alias = "tarPath", value_name = "FILE", value_parser = path())]
    pub(crate) tar_path: Option<PathBuf>,
    /// Write an OCI layout with the image to this directory.
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub(crate) oci_layout_path: Option<PathBuf>,
    /// The media types of manifest, config and layers.
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "oci")]
    pub(crate) image_format: ImageFormatArg,
    /// An annotation of the manifest, as NAME=VALUE. May be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) annotation: Vec<Pair>,
    /// How new layers are packed.
    #[arg(long, value_enum, default_value = "gzip")]
    pub(crate) compression: CompressionArg,
    /// How hard they are packed: 0 to 12 for gzip, 1 to 22 for zstd, -1 for what suits builds.
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true, default_value = "-1")]
    pub(crate) compression_level: i32,
    /// Take the time of everything that is made as 1970, if SOURCE_DATE_EPOCH gives no other.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = go_bool, action = clap::ArgAction::Set)]
    pub(crate) reproducible: bool,
    /// Make one layer of all that the image has on top of its base.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = go_bool, action = clap::ArgAction::Set)]
    pub(crate) single_snapshot: bool,
    /// A path of the image where what a RUN does is in no layer. May be repeated.
    #[arg(long, value_name = "PATH")]
    pub(crate) ignore_path: Vec<String>,
    /// Write digests, descriptor and names of the image to this file as JSON, once all is done.
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub(crate) metadata_file: Option<PathBuf>,
    /// Write the digest of the image to this file, once all is done; or to an https:// URL, by PUT.
    #[arg(long, value_name = "FILE")]
    pub(crate) digest_file: Option<String>,
    /// Write REPOSITORY@DIGEST of each destination to this file, once all is done.
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub(crate) image_name_with_digest_file: Option<PathBuf>,
    /// Write REPOSITORY:TAG@DIGEST of each destination to this file, once all is done.
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub(crate) image_name_tag_with_digest_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) registries: RegistryArgs,
    #[command(flatten)]
    pub(crate) logging: LogArgs,
    /// Say nothing but errors, as `--verbosity error` does.
    #[arg(long, short = 'q', num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = go_bool, action = clap::ArgAction::Set)]
    pub(crate) quiet: bool,
    /// How Docker names it: `plain` is text without colour, `auto` and `tty` the default, `quiet` only errors.
    #[arg(long, value_name = "TYPE", value_parser = progress)]
    pub(crate) progress: Option<Progress>,
    /// How a RUN is kept to its root.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) isolation: IsolationArg,
    /// Keep layers of bases and their indexes here, for later builds; several may share it. Taken as given if
    /// /cache is there.
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Keep results of steps for later builds, and use those of earlier ones, in the --cache-repo.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = go_bool, action = clap::ArgAction::Set)]
    pub(crate) cache: bool,
    /// The repository for results of steps, or oci:DIR for a directory; if not given, that of the first destination
    /// with /cache behind it.
    #[arg(long, value_name = "REPOSITORY")]
    pub(crate) cache_repo: Option<String>,
    /// Another place to look for results: a repository, oci:DIR, type=registry,ref=… or type=local,src=…. May be
    /// repeated.
    #[arg(long, value_name = "PLACE")]
    pub(crate) cache_from: Vec<String>,
    /// Another place to keep results: a repository, oci:DIR, type=registry,ref=… or type=local,dest=…. May be
    /// repeated.
    #[arg(long, value_name = "PLACE")]
    pub(crate) cache_to: Vec<String>,
    /// How long a result is used after it was last found useful, as 336h.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "336h")]
    pub(crate) cache_ttl: Duration,
    /// Keep results of COPY and ADD too.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = go_bool, action = clap::ArgAction::Set)]
    pub(crate) cache_copy_layers: bool,
    /// Keep results of RUN.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", value_parser = go_bool, action = clap::ArgAction::Set)]
    pub(crate) cache_run_layers: bool,
    /// Use the --cache-repo, but keep nothing there.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = go_bool, action = clap::ArgAction::Set)]
    pub(crate) no_push_cache: bool,
    /// Sign what is kept with this Ed25519 private key, in PEM.
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub(crate) cache_sign_key: Option<PathBuf>,
    /// Use only results that are signed with the key that belongs to this Ed25519 public key, in PEM.
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub(crate) cache_verify_key: Option<PathBuf>,
    /// Build everything anew. What comes of it is kept as ever.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = go_bool, action = clap::ArgAction::Set)]
    pub(crate) no_cache: bool,
    /// Build these stages anew, by name or number. May be repeated.
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    pub(crate) no_cache_filter: Vec<String>,
    /// Say of each step why a cache has it or, beside the last build that has made something, why not.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = go_bool, action = clap::ArgAction::Set)]
    pub(crate) explain: bool,
    /// Print what would be done, with the key of each step and whether a cache has it, and do nothing.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = go_bool, action = clap::ArgAction::Set)]
    pub(crate) dryrun: bool,
    /// Where to work. A directory is made in it for each build, and removed at its end.
    /// `KANIKO_DIR` in the environment says the same.
    #[arg(long, alias = "kaniko-dir", value_name = "DIR", value_parser = path())]
    pub(crate) work_dir: Option<PathBuf>,
    /// The most bytes that ADD, or a context, may download from one URL, as in 500m or 2g.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) download_limit: Option<u64>,
    /// Say at the end where the time went.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = go_bool, action = clap::ArgAction::Set)]
    pub(crate) timings: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<BuildArgs, clap::Error> {
        Cli::try_parse_from(line.split_whitespace()).map(|cli| cli.build)
    }

    #[test]
    fn is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn booleans_are_gos() {
        for (flag, value) in [
            ("--insecure", true),
            ("--insecure=true", true),
            ("--insecure=1", true),
            ("--insecure=T", true),
            ("--insecure=false", false),
            ("--insecure=F", false),
        ] {
            assert_eq!(
                parse(&format!("bako {flag} -d r.example/a")).unwrap().registries.insecure,
                value,
                "{flag}"
            );
        }
        assert!(parse("bako --insecure=yes").is_err());
    }

    #[test]
    fn hosts_are_names_and_addresses() {
        for (text, expected) in [
            ("db:10.0.0.1", Ok(("db", "10.0.0.1"))),
            ("db=10.0.0.1", Ok(("db", "10.0.0.1"))),
            ("db.example:[::1]", Ok(("db.example", "::1"))),
            ("db:::1", Ok(("db", "::1"))),
            ("db", Err("expected NAME:ADDRESS")),
            (":10.0.0.1", Err("\"\" is no host name")),
            ("a b:10.0.0.1", Err("\"a b\" is no host name")),
            ("db:ten", Err("\"ten\" is no IP address")),
            ("db:1.1.1.1\n", Err("\"1.1.1.1\\n\" is no IP address")),
        ] {
            let found = host(text).map(|(name, address)| (name, address.to_string()));
            let expected = expected.map(|(name, address)| (name.to_owned(), address.to_owned()));
            assert_eq!(found, expected.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("1", Some(1)),
            ("2k", Some(2048)),
            ("3MB", Some(3 << 20)),
            ("4g", Some(4 << 30)),
            ("0", None),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5g", None),
            ("1x", None),
            ("99999999t", None),
        ] {
            assert_eq!(size(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn dockers_words() {
        for (line, expected) in [
            ("bako", (LogFormat::Color, Verbosity::Info)),
            ("bako -q", (LogFormat::Color, Verbosity::Error)),
            ("bako --progress=plain", (LogFormat::Text, Verbosity::Info)),
            ("bako --progress quiet --log-format json", (LogFormat::Json, Verbosity::Error)),
        ] {
            assert_eq!(parse(line).unwrap().log(), expected, "{line}");
        }
        let args = parse("bako -t a:1 --tag b:2 --file x --check --call=outline,format=json").unwrap();
        assert_eq!(args.destination, ["a:1", "b:2"]);
        assert_eq!(args.dockerfile, PathBuf::from("x"));
        assert_eq!(args.asked(), Call { method: Method::Check, json: true });
        for line in ["bako --progress=rawjson", "bako --platform linux/amd64,linux/amd64", "bako --call=x"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn json_is_asked_for() {
        for (line, json) in [
            ("bako --log-format=json --bogus", true),
            ("bako --bogus --log-format JSON", true),
            ("bako --log-format text", false),
            ("bako json", false),
        ] {
            assert_eq!(asks_for_json(line.split(' ').map(Into::into)), json, "{line}");
        }
    }

    #[test]
    fn an_empty_value_is_none() {
        let args = parse("bako --target= --tar-path= --digest-file= --work-dir=").unwrap();
        assert_eq!(args.targets(), Vec::<String>::new());
        assert_eq!(given(&args.digest_file), None);
        for path in [&args.tar_path, &args.work_dir] {
            assert_eq!(given(path), None);
        }
        assert_eq!(given(&Some("a".to_owned())).as_deref(), Some("a"));
    }

    #[test]
    fn kanikos_spellings() {
        let args =
            parse("bako -c /src -f=Dockerfile3 -d a:1 --destination=b:2 --build-arg A=1 --build-arg B")
                .unwrap();
        assert_eq!(args.context, "/src");
        assert_eq!(args.dockerfile, PathBuf::from("Dockerfile3"));
        assert_eq!(args.destination, ["a:1", "b:2"]);
        assert_eq!(args.build_arg, ["A=1", "B"]);
        assert_eq!(parse("bako -v WARN").unwrap().logging.verbosity, Verbosity::Warn);
        assert!(parse("bako --label x").is_err());
        assert_eq!(parse("bako -c=/src").unwrap().context, "/src");
        let args = parse("bako --label a= --label b=c=d --context a --context b --insecure --insecure=false")
            .unwrap();
        let labels: Vec<_> = args.label.iter().map(|pair| (pair.key.as_str(), pair.value.as_str())).collect();
        assert_eq!(labels, [("a", ""), ("b", "c=d")]);
        assert_eq!((args.context.as_str(), args.registries.insecure), ("b", false), "the last one counts");
        for line in ["bako -v fatal", "bako -v Panic"] {
            assert_eq!(parse(line).unwrap().logging.verbosity, Verbosity::Error);
        }
        assert!(parse("bako --no-such-flag").is_err());
    }
}
