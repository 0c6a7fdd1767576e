//! `HEALTHCHECK`: how to tell that a container works.

use std::time::Duration;

use crate::flag::Flags;
use crate::parse::Statement;
use crate::{ParseError, ShellOrExec, parse_duration};

/// A health check. What is not given is inherited, or the engine's default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healthcheck {
    /// What to run.
    pub probe: Probe,
    /// `--interval`: the time between probes.
    pub interval: Option<Duration>,
    /// `--timeout`: the time a probe may take.
    pub timeout: Option<Duration>,
    /// `--start-period`: the time in which failures do not count.
    pub start_period: Option<Duration>,
    /// `--start-interval`: the time between probes in the start period.
    pub start_interval: Option<Duration>,
    /// `--retries`: failures in a row that make a container unhealthy.
    pub retries: Option<u32>,
}

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// Nothing, not even what the base image says.
    None,
    /// A command; zero is healthy.
    Command(ShellOrExec),
}

impl Healthcheck {
    pub(crate) fn read(statement: &Statement) -> Result<Self, ParseError> {
        let flags = &statement.flags;
        flags.check(&["interval", "timeout", "start-period", "start-interval", "retries"], &[])?;
        let (kind, command) = statement.arguments.split_word();
        let probe = match kind.as_str().to_uppercase().as_str() {
            "" => return Err(statement.at_least_one()),
            "NONE" if command.as_str().is_empty() => Probe::None,
            "NONE" => return Err(ParseError::new(command.span(), "HEALTHCHECK NONE takes no arguments")),
            "CMD" => {
                let command = ShellOrExec::read(command)?;
                if command.is_empty() {
                    return Err(ParseError::new(statement.span, "Missing command after HEALTHCHECK CMD"));
                }
                Probe::Command(command)
            }
            other => {
                let message = format!("Unknown type {other:?} in HEALTHCHECK (try CMD)");
                return Err(ParseError::new(kind.span(), message));
            }
        };
        Ok(Healthcheck {
            probe,
            interval: duration(flags, "interval")?,
            timeout: duration(flags, "timeout")?,
            start_period: duration(flags, "start-period")?,
            start_interval: duration(flags, "start-interval")?,
            retries: retries(flags)?,
        })
    }
}

/// The engines take nothing below a millisecond but zero, which is as good as not given.
fn duration(flags: &Flags, name: &str) -> Result<Option<Duration>, ParseError> {
    let Some(flag) = flags.literal(name)? else { return Ok(None) };
    if flag.value.is_empty() {
        return Ok(None);
    }
    let nanoseconds =
        parse_duration(&flag.value).map_err(|error| ParseError::new(flag.span, error.to_string()))?;
    match u64::try_from(nanoseconds) {
        Ok(0) => Ok(None),
        Ok(nanoseconds) if nanoseconds >= 1_000_000 => Ok(Some(Duration::from_nanos(nanoseconds))),
        _ => Err(ParseError::new(flag.span, format!("Interval {name:?} cannot be less than 1ms"))),
    }
}

fn retries(flags: &Flags) -> Result<Option<u32>, ParseError> {
    let Some(flag) = flags.literal("retries")? else { return Ok(None) };
    if flag.value.is_empty() {
        return Ok(None);
    }
    let invalid = |_| ParseError::new(flag.span, format!("invalid number of --retries: {:?}", flag.value));
    let number: i32 = flag.value.parse().map_err(invalid)?;
    let negative = |_| ParseError::new(flag.span, format!("--retries cannot be negative ({number})"));
    u32::try_from(number).map(|number| Some(number).filter(|number| *number > 0)).map_err(negative)
}
