//! Flags on what is said, and how. Builds, pushes and the warmer have them alike.

use clap::{Args, ValueEnum};

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
    #[arg(long)]
    pub(crate) log_timestamp: bool,
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
