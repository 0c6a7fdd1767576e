//! Calls as a hostile process may make them: any arguments, pointing to anything.
//!
//! An input is a sequence of calls. Each is a byte for the call, a byte for each argument that says what it is, and what
//! those that are texts point to. A file outside of the root must not be reached, and nothing must panic.
#![no_main]

use std::cell::RefCell;
use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use sandbox::fuzzing::World;
use tempfile::TempDir;

/// A new tree after so many inputs, as they leave files in it.
const INPUTS: usize = 500;
/// Every pointer leads into the first half of the memory, and what is written is shorter than the other.
const MEMORY: usize = 1 << 20;

struct Place {
    directory: TempDir,
    world: World,
    memory: Vec<u8>,
    inputs: usize,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("there is a place for temporary files");
        let path = |name: &str| directory.path().join(name);
        for name in ["root", "root/proc", "root/directory", "scratch"] {
            std::fs::create_dir(path(name)).expect("the directory is new");
        }
        std::fs::write(path("canary"), "canary").expect("the directory is new");
        std::fs::write(path("root/file"), "file").expect("the directory is new");
        std::os::unix::fs::symlink("../canary", path("root/link")).expect("the directory is new");
        let root: PathBuf = path("root").canonicalize().expect("it was just made");
        let world = World::new(&root, path("scratch")).expect("the directory is ours");
        Place { directory, world, memory: vec![0; MEMORY], inputs: 0 }
    }
}

thread_local! {
    static PLACE: RefCell<Option<Place>> = const { RefCell::new(None) };
}

fuzz_target!(|input: &[u8]| {
    PLACE.with_borrow_mut(|place| {
        if place.as_ref().is_none_or(|place| place.inputs >= INPUTS) {
            *place = Some(Place::new());
        }
        let Some(place) = place else { return };
        place.inputs += 1;
        play(place, input);
        place.world.journal(&place.directory.path().join("log"));
        let canary = std::fs::read(place.directory.path().join("canary"));
        assert_eq!(canary.expect("the canary is gone"), b"canary");
    });
});

fn play(place: &mut Place, input: &[u8]) {
    let mut rest = input;
    let byte = |rest: &mut &[u8]| {
        let (first, after) = rest.split_first()?;
        *rest = after;
        Some(*first)
    };
    while let Some(which) = byte(&mut rest) {
        let mut arguments = [0; 6];
        let mut at = 0;
        for argument in &mut arguments {
            let Some(kind) = byte(&mut rest) else { break };
            let begin = place.memory.as_ptr() as u64;
            *argument = match kind {
                0..=31 => kind.into(),
                32 => libc_at_here(),
                33 => u64::MAX,
                34 => begin,
                // Where nothing is.
                35 => 1,
                36 => u64::MAX << 47,
                37..=63 => 1 << (kind - 37),
                64..=95 => begin + 4096 - u64::from(kind - 64),
                96..=127 => u64::from(kind) << 8,
                // A text, or whatever else is read: so many bytes of the input.
                128.. => {
                    let length = usize::from(kind - 128).min(rest.len());
                    let (text, after) = rest.split_at(length);
                    rest = after;
                    place.memory[at..at + length].copy_from_slice(text);
                    place.memory[at + length] = 0;
                    at += length + 1;
                    begin + (at - length - 1) as u64
                }
            };
        }
        let _ = place.world.call(which.into(), arguments);
    }
}

/// `AT_FDCWD`.
fn libc_at_here() -> u64 {
    (-100i64).cast_unsigned()
}
