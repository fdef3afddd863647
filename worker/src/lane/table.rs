//! The lanes as a pure table: events in, decisions out. No clock, no task, no waking: the shell in `lane.rs` does those.

mod seen;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use sekisho_issuance::request::Operation;
use sekisho_issuance::shard::LaneId;

use super::closed::{BracketNumber, Closed};
use crate::numbered::Numbered;
pub(crate) use seen::LaneState;

/// The number of one attempt; rises over the life of the process, never used twice.
pub(crate) type Number = u64;

/// The lanes of one attempt, cheap to clone.
#[derive(Debug, Clone)]
pub(crate) enum Keys {
    /// The usual case: one resident.
    One(LaneId),
    /// A household, in the global order.
    Many(Arc<[LaneId]>),
}

impl Keys {
    /// From lanes in the global order; `None` where there is none.
    pub(crate) fn of(lanes: &[LaneId]) -> Option<Self> {
        match lanes {
            [] => None,
            [one] => Some(Self::One(*one)),
            many => Some(Self::Many(many.into())),
        }
    }

    /// In the global order.
    pub(crate) fn as_slice(&self) -> &[LaneId] {
        match self {
            Self::One(lane) => std::slice::from_ref(lane),
            Self::Many(lanes) => lanes,
        }
    }
}

/// What an attempt is for, for reports and metrics only.
#[derive(Debug, Clone)]
pub(crate) struct Purpose {
    /// The backend of the call.
    pub(crate) backend: Arc<str>,
    /// What the call does.
    pub(crate) operation: Operation,
}

/// Bounds on waiting; when reached, the arrival is refused at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Waiters in one lane.
    pub(crate) waiters_per_lane: usize,
    /// Waiters in all lanes.
    pub(crate) waiters_total: usize,
}

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// An attempt wants all of `keys`, and stops wanting them at `expires` unless it was granted.
    Arrive { number: Number, keys: Keys, purpose: Purpose, expires: Instant },
    /// It no longer waits, or gives back a grant without having begun.
    Leave { number: Number },
    /// It is about to write its first byte: from here on only `Release`, `Hold` or an operator frees its lanes.
    Begin { number: Number },
    /// Its end is not known: the lanes stay taken until then, or until released where `until` is `None`.
    Hold { number: Number, until: Option<Instant> },
    /// Nothing of it can have effect any more.
    Release { number: Number },
    /// Time went by.
    Tick,
    /// After an unclean start: a predecessor may still have effect in these lanes.
    Inherit { number: Number, keys: Keys, purpose: Purpose, until: Instant },
    /// After an unclean start without a readable journal: nothing is granted before.
    CloseAll { until: Instant },
    /// A change bracket begins: what runs in `keys` goes on, nothing more is granted in them.
    Shut { bracket: BracketNumber, keys: Arc<[LaneId]> },
    /// It is over.
    Reopen { bracket: BracketNumber, keys: Arc<[LaneId]> },
}

/// What became of an `Arrive` or `Begin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The event asked for nothing.
    None,
    /// All lanes are its own now.
    Granted,
    /// It waits.
    Queued,
    /// A queue is full.
    Full,
    /// It was not granted, or its time is over.
    Refused,
}

/// What to do about an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// The answer to the one who sent it.
    pub(crate) fate: Fate,
    /// Waiters that own their lanes now.
    pub(crate) granted: Vec<Number>,
    /// Waiters whose time was over when their turn came.
    pub(crate) expired: Vec<Number>,
    /// Brackets in whose lanes nothing runs any more.
    pub(crate) quiet: Vec<BracketNumber>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Granted,
    Running,
    Held(Option<Instant>),
}

#[derive(Debug)]
struct Attempt {
    keys: Keys,
    purpose: Purpose,
    phase: Phase,
    since: Instant,
    expires: Instant,
}

#[derive(Debug, Default)]
struct Lane {
    holder: Option<Number>,
    queue: VecDeque<Number>,
}

/// Every lane that is taken or waited for. An idle resident has no entry.
#[derive(Debug)]
pub(crate) struct State {
    limits: Limits,
    lanes: Numbered<LaneId, Lane>,
    attempts: Numbered<Number, Attempt>,
    due: BTreeSet<(Instant, Number)>,
    closed_until: Option<Instant>,
    closed: Closed,
    waiting: usize,
}

impl State {
    /// No lane taken.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            lanes: Numbered::default(),
            attempts: Numbered::default(),
            due: BTreeSet::new(),
            closed_until: None,
            closed: Closed::default(),
            waiting: 0,
        }
    }

    /// When the next hold ends by itself.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let hold = self.due.first().map(|(at, _)| *at);
        match (hold, self.closed_until) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Whether nothing is taken or waited for, so that no memory is used.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.lanes.is_empty()
            && self.attempts.is_empty()
            && self.due.is_empty()
            && self.waiting == 0
            && self.closed.is_empty()
    }

    /// Whether a change bracket keeps one of `keys` closed.
    pub(crate) fn is_shut(&self, keys: &[LaneId]) -> bool {
        keys.iter().any(|key| self.closed.holds(key))
    }

    /// Whether nothing runs any more in the lanes of `bracket`.
    pub(crate) fn is_quiet(&self, bracket: BracketNumber) -> bool {
        self.closed.is_quiet(bracket)
    }
}

