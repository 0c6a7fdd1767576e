//! Submodules: what `.gitmodules` says about the commits of other repositories that a tree names.

use gix::ObjectId;
use gix::bstr::{BStr, BString, ByteSlice as _};
use gix::index::State;
use gix::index::entry::Mode;
use gix::prelude::FindExt as _;

use crate::error::{ErrorKind, words};
use crate::{Authorization, Location};

/// A larger `.gitmodules` is not one.
const LIMIT: u64 = 4 << 20;

/// A submodule that is to be checked out.
#[derive(Debug)]
pub(crate) struct Submodule {
    pub(crate) path: BString,
    pub(crate) commit: ObjectId,
    pub(crate) location: Location,
    /// What stood in its address.
    pub(crate) authorization: Option<Authorization>,
}

/// The submodules of a checkout. As with git, one that is not described is an error, and one whose `update` is `none`
/// is left out; another value of `update`, which may be a command, means nothing here.
pub(crate) fn submodules(
    repository: &gix::Repository,
    index: &State,
    parent: &Location,
) -> Result<Vec<Submodule>, ErrorKind> {
    let mut links = index.entries().iter().filter(|entry| entry.mode == Mode::COMMIT).peekable();
    if links.peek().is_none() {
        return Ok(Vec::new());
    }
    let description = description(repository, index)?;
    let mut submodules = Vec::new();
    for link in links {
        let path = link.path(index);
        let invalid = |reason: String| ErrorKind::Invalid { reason };
        let shown = crate::checkout::shown(path);
        let described = description
            .as_ref()
            .and_then(|file| described(file, path))
            .ok_or_else(|| invalid(format!("there is no submodule for {shown} in .gitmodules")))?;
        if described.update.is_some_and(|update| update == "none") {
            continue;
        }
        let url =
            described.url.ok_or_else(|| invalid(format!("submodule {shown} has no url in .gitmodules")))?;
        let url = url.to_str().map_err(|_| invalid(format!("the url of submodule {shown} is not UTF-8")))?;
        let (location, authorization) =
            parent.submodule(url).map_err(|error| invalid(format!("submodule {shown}: {error}")))?;
        submodules.push(Submodule {
            path: path.to_owned(),
            commit: link.id,
            location,
            authorization: authorization.map(Authorization::header),
        });
    }
    Ok(submodules)
}

/// What `.gitmodules` says of one submodule.
struct Described {
    url: Option<BString>,
    update: Option<BString>,
}

fn description(repository: &gix::Repository, index: &State) -> Result<Option<gix::config::File>, ErrorKind> {
    let Some(entry) = index.entry_by_path(b".gitmodules".as_bstr()) else { return Ok(None) };
    let failed = |error: gix::Error| ErrorKind::protocol(format!(".gitmodules: {}", words(error.error())));
    if !matches!(entry.mode, Mode::FILE | Mode::FILE_EXECUTABLE) {
        return Ok(None);
    }
    let size = repository.find_header(entry.id).map_err(failed)?.size();
    if size > LIMIT {
        let reason = format!("it has more than {LIMIT} bytes");
        return Err(ErrorKind::Hostile { path: ".gitmodules".to_owned(), reason });
    }
    let mut buffer = Vec::new();
    let blob = repository.objects.find_blob(&entry.id, &mut buffer).map_err(failed)?;
    let metadata = gix::config::file::Metadata::from(gix::config::Source::Local);
    gix::config::File::from_bytes_owned(&mut blob.data.to_vec(), metadata, Default::default())
        .map(Some)
        .map_err(failed)
}

/// The section whose `path` is this one. Names of submodules are text, and no paths here.
fn described(file: &gix::config::File, path: &BStr) -> Option<Described> {
    let sections = file.sections_by_name("submodule")?;
    let section = sections
        .into_iter()
        .find(|section| section.value("path").is_some_and(|value| value.as_bstr() == path))?;
    let value = |key: &str| section.value(key);
    Some(Described { url: value("url"), update: value("update") })
}
