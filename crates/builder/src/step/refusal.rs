//! What the language has and this program does not: refused by name and line, and never passed over.

use dockerfile::instruction::Security;
use dockerfile::{Instruction, InstructionKind};

use super::located;
use crate::error::{Error, Result};

/// Refuses an instruction that asks for something unsupported. What only shows once variables have values
/// is refused when it is carried out.
pub(crate) fn refuse(instruction: &Instruction) -> Result<()> {
    let InstructionKind::Run(run) = &instruction.kind else { return Ok(()) };
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
