//! A writer is killed at moments of its own misfortune; the layout stays valid, and what was reported as
//! done is there.
//!
//! The program is its own child: with a directory in its environment it writes until it dies. So its `main`
//! is its own.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use layout::{Layout, REFERENCE_NAME};
use libtest_mimic::{Arguments, Trial};
use oci::{Descriptor, MediaType};

fn main() {
    if let Some(dir) = std::env::var_os("LAYOUT_TO_WRITE") {
        write_until_killed(dir.as_ref());
    }
    let test = Trial::test("a_killed_writer_leaves_a_valid_layout", || {
        (0..12).for_each(kill_after);
        Ok(())
    });
    libtest_mimic::run(&Arguments::from_args(), vec![test]).exit();
}

fn write_until_killed(dir: &std::path::Path) -> ! {
    for number in 0_u64.. {
        let layout = Layout::create(dir).unwrap();
        let bytes = number.to_string().into_bytes();
        let digest = layout.write_blob(&bytes).unwrap();
        let mut descriptor = Descriptor::new(MediaType::OciManifest, digest, bytes.len() as u64);
        descriptor.annotations.insert(REFERENCE_NAME.to_owned(), "latest".to_owned());
        layout.put_reference(descriptor).unwrap();
        println!("{number}");
        std::io::stdout().flush().unwrap();
    }
    unreachable!("the numbers do not end")
}

fn kill_after(reports: usize) {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env("LAYOUT_TO_WRITE", dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..reports {
        lines.next().unwrap().unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let last: Option<u64> = lines
        .map(Result::unwrap)
        .last()
        .or_else(|| reports.checked_sub(1).map(|n| n.to_string()))
        .map(|line| line.parse().unwrap());

    let layout = Layout::create(dir.path()).unwrap();
    let named = layout.reference("latest").unwrap();
    if let Some(last) = last {
        let named = named.as_ref().expect("the writer said that it is there");
        let number: u64 =
            String::from_utf8(layout.read_blob(named.digest, 99).unwrap()).unwrap().parse().unwrap();
        assert!(number == last || number == last + 1, "{number} after {last}");
    }
    for digest in layout.blobs().unwrap() {
        layout.read_blob(digest.unwrap(), 99).unwrap();
    }
    let entries = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(entries, 3, "only blobs, index.json and oci-layout are left");
}
