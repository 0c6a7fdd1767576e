//! Listings: what is in a repository, for those who want to know, or want room.

use std::collections::{BTreeMap, BTreeSet};

use layout::REFERENCE_NAME;
use oci::{Descriptor, Digest, Manifest, ManifestOrIndex, Raw};
use tokio::task::JoinSet;

use crate::record::{COMMAND, EMPTY, USED};
use crate::signature::is_signed;
use crate::{Domain, KeptMount, Location, Prunable, Record, Repository, RepositoryError};

/// How many manifests are asked for at once.
const AT_ONCE: usize = 16;

/// What a manifest may be large, as registries have it.
const MANIFEST_LIMIT: u64 = 4 << 20;

/// Something that a cache has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is: by the key that it has first in [`Domain`]'s order.
    pub kind: Domain,
    /// All tags that it has.
    pub tags: Vec<String>,
    /// Its manifest.
    pub manifest: Digest,
    /// What that lists.
    pub layers: Vec<Descriptor>,
    /// The size of what it is about, in bytes: of a step, of its own layer; else of all.
    pub size: u64,
    /// When it was made, as images note it.
    pub created: Option<String>,
    /// When it was made or last found useful, in seconds since 1970.
    pub used: Option<i64>,
    /// The instruction of a step, the id of a mount.
    pub what: String,
    /// What a mount is for.
    pub platform: Option<String>,
    /// It has a signature; whether that is a good one depends on the key.
    pub is_signed: bool,
}

/// All that a cache has.
#[derive(Debug, Default)]
pub struct Listing {
    /// What is ours, what was of use last first.
    pub entries: Vec<Entry>,
    /// Tags under which there is something else, and why it is that.
    pub others: BTreeMap<String, String>,
}

impl Entry {
    fn new(tag: &str, kind: Domain, manifest: &Raw<Manifest>) -> Result<Self, String> {
        let value = manifest.value();
        let note = |name: &str| value.annotations.get(name).cloned();
        let mut entry = Entry {
            kind,
            tags: vec![tag.to_owned()],
            manifest: manifest.digest(),
            layers: value.layers.clone(),
            size: value.layers.iter().map(|layer| layer.size).sum(),
            created: None,
            used: note(USED).and_then(|text| text.parse().ok()),
            what: note(COMMAND).unwrap_or_default(),
            platform: None,
            is_signed: is_signed(value),
        };
        match kind {
            Domain::Definition | Domain::Content => {
                let record = Record::parse(value).map_err(|error| error.to_string())?;
                let last = record.last().ok_or("it is a record of nothing")?;
                entry.size = last.descriptor.size;
                entry.created = Some(last.created.clone());
            }
            Domain::Mount => {
                let mount = KeptMount::parse(value).map_err(|error| error.to_string())?;
                (entry.what, entry.platform) = (mount.id, Some(mount.platform));
            }
            _ => crate::record::check_type(value).map_err(|error| error.to_string())?,
        }
        Ok(entry)
    }

    /// The hex digits of its key.
    #[must_use]
    pub fn key(&self) -> &str {
        self.tags.first().and_then(|tag| tag.split_once('-')).map_or("", |(_, key)| key)
    }

    /// What it needs of the repository.
    #[must_use]
    pub fn prunable(&self) -> Prunable {
        let parts = self.layers.iter().map(|layer| (layer.digest.to_string(), layer.size));
        Prunable { used: self.used, parts: parts.collect() }
    }
}

impl Repository {
    /// The names that there are.
    async fn tags(&self) -> Result<Vec<String>, RepositoryError> {
        match (self.location(), self.layout()) {
            (Location::Registry(reference), _) => match self.client().tags(reference).await {
                // Nothing was ever pushed there.
                Err(error) if error.is_not_found() => Ok(Vec::new()),
                outcome => Ok(outcome?),
            },
            (Location::Directory(_), Some(layout)) => {
                let entries = layout.index()?.manifests.into_iter();
                Ok(entries.filter_map(|mut entry| entry.annotations.remove(REFERENCE_NAME)).collect())
            }
            (Location::Directory(_), None) => Ok(Vec::new()),
        }
    }

