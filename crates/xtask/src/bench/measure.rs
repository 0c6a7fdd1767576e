//! How long a builder takes, and how much memory its own processes have at most.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

/// One run.
pub(crate) struct Sample {
    pub(crate) seconds: f64,
    /// The most that the builder's processes had in memory at one time. Commands that it ran for the
    /// Dockerfile do not count: they would need the same under any builder.
    pub(crate) peak_bytes: u64,
}

/// How often memory is looked at.
const INTERVAL: Duration = Duration::from_millis(20);

/// Runs commands one after the other, which all have to succeed.
pub(crate) fn measure(commands: &mut [Command]) -> Result<Sample> {
    let start = Instant::now();
    let mut peak_bytes = 0;
    for command in commands {
        peak_bytes = peak_bytes.max(run(command)?);
    }
    Ok(Sample { seconds: start.elapsed().as_secs_f64(), peak_bytes })
}

fn run(command: &mut Command) -> Result<u64> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = tempfile::NamedTempFile::new()?;
    command.stdin(Stdio::null()).stdout(output.reopen()?).stderr(output.reopen()?);
    let mut child = command.spawn().with_context(|| format!("start {program}"))?;
    let (root, ended, peak) = (child.id(), AtomicBool::new(false), AtomicU64::new(0));
    let status = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                peak.fetch_max(resident(root), Ordering::Relaxed);
                std::thread::sleep(INTERVAL);
            }
        });
        let status = child.wait();
        ended.store(true, Ordering::Relaxed);
        status
    })?;
    ensure!(status.success(), "{program}: {status}\n{}", fs::read_to_string(output.path())?);
    Ok(peak.into_inner())
}

/// The resident bytes of a process and of those of its descendants that run the same program.
fn resident(root: u32) -> u64 {
    let mut parents: HashMap<u32, u32> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let status = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // The name, in parentheses, may hold anything; after it come the state and the parent.
        let parent = status.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
        if let Some(parent) = parent {
            parents.insert(process, parent);
        }
    }
    let program = executable(root);
    let mut family = HashSet::from([root]);
    let mut grows = true;
    while grows {
        let before = family.len();
        family.extend(
            parents
                .iter()
                .filter(|(_, parent)| family.contains(parent))
                .map(|(process, _)| *process)
                .collect::<Vec<_>>(),
        );
        grows = family.len() > before;
    }
    family.into_iter().filter(|process| executable(*process) == program).map(resident_of).sum()
}

fn executable(process: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{process}/exe")).ok()
}

fn resident_of(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// The middle value.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[length / 2],
        length => f64::midpoint(sorted[length / 2 - 1], sorted[length / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        for (values, middle) in [(vec![3.0, 1.0, 2.0], 2.0), (vec![4.0, 1.0], 2.5), (vec![7.0], 7.0)] {
            assert!((median(&values) - middle).abs() < 1e-9, "{values:?}");
        }
    }

    #[test]
    fn memory_of_this_process_is_seen() {
        assert!(resident(std::process::id()) > 100_000);
    }
}
