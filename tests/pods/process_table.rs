//! The processes below another, as this machine's `/proc` shows them whatever namespace they are in.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A line of `/proc/PID/stat`.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    id: u32,
    /// The program's, cut to 15 bytes.
    pub(crate) name: String,
    /// `Z` is dead and unburied.
    pub(crate) state: String,
    parent: u32,
}

/// Everybody below a process.
pub(crate) fn descendants(process: u32) -> Vec<Process> {
    let mut children: BTreeMap<u32, Vec<Process>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if let Some(process) = read_process(&entry.path()) {
            children.entry(process.parent).or_default().push(process);
        }
    }
    let mut found = children.remove(&process).unwrap_or_default();
    let mut next = 0;
    while let Some(parent) = found.get(next).map(|process| process.id) {
        found.extend(children.remove(&parent).unwrap_or_default());
        next += 1;
    }
    found
}

fn read_process(folder: &Path) -> Option<Process> {
    let text = fs::read_to_string(folder.join("stat")).ok()?;
    let (id, rest) = text.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let mut words = rest.split(' ');
    let (state, parent) = (words.next()?.to_owned(), words.next()?.parse().ok()?);
    Some(Process { id: id.parse().ok()?, name: name.to_owned(), state, parent })
}
