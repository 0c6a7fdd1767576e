//! The Dockerfile and its ignore file: where they are looked for, and what is in them.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use builder::{BuildContext, ContextOrigin, Fetching};

/// The Dockerfile, and where it was found.
pub(crate) struct Dockerfile {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    place: Place,
}

/// Where a Dockerfile was found.
enum Place {
    /// On this machine.
    Here,
    /// In a context that was fetched, where its path begins.
    Fetched,
    /// On standard input, or at a URL: nothing is beside it.
    Piped,
}

/// Kaniko's order: relative to the current folder, then in the context. Docker's default name has a second
/// spelling.
pub(crate) fn find(
    context: &BuildContext,
    given: &Path,
    fetching: Fetching<'_>,
) -> anyhow::Result<Dockerfile> {
    let text = given.to_string_lossy();
    match text.split_once("://") {
        Some(("http" | "https", _)) => {
            let downloaded = builder::download_text(&text, fetching);
            let downloaded = downloaded.map_err(|error| anyhow!("--dockerfile: {error}"))?;
            let name = text.split(['?', '#']).next().unwrap_or_default().rsplit('/').next();
            let path = PathBuf::from(name.unwrap_or_default());
            return Ok(Dockerfile { path, text: downloaded, place: Place::Piped });
        }
        Some((scheme, _)) => {
            bail!("--dockerfile {text}: {scheme}:// is not possible; give a file or an https:// URL")
        }
        None => {}
    }
    if given == Path::new("-") {
        let text = read_standard_input().context("--dockerfile -")?;
        return Ok(Dockerfile { path: given.to_owned(), text, place: Place::Piped });
    }
    let here = |path: &Path| {
        let found = |text| Dockerfile { path: path.to_owned(), text, place: Place::Here };
        read_text(path).map(|text| text.map(found))
    };
    let in_context = |name: &Path| match context.origin {
        ContextOrigin::Local => here(&context.directory.join(name)),
        // A link in what came from elsewhere leads nowhere outside of it.
        _ => {
            let found = |text| Dockerfile { path: name.to_owned(), text, place: Place::Fetched };
            Ok(context.read_text(&name.to_string_lossy())?.map(found))
        }
    };
    let mut looked = vec![given.display().to_string(), format!("{} in the context", given.display())];
    let found = if given == Path::new("Dockerfile") {
        // The default is meant to be the context's own, wherever we are started.
        looked =
            ["Dockerfile in the context", "dockerfile in the context", "Dockerfile"].map(Into::into).into();
        match in_context(given)? {
            None => match in_context(Path::new("dockerfile"))? {
                None => here(given)?,
                found => found,
            },
            found => found,
        }
    } else {
        match here(given)? {
            None => in_context(given)?,
            found => found,
        }
    };
    found.with_context(|| {
        format!("--dockerfile {}: no such file; looked for {}", given.display(), looked.join(", "))
    })
}

/// The largest Dockerfile on standard input, in bytes: far more than anybody writes.
const LARGEST: u64 = 16 << 20;

fn read_standard_input() -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        bail!("standard input is a terminal; pipe a Dockerfile into it");
    }
    let mut text = String::new();
    let read = stdin.lock().take(LARGEST + 1).read_to_string(&mut text)?;
    if read as u64 > LARGEST {
        bail!("it is larger than {LARGEST} bytes");
    }
    Ok(text)
}

/// The text of a file; `None` if there is no such file.
fn read_text(path: &Path) -> anyhow::Result<Option<String>> {
    if !path.is_file() {
        return Ok(None);
    }
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let text = String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8", path.display()))?;
    Ok(Some(text))
}

/// The ignore file that belongs to the Dockerfile alone, else the context's.
pub(crate) fn find_ignore(context: &BuildContext, dockerfile: &Dockerfile) -> anyhow::Result<Option<String>> {
    let mut own = dockerfile.path.as_os_str().to_owned();
    own.push(".dockerignore");
    let own = match (&context.origin, &dockerfile.place) {
        (ContextOrigin::Archive, _) => return Ok(None),
        (_, Place::Fetched) => context.read_text(&own.to_string_lossy())?,
        (_, Place::Here) => read_text(Path::new(&own))?,
        (_, Place::Piped) => None,
    };
    match (own, &context.origin) {
        (Some(own), _) => Ok(Some(own)),
        (None, ContextOrigin::Local) => read_text(&context.directory.join(".dockerignore")),
        (None, _) => Ok(context.read_text(".dockerignore")?),
    }
}
