//! How this process keeps its memory together.

/// Groups of threads whose memory is kept apart. glibc would make eight for each core; what a thread has used and
/// given back is of no use to those of another group, and a build has many threads that live for a layer.
const ARENAS: i32 = 2;

/// Has threads share their memory. To be called before any is started.
pub fn share_memory() {
    crate::sys::limit_arenas(ARENAS);
}
