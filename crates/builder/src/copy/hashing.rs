//! Hashing: what files of sources hold, as hashes, by several threads while other files are still being found.
//!
//! A cached build does little else, so it has to take as long as reading the files does, and not the sum of all that is
//! done with them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError, mpsc};

use layer::TreePath;

use super::{Hashed, Source};
use crate::error::{Error, Result};
use crate::once::lock;

/// More threads than that do not read faster.
const THREADS: usize = 8;

/// So many files go to a thread at once: mostly they are of one directory then.
const BATCH: usize = 32;

/// What is read at once, and hashed at once.
pub(crate) const BUFFER: usize = 64 << 10;

/// A file to be hashed, and the number by which it is known.
struct Job<'a> {
    number: usize,
    source: &'a (dyn Source + Sync),
    path: TreePath,
}

/// Takes files to be hashed.
pub(crate) struct Hashing<'a> {
    batches: mpsc::Sender<Vec<Job<'a>>>,
    batch: Vec<Job<'a>>,
    count: usize,
    /// Files with several names.
    numbers: HashMap<(usize, u64, u64), usize>,
}

/// What has come of the files, by their numbers.
#[derive(Default)]
pub(crate) struct Hashes {
    files: Vec<Option<Hashed>>,
    errors: BTreeMap<usize, Error>,
}

impl Hashes {
    /// What has come of a file. It is there once.
    pub(super) fn take(&mut self, number: usize) -> Option<Result<Hashed>> {
        match self.errors.remove(&number) {
            Some(error) => Some(Err(error)),
            None => self.files.get_mut(number)?.take().map(Ok),
        }
    }

    fn put(&mut self, number: usize, hashed: Result<Hashed>) {
        if number >= self.files.len() {
            self.files.resize_with(number + 1, || None);
        }
        match hashed {
            Ok(hashed) => self.files[number] = Some(hashed),
            Err(error) => drop(self.errors.insert(number, error)),
        }
    }
}

/// Does some work that finds files, and says what they hold.
pub(crate) fn hash_beside<'a, T>(
    threads: usize,
    work: impl FnOnce(Hashing<'a>) -> Result<T>,
) -> Result<(T, Hashes)> {
    let (batches, waiting) = mpsc::channel::<Vec<Job<'a>>>();
    let waiting = Mutex::new(waiting);
    let hashes = Mutex::<Hashes>::default();
    let next = || lock(&waiting).recv();
    let hash = || {
        let mut buffer = vec![0; BUFFER];
        while let Ok(batch) = next() {
            let hash = |job: Job<'a>| (job.number, job.source.hash(&job.path, &mut buffer));
            let hashed: Vec<_> = batch.into_iter().map(hash).collect();
            let mut hashes = lock(&hashes);
            hashed.into_iter().for_each(|(number, hashed)| hashes.put(number, hashed));
        }
    };
    let worked = std::thread::scope(|scope| {
        for _ in 1..threads.min(THREADS) {
            let thread = std::thread::Builder::new().name("hash".to_owned());
            // Where no thread is to be had, there is still this one.
            if thread.spawn_scoped(scope, hash).is_err() {
                break;
            }
        }
        let hashing = Hashing { batches, batch: Vec::new(), count: 0, numbers: HashMap::new() };
        let worked = work(hashing);
        if worked.is_err() {
            // Nobody wants to know any more.
            while next().is_ok() {}
        }
        hash();
        worked
    })?;
    Ok((worked, hashes.into_inner().unwrap_or_else(PoisonError::into_inner)))
}

impl<'a> Hashing<'a> {
    /// Takes a file, and gives its number. `link` is the same for files that are hard links of each other.
    pub(super) fn add(
        &mut self,
        source: &'a (dyn Source + Sync),
        path: &TreePath,
        link: Option<(usize, u64, u64)>,
    ) -> usize {
        let number = self.count;
        if let Some(link) = link {
            let known = *self.numbers.entry(link).or_insert(number);
            if known != number {
                return known;
            }
        }
        self.count += 1;
        self.batch.push(Job { number, source, path: path.clone() });
        if self.batch.len() == BATCH {
            self.send();
        }
        number
    }

    fn send(&mut self) {
        // There is somebody at the other end as long as we are.
        let _ = self.batches.send(std::mem::take(&mut self.batch));
    }
}

impl Drop for Hashing<'_> {
    fn drop(&mut self) {
        self.send();
    }
}
