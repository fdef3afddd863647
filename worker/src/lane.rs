//! The residents' lanes: at most one operation in flight for each, in order of arrival. Never held by a lock across a call.

pub(crate) mod closed;
mod overlap;
pub(crate) mod table;

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use sekisho_issuance::request::Operation;
use sekisho_issuance::shard::LaneId;
use tokio::sync::oneshot;

use crate::assignment::NotBegun;
use crate::clock;
use crate::metric;
use crate::numbered::Numbered;

use closed::BracketNumber;
pub(crate) use overlap::Detector;
use table::{Event, Fate, Keys, LaneState, Limits, Number, Purpose, State, decide};

/// How many attempts of one backend wait, run or are held, and the age of the oldest; names nobody.
#[derive(Debug, Clone)]
pub struct LaneReport {
    /// The backend of the attempts.
    pub backend: Arc<str>,
    /// Attempts that wait for their lanes.
    pub waiting: usize,
    /// Attempts that own their lanes.
    pub running: usize,
    /// Attempts that are over, but may still have effect.
    pub held: usize,
    /// The oldest wait.
    pub oldest_waiting: Duration,
    /// The oldest run or hold.
    pub oldest_running: Duration,
}

/// One attempt, for `lanes --oldest`; names nobody.
#[derive(Debug, Clone)]
pub struct AttemptReport {
    /// Its number, which `abandon` takes.
    pub number: Number,
    /// The backend of its call.
    pub backend: Arc<str>,
    /// What it does.
    pub operation: &'static str,
    /// `waiting`, `running` or `held`; `doubtful` after an unclean end.
    pub state: &'static str,
    /// Since it entered that state.
    pub age: Duration,
    /// The virtual shard of its first lane.
    pub shard: u16,
}

/// What a waiter finds when it is polled.
enum Ticket {
    Waiting(Waker),
    Granted,
    Expired,
}

struct Shell {
    table: State,
    tickets: Numbered<Number, Ticket>,
    alarm: Option<Instant>,
    /// Whoever waits until nothing runs in a bracket's lanes.
    quiet: HashMap<BracketNumber, oneshot::Sender<()>>,
}

/// Lanes closed or opened in one step: a large bracket must not hold up everybody's next step.
const LANES_A_STEP: usize = 512;

/// All lanes of this owner.
pub(crate) struct Lanes {
    shell: Mutex<Shell>,
    pub(crate) overlaps: Detector,
    timers: tokio::runtime::Handle,
}

impl Lanes {
    pub(crate) fn new(limits: Limits, timers: tokio::runtime::Handle) -> Arc<Self> {
        let shell =
            Shell { table: State::new(limits), tickets: Numbered::default(), alarm: None, quiet: HashMap::new() };
        Arc::new(Self { shell: Mutex::new(shell), overlaps: Detector::default(), timers })
    }

