//! Gzip, made by several threads: members of one mebibyte each, compressed independently and written in
//! order.
//!
//! A gzip file may have any number of members (RFC 1952), and every runtime reads them on as one. Because a
//! member depends on nothing but its own mebibyte, the bytes do not depend on the number of threads; for
//! giving up the window between members a layer gets about one part in a thousand larger.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use libdeflater::{CompressionLvl, Compressor};

/// The plain length of every member but the last.
pub(crate) const MEMBER: usize = 1 << 20;

/// Writes gzip members to `W`.
pub(crate) struct Gzip<W> {
    destination: W,
    level: CompressionLvl,
    threads: usize,
    /// Started once there is more than one member. Members go to them in turn.
    workers: Vec<Worker>,
    /// The number of members given to workers, and of those taken back.
    given: usize,
    taken: usize,
    /// Buffers at rest.
    spare: Vec<Job>,
}

/// A thread, seen from here. It ends when this is dropped.
struct Worker {
    jobs: Sender<Job>,
    done: Receiver<Job>,
}

/// A member, on its way there and back.
#[derive(Default)]
struct Job {
    plain: Box<[u8]>,
    plain_length: usize,
    packed: Vec<u8>,
    packed_length: usize,
}

impl<W: Write> Gzip<W> {
    /// A gzip file with nothing in it yet.
    pub(crate) fn new(destination: W, level: u32, threads: usize) -> io::Result<Self> {
        let level = i32::try_from(level).ok().and_then(|level| CompressionLvl::new(level).ok());
        let level = level
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "gzip levels are from 0 to 12"))?;
        let threads = threads.max(1);
        Ok(Gzip { destination, level, threads, workers: Vec::new(), given: 0, taken: 0, spare: Vec::new() })
    }

    /// Makes a member of the buffer, which is full, and puts an empty one in its place.
    pub(crate) fn member(&mut self, buffer: &mut Box<[u8]>) -> io::Result<()> {
        while self.workers.len() < self.threads {
            self.workers.push(Worker::start(self.level)?);
        }
        // One more than there are threads, so that none waits for us; for one thread it is enough that the next
        // member is filled meanwhile, and many layers may be written at once by one thread each.
        let most = if self.threads == 1 { 1 } else { self.threads + 1 };
        while self.given - self.taken >= most {
            self.take()?;
        }
        let mut job = self.spare.pop().unwrap_or_default();
        if job.plain.is_empty() {
            job.plain = vec![0; buffer.len()].into();
        }
        std::mem::swap(&mut job.plain, buffer);
        job.plain_length = job.plain.len();
        let worker = &self.workers[self.given % self.workers.len()];
        worker.jobs.send(job).map_err(|_| died())?;
        self.given += 1;
        Ok(())
    }

    /// Makes the last member, and gives the destination back once everything is written.
    pub(crate) fn finish(mut self, buffer: Box<[u8]>, length: usize) -> io::Result<W> {
        while self.taken < self.given {
            self.take()?;
        }
        let mut last = self.spare.pop().unwrap_or_default();
        last.plain = buffer;
        last.plain_length = length;
        compress(&mut Compressor::new(self.level), &mut last);
        self.destination.write_all(&last.packed[..last.packed_length])?;
        Ok(self.destination)
    }

    /// Waits for the oldest member that is not back yet and writes it.
    fn take(&mut self) -> io::Result<()> {
        let worker = &self.workers[self.taken % self.workers.len()];
        let job = worker.done.recv().map_err(|_| died())?;
        self.taken += 1;
        self.destination.write_all(&job.packed[..job.packed_length])?;
        self.spare.push(job);
        Ok(())
    }
}

impl Worker {
    fn start(level: CompressionLvl) -> io::Result<Self> {
        let (jobs, to_do) = channel::<Job>();
        let (finished, done) = channel();
        thread::Builder::new().name("gzip".to_owned()).spawn(move || {
            let mut compressor = Compressor::new(level);
            for mut job in to_do {
                compress(&mut compressor, &mut job);
                if finished.send(job).is_err() {
                    break;
                }
            }
        })?;
        Ok(Worker { jobs, done })
    }
}

fn compress(compressor: &mut Compressor, job: &mut Job) {
    let bound = compressor.gzip_compress_bound(job.plain_length);
    if job.packed.len() < bound {
        // Not resized: pages that are never written to take no memory.
        job.packed = vec![0; bound];
    }
    // libdeflate's header is fixed: no name, no time, operating system 255 (unknown).
    job.packed_length = compressor
        .gzip_compress(&job.plain[..job.plain_length], &mut job.packed)
        .expect("the buffer is as large as libdeflate asks for");
}

fn died() -> io::Error {
    io::Error::other("a compressing thread has died")
}
