//! Programs that a test needs, and what happens when they are not there.

/// True if a program is there. If it is not, the reason for skipping is printed; in CI (`CI` is set)
/// nothing is skipped, so that is a failure.
#[must_use]
pub fn available(program: &str) -> bool {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|dir| dir.join(program).is_file());
    if !found {
        skip(&format!("{program} is not installed"));
    }
    found
}

/// Says why a test is skipped, and fails it in CI.
pub(crate) fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "{reason}");
    eprintln!("skipped: {reason}");
}
