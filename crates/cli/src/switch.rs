//! A switch: a flag that stands alone or, after `=`, says true or false, as Go's flag package has it and as
//! pipelines that were written for Kaniko use it.

use clap::{Arg, ArgAction, Command};

/// A boolean as Go's flag package reads it.
pub(crate) fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

/// Makes a switch of a flag.
pub(crate) fn switch(flag: Arg) -> Arg {
    flag.action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .value_parser(go_bool)
}

/// Makes switches of all flags of a command line that are declared as `bool`; false is what they are if not given,
/// unless they have another default.
pub(crate) fn with_switches(command: Command) -> Command {
    let as_switch = |flag: Arg| match flag.get_action() {
        ArgAction::SetTrue if flag.get_default_values().is_empty() => switch(flag).default_value("false"),
        ArgAction::SetTrue => switch(flag),
        _ => flag,
    };
    command.mut_args(as_switch).mut_subcommands(with_switches)
}
