//! What one request is denied, wherever on its way that is.

use super::Denials;
use crate::permit::{Denied, DeniedReason};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Takes down what one request is denied: where it comes in, and later in the engines, whose
/// permits carry it. Whoever answers the request [writes](Self::write) it first. Clones share what
/// they took down; if the last of them goes before it was written, it is counted.
#[derive(Clone)]
pub struct Recorder {
    request: Arc<Request>,
}

struct Request {
    denials: Denials,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What it was let in for last, as if that had gone too far.
    let_in: Option<Denied>,
    /// What it was denied, each once.
    denied: Vec<Denied>,
    /// How many of these are written.
    written: usize,
}

impl Recorder {
    pub(super) fn new(denials: Denials) -> Self {
        Self { request: Arc::new(Request { denials, state: Mutex::default() }) }
    }

    /// Takes a denial down.
    pub(crate) fn denied(&self, denied: Denied) {
        let mut state = self.state();
        if !state.denied.contains(&denied) {
            state.denied.push(denied);
        }
    }

    /// Remembers for what the request was let in; `beyond` is what is taken down if that goes too
    /// far.
    pub(crate) fn let_in(&self, beyond: Denied) {
        self.state().let_in = Some(beyond);
    }

    /// The request is refused because it may not do what it asks for. Unless it is known by now
    /// what that is, what it was let in for went further than the caller may.
    pub fn refused(&self) {
        let mut state = self.state();
        if let (true, Some(beyond)) = (state.denied.is_empty(), state.let_in) {
            state.denied.push(beyond);
        }
    }

    /// Writes what was taken down, as [`Denials::note`] does.
    pub async fn write(&self) {
        while let Some(denied) = self.next() {
            self.request.denials.note(denied).await;
        }
    }

    fn next(&self) -> Option<Denied> {
        let mut state = self.state();
        let next = state.denied.get(state.written).copied();
        state.written += usize::from(next.is_some());
        next
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.request.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let unwritten = state.denied.get(state.written..).unwrap_or_default();
        let counts = |denied: &&Denied| denied.reason != DeniedReason::NoEnvironment;
        for denied in unwritten.iter().filter(counts) {
            self.denials.count(*denied);
        }
    }
}
