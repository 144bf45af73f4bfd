//! Who gets a sandbox next: counting and waiting, without any process.
//!
//! Every program has a lane: its idle sandboxes, and those who wait for one. A lane serves its
//! waiters in order. When all places are taken, lanes take turns, so that one busy program does
//! not keep another waiting for ever; and the first turn is that of the owner who has the fewest
//! sandboxes at work, so that no owner gains by having many programs or many who wait.

use super::Eviction;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;
use tokio::time::Instant;

/// How long another lane's first waiter lets a busy lane reuse its own sandboxes, which is much
/// cheaper than ending one and starting another.
const TURN: Duration = Duration::from_millis(50);

/// How many sandboxes there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caps {
    pub(super) total: usize,
    pub(super) each: usize,
    pub(super) waiting: usize,
}

/// What a lane is of.
pub(super) trait Kinded {
    /// What a spare sandbox must be to serve it.
    type Kind: Copy + Eq;
    /// Who shares the places fairly with others.
    type Owner: Copy + Eq + Hash;

    fn kind(&self) -> Self::Kind;
    fn owner(&self) -> Self::Owner;
}

/// The lanes; `T` is a sandbox and `W` somebody who waits.
#[derive(Debug)]
pub(super) struct Lanes<K: Kinded, T, W> {
    caps: Caps,
    by_key: HashMap<K, Lane<T, W>>,
    /// Lanes with waiters, the next first.
    turns: VecDeque<K>,
    spares: Vec<(K::Kind, T)>,
    /// Sandboxes with a program: at work, idle or starting.
    assigned: usize,
    waiting: usize,
}

#[derive(Debug)]
struct Lane<T, W> {
    idle: Vec<(T, Instant)>,
    live: usize,
    waiters: VecDeque<(W, Instant)>,
}

/// The figures of one kind of sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Count {
    pub(super) live: usize,
    /// Of these, with a version and without work.
    pub(super) idle: usize,
    /// Of these, without a version.
    pub(super) spare: usize,
    pub(super) waiting: usize,
}

/// What somebody who asked gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Grant<T> {
    /// A sandbox of the program, idle until now.
    Warm(T),
    /// The right to start one, and a spare one to make it of, if there is one.
    Start(Option<T>),
}

/// A place for one more sandbox, and a spare one to make it of, if there is one.
#[derive(Debug)]
struct Opening<T> {
    spare: Option<T>,
}

/// The answer to a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer<T, W> {
    Now(Grant<T>),
    /// The one who waits has been put in line.
    Later,
    /// The line is full.
    Full(W),
}

/// What to do after a change: hand these over, end those, send these away.
#[derive(Debug)]
pub(super) struct Effects<K, T, W> {
    pub(super) grants: Vec<(W, (K, Grant<T>))>,
    pub(super) ended: Vec<(T, Eviction)>,
    pub(super) refused: Vec<W>,
}

impl<K, T, W> Default for Effects<K, T, W> {
    fn default() -> Self {
        Self { grants: Vec::new(), ended: Vec::new(), refused: Vec::new() }
    }
}

impl<T, W> Default for Lane<T, W> {
    fn default() -> Self {
        Self { idle: Vec::new(), live: 0, waiters: VecDeque::new() }
    }
}

impl<K: Copy + Eq + Hash + Kinded, T, W> Lanes<K, T, W> {
    pub(super) fn new(caps: Caps) -> Self {
        Self {
            caps,
            by_key: HashMap::new(),
            turns: VecDeque::new(),
            spares: Vec::new(),
            assigned: 0,
            waiting: 0,
        }
    }

    /// Asks for a sandbox; `waiter` is kept if there is none now.
    pub(super) fn ask(
        &mut self,
        key: K,
        waiter: W,
        now: Instant,
        effects: &mut Effects<K, T, W>,
    ) -> Answer<T, W> {
        let lane = self.by_key.entry(key).or_default();
        if lane.waiters.is_empty() {
            if let Some((sandbox, _)) = lane.idle.pop() {
                return Answer::Now(Grant::Warm(sandbox));
            }
            if let Some(Opening { spare }) = self.take_place(key, effects) {
                return Answer::Now(Grant::Start(spare));
            }
        }
        if self.waiting >= self.caps.waiting && !self.send_one_away(key, effects) {
            self.forget_if_empty(key);
            return Answer::Full(waiter);
        }
        let lane = self.by_key.entry(key).or_default();
        if lane.waiters.is_empty() {
            self.turns.push_back(key);
        }
        lane.waiters.push_back((waiter, now));
        self.waiting += 1;
        Answer::Later
    }