/// Applies one event at `now`.
pub(crate) fn decide(state: &mut State, now: Instant, event: Event) -> Decision {
    let mut turn =
        Turn { state, now, touched: Vec::new(), granted: Vec::new(), expired: Vec::new(), quiet: Vec::new() };
    let fate = match event {
        Event::Arrive { number, keys, purpose, expires } => turn.arrive(number, keys, purpose, expires),
        Event::Leave { number } => turn.leave(number),
        Event::Begin { number } => turn.begin(number),
        Event::Hold { number, until } => turn.hold(number, until),
        Event::Release { number } => turn.release(number),
        Event::Tick => turn.tick(),
        Event::Inherit { number, keys, purpose, until } => turn.inherit(number, keys, purpose, until),
        Event::CloseAll { until } => {
            turn.state.closed_until = turn.state.closed_until.max(Some(until));
            Fate::None
        }
        Event::Shut { bracket, keys } => turn.shut(bracket, &keys),
        Event::Reopen { bracket, keys } => turn.reopen(bracket, &keys),
    };
    turn.settle();
    Decision { fate, granted: turn.granted, expired: turn.expired, quiet: turn.quiet }
}

/// One event being applied: which lanes may have a next holder, and who was decided on.
struct Turn<'a> {
    state: &'a mut State,
    now: Instant,
    touched: Vec<LaneId>,
    granted: Vec<Number>,
    expired: Vec<Number>,
    quiet: Vec<BracketNumber>,
}

