//! The base of the checks and of the real build: Debian with Python, and with packages that are there as files, so that
//! they are installed without a network.

use std::fs::{self, File};
use std::path::PathBuf;

use anyhow::Result;
use e2e::bases::{self, Debian};
use e2e::{Bako, Registry};

const DEBIAN: Debian<'_> = Debian {
    name: "isolation",
    packages: &["attr", "busybox-static", "ca-certificates", "libcap2-bin", "procps", "python3"],
    downloads: &[
        ("tools", &["adduser", "sudo", "less", "hello", "openssh-client", "iputils-ping"]),
        ("compiler", &["gcc", "libc6-dev"]),
    ],
};

/// A registry that has the base, and the base's name there.
pub(crate) fn registry(bako: &Bako) -> Result<(Registry, String)> {
    let registry = Registry::stocked(bako, &images(bako)?)?;
    let reference = registry.reference(&format!("{}:latest", DEBIAN.name));
    Ok((registry, reference))
}

/// The folder of a registry with the base, which is made once.
fn images(bako: &Bako) -> Result<PathBuf> {
    let cache = bases::cache_folder()?;
    let folder = cache.join("isolation-images");
    let lock = File::create(cache.join("isolation-images.lock"))?;
    lock.lock()?;
    if !folder.is_dir() {
        let registry = Registry::ours(bako)?;
        bases::push_debian(bako, &registry, DEBIAN)?;
        let part = cache.join("isolation-images.part");
        fs::remove_dir_all(&part).ok();
        e2e::registry::copy_folder(&registry.images(), &part)?;
        fs::rename(&part, &folder)?;
    }
    Ok(folder)
}
