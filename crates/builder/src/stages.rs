//! The stages of a build that are done or under way.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock, RwLockReadGuard};

use layer::Tree;

use crate::engine::Engine;
use crate::error::Result;
use crate::jobs::Seat;
use crate::once::lock;
use crate::stage::Stage;

/// A stage or an image that is done, for those who start or take files from it, several at once.
#[derive(Clone)]
pub(crate) struct SharedStage(Arc<RwLock<Stage>>);

impl SharedStage {
    pub(crate) fn new(stage: Stage) -> Self {
        SharedStage(Arc::new(RwLock::new(stage)))
    }

    /// The stage as it is.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Stage> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its filesystem as a value, which is made once.
    pub(crate) fn tree(&self, engine: &Engine<'_>) -> Result<Arc<Tree>> {
        if let Some(tree) = self.read().known_tree() {
            return Ok(tree.clone());
        }
        self.0.write().unwrap_or_else(PoisonError::into_inner).tree(engine)
    }

    /// The stage itself, for the last who has it.
    pub(crate) fn into_inner(self) -> Option<Stage> {
        Some(Arc::into_inner(self.0)?.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Stages by number.
#[derive(Default)]
pub(crate) struct Stages {
    states: Mutex<BTreeMap<usize, State>>,
    changed: Condvar,
}

enum State {
    Building,
    Done(SharedStage),
    Failed,
}

/// What somebody finds who needs a stage.
pub(crate) enum Claimed<'a> {
    Done(SharedStage),
    /// It cannot be had, and why is told by who has tried.
    Failed,
    /// Nobody has begun it.
    Ours(Claim<'a>),
}

impl Stages {
    /// A stage that is done.
    pub(crate) fn get(&self, number: usize) -> Option<SharedStage> {
        match lock(&self.states).get(&number) {
            Some(State::Done(stage)) => Some(stage.clone()),
            _ => None,
        }
    }

    /// All that are done.
    pub(crate) fn done(&self) -> Vec<SharedStage> {
        let states = lock(&self.states);
        let done = states.values().filter_map(|state| match state {
            State::Done(stage) => Some(stage.clone()),
            State::Building | State::Failed => None,
        });
        done.collect()
    }

    /// Takes a stage out, once nobody else has it.
    pub(crate) fn take(&self, number: usize) -> Option<Stage> {
        match lock(&self.states).remove(&number) {
            Some(State::Done(stage)) => stage.into_inner(),
            _ => None,
        }
    }

    /// A stage, or the task to build it. If somebody else does that, it is waited for.
    pub(crate) fn claim(&self, number: usize, seat: &Seat<'_>) -> Claimed<'_> {
        let mut states = lock(&self.states);
        loop {
            match states.get(&number) {
                Some(State::Done(stage)) => return Claimed::Done(stage.clone()),
                Some(State::Failed) => return Claimed::Failed,
                None => {
                    states.insert(number, State::Building);
                    return Claimed::Ours(Claim { stages: self, number });
                }
                Some(State::Building) => {
                    drop(states);
                    seat.wait(|| {
                        let mut states = lock(&self.states);
                        while matches!(states.get(&number), Some(State::Building)) {
                            states = self.changed.wait(states).unwrap_or_else(PoisonError::into_inner);
                        }
                    });
                    states = lock(&self.states);
                }
            }
        }
    }

    fn set(&self, number: usize, state: State) {
        lock(&self.states).insert(number, state);
        self.changed.notify_all();
    }
}

/// The task to build a stage; dropped without one, it has failed.
pub(crate) struct Claim<'a> {
    stages: &'a Stages,
    number: usize,
}

impl Claim<'_> {
    /// Hands the stage to everybody who needs it.
    pub(crate) fn done(self, stage: Stage) -> SharedStage {
        let shared = SharedStage::new(stage);
        self.stages.set(self.number, State::Done(shared.clone()));
        shared
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut states = lock(&self.stages.states);
        if let Some(state @ State::Building) = states.get_mut(&self.number) {
            *state = State::Failed;
        }
        drop(states);
        self.stages.changed.notify_all();
    }
}