    /// Gives a clean sandbox back.
    pub(super) fn give_back(&mut self, key: K, sandbox: T, now: Instant) -> Effects<K, T, W> {
        let mut effects = Effects::default();
        if self.another_is_due(key, now) {
            effects.ended.push((sandbox, Eviction::Room));
            self.release(key, &mut effects);
            return effects;
        }
        let Some(lane) = self.by_key.get_mut(&key) else {
            effects.ended.push((sandbox, Eviction::Room));
            return effects;
        };
        if let Some((waiter, _)) = lane.waiters.pop_front() {
            self.waiting -= 1;
            if lane.waiters.is_empty() {
                self.turns.retain(|turn| *turn != key);
            }
            effects.grants.push((waiter, (key, Grant::Warm(sandbox))));
        } else {
            lane.idle.push((sandbox, now));
            self.serve_turns(&mut effects);
        }
        effects
    }

    /// A sandbox of the program has ended, or was never started.
    pub(super) fn ended(&mut self, key: K) -> Effects<K, T, W> {
        let mut effects = Effects::default();
        self.release(key, &mut effects);
        effects
    }

    /// Ends the idle sandboxes for which `select` has a reason.
    pub(super) fn end_idle(
        &mut self,
        mut select: impl FnMut(&K, &T, Instant) -> Option<Eviction>,
    ) -> Effects<K, T, W> {
        let mut effects = Effects::default();
        for (key, lane) in &mut self.by_key {
            for (sandbox, since) in std::mem::take(&mut lane.idle) {
                if let Some(reason) = select(key, &sandbox, since) {
                    lane.live -= 1;
                    self.assigned -= 1;
                    effects.ended.push((sandbox, reason));
                } else {
                    lane.idle.push((sandbox, since));
                }
            }
        }
        self.by_key.retain(|_, lane| lane.live > 0 || !lane.waiters.is_empty());
        self.serve_turns(&mut effects);
        effects
    }

    /// Ends the sandbox that has been idle longest; a spare one if none is idle. None if all that
    /// there are work.
    pub(super) fn end_longest_unused(&mut self, reason: Eviction) -> Option<Effects<K, T, W>> {
        let mut effects = Effects::default();
        let ended = self.end_longest_idle(None).or_else(|| self.spares.pop().map(|(_, one)| one));
        effects.ended.push((ended?, reason));
        self.serve_turns(&mut effects);
        Some(effects)
    }

    /// Everybody who waits, sent away, and everything idle or spare, to be ended.
    pub(super) fn close(&mut self) -> (Vec<W>, Vec<T>) {
        let ended = self.end_idle(|_, _, _| Some(Eviction::Replaced)).ended;
        let mut ended: Vec<T> = ended.into_iter().map(|(sandbox, _)| sandbox).collect();
        ended.extend(self.spares.drain(..).map(|(_, spare)| spare));
        let waiters = self
            .by_key
            .values_mut()
            .flat_map(|lane| lane.waiters.drain(..))
            .map(|(waiter, _)| waiter)
            .collect();
        self.turns.clear();
        self.waiting = 0;
        (waiters, ended)
    }

    /// Whether there is a place for one more spare sandbox.
    pub(super) fn room_for_spare(&self) -> bool {
        self.waiting == 0 && self.assigned + self.spares.len() < self.caps.total
    }

    /// Keeps a spare sandbox, or gives it back if its place has been taken.
    pub(super) fn add_spare(&mut self, kind: K::Kind, spare: T) -> Option<T> {
        if self.room_for_spare() {
            self.spares.push((kind, spare));
            return None;
        }
        Some(spare)
    }

    /// The figures of one kind.
    pub(super) fn count(&self, kind: K::Kind) -> Count {
        let spare = self.spares.iter().filter(|(of, _)| *of == kind).count();
        let mut count = Count { live: spare, spare, ..Count::default() };
        for (_, lane) in self.by_key.iter().filter(|(key, _)| key.kind() == kind) {
            count.live += lane.live;
            count.idle += lane.idle.len();
            count.waiting += lane.waiters.len();
        }
        count
    }

    /// A place for one more sandbox of the program, if need be that of an idle one or a spare.
    fn take_place(&mut self, key: K, effects: &mut Effects<K, T, W>) -> Option<Opening<T>> {
        if self.by_key.get(&key).is_some_and(|lane| lane.live >= self.caps.each) {
            return None;
        }
        if self.assigned >= self.caps.total {
            effects.ended.push((self.end_longest_idle(Some(key))?, Eviction::Room));
        }
        self.assigned += 1;
        self.by_key.entry(key).or_default().live += 1;
        let kind = key.kind();
        let fitting = self.spares.iter().rposition(|(of, _)| *of == kind);
        let spare = fitting.map(|at| self.spares.remove(at).1);
        if spare.is_none() && self.assigned + self.spares.len() > self.caps.total {
            // One of another kind makes room.
            effects.ended.extend(self.spares.pop().map(|(_, other)| (other, Eviction::Room)));
        }
        Some(Opening { spare })
    }

