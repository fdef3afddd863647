//! The slots of one backend as a pure state: who was let in, who waits, who has a place in the backend, what is promised. No clock, no
//! task, no waking: `slot.rs` does those.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::limit::Limit;
use super::pace::Pace;
use super::promise::Promises;
use super::share::{Flow, Shares};
use crate::assignment::NotBegun;
use crate::numbered::Numbered;
use crate::standing::{Rank, Standing, WORKS, Work};

/// Requests that were let in and are not yet in the backend, beyond which nobody is let in.
pub(super) const MAX_WAITING: usize = 4096;
/// A reading is expected to take this long until one was seen, and whatever prints or changes.
const FIRST_GUESS_S: f64 = 0.2;
/// The same for what begins or ends a session.
const FIRST_GUESS_SHORT_S: f64 = 0.02;

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Let in; still at its proof or in its lane.
    Expected,
    /// In the queue. `whole` = it needs a place at once, not only leave to prepare.
    Waiting { whole: bool },
    /// Connects and writes its intent, so that its place is not idle meanwhile.
    Preparing,
    /// Prepared; takes the next place that is free.
    Ready,
    /// In the backend since then.
    Placed { since: Instant },
    /// Its answer is complete and being judged.
    Answered,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) flow: Flow,
    /// Its order in the queue: a session that is let in is started from then on.
    pub(super) order: Rank,
    pub(super) work: Work,
    /// What it was expected to take when it came, in microseconds of a slot.
    pub(super) cost: i64,
    pub(super) arrived: Instant,
    pub(super) deadline: Instant,
    pub(super) stage: Stage,
    began: bool,
    since: Instant,
}

impl Entry {
    fn place(&self, number: u64) -> (Rank, Instant, u64) {
        (self.order, self.arrived, number)
    }
}

/// Somebody whose wait is over.
pub(super) type Wake = (u64, Result<(), NotBegun>);

/// What came of asking for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entered {
    /// It has it.
    Granted(u64),
    /// It waits, until then.
    Waits(u64, Instant),
    /// It has none and gets none.
    Refused(NotBegun),
}

/// Slots counted at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) limit: usize,
    pub(crate) in_use: usize,
    pub(crate) resting: usize,
    pub(crate) waiting: usize,
}

/// One backend.
#[derive(Debug)]
pub(super) struct State {
    pub(super) limit: Limit,
    pub(super) shares: Shares,
    pub(super) promises: Promises,
    pub(super) paces: [Pace; WORKS],
    pub(super) preparing: Pace,
    /// Of every call.
    any: Pace,
    pub(super) entries: Numbered<u64, Entry>,
    next: u64,
    ready: VecDeque<u64>,
    /// In [`Stage::Preparing`] or [`Stage::Ready`].
    pub(super) on_the_way: usize,
    pub(super) placed: usize,
    pub(super) judged: usize,
    pub(super) resting: usize,
    /// Sum of what those in the backend were expected to take, and of when they went in, both in microseconds.
    placed_cost: i64,
    placed_since: i128,
    pub(super) epoch: Instant,
    pub(super) stopped: bool,
    wakes: Vec<Wake>,
}

impl State {
    pub(super) fn new(limit: usize, objective: Option<Duration>, now: Instant) -> Self {
        let (long, short) = (Pace::guess(FIRST_GUESS_S), Pace::guess(FIRST_GUESS_SHORT_S));
        let paces = [long, long, long, short, short, short, short];
        Self {
            limit: Limit::new(limit, objective),
            shares: Shares::default(),
            promises: Promises::default(),
            paces,
            preparing: Pace::guess(0.005),
            any: Pace::guess(FIRST_GUESS_S),
            entries: Numbered::default(),
            next: 1,
            ready: VecDeque::new(),
            on_the_way: 0,
            placed: 0,
            judged: 0,
            resting: 0,
            placed_cost: 0,
            placed_since: 0,
            epoch: now,
            stopped: false,
            wakes: Vec::new(),
        }
    }

    pub(super) fn pace(&self, work: Work) -> &Pace {
        // As long as `WORKS` says; the first is there in any case.
        let [first, ..] = &self.paces;
        self.paces.get(work.index()).unwrap_or(first)
    }

    /// Those whose wait ended since the last call.
    pub(super) fn take_wakes(&mut self) -> Vec<Wake> {
        std::mem::take(&mut self.wakes)
    }

    pub(super) fn counted(&self) -> Counted {
        Counted {
            limit: self.limit.now(),
            in_use: self.placed + self.on_the_way + self.judged,
            resting: self.resting,
            waiting: self.shares.waiting(),
        }
    }

    /// Counts a request among what is ahead of later ones.
    pub(super) fn expect(
        &mut self,
        standing: &Standing,
        order: Rank,
        work: Work,
        deadline: Instant,
        now: Instant,
    ) -> u64 {
        let number = self.next;
        self.next += 1;
        let (flow, cost) = (Flow::of(standing), self.pace(work).micros());
        let entry = Entry {
            flow,
            order,
            work,
            cost,
            arrived: standing.arrived,
            deadline,
            stage: Stage::Expected,
            began: false,
            since: now,
        };
        self.entries.insert(number, entry);
        let account = self.shares.account(flow, now);
        account.share = standing.share;
        account.present += 1;
        account.asked(cost, now);
        add(&mut account.ahead, order, cost);
        number
    }

