//! What is built for the comparison.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use e2e::bases::{self, Debian};
use e2e::process::output;

/// Some 600 MB, as a company's base for everything has.
pub(crate) const BASE: Debian<'_> = Debian {
    name: "toolbox",
    packages: &["ca-certificates", "g++", "git", "make", "nodejs", "python3-dev", "python3-pip"],
};

/// A Dockerfile and the files it wants.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    dockerfile: fn() -> String,
    files: Files,
    /// Whether nothing is run, so that the base need not be downloaded.
    pub(crate) is_copy_only: bool,
}

enum Files {
    None,
    /// Twenty thousand small ones, as `node_modules` has.
    Many,
    /// One of two gibibytes.
    Big,
    /// A program to compile.
    Source,
}

pub(crate) fn all() -> [Workload; 5] {
    [
        Workload {
            name: "run15",
            what: "15 small RUN",
            dockerfile: || (0..15).map(|step| format!("RUN echo {step} > /step-{step}\n")).collect(),
            files: Files::None,
            is_copy_only: false,
        },
        Workload {
            name: "copy",
            what: "COPY of 20,000 small files; bako also with the base known",
            dockerfile: || "COPY files /files\n".to_owned(),
            files: Files::Many,
            is_copy_only: true,
        },
        Workload {
            name: "copy-run",
            what: "the same COPY, then a RUN",
            dockerfile: || "COPY files /files\nRUN ls /files > /list\n".to_owned(),
            files: Files::Many,
            is_copy_only: false,
        },
        Workload {
            name: "compile",
            what: "a C++ program in one stage, alone in the other",
            dockerfile: || {
                "COPY files /src\nRUN g++ -O2 -static -o /program /src/main.cc\n\
                 FROM scratch\nCOPY --from=0 /program /\n"
                    .to_owned()
            },
            files: Files::Source,
            is_copy_only: false,
        },
        Workload {
            name: "big-file",
            what: "COPY of one file of 2 GiB",
            dockerfile: || "COPY files /files\n".to_owned(),
            files: Files::Big,
            is_copy_only: false,
        },
    ]
}

impl Workload {
    /// Writes the context.
    pub(crate) fn prepare(&self, context: &Path, base: &str) -> Result<()> {
        fs::write(context.join("Dockerfile"), format!("FROM {base}\n{}", (self.dockerfile)()))?;
        let files = context.join("files");
        fs::create_dir(&files)?;
        match self.files {
            Files::None => {}
            Files::Many => many(&files)?,
            Files::Big => big(&files)?,
            Files::Source => fs::write(files.join("main.cc"), SOURCE)?,
        }
        Ok(())
    }
}

fn many(folder: &Path) -> Result<()> {
    for module in 0..200 {
        let folder = folder.join(format!("module-{module}/lib"));
        fs::create_dir_all(&folder)?;
        for file in 0..100 {
            let line = format!("exports.value{file} = require('./{module}/{file}');\n");
            fs::write(folder.join(format!("file-{file}.js")), line.repeat(1 + (module + file) % 30))?;
        }
    }
    Ok(())
}

/// The file is made once: random bytes take longer to make than to copy.
fn big(folder: &Path) -> Result<()> {
    let kept = bases::cache_folder()?.join("2GiB");
    if !kept.is_file() {
        let part = kept.with_extension("part");
        let of = format!("of={}", part.display());
        output(Command::new("dd").args(["if=/dev/urandom", "bs=1M", "count=2048", "status=none", &of]))?;
        fs::rename(&part, &kept)?;
    }
    let file = folder.join("2GiB");
    fs::hard_link(&kept, &file).or_else(|_| fs::copy(&kept, &file).map(drop))?;
    Ok(())
}

const SOURCE: &str = "\
#include <algorithm>
#include <iostream>
#include <map>
#include <regex>
#include <string>
#include <vector>
int main() {
  std::map<std::string, std::vector<int>> groups;
  for (int i = 0; i < 100; i++) groups[std::to_string(i % 7)].push_back(i);
  std::regex digits(\"[0-6]\");
  for (auto &[name, members] : groups)
    if (std::regex_match(name, digits)) std::cout << name << ' ' << members.size() << '\\n';
}
";
