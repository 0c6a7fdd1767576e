//! Mode changes: `tests/data/chmod.txt`.

mod support;

use dockerfile::ModeChange;
use support::check_table;

#[test]
fn modes() {
    check_table(include_str!("data/chmod.txt"), |input| {
        let (change, mode) = input.rsplit_once(' ').unwrap();
        let (mode, is_directory) = match mode.strip_suffix('/') {
            Some(mode) => (mode, true),
            None => (mode, false),
        };
        let mode = u32::from_str_radix(mode, 8).unwrap();
        match ModeChange::parse(change) {
            Ok(change) => format!("{:04o}", change.apply(mode, is_directory)),
            Err(error) => format!("error: {error}"),
        }
    });
}