    /// Everything that is here.
    pub async fn list(&self) -> Result<Listing, RepositoryError> {
        let mut listing = Listing::default();
        let mut tags = Vec::new();
        for tag in self.tags().await? {
            match Domain::of_tag(&tag) {
                Some(domain) => tags.push((domain, tag)),
                None => drop(listing.others.insert(tag, "it is no key of this version".to_owned())),
            }
        }
        // A step comes under the key of its definition first.
        tags.sort();
        let mut found: BTreeMap<Digest, Entry> = BTreeMap::new();
        for some in tags.chunks(AT_ONCE) {
            let mut requests = JoinSet::new();
            for (domain, tag) in some.iter().cloned() {
                let repository = self.clone();
                requests.spawn(async move {
                    let answer = repository.manifest(&tag).await;
                    (domain, tag, answer)
                });
            }
            let mut answers = requests.join_all().await;
            answers.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
            for (domain, tag, answer) in answers {
                let manifest = match answer {
                    Ok(Some(manifest)) => manifest,
                    // Somebody has removed it meanwhile.
                    Ok(None) => continue,
                    Err(error @ RepositoryError::Malformed { .. }) => {
                        listing.others.insert(tag, error.to_string());
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                if let Some(entry) = found.get_mut(&manifest.digest()) {
                    entry.tags.push(tag);
                    continue;
                }
                match Entry::new(&tag, domain, &manifest) {
                    Ok(entry) => drop(found.insert(manifest.digest(), entry)),
                    Err(reason) => drop(listing.others.insert(tag, reason)),
                }
            }
        }
        listing.entries = found.into_values().collect();
        listing.entries.sort_by(|a, b| (b.used, a.kind, &a.tags).cmp(&(a.used, b.kind, &b.tags)));
        Ok(listing)
    }

    /// Removes something with all its tags. The blobs that nothing else names go at once from a directory, and from a
    /// registry whenever that collects them.
    pub async fn remove(&self, entry: &Entry) -> Result<(), RepositoryError> {
        match (self.location(), self.layout()) {
            (Location::Registry(reference), _) => {
                // By digest, as the distribution's registry takes no tags here.
                match self.client().delete_manifest(&reference.at(entry.manifest)).await {
                    Err(error) if error.is_not_found() => Ok(()),
                    outcome => Ok(outcome?),
                }
            }
            (Location::Directory(_), Some(layout)) => {
                layout.edit_index(|index| {
                    index.manifests.retain(|listed| {
                        let name = listed.annotations.get(REFERENCE_NAME);
                        listed.digest != entry.manifest || !name.is_some_and(|name| entry.tags.contains(name))
                    });
                })?;
                let named = self.named()?;
                let own = entry.layers.iter().map(|layer| layer.digest).chain([entry.manifest]);
                for digest in own.filter(|digest| !named.contains(digest)) {
                    layout.remove_blob(digest)?;
                }
                Ok(())
            }
            (Location::Directory(_), None) => Ok(()),
        }
    }

    /// Every blob of the directory that a manifest in it names, whosever that is.
    fn named(&self) -> Result<BTreeSet<Digest>, RepositoryError> {
        let Some(layout) = self.layout() else { return Ok(BTreeSet::new()) };
        let mut named = BTreeSet::from([Digest::of(EMPTY)]);
        let mut pending: Vec<Digest> = layout.index()?.manifests.iter().map(|entry| entry.digest).collect();
        while let Some(digest) = pending.pop() {
            if !named.insert(digest) {
                continue;
            }
            // What cannot be read names nothing that could be found by it.
            let Ok(bytes) = layout.read_blob(digest, MANIFEST_LIMIT) else { continue };
            match ManifestOrIndex::parse(bytes, None) {
                Ok(ManifestOrIndex::Manifest(manifest)) => {
                    named.insert(manifest.value().config.digest);
                    named.extend(manifest.value().layers.iter().map(|layer| layer.digest));
                }
                Ok(ManifestOrIndex::Index(index)) => {
                    pending.extend(index.value().manifests.iter().map(|entry| entry.digest));
                }
                Err(_) => {}
            }
        }
        Ok(named)
    }
}
