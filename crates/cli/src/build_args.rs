//! The flags of a build: Kaniko's executor's, those that Docker's users know, and a few of ours.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use oci::Platform;

use crate::attest_flags::AttestArgs;
use crate::call::{Call, Method, call};
use crate::delivery_args::DeliveryArgs;
use crate::git_flag::{GitFlag, git_flag};
use crate::log_args::{LogArgs, LogFormat, Verbosity};
use crate::registry_args::RegistryArgs;
use crate::secrets::{SecretFlag, secret_flag};
use crate::values::{Pair, Platforms, duration, host, pair, path, platforms, size};

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
    #[arg(long)]
    pub(crate) check: bool,
    /// What to do with the Dockerfile: build, check, outline or targets; with `,format=json` the answer is JSON.
    #[arg(long, value_name = "METHOD", value_parser = call, default_value = "build")]
    pub(crate) call: Call,
    /// Value of an ARG, as NAME=VALUE; NAME alone takes the value of that environment variable. May be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) build_arg: Vec<String>,
    /// Read the file as a plain Dockerfile though its `# syntax=` names a frontend that is not Docker's.
    #[arg(long)]
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
    #[arg(long)]
    pub(crate) no_push: bool,
    /// Write an archive for `docker load` to this file.
    #[arg(long, alias = "tarPath", value_name = "FILE", value_parser = path())]
    pub(crate) tar_path: Option<PathBuf>,
    /// Write an OCI layout with the image to this directory.
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub(crate) oci_layout_path: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) attest: AttestArgs,
    /// How new layers are packed.
    #[arg(long, value_enum, default_value = "gzip")]
    pub(crate) compression: CompressionArg,
    /// How hard they are packed: 0 to 12 for gzip, 1 to 22 for zstd, -1 for what suits builds.
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true, default_value = "-1")]
    pub(crate) compression_level: i32,
    /// Take the time of everything that is made as 1970, if SOURCE_DATE_EPOCH gives no other.
    #[arg(long)]
    pub(crate) reproducible: bool,
    /// Make one layer of all that the image has on top of its base.
    #[arg(long)]
    pub(crate) single_snapshot: bool,
    /// A path of the image where what a RUN does is in no layer. May be repeated.
    #[arg(long, value_name = "PATH")]
    pub(crate) ignore_path: Vec<String>,
    /// Write digests, descriptor and names of the image to this file as JSON, once all is done.
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub(crate) metadata_file: Option<PathBuf>,
    /// Write a page about the build to this file, in HTML that needs nothing else, once the build has ended.
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub(crate) build_report: Option<PathBuf>,
    /// Sign the image in every registry that it was pushed to with this private key, ECDSA on P-256 in PEM, as cosign
    /// does. The password of one that cosign has encrypted is in COSIGN_PASSWORD.
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub(crate) sign_key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) delivery: DeliveryArgs,
    #[command(flatten)]
    pub(crate) registries: RegistryArgs,
    #[command(flatten)]
    pub(crate) logging: LogArgs,
    /// Say nothing but errors, as `--verbosity error` does.
    #[arg(long, short = 'q')]
    pub(crate) quiet: bool,
    /// How Docker names it: `plain` is text without colour, `auto` and `tty` the default, `quiet` only errors.
    #[arg(long, value_name = "TYPE", value_parser = progress)]
    pub(crate) progress: Option<Progress>,
    /// How a RUN is kept to its root.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) isolation: IsolationArg,
    /// Isolations that are good enough; where none of them works, a build that has a RUN fails.
    #[arg(long, value_enum, value_name = "ISOLATION,…", value_delimiter = ',')]
    pub(crate) isolation_require: Vec<IsolationArg>,
    /// Keep layers of bases and their indexes here, for later builds; several may share it. Taken as given if
    /// /cache is there.
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Keep results of steps for later builds, and use those of earlier ones, in the --cache-repo.
    #[arg(long)]
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
    #[arg(long)]
    pub(crate) cache_copy_layers: bool,
    /// Keep results of RUN.
    #[arg(long, default_value = "true")]
    pub(crate) cache_run_layers: bool,
    /// Use the --cache-repo, but keep nothing there.
    #[arg(long)]
    pub(crate) no_push_cache: bool,
    /// Sign what is kept with this Ed25519 private key, in PEM.
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub(crate) cache_sign_key: Option<PathBuf>,
    /// Use only results that are signed with the key that belongs to this Ed25519 public key, in PEM.
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub(crate) cache_verify_key: Option<PathBuf>,
    /// Keep cache mounts of RUN for other machines too, and take those that other machines have kept: in the
    /// --cache-mounts-repo or, if that is not given, wherever results of steps are kept.
    #[arg(long, default_value = "true")]
    pub(crate) cache_mounts: bool,
    /// The repository for cache mounts, or oci:DIR for a directory.
    #[arg(long, value_name = "REPOSITORY")]
    pub(crate) cache_mounts_repo: Option<String>,
    /// What the files of a cache mount may have together to be kept for other machines, as in 500m or 4g.
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "4g")]
    pub(crate) cache_mounts_max_size: u64,
    /// Build everything anew. What comes of it is kept as ever.
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Build these stages anew, by name or number. May be repeated.
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    pub(crate) no_cache_filter: Vec<String>,
    /// Say of each step why a cache has it or, beside the last build that has made something, why not.
    #[arg(long)]
    pub(crate) explain: bool,
    /// Print what would be done, with the key of each step and whether a cache has it, and do nothing.
    #[arg(long)]
    pub(crate) dryrun: bool,
    /// How many stages are built at once, of all platforms together; the number of processors if it is not given.
    /// With 1, one is built after the other.
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// Where to work. A directory is made in it for each build, and removed at its end.
    /// `KANIKO_DIR` in the environment says the same.
    #[arg(long, alias = "kaniko-dir", value_name = "DIR", value_parser = path())]
    pub(crate) work_dir: Option<PathBuf>,
    /// The most bytes that ADD, or a context, may download from one URL, as in 500m or 2g.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) download_limit: Option<u64>,
    /// Say at the end where the time went.
    #[arg(long)]
    pub(crate) timings: bool,
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

/// How layers are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompressionArg {
    /// For every engine.
    Gzip,
    /// Smaller and faster, for engines of the last years.
    Zstd,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use crate::values::given;

    fn parse(line: &str) -> Result<BuildArgs, clap::Error> {
        Cli::read(line.split_whitespace().map(Into::into)).map(|(cli, _)| cli.build)
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
    fn an_empty_value_is_none() {
        let args = parse("bako --target= --tar-path= --digest-file= --work-dir=").unwrap();
        assert_eq!(args.targets(), Vec::<String>::new());
        assert_eq!(given(&args.delivery.digest_file), None);
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
