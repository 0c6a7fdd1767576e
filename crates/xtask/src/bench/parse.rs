//! How long it takes to understand a long Dockerfile: text to stages, stages to plan.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Result, ensure};
use dockerfile::{GlobalScope, Graph, PlatformArgs};

use super::measure::median;

/// What it is called on the command line.
pub(crate) const NAME: &str = "parse";
/// What is measured.
pub(crate) const WHAT: &str = "a Dockerfile of 5,000 lines is parsed and planned, in this very process";

const LINES: usize = 5_000;
/// Whoever builds does not notice less than this.
const MOST_MILLISECONDS: f64 = 50.0;

/// Measures, prints one line, and fails if it takes too long.
pub(crate) fn run() -> Result<()> {
    let text = long();
    let lines = text.lines().count();
    let mut milliseconds = Vec::new();
    for _ in 0..9 {
        let start = Instant::now();
        let dockerfile = dockerfile::parse(&text)?;
        let platform = PlatformArgs::new("linux/amd64", "linux/amd64", None);
        let scope = GlobalScope::new(&dockerfile, &platform, &BTreeMap::new())?;
        let graph = Graph::new(&dockerfile, &scope, &[], "linux/amd64")?;
        let needed = graph.reachable(graph.target(None)?)?;
        milliseconds.push(start.elapsed().as_secs_f64() * 1000.0);
        ensure!(needed.len() == dockerfile.stages.len(), "every stage is needed");
    }
    let median = median(&milliseconds);
    println!("{:<22} {median:>7.1} ms for a Dockerfile of {lines} lines", "parse and plan");
    ensure!(median < MOST_MILLISECONDS, "that is more than {MOST_MILLISECONDS} ms");
    Ok(())
}

/// Stages that each start from the one before, with instructions of every usual kind.
fn long() -> String {
    const BLOCK: &str = r#"ARG VERSION=1 NAME="a b"
ENV PATH=/opt/bin:$PATH HOME=/root \
    FLAGS="${FLAGS:-} -O2"
# a comment
RUN --mount=type=cache,target=/root/.cache apt-get update && \
    apt-get install --yes build-essential
COPY --chown=1000:1000 --from=0 ./src/*.c ./include/ /src/
COPY <<EOF /etc/config
version = $VERSION
EOF
"#;
    let mut text = String::from("FROM base:1 AS stage0\nRUN first\n");
    let mut lines = 2;
    for stage in 1.. {
        if lines >= LINES {
            break;
        }
        text += &format!("FROM stage{} AS stage{stage}\n", stage - 1);
        text += &BLOCK.repeat(10);
        lines += 1 + 10 * BLOCK.lines().count();
    }
    text
}