    /// A request comes to the slots.
    pub(super) fn enter(
        &mut self,
        standing: &Standing,
        work: Work,
        deadline: Instant,
        whole: bool,
        now: Instant,
    ) -> Entered {
        let expected = standing
            .ticket
            .filter(|number| self.entries.get(number).is_some_and(|e| e.stage == Stage::Expected && e.work == work));
        if self.stopped {
            expected.into_iter().for_each(|number| self.forget(number));
            return Entered::Refused(NotBegun::BackendSuspended);
        }
        if expected.is_none() && self.shares.waiting() >= MAX_WAITING {
            return Entered::Refused(NotBegun::BackendBusy);
        }
        let number = match expected {
            Some(number) => number,
            None => self.expect(standing, standing.rank, work, deadline, now),
        };
        let Some(entry) = self.entries.get_mut(&number) else { return Entered::Refused(NotBegun::BackendBusy) };
        entry.stage = Stage::Waiting { whole };
        let (flow, place) = (entry.flow, entry.place(number));
        // Whoever waits longer can no longer be served; but an estimate alone takes nobody more than half of their time.
        let cost = Duration::from_micros(entry.cost.unsigned_abs());
        let half = deadline.saturating_duration_since(entry.arrived) / 2;
        let until = deadline.checked_sub(cost.min(half)).unwrap_or(deadline);
        self.shares.push(flow, place, now);
        self.hand_out(now);
        match self.entries.get(&number).map(|entry| entry.stage) {
            Some(Stage::Waiting { .. }) => Entered::Waits(number, until),
            Some(_) => {
                self.wakes.retain(|(woken, _)| *woken != number);
                Entered::Granted(number)
            }
            None => {
                self.wakes.retain(|(woken, _)| *woken != number);
                Entered::Refused(NotBegun::NoTimeLeft)
            }
        }
    }

    /// A prepared request asks for its place in the backend: `true` where it has it, else it is woken when it does.
    pub(super) fn start(&mut self, number: u64, now: Instant) -> bool {
        let Some(entry) = self.entries.get_mut(&number) else { return false };
        match entry.stage {
            Stage::Placed { .. } => true,
            Stage::Preparing => {
                self.preparing.learn(now.saturating_duration_since(entry.since), 4);
                entry.stage = Stage::Ready;
                self.ready.push_back(number);
                self.hand_out(now);
                self.wakes.retain(|(woken, _)| *woken != number);
                matches!(self.entries.get(&number).map(|e| e.stage), Some(Stage::Placed { .. }))
            }
            _ => false,
        }
    }