    /// Waits for all of `keys`, in order of arrival, at most until `lane_wait` or the deadline. Dropped, it leaves the queue.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        number: Number,
        keys: Keys,
        purpose: Purpose,
        lane_wait: Duration,
        deadline: Instant,
    ) -> Result<LaneGuard, NotBegun> {
        let now = clock::now();
        if deadline <= now {
            return Err(NotBegun::Expired);
        }
        let expires = deadline.min(clock::after(now, lane_wait));
        let late = if expires < deadline { NotBegun::LaneBusy } else { NotBegun::Expired };
        let late = |lanes: &Self, keys: &Keys| if lanes.is_shut(keys) { NotBegun::Bracketed } else { late };
        let arrive = Event::Arrive { number, keys: keys.clone(), purpose, expires };
        let guard = |keys, standing| LaneGuard { lanes: Arc::clone(self), number, keys, standing };
        match self.apply(now, arrive) {
            Fate::Granted => Ok(guard(keys, Standing::Granted)),
            Fate::Queued => {
                let guard = guard(keys, Standing::Granted);
                let mut expiry = pin!(clock::sleep_until(expires));
                let granted = poll_fn(|cx| match self.poll_ticket(number, cx) {
                    Poll::Ready(granted) => Poll::Ready(granted),
                    Poll::Pending => expiry.as_mut().poll(cx).map(|()| false),
                });
                // Dropping the guard leaves the queue.
                if granted.await { Ok(guard) } else { Err(late(self, &guard.keys)) }
            }
            Fate::Full if self.is_shut(&keys) => Err(NotBegun::Bracketed),
            Fate::Full => Err(NotBegun::LaneFull),
            Fate::Refused | Fate::None => Err(late(self, &keys)),
        }
    }

    /// Applies an event and wakes whom it concerns.
    pub(crate) fn apply(self: &Arc<Self>, now: Instant, event: Event) -> Fate {
        let arriving = match &event {
            Event::Arrive { number, .. } => Some(*number),
            _ => None,
        };
        let mut woken = Vec::new();
        let mut shell = self.lock();
        let decision = decide(&mut shell.table, now, event);
        if decision.fate == Fate::Queued
            && let Some(number) = arriving
        {
            shell.tickets.insert(number, Ticket::Waiting(Waker::noop().clone()));
        }
        for (numbers, granted) in [(decision.granted, true), (decision.expired, false)] {
            for number in numbers {
                let ticket = if granted { Ticket::Granted } else { Ticket::Expired };
                if let Some(Ticket::Waiting(waker)) = shell.tickets.insert(number, ticket) {
                    woken.push(waker);
                }
            }
        }
        let quiet: Vec<_> = decision.quiet.iter().filter_map(|bracket| shell.quiet.remove(bracket)).collect();
        let alarm = shell.table.next_due();
        let set = alarm.is_some() && shell.alarm.is_none_or(|at| Some(at) > alarm);
        if set {
            shell.alarm = alarm;
        }
        drop(shell);
        if let Some(at) = alarm.filter(|_| set) {
            self.ring_at(at);
        }
        woken.into_iter().for_each(Waker::wake);
        for waits in quiet {
            // Whoever waited may have given up.
            let _ = waits.send(());
        }
        decision.fate
    }

    /// Closes `lanes` for a change bracket: what runs in them goes on, nothing more begins until `reopen`.
    pub(crate) fn shut(self: &Arc<Self>, bracket: BracketNumber, lanes: &[LaneId]) {
        for step in lanes.chunks(LANES_A_STEP) {
            self.apply(clock::now(), Event::Shut { bracket, keys: step.into() });
        }
    }

    /// Opens the `lanes` of a change bracket that is over.
    pub(crate) fn reopen(self: &Arc<Self>, bracket: BracketNumber, lanes: &[LaneId]) {
        for step in lanes.chunks(LANES_A_STEP) {
            self.apply(clock::now(), Event::Reopen { bracket, keys: step.into() });
        }
        self.lock().quiet.remove(&bracket);
    }

    /// Waits until nothing that may still have effect is left in the lanes that `bracket` closed.
    pub(crate) async fn quiet(&self, bracket: BracketNumber) {
        let waits = {
            let mut shell = self.lock();
            if shell.table.is_quiet(bracket) {
                return;
            }
            let (sender, waits) = oneshot::channel();
            shell.quiet.insert(bracket, sender);
            waits
        };
        // Ends with an error only where the lanes were opened again: then there is nothing to wait for either.
        let _ = waits.await;
    }

    fn is_shut(&self, keys: &Keys) -> bool {
        self.lock().table.is_shut(keys.as_slice())
    }

    /// Holds end by a timer; whichever event comes first ends those that are due as well.
    fn ring_at(self: &Arc<Self>, at: Instant) {
        let lanes = Arc::clone(self);
        self.timers.spawn(async move {
            clock::sleep_until(at).await;
            let now = clock::now();
            {
                let mut shell = lanes.lock();
                if shell.alarm == Some(at) {
                    shell.alarm = None;
                }
            }
            lanes.apply(now, Event::Tick);
            lanes.overlaps.sweep(now);
        });
    }

    /// Whether the waiter's turn has come (`true`) or its time is over (`false`).
    fn poll_ticket(&self, number: Number, cx: &mut Context<'_>) -> Poll<bool> {
        let mut shell = self.lock();
        let granted = match shell.tickets.get_mut(&number) {
            Some(Ticket::Waiting(waker)) => {
                waker.clone_from(cx.waker());
                return Poll::Pending;
            }
            Some(Ticket::Granted) => true,
            Some(Ticket::Expired) | None => false,
        };
        shell.tickets.remove(&number);
        Poll::Ready(granted)
    }

    /// Per backend, what waits and runs.
    pub(crate) fn report(&self) -> Vec<LaneReport> {
        let now = clock::now();
        let mut reports: HashMap<Arc<str>, LaneReport> = HashMap::new();
        for seen in self.lock().table.attempts() {
            let backend = &seen.purpose.backend;
            let report = reports.entry(Arc::clone(backend)).or_insert_with(|| LaneReport {
                backend: Arc::clone(backend),
                waiting: 0,
                running: 0,
                held: 0,
                oldest_waiting: Duration::ZERO,
                oldest_running: Duration::ZERO,
            });
            let age = now.saturating_duration_since(seen.since);
            match seen.state {
                LaneState::Waiting => {
                    report.waiting += 1;
                    report.oldest_waiting = report.oldest_waiting.max(age);
                }
                LaneState::Running | LaneState::Held => {
                    let count = if seen.state == LaneState::Held { &mut report.held } else { &mut report.running };
                    *count += 1;
                    report.oldest_running = report.oldest_running.max(age);
                }
            }
        }
        let mut reports: Vec<_> = reports.into_values().collect();
        reports.sort_by(|a, b| a.backend.cmp(&b.backend));
        reports
    }

    /// The `count` oldest attempts.
    pub(crate) fn oldest(&self, count: usize) -> Vec<AttemptReport> {
        let now = clock::now();
        let shell = self.lock();
        let mut attempts: Vec<AttemptReport> = shell
            .table
            .attempts()
            .map(|seen| AttemptReport {
                number: seen.number,
                backend: Arc::clone(&seen.purpose.backend),
                operation: seen.purpose.operation.name(),
                state: match seen.state {
                    LaneState::Waiting => "waiting",
                    LaneState::Running => "running",
                    LaneState::Held => "held",
                },
                age: now.saturating_duration_since(seen.since),
                shard: seen.keys.as_slice().first().map_or(0, |lane| lane.shard()),
            })
            .collect();
        drop(shell);
        attempts.sort_by_key(|a| (std::cmp::Reverse(a.age), a.number));
        attempts.truncate(count);
        attempts
    }

    /// Frees the lanes of a held attempt.
    pub(crate) fn abandon(self: &Arc<Self>, number: Number) -> bool {
        let keys = {
            let shell = self.lock();
            let held = shell.table.attempts().find(|seen| seen.number == number && seen.state == LaneState::Held);
            held.map(|seen| seen.keys.clone())
        };
        let Some(keys) = keys else { return false };
        self.overlaps.leave(keys.as_slice(), number);
        self.apply(clock::now(), Event::Release { number });
        true
    }

    /// Whether nothing is taken or waited for.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        let shell = self.lock();
        shell.table.is_idle() && shell.tickets.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Shell> {
        // Every change happens inside `decide`, which does not panic; a poisoned table is still a whole one.
        self.shell.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Waits, or owns the lanes and has sent nothing.
    Granted,
    /// Sent something; may have effect until then.
    Begun { may_act_until: Instant, operation: Operation },
    /// Owns nothing.
    Over,
}