    fn end_longest_idle(&mut self, except: Option<K>) -> Option<T> {
        let oldest = self
            .by_key
            .iter()
            .filter(|(key, _)| Some(**key) != except)
            .filter_map(|(key, lane)| lane.idle.first().map(|(_, since)| (*since, *key)))
            .min_by_key(|(since, _)| *since)?;
        let lane = self.by_key.get_mut(&oldest.1)?;
        let (sandbox, _) = lane.idle.remove(0);
        lane.live -= 1;
        self.assigned -= 1;
        self.forget_if_empty(oldest.1);
        Some(sandbox)
    }

    fn another_is_due(&self, key: K, now: Instant) -> bool {
        if self.assigned < self.caps.total {
            return false;
        }
        self.turns.iter().filter(|turn| **turn != key).any(|turn| {
            self.by_key.get(turn).is_some_and(|lane| {
                lane.live < self.caps.each
                    && lane
                        .waiters
                        .front()
                        .is_some_and(|(_, since)| now.duration_since(*since) > TURN)
            })
        })
    }

    fn release(&mut self, key: K, effects: &mut Effects<K, T, W>) {
        if let Some(lane) = self.by_key.get_mut(&key) {
            lane.live = lane.live.saturating_sub(1);
            self.assigned = self.assigned.saturating_sub(1);
        }
        self.stand_behind(key);
        self.serve_turns(effects);
        self.forget_if_empty(key);
    }

    /// Puts the lanes of an owner who has just had a place behind the others', and that lane last.
    fn stand_behind(&mut self, key: K) {
        let turns = std::mem::take(&mut self.turns);
        let rank = |turn: &K| (turn.owner() == key.owner(), *turn == key);
        let mut turns: Vec<K> = turns.into();
        turns.sort_by_key(rank);
        self.turns = turns.into();
    }

    /// Lets lanes take turns as long as there are places.
    fn serve_turns(&mut self, effects: &mut Effects<K, T, W>) {
        while let Some(key) = self.next_turn() {
            let Some(Opening { spare }) = self.take_place(key, effects) else { return };
            let Some(lane) = self.by_key.get_mut(&key) else { return };
            let Some((waiter, _)) = lane.waiters.pop_front() else { return };
            if lane.waiters.is_empty() {
                self.turns.retain(|turn| *turn != key);
            }
            self.stand_behind(key);
            self.waiting -= 1;
            effects.grants.push((waiter, (key, Grant::Start(spare))));
        }
    }

    /// The lane whose turn it is among those that can have a place: of the owners with the fewest
    /// sandboxes at work, the one that has stood longest.
    fn next_turn(&self) -> Option<K> {
        if self.turns.is_empty() {
            return None;
        }
        let mut at_work: HashMap<K::Owner, usize> = HashMap::new();
        for (key, lane) in &self.by_key {
            *at_work.entry(key.owner()).or_default() += lane.live - lane.idle.len();
        }
        let fits = self.turns.iter().filter(|key| self.can_have_place(**key));
        fits.min_by_key(|key| at_work.get(&key.owner()).copied().unwrap_or(0)).copied()
    }

    fn can_have_place(&self, key: K) -> bool {
        let may = self.by_key.get(&key).is_none_or(|lane| lane.live < self.caps.each);
        let mut others = self.by_key.iter().filter(|(other, _)| **other != key);
        may && (self.assigned < self.caps.total || others.any(|(_, lane)| !lane.idle.is_empty()))
    }

    /// Makes room in a full line for somebody whose owner has fewer in it than another: the last
    /// one of the owner who has the most is sent away.
    fn send_one_away(&mut self, key: K, effects: &mut Effects<K, T, W>) -> bool {
        let mut waiting: HashMap<K::Owner, usize> = HashMap::new();
        for (key, lane) in &self.by_key {
            *waiting.entry(key.owner()).or_default() += lane.waiters.len();
        }
        let own = waiting.get(&key.owner()).copied().unwrap_or(0);
        let Some((owner, most)) = waiting.into_iter().max_by_key(|(_, count)| *count) else {
            return false;
        };
        if most <= own + 1 {
            return false;
        }
        let of_owner = self.by_key.iter_mut().filter(|(key, _)| key.owner() == owner);
        let last = of_owner.max_by_key(|(_, lane)| lane.waiters.back().map(|(_, since)| *since));
        let Some((last, lane)) = last.map(|(key, lane)| (*key, lane)) else { return false };
        effects.refused.extend(lane.waiters.pop_back().map(|(waiter, _)| waiter));
        if lane.waiters.is_empty() {
            self.turns.retain(|turn| *turn != last);
        }
        self.waiting -= 1;
        self.forget_if_empty(last);
        true
    }

    fn forget_if_empty(&mut self, key: K) {
        if self.by_key.get(&key).is_some_and(|lane| lane.live == 0 && lane.waiters.is_empty()) {
            self.by_key.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests;
