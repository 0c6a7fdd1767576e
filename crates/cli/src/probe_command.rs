//! `bako probe`: which isolations work here, and why the others do not.

use std::path::PathBuf;
use std::process::ExitCode;

use builder::WorkDir;
use clap::{Args, ValueEnum};
use sandbox::{Choice, Failure, NamespacesPlan, Probe, Refusal};
use serde_json::{Value, json};

use crate::values::path;
use crate::{environment, terminal};

/// The command line.
#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// Where a build would work.
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub(crate) work_dir: Option<PathBuf>,
    /// How to say it.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: ProbeFormat,
    /// Run a command under the isolation supervised instead, and show which of its system calls were answered, how
    /// often, how long that took, and what they failed with.
    #[arg(long, requires = "image", requires = "command")]
    pub(crate) trace: bool,
    /// The image to run it in.
    #[arg(long, value_name = "IMAGE", requires = "trace")]
    pub(crate) image: Option<String>,
    /// The command, without a shell.
    #[arg(last = true, value_name = "COMMAND", requires = "trace")]
    pub(crate) command: Vec<String>,
}

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProbeFormat {
    /// Lines for people.
    Text,
    /// One JSON object.
    Json,
}

/// Prints the outcome. Fails if no RUN would work.
pub(crate) fn run(ProbeArgs { work_dir, format, .. }: ProbeArgs) -> ExitCode {
    let work_dir = match WorkDir::create(&environment::work_dir(&work_dir)) {
        Ok(work_dir) => work_dir,
        Err(error) => {
            terminal::print_error(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    let probe = sandbox::probe(work_dir.path());
    terminal::print_result(&match format {
        ProbeFormat::Text => probe.to_string(),
        ProbeFormat::Json => format!("{:#}", as_json(&probe)),
    });
    if probe.best().is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn as_json(probe: &Probe) -> Value {
    let ns = match &probe.ns {
        Ok(plan) => how(plan),
        Err(refusals) => refused(refusals),
    };
    let simple = |outcome: &Result<(), Refusal>| match outcome {
        Ok(()) => json!({ "works": true }),
        Err(refusal) => refused(std::slice::from_ref(refusal)),
    };
    json!({
        "isolation": probe.best().map(Choice::name),
        "ns": ns,
        "chroot": simple(&probe.chroot),
        "supervised": simple(&probe.supervised),
    })
}

fn how(plan: &NamespacesPlan) -> Value {
    json!({
        "works": true,
        "userNamespace": plan.user_namespace,
        "overlay": plan.overlay.is_ok(),
        "overlayRefused": plan.overlay.as_ref().err().map(failed),
        "newProc": plan.fresh_proc,
    })
}

fn refused(refusals: &[Refusal]) -> Value {
    let refusals: Vec<Value> = refusals
        .iter()
        .map(|refusal| {
            let mut value = failed(&refusal.failure);
            value["way"] = refusal.way.into();
            value["remedy"] = refusal.remedy.into();
            value
        })
        .collect();
    json!({ "works": false, "refusals": refusals })
}

/// The step, and what the kernel said to it: no number if it was not the kernel that refused.
fn failed(failure: &Failure) -> Value {
    let errno = (failure.errno != 0).then_some(failure.errno);
    let error = errno.map(|errno| std::io::Error::from_raw_os_error(errno).to_string());
    json!({ "step": failure.step, "errno": errno, "error": error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_works_and_what_does_not() {
        let refusal = |way, step: &str, errno| Refusal {
            way,
            failure: Failure { step: step.to_owned(), errno },
            remedy: "change it",
        };
        let probe = Probe {
            ns: Err(vec![refusal("ns", "unshare", 1), refusal("ns in a user namespace", "no program", 0)]),
            chroot: Err(refusal("chroot", "mknod /dev/null", 1)),
            supervised: Ok(()),
        };
        let expected = json!({
            "isolation": "supervised",
            "ns": { "works": false, "refusals": [
                {
                    "step": "unshare", "errno": 1, "error": "Operation not permitted (os error 1)",
                    "way": "ns", "remedy": "change it",
                },
                {
                    "step": "no program", "errno": null, "error": null,
                    "way": "ns in a user namespace", "remedy": "change it",
                },
            ] },
            "chroot": { "works": false, "refusals": [{
                "step": "mknod /dev/null", "errno": 1, "error": "Operation not permitted (os error 1)",
                "way": "chroot", "remedy": "change it",
            }] },
            "supervised": { "works": true },
        });
        assert_eq!(as_json(&probe), expected);
    }
}
