//! What the language has and this program does not: refused by name and line, and never passed over.

use dockerfile::instruction::{Add, Run, Security};
use dockerfile::{Instruction, InstructionKind, Span};

use super::located;
use crate::error::{Error, Result};

/// Refuses an instruction that asks for something unsupported. What only shows once variables have values
/// is refused when it is carried out.
pub(crate) fn refuse(instruction: &Instruction) -> Result<()> {
    match &instruction.kind {
        InstructionKind::Run(run) => refuse_run(run),
        InstructionKind::Add(add) => refuse_add(add),
        _ => Ok(()),
    }
}

/// The error for it.
pub(super) fn unsupported(what: &str, span: Span) -> Error {
    located(span, Error::new(format!("{what} is not supported yet")))
}

fn refuse_run(run: &Run) -> Result<()> {
    if let Some(device) = run.devices.first() {
        let text = format!("RUN --device={} is not possible", device.value.name);
        return Err(
            located(device.span, Error::new(text)).hint("a RUN has no devices of the machine it is built on")
        );
    }
    if let Some(security) = run.security.as_ref().filter(|security| security.value == Security::Insecure) {
        return Err(located(security.span, Error::new("security.insecure is not allowed"))
            .hint("a build never gives a RUN more privilege than the builder's own sandbox"));
    }
    Ok(())
}

fn refuse_add(add: &Add) -> Result<()> {
    if let Some(flag) = &add.keep_git_dir {
        return Err(unsupported("ADD --keep-git-dir", flag.span));
    }
    Ok(())
}
