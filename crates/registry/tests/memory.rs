//! Memory: a blob is never in it as a whole. A test of its own process, since memory is the process's.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::Read as _;

use oci::{Descriptor, Hasher, MediaType};
use registry::{BlobSource, Client, ClientOptions, Pushed, UploadMethod};
use support::real::{Real, Setup};
use support::{options, reference};

const SIZE: u64 = 96 << 20;

/// What the whole program may have; a part of it has to stay well below.
const LIMIT: u64 = 48 << 20;

/// The most memory this process has had, in bytes (`VmHWM` of proc_pid_status(5)).
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread")]
async fn stays_small() {
    let (Some(one), Some(other)) = (Real::start(&Setup::default()), Real::start(&Setup::default())) else {
        return;
    };
    let file = one.directory.path().join("blob");
    std::fs::File::create(&file).unwrap().set_len(SIZE).unwrap();
    let mut hasher = Hasher::new();
    for _ in 0..SIZE >> 20 {
        hasher.update(&[0; 1 << 20]);
    }
    let blob = Descriptor::new(MediaType::OciLayer, hasher.finish(), SIZE);
    let uploaded = Pushed::Uploaded { bytes: SIZE };

    let whole = Client::new(options()).unwrap();
    let chunked =
        Client::new(ClientOptions { upload: UploadMethod::Chunked(32 << 20), ..options() }).unwrap();
    let first = reference(&one.address, "first");
    assert_eq!(whole.push_blob(&first, &blob, &BlobSource::File(file.clone()), &[]).await.unwrap(), uploaded);
    let second = reference(&other.address, "second");
    assert_eq!(whole.copy_blob(&first, &second, &blob).await.unwrap(), uploaded);
    let third = Real::start(&Setup::default()).unwrap();
    let third = (reference(&third.address, "third"), third);
    assert_eq!(chunked.push_blob(&third.0, &blob, &BlobSource::File(file), &[]).await.unwrap(), uploaded);

    let mut reader = whole.blob_to_reader(&tokio::runtime::Handle::current(), &second, &blob);
    let read = tokio::task::spawn_blocking(move || {
        // Slower than the network, so that something would pile up.
        let mut buffer = [0; 4096];
        let mut total = 0;
        loop {
            match reader.read(&mut buffer).unwrap() {
                0 => return total,
                length => total += length as u64,
            }
        }
    });
    assert_eq!(read.await.unwrap(), SIZE);
    assert!(peak() < LIMIT, "{} MiB", peak() >> 20);
}
