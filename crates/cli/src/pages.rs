//! What is written from the command line itself: the manual page and completions for shells. They are files of the
//! repository, and not in the program. `BLESS=1` writes them.

use clap::Command;
use clap_complete::{Shell, generate};

use crate::args::Cli;
use crate::blessed::check_file;

/// What a person is to know of.
fn command() -> Command {
    Cli::documented().name("bako")
}

#[test]
fn completions() {
    for (shell, file) in [(Shell::Bash, "bako.bash"), (Shell::Zsh, "_bako"), (Shell::Fish, "bako.fish")] {
        check_file(&format!("docs/completions/{file}"), |_| {
            let mut text = Vec::new();
            generate(shell, &mut command(), "bako", &mut text);
            String::from_utf8(text).unwrap()
        });
    }
}

#[test]
fn manual_page() {
    check_file("docs/bako.1", |_| {
        let mut text = Vec::new();
        let page = clap_mangen::Man::new(command()).date("").source("bako");
        page.render(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    });
}
