//! The page on moving from Kaniko, whose tables are these. `BLESS=1` writes it.

use super::{ENVIRONMENT, EXECUTOR, Entry, FEATURES, Fate, LOGIN, PUSH, WARMER};
use crate::blessed::check_file;

const BEGIN: &str = "<!-- written from the tables in crates/cli/src/kaniko -->\n";
const END: &str = "<!-- end of what is written from them -->\n";

#[test]
fn the_page_has_the_tables() {
    check_file("docs/moving-from-kaniko.md", |page| {
        let (before, rest) = page.split_once(BEGIN).expect("the page has a line where the tables begin");
        let (_, after) = rest.split_once(END).expect("the page has a line where the tables end");
        format!("{before}{BEGIN}{}{END}{after}", tables())
    });
}

fn tables() -> String {
    let mut text = String::from("\n| | honoured | moot | refused | |\n|---|---|---|---|---|\n");
    let parts: [(&str, &[&[Entry]]); 5] = [
        ("Flags of `executor`", &[EXECUTOR]),
        ("Flags of `executor login` and `executor push`", &[LOGIN, PUSH]),
        ("Flags of `warmer`", &[WARMER]),
        ("Environment", &[ENVIRONMENT]),
        ("`FF_KANIKO_*`", &[FEATURES]),
    ];
    for (title, entries) in parts {
        let count =
            |fate| entries.iter().flat_map(|part| part.iter()).filter(|entry| entry.fate == fate).count();
        let [honoured, moot, refused] = [Fate::Honoured, Fate::Moot, Fate::Refused].map(count);
        let total = honoured + moot + refused;
        text += &format!("| {title} | {honoured} | {moot} | {refused} | of {total} |\n");
    }
    for (title, entries) in parts {
        text += &format!("\n### {title}\n\n| | | |\n|---|---|---|\n");
        for entry in entries.iter().flat_map(|part| part.iter()) {
            let fate = match entry.fate {
                Fate::Honoured => "honoured",
                Fate::Moot => "moot",
                Fate::Refused => "refused",
            };
            text += &format!("| `{}` | {fate} | {} |\n", entry.name, entry.note);
        }
    }
    text + "\n"
}