/// Owned lanes. Dropped before `begin` it frees them; dropped after, it holds them until the call cannot have effect.
pub(crate) struct LaneGuard {
    lanes: Arc<Lanes>,
    number: Number,
    keys: Keys,
    standing: Standing,
}

impl LaneGuard {
    /// The last statement before the write: from here on the lanes are given back only by `settle`, or by time.
    pub(crate) fn begin(&mut self, now: Instant, max_run: Duration, operation: Operation) -> Result<(), NotBegun> {
        if self.lanes.apply(now, Event::Begin { number: self.number }) != Fate::Granted {
            return Err(NotBegun::LaneBusy);
        }
        let may_act_until = clock::after(now, max_run);
        self.lanes.overlaps.enter(self.keys.as_slice(), self.number, now, operation);
        self.standing = Standing::Begun { may_act_until, operation };
        Ok(())
    }

    /// Nothing of it can have effect any more: the next in line may begin.
    pub(crate) fn settle(mut self) {
        self.free();
    }

    /// The runtime of the owner's timers.
    pub(crate) fn timers(&self) -> tokio::runtime::Handle {
        self.lanes.timers.clone()
    }

    /// Until when the call may have effect; `None` where it has not begun.
    pub(crate) fn may_act_until(&self) -> Option<Instant> {
        match self.standing {
            Standing::Begun { may_act_until, .. } => Some(may_act_until),
            Standing::Granted | Standing::Over => None,
        }
    }

    /// Holds the lanes whatever the time, until `settle` or `abandon`: the caller watches for the end itself.
    pub(crate) fn hold_open(&mut self) {
        if let Standing::Begun { operation, .. } = self.standing {
            metrics::counter!(metric::LANES_HELD, "operation" => operation.name()).increment(1);
            self.lanes.apply(clock::now(), Event::Hold { number: self.number, until: None });
        }
    }

    /// Whether the lanes are still held; not when an operator abandoned the attempt.
    pub(crate) fn is_held(&self) -> bool {
        let shell = self.lanes.lock();
        shell.table.attempts().any(|seen| seen.number == self.number && seen.state == LaneState::Held)
    }

    fn free(&mut self) {
        if self.standing != Standing::Over {
            self.standing = Standing::Over;
            self.lanes.overlaps.leave(self.keys.as_slice(), self.number);
            self.lanes.apply(clock::now(), Event::Release { number: self.number });
        }
    }
}

impl Drop for LaneGuard {
    fn drop(&mut self) {
        match self.standing {
            Standing::Over => {}
            Standing::Granted => {
                self.lanes.lock().tickets.remove(&self.number);
                self.lanes.apply(clock::now(), Event::Leave { number: self.number });
            }
            Standing::Begun { may_act_until, operation } => {
                metrics::counter!(metric::LANES_HELD, "operation" => operation.name()).increment(1);
                self.lanes.overlaps.may_act_until(self.keys.as_slice(), self.number, may_act_until);
                let hold = Event::Hold { number: self.number, until: Some(may_act_until) };
                self.lanes.apply(clock::now(), hold);
            }
        }
    }
}
