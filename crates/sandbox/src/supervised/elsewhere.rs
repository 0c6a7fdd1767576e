//! In the place of the supervisor on machines for which nobody has written down yet what their calls and registers are.

use std::path::Path;

use crate::failure::Failure;
use crate::helper::Helper;
use crate::process::Process;

const REASON: &str = "supervise a program: that is written for x86-64 and aarch64 alone";

pub(crate) fn run(_: &Helper, _: &Process, _: &Path, _: &Path, _: &Path, _: bool) -> Result<(), Failure> {
    Err(Failure::because(REASON))
}

pub(crate) fn rehearse(_: &Helper, _: &Path) -> Result<(), Failure> {
    Err(Failure::because(REASON))
}
