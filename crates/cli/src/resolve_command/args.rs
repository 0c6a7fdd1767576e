//! The flags of `resolve`, which are those of kbld and a few of ours.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::relocate::{FromArgs, ToArgs};
use crate::build_args::IsolationArg;
use crate::log_args::{LogFormat, Verbosity};
use crate::registry_args::RegistryArgs;
use crate::values::path;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ResolveArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ResolveCommand>,
    /// A file, a directory, an address (https://…), or `-` for standard input. May be repeated.
    #[arg(long, short = 'f', value_name = "FILE", value_delimiter = ',')]
    pub(crate) file: Vec<String>,
    /// How the documents are printed.
    #[arg(long, value_enum, value_name = "FORM")]
    pub(crate) output: Option<Form>,
    /// Whether images that have a source are built.
    #[arg(long, default_value = "true")]
    pub(crate) build: bool,
    /// Images that are built at the same time.
    #[arg(long, value_name = "NUMBER", default_value = "4")]
    pub(crate) build_concurrency: usize,
    /// References that are looked up at the same time.
    #[arg(long, value_name = "NUMBER", default_value = "16")]
    pub(crate) concurrency: usize,
    /// Whether the annotation kbld.k14s.io/images is written.
    #[arg(long, default_value = "true")]
    pub(crate) images_annotation: bool,
    /// Whether imgpkg's lock has the origins of its images.
    #[arg(long, default_value = "true")]
    pub(crate) origins_annotation: bool,
    /// A JSON object of references and what takes their place.
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub(crate) image_map_file: Option<PathBuf>,
    /// Write a Config that makes the next run come to the same.
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub(crate) lock_output: Option<PathBuf>,
    /// Write an ImagesLock of imgpkg.
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub(crate) imgpkg_lock_output: Option<PathBuf>,
    /// Only print the references, and resolve nothing.
    #[arg(long)]
    pub(crate) unresolved_inspect: bool,
    /// Which image of an index is meant, as OS/ARCHITECTURE[/VARIANT][:OSVERSION].
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
    /// Where images go that are built and have no destination: each an OCI layout in a directory below this one.
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub(crate) oci_layout_path: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) kbld_registries: KbldRegistryArgs,
    #[command(flatten)]
    pub(crate) registries: RegistryArgs,
    /// Nothing: the order of the output is that of the input.
    #[arg(long, hide = true, default_value = "true")]
    pub(crate) sort: bool,
    /// How a RUN is kept to its root.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) isolation: IsolationArg,
    /// Keep layers of bases and their indexes here; see the same flag of a build.
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Where to work.
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub(crate) work_dir: Option<PathBuf>,
    /// How much to say.
    #[arg(long, value_enum, default_value = "info", ignore_case = true)]
    pub(crate) verbosity: Verbosity,
    /// How to say it.
    #[arg(long, value_enum, default_value = "color", ignore_case = true)]
    pub(crate) log_format: LogFormat,
}

/// How kbld says whom to trust: for every registry alike.
#[derive(Debug, Args)]
pub(crate) struct KbldRegistryArgs {
    /// A certificate authority for every registry. May be repeated.
    #[arg(long, value_name = "FILE")]
    pub(crate) registry_ca_cert_path: Vec<PathBuf>,
    /// Whether certificates are checked.
    #[arg(long, default_value = "true")]
    pub(crate) registry_verify_certs: bool,
    /// Every registry may speak plain HTTP.
    #[arg(long)]
    pub(crate) registry_insecure: bool,
}

/// What else there is to do with manifests.
#[derive(Debug, Subcommand)]
pub(crate) enum ResolveCommand {
    /// Show the images of the resources, and where an earlier run said that they come from.
    #[command(aliases = ["i", "is", "insp"])]
    Inspect {
        /// A file, a directory, or `-` for standard input. May be repeated.
        #[arg(long, short = 'f', value_name = "FILE", value_delimiter = ',')]
        file: Vec<String>,
    },
    /// Copy pinned images to one repository, and print the documents with their new places.
    Relocate {
        #[command(flatten)]
        from: FromArgs,
        #[command(flatten)]
        to: ToArgs,
    },
    /// Write pinned images into one file.
    #[command(alias = "pkg")]
    Package {
        #[command(flatten)]
        from: FromArgs,
        /// The file.
        #[arg(long, short = 'o', value_name = "FILE", value_parser = path())]
        output: Option<PathBuf>,
    },
    /// Push the images of such a file to one repository, and print the documents with their new places.
    #[command(alias = "unpkg")]
    Unpackage {
        #[command(flatten)]
        from: FromArgs,
        /// The file.
        #[arg(long, short = 'i', value_name = "FILE", value_parser = path())]
        input: Option<PathBuf>,
        #[command(flatten)]
        to: ToArgs,
    },
    /// Print the version.
    Version,
}

/// How documents are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// As they were written, with other images and the annotation.
    Text,
    /// As kbld prints them: keys sorted, without comments.
    Kbld,
}
