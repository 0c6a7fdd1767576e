//! Room: a place in the memory of a stopped thread for what a changed call points to.
//!
//! Below the first stack of a process there is always some. Other stacks may be small and lie close to each other (those of
//! Go have two kilobytes), so that for them memory is mapped: once for each address space, or more often if several of
//! its threads want it at the same time.

use std::cell::RefCell;
use std::rc::Rc;

use rustix::io::Errno;

use super::machine::Registers;
use super::supervisor::Caller;

/// How far the first stack is taken to reach: what `ulimit -s` says almost everywhere.
const STACK: u64 = 8 << 20;
/// Mappings have at least so many bytes.
const MAPPING: u64 = 64 << 10;

/// The places that are known of an address space.
#[derive(Debug, Clone, Default)]
pub(super) struct Space(Rc<RefCell<Known>>);

#[derive(Debug, Clone, Default)]
struct Known {
    /// Where the stack of its first thread began.
    stack: u64,
    mappings: Vec<Mapping>,
}

#[derive(Debug, Clone)]
struct Mapping {
    begin: u64,
    length: u64,
    busy: bool,
}

/// A place that is used.
#[derive(Debug)]
pub(super) struct Room {
    top: u64,
    /// The mapping it is in, to be given back.
    mapping: Option<(Space, usize)>,
}

impl Space {
    /// That of a program that has just been executed.
    pub(super) fn new(stack: u64) -> Self {
        Space(Rc::new(RefCell::new(Known { stack, mappings: Vec::new() })))
    }

    /// A copy with the same contents, as a fork makes it: nobody else is in there.
    pub(super) fn forked(&self) -> Self {
        let mut known = self.0.borrow().clone();
        known.mappings.iter_mut().for_each(|mapping| mapping.busy = false);
        Space(Rc::new(RefCell::new(known)))
    }

    /// A place for `size` bytes; if there is none, how much is to be mapped.
    pub(super) fn room(&self, registers: &Registers, size: u64) -> Result<Room, u64> {
        let mut known = self.0.borrow_mut();
        let below = registers.below_stack();
        if below < known.stack && known.stack - below < STACK {
            return Ok(Room { top: below, mapping: None });
        }
        let free = known.mappings.iter().position(|mapping| !mapping.busy && mapping.length >= size);
        match free {
            Some(index) => {
                let mapping = &mut known.mappings[index];
                mapping.busy = true;
                Ok(Room { top: mapping.begin + mapping.length, mapping: Some((self.clone(), index)) })
            }
            None => Err(size.max(MAPPING).next_multiple_of(4096)),
        }
    }

    /// More was mapped.
    pub(super) fn add(&self, begin: u64, length: u64) {
        self.0.borrow_mut().mappings.push(Mapping { begin, length, busy: false });
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some((space, index)) = &self.mapping {
            space.0.borrow_mut().mappings[*index].busy = false;
        }
    }
}

/// Bytes that are put into a room, from its top downwards.
#[derive(Debug)]
pub(super) struct Filling<'a> {
    room: &'a Room,
    pieces: Vec<(u64, Vec<u8>)>,
    next: u64,
}

/// What a piece takes besides its bytes.
pub(super) const PIECE: u64 = 16;

impl<'a> Filling<'a> {
    pub(super) fn new(room: &'a Room) -> Self {
        Filling { room, pieces: Vec::new(), next: room.top & !(PIECE - 1) }
    }

    /// The address that the bytes will have.
    pub(super) fn push(&mut self, bytes: &[u8]) -> u64 {
        self.next = self.next.saturating_sub(bytes.len() as u64) & !(PIECE - 1);
        self.pieces.push((self.next, bytes.to_vec()));
        self.next
    }

    /// Writes all of it.
    pub(super) fn write(self, caller: &Caller<'_>) -> Result<(), Errno> {
        let length = usize::try_from(self.room.top - self.next).map_err(|_| Errno::TOOBIG)?;
        let mut block = vec![0; length];
        for (address, bytes) in &self.pieces {
            let begin = usize::try_from(address - self.next).map_err(|_| Errno::TOOBIG)?;
            block[begin..begin + bytes.len()].copy_from_slice(bytes);
        }
        caller.memory().write_growing(self.next, &block).map_err(|_| Errno::TOOBIG)
    }
}
