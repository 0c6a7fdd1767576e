//! What ADD takes from a network: it becomes a file of the work directory first.

use std::path::{Path, PathBuf};

use download::{Checksum, Downloader, Outcome, Request, file_name};
use layer::{Metadata, TreePath};
use transport::Secret;

use crate::copy::FileSource;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::known::Known;
use crate::waiting::cancelled;

/// The mode of a file that is downloaded, as BuildKit has it.
const MODE: u32 = 0o600;

impl Engine<'_> {
    /// Downloads a file. Its time is what the server says, else that of the build.
    pub(crate) fn download(&self, url: &str, checksum: Option<Checksum>) -> Result<FileSource> {
        let mut request = Request::new(url).map_err(|error| Error::new(error.to_string()))?;
        request.checksum = checksum;
        request.limit = self.options.download_limit;
        if let Some(host) = request.url().host_str() {
            let port = request.url().port().map(|port| format!(":{port}")).unwrap_or_default();
            if let Some(secret) = self.authorization(&format!("{host}{port}"))? {
                request.authorization = Some(secret);
            }
        }
        let directory = self.scratch_directory("download")?;
        let downloader = Downloader::new(self.options.network.clone()).map_err(Error::new)?;
        let mut shown = request.url().clone();
        // A query may be a signature.
        shown.set_query(None);
        let known = Known::of(self, &request);
        request.known = known.as_ref().map(|known| known.validators.clone());
        let mut outcome = self.fetch(&downloader, &request, &directory)?;
        if let (Outcome::NotModified, Some(known)) = (&outcome, known) {
            if let Some(file) = known.take(self, &directory)? {
                self.report(Event::Note(format!("{shown} is as an earlier build has found it")));
                return Ok(self.downloaded(&request, file, known.size, known.modified));
            }
            // What was kept is damaged or gone.
            request.known = None;
            outcome = self.fetch(&downloader, &request, &directory)?;
        }
        let Outcome::Fetched(fetched) = outcome else {
            return Err(Error::new(format!("{shown}: not modified, but nothing was known of it")));
        };
        Known::keep(self, &request, &fetched)?;
        Ok(self.downloaded(&request, fetched.path, fetched.size, fetched.modified))
    }

    /// One attempt to have a file, which may be the one that is known.
    fn fetch(&self, downloader: &Downloader, request: &Request, directory: &Path) -> Result<Outcome> {
        self.unless_ended(downloader.fetch(request, directory))?.map_err(|error| {
            let converted = Error::new(error.to_string());
            let hint = match error.kind {
                download::ErrorKind::TooLarge { .. } => Some("--download-limit sets the limit".to_owned()),
                _ => error.hint(),
            };
            match hint {
                Some(hint) => converted.hint(hint),
                None => converted,
            }
        })
    }

    fn downloaded(&self, request: &Request, file: PathBuf, size: u64, modified: Option<i64>) -> FileSource {
        let mut shown = request.url().clone();
        shown.set_query(None);
        let mtime = modified.unwrap_or(self.now());
        FileSource {
            origin: shown.into(),
            name: TreePath::root().child(&file_name(request.url())),
            file,
            size,
            metadata: Metadata { mode: MODE, mtime, ..Metadata::default() },
        }
    }

    /// What to say to a server, if there is a secret for it by one of the names that BuildKit has:
    /// `HTTP_AUTH_HEADER_host` is the whole value of the header, `HTTP_AUTH_TOKEN_host` a token.
    fn authorization(&self, host: &str) -> Result<Option<Secret>> {
        for (kind, scheme) in [("HEADER", ""), ("TOKEN", "Bearer ")] {
            let id = format!("HTTP_AUTH_{kind}_{host}");
            let Some(secret) = self.options.secrets.get(&id) else { continue };
            let text = std::str::from_utf8(secret.expose())
                .map_err(|_| Error::new(format!("the secret {id} is no text, so it cannot be sent")))?;
            // A file mostly ends with the end of a line.
            return Ok(Some(Secret::new(format!("{scheme}{}", text.trim()))));
        }
        Ok(None)
    }

    /// Waits for work that is dropped if the build is told to end.
    pub(crate) fn unless_ended<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        self.runtime.block_on(async {
            tokio::select! {
                done = work => Ok(done),
                signal = cancelled(self.cancel()) => Err(Error::ended_by(signal)),
            }
        })
    }
}

/// A source as history shows it: without the user and the password of a URL, which everybody who has the image
/// could read there.
pub(crate) fn without_credentials(source: &str) -> String {
    let Some((scheme, rest)) = source.split_once("://").filter(|(scheme, _)| scheme.starts_with("http"))
    else {
        return source.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://xxxxx@{host}{path}"),
        None => source.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_shown() {
        for (source, shown) in [
            ("https://me:secret@host.example/a@b", "https://xxxxx@host.example/a@b"),
            ("http://token@host.example:80?q", "http://xxxxx@host.example:80?q"),
            ("https://host.example/a@b", "https://host.example/a@b"),
            ("ssh://git@host.example/a.git", "ssh://git@host.example/a.git"),
            ("a/b", "a/b"),
        ] {
            assert_eq!(without_credentials(source), shown);
        }
    }
}
