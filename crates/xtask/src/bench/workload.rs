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
    downloads: &[],
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
            what: "a C program of twelve files in one stage, alone in the other",
            dockerfile: || {
                "WORKDIR /src\nCOPY files .\nRUN make -j2\nFROM scratch\nCOPY --from=0 /src/program /\n"
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
            Files::Source => source(&files)?,
        }
        Ok(())
    }
}

/// Twenty thousand small files in two hundred folders.
pub(crate) fn many(folder: &Path) -> Result<()> {
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

/// Small enough that the compiler, which takes as long under any builder, is not all that is measured.
pub(crate) fn source(folder: &Path) -> Result<()> {
    let numbers: Vec<usize> = (0..12).collect();
    for number in &numbers {
        let text = format!(
            "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n\
             int part{number}(const char *text) {{\n  size_t sum = {number};\n  \
             for (const char *at = text; *at; at++) sum = sum * 31 + (unsigned char)*at;\n  \
             printf(\"{number}: %zu\\n\", sum);\n  return (int)(sum % 7);\n}}\n"
        );
        fs::write(folder.join(format!("part{number}.c")), text)?;
    }
    let declarations: String = numbers.iter().map(|n| format!("int part{n}(const char *);\n")).collect();
    let calls: String = numbers.iter().map(|n| format!("  sum += part{n}(arguments[0]);\n")).collect();
    let main = format!(
        "{declarations}int main(int count, char **arguments) {{\n  int sum = count;\n{calls}  \
         return sum < 0;\n}}\n"
    );
    fs::write(folder.join("main.c"), main)?;
    let makefile = "CFLAGS = -O2\nLDFLAGS = -static\nprogram: main.o $(patsubst %.c,%.o,$(wildcard part*.c))\n\
                    \t$(CC) $(LDFLAGS) -o $@ $^\n";
    fs::write(folder.join("Makefile"), makefile)?;
    Ok(())
}
