//! Lints: `tests/data/lint.txt`.

mod support;

use dockerfile::{lint::lint, parse};
use support::check_table;

#[test]
fn warnings() {
    check_table(include_str!("data/lint.txt"), |text| {
        let warnings = lint(&parse(text).unwrap());
        let lines = warnings
            .iter()
            .map(|warning| format!("{} {}: {}", warning.span.first_line, warning.rule, warning.message));
        lines.collect::<Vec<_>>().join("; ")
    });
}
