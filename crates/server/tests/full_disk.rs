//! A disk that is full: the client is told, and nothing half is kept.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it skips"
)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use oci::Digest;
use server::Registry;
use tower::ServiceExt;

/// A filesystem of one megabyte, until it is dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "none"])
            .arg(dir.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            assert!(std::env::var_os("CI").is_none(), "a filesystem cannot be mounted");
            eprintln!("skipped: a filesystem cannot be mounted");
        }
        mounted.then_some(SmallDisk(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

fn files(dir: &Path) -> usize {
    walk(dir).iter().filter(|path| path.is_file()).count()
}

fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn a_blob_that_does_not_fit_is_refused() {
    let Some(disk) = SmallDisk::mount() else { return };
    let registry = Arc::new(Registry::open(disk.0.path(), None).unwrap()).router();
    let ask = |method: &'static str, path: String, body: Vec<u8>| {
        let request = Request::builder().method(method).uri(path).body(Body::from(body)).unwrap();
        let registry = registry.clone();
        async move { registry.oneshot(request).await.unwrap() }
    };
    let (small, big) = (vec![1; 1000], vec![2; 2_000_000]);
    let post = |content: &[u8]| format!("/v2/a/blobs/uploads/?digest={}", Digest::of(content));
    assert_eq!(ask("POST", post(&small), small.clone()).await.status(), 201);
    let before = files(disk.0.path());

    let refused = ask("POST", post(&big), big.clone()).await;
    assert_eq!(refused.status(), 507);
    let body = axum::body::to_bytes(refused.into_body(), 9999).await.unwrap();
    assert!(String::from_utf8_lossy(&body).contains("disk is full"));
    assert_eq!(files(disk.0.path()), before);

    let begun = ask("POST", "/v2/a/blobs/uploads/".to_owned(), Vec::new()).await;
    let location = begun.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(ask("PATCH", location.clone(), big).await.status(), 507);
    assert_eq!(ask("GET", location, Vec::new()).await.status(), 404);
    assert_eq!(files(disk.0.path()), before);

    let other = vec![3; 1000];
    assert_eq!(ask("POST", post(&other), other.clone()).await.status(), 201);
}
