//! Downloads of earlier builds: kept in the cache directory by their URL, and used again if the server says that the
//! file is still the same.
//!
//! The server is always asked, so who is not given the file any more does not get it from here.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use download::{Fetched, Request, Validators};
use oci::{Digest, Hasher};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::error::{Context, Result};

/// So many seconds before it is asked for a file must have changed last, or its time does not tell it from one that
/// changes again within that second, or from one of a clock that is ahead ([RFC 9110, section 8.8.2.2]).
///
/// [RFC 9110, section 8.8.2.2]: https://www.rfc-editor.org/rfc/rfc9110#section-8.8.2.2
const SETTLED: i64 = 60;

/// A file that was downloaded before: what the record in the cache directory says of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Known {
    digest: Digest,
    /// In bytes.
    pub(crate) size: u64,
    /// `Last-Modified` in seconds since 1970.
    pub(crate) modified: Option<i64>,
    /// By what the server tells whether it is the same.
    pub(crate) validators: Validators,
}

impl Known {
    /// What is known of a request's URL, if that is what the request wants. A record that cannot be read is none.
    pub(crate) fn of(engine: &Engine<'_>, request: &Request) -> Option<Self> {
        engine.options.cache_dir.as_ref()?;
        let store = engine.base_store();
        let known: Known = serde_json::from_slice(&store.download(key(request))?).ok()?;
        store.blob(known.digest, known.size)?;
        let expected = request.checksum.as_ref().map(ToString::to_string);
        let fits = request.limit.is_none_or(|limit| known.size <= limit);
        (fits && expected.is_none_or(|expected| expected == known.digest.to_string())).then_some(known)
    }

    /// The file, as a copy in `directory`: another build may remove what is kept. `None` if it is gone or damaged.
    pub(crate) fn take(&self, engine: &Engine<'_>, directory: &Path) -> Result<Option<PathBuf>> {
        let Some(kept) = engine.base_store().blob(self.digest, self.size) else { return Ok(None) };
        let Ok(mut from) = File::open(&kept) else { return Ok(None) };
        let path = directory.join("known");
        let mut to = File::create_new(&path).during(path.display())?;
        if copy(&mut from, &mut to).during(path.display())? != self.digest {
            std::fs::remove_file(&path).during(path.display())?;
            engine.base_store().remove_blob(self.digest).during("cache directory")?;
            return Ok(None);
        }
        Ok(Some(path))
    }

    /// Keeps a file for later builds, if the server will be able to tell whether it is the same.
    pub(crate) fn keep(engine: &Engine<'_>, request: &Request, fetched: &Fetched) -> Result<()> {
        if engine.options.cache_dir.is_none() {
            return Ok(());
        }
        let mut validators = fetched.validators.clone();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs() as i64);
        if fetched.modified.is_none_or(|modified| modified > now - SETTLED) {
            validators.last_modified = None;
        }
        if validators.etag.is_none() && validators.last_modified.is_none() {
            return Ok(());
        }
        let store = engine.base_store();
        let mut pending = store.pending().during("cache directory")?;
        let mut from = File::open(&fetched.path).during(fetched.path.display())?;
        let digest = copy(&mut from, &mut pending).during("cache directory")?;
        store.commit_blob(digest, pending).during("cache directory")?;
        let known = Known { digest, size: fetched.size, modified: fetched.modified, validators };
        let record = serde_json::to_vec(&known).expect("digests, numbers and texts are JSON");
        store.put_download(key(request), &record).during("cache directory")
    }
}

/// What a URL is kept by. It may hold a signature, so it is not kept itself.
fn key(request: &Request) -> Digest {
    Digest::of(request.url().as_str().as_bytes())
}

fn copy(from: &mut impl Read, to: &mut impl Write) -> std::io::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            to.flush()?;
            return Ok(hasher.finish());
        }
        hasher.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
    }
}