impl Turn<'_> {
    fn arrive(&mut self, number: Number, keys: Keys, purpose: Purpose, expires: Instant) -> Fate {
        if expires <= self.now || self.state.attempts.contains_key(&number) {
            return Fate::Refused;
        }
        if self.state.next_due().is_some_and(|at| at <= self.now) {
            self.tick();
            self.settle();
        }
        let free = !self.is_closed()
            && !self.state.is_shut(keys.as_slice())
            && keys.as_slice().iter().all(|k| self.state.lanes.get(k).is_none_or(is_free_and_unwanted));
        let attempt = |phase| Attempt { keys: keys.clone(), purpose, phase, since: self.now, expires };
        if free {
            for key in keys.as_slice() {
                self.state.lanes.entry(*key).or_default().holder = Some(number);
            }
            self.state.attempts.insert(number, attempt(Phase::Granted));
            return Fate::Granted;
        }
        let limits = self.state.limits;
        let full = |k: &LaneId| self.state.lanes.get(k).is_some_and(|l| l.queue.len() >= limits.waiters_per_lane);
        if self.state.waiting >= limits.waiters_total || keys.as_slice().iter().any(full) {
            return Fate::Full;
        }
        for key in keys.as_slice() {
            self.state.lanes.entry(*key).or_default().queue.push_back(number);
        }
        self.state.attempts.insert(number, attempt(Phase::Waiting));
        self.state.waiting += 1;
        Fate::Queued
    }

    fn leave(&mut self, number: Number) -> Fate {
        match self.state.attempts.get(&number).map(|a| a.phase) {
            Some(Phase::Waiting) => self.unqueue(number),
            Some(Phase::Granted) => self.vacate(number),
            _ => {}
        }
        Fate::None
    }

    fn begin(&mut self, number: Number) -> Fate {
        match self.state.attempts.get_mut(&number) {
            Some(attempt) if attempt.phase == Phase::Granted => {
                attempt.phase = Phase::Running;
                Fate::Granted
            }
            _ => Fate::Refused,
        }
    }

    fn hold(&mut self, number: Number, until: Option<Instant>) -> Fate {
        let Some(attempt) = self.state.attempts.get_mut(&number) else { return Fate::Refused };
        if attempt.phase == Phase::Waiting {
            return Fate::Refused;
        }
        if let Phase::Held(Some(before)) = attempt.phase {
            self.state.due.remove(&(before, number));
        }
        attempt.phase = Phase::Held(until);
        if let Some(until) = until {
            self.state.due.insert((until, number));
        }
        Fate::None
    }

    fn release(&mut self, number: Number) -> Fate {
        match self.state.attempts.get(&number).map(|a| a.phase) {
            Some(Phase::Running | Phase::Granted | Phase::Held(_)) => self.vacate(number),
            Some(Phase::Waiting) | None => {}
        }
        Fate::None
    }

    fn tick(&mut self) -> Fate {
        while let Some((at, number)) = self.state.due.first().copied() {
            if at > self.now {
                break;
            }
            self.vacate(number);
        }
        if self.state.closed_until.is_some_and(|until| until <= self.now) {
            self.state.closed_until = None;
            self.touched.extend(self.state.lanes.keys());
            // The order of a hash map must not decide who goes first.
            self.touched.sort_unstable();
        }
        Fate::None
    }

    fn shut(&mut self, bracket: BracketNumber, keys: &[LaneId]) -> Fate {
        for key in keys {
            let taken = self.state.lanes.get(key).is_some_and(|lane| lane.holder.is_some());
            self.state.closed.close(bracket, *key, taken);
        }
        Fate::None
    }

    fn reopen(&mut self, bracket: BracketNumber, keys: &[LaneId]) -> Fate {
        let state = &mut *self.state;
        self.touched.extend(keys.iter().filter(|key| state.closed.open(bracket, key)));
        Fate::None
    }

    fn inherit(&mut self, number: Number, keys: Keys, purpose: Purpose, until: Instant) -> Fate {
        // Two predecessors in one lane: each holds what the other does not; the lane waits for the later end.
        let mut own = Vec::new();
        for key in keys.as_slice() {
            let holder = self.state.lanes.get(key).and_then(|l| l.holder);
            match holder.and_then(|h| self.state.attempts.get(&h).map(|a| (h, a.phase))) {
                Some((h, Phase::Held(Some(other)))) if other < until => {
                    self.hold(h, Some(until));
                }
                Some(_) => {}
                None => own.push(*key),
            }
        }
        if let Some(keys) = Keys::of(&own) {
            for key in keys.as_slice() {
                self.state.lanes.entry(*key).or_default().holder = Some(number);
            }
            let attempt = Attempt { keys, purpose, phase: Phase::Held(Some(until)), since: self.now, expires: until };
            self.state.attempts.insert(number, attempt);
            self.state.due.insert((until, number));
        }
        Fate::None
    }

    /// A waiter goes without having had a turn.
    fn unqueue(&mut self, number: Number) {
        let Some(attempt) = self.state.attempts.remove(&number) else { return };
        self.state.waiting -= 1;
        for key in attempt.keys.as_slice() {
            if let Some(lane) = self.state.lanes.get_mut(key) {
                lane.queue.retain(|n| *n != number);
            }
            self.touched.push(*key);
        }
    }

    /// A holder goes; removed by (key, number), so that a late one cannot free a successor.
    fn vacate(&mut self, number: Number) {
        let Some(attempt) = self.state.attempts.remove(&number) else { return };
        if let Phase::Held(Some(until)) = attempt.phase {
            self.state.due.remove(&(until, number));
        }
        for key in attempt.keys.as_slice() {
            if let Some(lane) = self.state.lanes.get_mut(key)
                && lane.holder == Some(number)
            {
                lane.holder = None;
                self.quiet.extend(self.state.closed.given_back(key));
            }
            self.touched.push(*key);
        }
    }

    /// Gives freed lanes to their first waiters, and forgets the idle ones.
    fn settle(&mut self) {
        while let Some(key) = self.touched.pop() {
            while let Some(front) = self.next_in(key) {
                let Some(attempt) = self.state.attempts.get(&front) else { break };
                if attempt.expires <= self.now {
                    self.expired.push(front);
                    self.unqueue(front);
                    continue;
                }
                let turn = |k: &LaneId| {
                    self.state.lanes.get(k).is_some_and(|l| l.holder.is_none() && l.queue.front() == Some(&front))
                };
                let shut = self.state.is_shut(attempt.keys.as_slice());
                if shut || self.is_closed() || !attempt.keys.as_slice().iter().all(turn) {
                    break;
                }
                self.grant(front);
            }
            if self.state.lanes.get(&key).is_some_and(is_free_and_unwanted) {
                self.state.lanes.remove(&key);
            }
        }
    }

    fn next_in(&self, key: LaneId) -> Option<Number> {
        let lane = self.state.lanes.get(&key)?;
        if lane.holder.is_some() { None } else { lane.queue.front().copied() }
    }

    fn grant(&mut self, number: Number) {
        let Some(attempt) = self.state.attempts.get_mut(&number) else { return };
        attempt.phase = Phase::Granted;
        attempt.since = self.now;
        self.state.waiting -= 1;
        for key in attempt.keys.as_slice() {
            if let Some(lane) = self.state.lanes.get_mut(key) {
                lane.queue.pop_front();
                lane.holder = Some(number);
            }
        }
        self.granted.push(number);
    }

    fn is_closed(&self) -> bool {
        self.state.closed_until.is_some_and(|until| until > self.now)
    }
}

fn is_free_and_unwanted(lane: &Lane) -> bool {
    lane.holder.is_none() && lane.queue.is_empty()
}

#[cfg(test)]
mod tests;