    /// Its first byte is about to leave.
    pub(super) fn begin(&mut self, number: u64, now: Instant) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        entry.began = true;
        let entry = *entry;
        if !matches!(entry.stage, Stage::Placed { .. }) {
            // Nobody begins without a place.
            self.settle_place(number);
            self.put(number, now);
        }
    }

    /// Its answer is complete: its place may be another's while it is judged.
    pub(super) fn answered(&mut self, number: u64, now: Instant) {
        let Some(Entry { stage: Stage::Placed { since }, work, .. }) = self.entries.get(&number).copied() else {
            return;
        };
        let took = now.saturating_duration_since(since);
        let patience = 2 * self.limit.now();
        if let Some(pace) = self.paces.get_mut(work.index()) {
            pace.learn(took, patience);
        }
        self.any.average(took);
        self.limit.answered(took, self.placed);
        self.settle_place(number);
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.stage = Stage::Answered;
            self.judged += 1;
        }
        self.hand_out(now);
    }

    /// It is over. `surprise` = what began under it may still have effect. `true` where the place must rest first: the caller says
    /// [`State::rested`] when it has.
    pub(super) fn free(&mut self, number: u64, surprise: bool, rests: bool, now: Instant) -> bool {
        let rest = rests && surprise && self.entries.get(&number).is_some_and(|entry| entry.began);
        if !surprise && self.entries.get(&number).is_some_and(|entry| entry.began) {
            // An answer nobody said was complete, yet was no surprise: as good as answered.
            self.answered(number, now);
        }
        self.resting += usize::from(rest);
        self.forget(number);
        self.hand_out(now);
        rest
    }

    /// A place has rested.
    pub(super) fn rested(&mut self, now: Instant) {
        self.resting = self.resting.saturating_sub(1);
        self.hand_out(now);
    }

    /// Whoever was let in does not come, or does not wait any more, or is over.
    pub(super) fn forget(&mut self, number: u64) {
        self.settle_place(number);
        let Some(entry) = self.entries.remove(&number) else { return };
        if let Some(account) = self.shares.known(entry.flow) {
            account.present = account.present.saturating_sub(1);
        }
        if entry.stage == Stage::Answered {
            self.judged = self.judged.saturating_sub(1);
        }
    }

    /// What a ticket's holder says at its end: only what never came to the slots is still there.
    pub(super) fn forget_expected(&mut self, number: u64) {
        if self.entries.get(&number).is_some_and(|entry| entry.stage == Stage::Expected) {
            self.forget(number);
        }
    }

    /// Nobody waits any more; `why` is told to all of them.
    pub(super) fn stop(&mut self, why: NotBegun) {
        self.stopped = true;
        let mut all = self.shares.drain();
        all.extend(std::mem::take(&mut self.ready));
        for number in all {
            self.forget(number);
            self.wakes.push((number, Err(why)));
        }
    }

    /// Takes a request out of whatever it is counted in, but for its account's `present`.
    fn settle_place(&mut self, number: u64) {
        let Some(entry) = self.entries.get(&number).copied() else { return };
        match entry.stage {
            Stage::Waiting { .. } => self.shares.remove(entry.flow, entry.place(number), None),
            Stage::Preparing => self.on_the_way = self.on_the_way.saturating_sub(1),
            Stage::Ready => {
                self.on_the_way = self.on_the_way.saturating_sub(1);
                self.ready.retain(|other| *other != number);
            }
            Stage::Placed { since } => {
                self.placed = self.placed.saturating_sub(1);
                self.placed_cost -= entry.cost;
                self.placed_since -= micros(since.saturating_duration_since(self.epoch));
            }
            Stage::Expected | Stage::Answered => {}
        }
        let Some(account) = self.shares.known(entry.flow) else { return };
        match entry.stage {
            Stage::Placed { .. } => account.placed -= entry.cost,
            Stage::Answered => {}
            _ => add(&mut account.ahead, entry.order, -entry.cost),
        }
    }

    /// Gives a request its place. It must be in no stage that is counted.
    fn put(&mut self, number: u64, now: Instant) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        entry.stage = Stage::Placed { since: now };
        self.placed += 1;
        self.placed_cost += entry.cost;
        self.placed_since += micros(now.saturating_duration_since(self.epoch));
        if let Some(account) = self.shares.known(entry.flow) {
            account.placed += entry.cost;
        }
    }

    /// Requests that may prepare while every place is taken, so that none is idle while its next one connects: answers come in clumps,
    /// and a sync that takes long is not in the mean.
    fn beforehand(&self) -> usize {
        let limit = self.limit.now();
        let wanted = (2.0 * limit as f64 * self.preparing.mean() / self.any.mean().max(0.001)).ceil() as usize;
        // A backend that takes one call at a time sees no second connection.
        if limit < 2 { 0 } else { wanted.clamp(limit.div_ceil(8), limit) }
    }

    /// Gives what is free to whoever is next.
    pub(super) fn hand_out(&mut self, now: Instant) {
        if self.stopped {
            return;
        }
        loop {
            let limit = self.limit.now();
            let free = self.placed + self.resting < limit;
            if free && let Some(number) = self.ready.front().copied() {
                self.settle_place(number);
                self.put(number, now);
                self.wakes.push((number, Ok(())));
                continue;
            }
            let Some((flow, place)) = self.shares.peek() else { return };
            let number = place.2;
            let Some(entry) = self.entries.get(&number).copied() else {
                self.shares.remove(flow, place, None);
                continue;
            };
            // While something runs there is something to learn from; then nothing is begun that cannot be in time.
            let busy = self.placed + self.on_the_way > 0;
            let cost = Duration::from_micros(self.pace(entry.work).micros().unsigned_abs());
            if entry.deadline <= now || (busy && now + cost > entry.deadline) {
                self.forget(number);
                self.wakes.push((number, Err(NotBegun::NoTimeLeft)));
                continue;
            }
            let room = self.placed + self.on_the_way + self.resting < limit + self.beforehand();
            let whole = entry.stage == Stage::Waiting { whole: true };
            if !room || (whole && !free) {
                return;
            }
            self.shares.remove(flow, place, Some(entry.cost));
            if whole {
                if let Some(account) = self.shares.known(flow) {
                    add(&mut account.ahead, entry.order, -entry.cost);
                }
                self.put(number, now);
            } else if let Some(entry) = self.entries.get_mut(&number) {
                entry.stage = Stage::Preparing;
                entry.since = now;
                self.on_the_way += 1;
            }
            self.wakes.push((number, Ok(())));
        }
    }

    /// What those in the backend are still expected to take, in seconds of a slot. Where they take much longer than expected, as long
    /// again as they have taken.
    pub(super) fn residual(&self, now: Instant) -> f64 {
        if self.placed == 0 {
            return 0.0;
        }
        let taken = self.placed as i128 * micros(now.saturating_duration_since(self.epoch)) - self.placed_since;
        let (taken, expected) = (taken.max(0) as f64 / 1e6, self.placed_cost as f64 / 1e6);
        if taken > 2.0 * expected { taken } else { (expected - taken).max(expected / 4.0) }
    }
}

fn add(ahead: &mut [i64; Rank::ALL.len()], order: Rank, micros: i64) {
    if let Some(sum) = ahead.get_mut(order as usize) {
        *sum += micros;
    }
}

fn micros(duration: Duration) -> i128 {
    i128::try_from(duration.as_micros()).unwrap_or(i128::MAX)
}
