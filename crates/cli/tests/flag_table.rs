//! The page on the command line lists every flag of a build with its default, and no other: `--help` says which
//! there are.

use std::path::Path;
use std::process::Command;

/// What a page or the help says of a flag.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flag {
    /// `--context`
    long: String,
    /// `-c`
    short: Option<String>,
    default: Option<String>,
}

#[test]
fn the_page_lists_every_flag_with_its_default() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/command-line.md");
    let page = std::fs::read_to_string(page).unwrap();
    // Without an environment, which could give defaults of its own.
    let help = Command::new(env!("CARGO_BIN_EXE_bako")).arg("--help").env_clear().output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();

    let (listed, there) = (of_page(&page), of_help(&help));
    assert!(there.len() > 10, "the help is not read: {there:?}");
    let missing: Vec<_> = there.iter().filter(|flag| !listed.contains(flag)).collect();
    let wrong: Vec<_> = listed.iter().filter(|flag| !there.contains(flag)).collect();
    assert!(missing.is_empty() && wrong.is_empty(), "to be listed: {missing:#?}\nlisted: {wrong:#?}");
}

/// Rows like ``| `--context`, `-c` | meaning | Kaniko | `/workspace/` |``.
fn of_page(page: &str) -> Vec<Flag> {
    let rows = page.lines().filter(|line| line.starts_with("| `--"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let names: Vec<&str> = cells[0].split(", ").map(|name| name.trim_matches('`')).collect();
        let default = cells.last().filter(|text| text.starts_with('`')).map(|text| text.trim_matches('`'));
        Flag {
            long: names[0].to_owned(),
            short: names.get(1).map(|&name| name.to_owned()),
            default: default.map(str::to_owned),
        }
    })
    .collect()
}

/// A line like `  -c, --context <DIR>`, and below it, further in, perhaps `[default: /workspace/]`.
fn of_help(help: &str) -> Vec<Flag> {
    let mut flags: Vec<Flag> = Vec::new();
    for line in help.lines() {
        let text = line.trim_start();
        if line.len() - text.len() <= 6 && text.starts_with('-') {
            let (short, text) = match text.split_once(", ") {
                Some((short, text)) => (Some(short.to_owned()), text),
                None => (None, text),
            };
            let long = text.split([' ', '[']).next().unwrap_or_default().to_owned();
            flags.push(Flag { long, short, default: None });
        } else if let (Some(default), Some(flag)) = (text.strip_prefix("[default: "), flags.last_mut()) {
            flag.default = Some(default.trim_end_matches(']').to_owned());
        }
    }
    flags
}
