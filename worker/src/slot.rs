//! A backend's slots: who may call it now, when the next may start, which rest after a surprise. Acts on what `slot/state.rs` decides.

mod forecast;
mod limit;
mod pace;
mod promise;
mod share;
#[cfg(test)]
mod simulation;
mod state;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sekisho_issuance::request::Operation;
use tokio::sync::oneshot;

use crate::assignment::NotBegun;
use crate::clock;
use crate::numbered::Numbered;
use crate::standing::{Refusal, Standing, Work};
use forecast::Question;
pub(crate) use state::Counted;
use state::{Entered, State};

/// What a backend's slots are configured with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) limit: usize,
    pub(crate) objective: Option<Duration>,
    pub(crate) tick_spacing: Duration,
    pub(crate) settle: Duration,
}

#[derive(Debug)]
struct Inner {
    state: State,
    waiting: Numbered<u64, oneshot::Sender<Result<(), NotBegun>>>,
    last_start: Option<Instant>,
    tick_spacing: Duration,
    settle: Duration,
}

impl Inner {
    /// Tells everybody whose wait is over. A waiter that is gone gives its slot back when it is dropped.
    fn wake(&mut self) {
        for (number, end) in self.state.take_wakes() {
            if let Some(waiter) = self.waiting.remove(&number) {
                let _ = waiter.send(end);
            }
        }
    }
}

/// The slots of one backend.
#[derive(Debug)]
pub(crate) struct Slots {
    inner: Mutex<Inner>,
    timers: tokio::runtime::Handle,
}

impl Slots {
    pub(crate) fn new(settings: Settings, timers: tokio::runtime::Handle) -> Arc<Self> {
        let Settings { limit, objective, tick_spacing, settle } = settings;
        let state = State::new(limit, objective, clock::now());
        let inner = Inner { state, waiting: Numbered::default(), last_start: None, tick_spacing, settle };
        Arc::new(Self { inner: Mutex::new(inner), timers })
    }

    /// Whether a request may be let in. What it is counted for until it comes to the slots, or its ticket is dropped.
    pub(crate) fn admit(self: &Arc<Self>, ask: &Ask<'_>) -> Result<Ticket, Refusal> {
        let session = ask.session.filter(|promise| Arc::ptr_eq(&promise.slots, self)).map(|promise| promise.number);
        let question = Question {
            standing: ask.standing,
            operation: ask.operation,
            deadline: ask.deadline,
            session,
            started: ask.started,
        };
        let entry = {
            let mut inner = self.lock();
            let entry = inner.state.ask(&question, clock::now());
            inner.wake();
            entry?
        };
        let opened = entry.opens.map(|number| Promise { slots: Arc::clone(self), number });
        Ok(Ticket { slots: Arc::clone(self), number: entry.ticket, session: session.or(entry.opens), opened })
    }

    /// Waits for leave to prepare a call, until `deadline`; [`SlotGuard::start`] waits for its place in the backend. Dropped, it gives
    /// back what came in the meantime.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        standing: &Standing,
        operation: Operation,
        deadline: Instant,
    ) -> Result<SlotGuard, NotBegun> {
        self.enter(standing, Work::Of(operation), deadline, false).await
    }

    /// Waits for a place in the backend at once: for a question that nothing is prepared for, or an assignment that begins with one.
    pub(crate) async fn acquire_whole(
        self: &Arc<Self>,
        standing: &Standing,
        operation: Option<Operation>,
        deadline: Instant,
    ) -> Result<SlotGuard, NotBegun> {
        self.enter(standing, operation.map_or(Work::Lookup, Work::Of), deadline, true).await
    }

    async fn enter(
        self: &Arc<Self>,
        standing: &Standing,
        work: Work,
        deadline: Instant,
        whole: bool,
    ) -> Result<SlotGuard, NotBegun> {
        let mut wait = None;
        let number = {
            let mut inner = self.lock();
            let entered = inner.state.enter(standing, work, deadline, whole, clock::now());
            let number = match entered {
                Entered::Granted(number) => number,
                Entered::Waits(number, until) => {
                    let (sender, receiver) = oneshot::channel();
                    inner.waiting.insert(number, sender);
                    wait = Some((receiver, until));
                    number
                }
                Entered::Refused(why) => {
                    inner.wake();
                    return Err(why);
                }
            };
            inner.wake();
            number
        };
        let guard = SlotGuard { slots: Arc::clone(self), number, begun: false };
        if let Some((receiver, until)) = wait {
            granted(receiver, until).await?;
        }
        Ok(guard)
    }

    /// No slot is given from now on, and nobody waits for one.
    pub(crate) fn stop(&self) {
        let mut inner = self.lock();
        inner.state.stop(NotBegun::BackendSuspended);
        inner.wake();
    }

    /// Slots are given again.
    pub(crate) fn resume(&self) {
        self.change(|state, now| {
            state.stopped = false;
            state.hand_out(now);
        });
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().state.stopped
    }

    /// Changes the limit; what is in use beyond it is not taken away.
    pub(crate) fn configure(&self, settings: Settings) {
        let mut inner = self.lock();
        (inner.tick_spacing, inner.settle) = (settings.tick_spacing, settings.settle);
        inner.state.limit.configure(settings.limit, settings.objective);
        inner.state.hand_out(clock::now());
        inner.wake();
    }

    pub(crate) fn set_limit(&self, limit: usize) {
        self.change(|state, now| {
            state.limit.set(limit);
            state.hand_out(now);
        });
    }

    /// Whether anything of what was begun still counts: a call, a rest, a tick.
    pub(crate) fn are_in_use(&self, now: Instant) -> bool {
        let inner = self.lock();
        let ticking = inner.last_start.is_some_and(|at| clock::after(at, inner.tick_spacing) > now);
        let counted = inner.state.counted();
        counted.in_use + counted.resting > 0 || ticking
    }

    pub(crate) fn counted(&self) -> Counted {
        self.lock().state.counted()
    }

    fn change<T>(&self, act: impl FnOnce(&mut State, Instant) -> T) -> T {
        let mut inner = self.lock();
        let changed = act(&mut inner.state, clock::now());
        inner.wake();
        changed
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn granted(receiver: oneshot::Receiver<Result<(), NotBegun>>, until: Instant) -> Result<(), NotBegun> {
    match tokio::time::timeout_at(until.into(), receiver).await {
        Ok(Ok(end)) => end,
        Ok(Err(_)) => Err(NotBegun::BackendSuspended),
        Err(_) => Err(NotBegun::NoTimeLeft),
    }
}

/// What is asked before anything is spent on a request.
#[derive(Debug)]
pub struct Ask<'a> {
    /// What it does at the backend.
    pub operation: Operation,
    /// Whose it is; without a ticket.
    pub standing: Standing,
    /// When nobody waits any more.
    pub deadline: Instant,
    /// Its session, where it is a step of one that was let in.
    pub session: Option<&'a Promise>,
    /// Whether it is a step of a session: then it is never refused for lack of capacity.
    pub started: bool,
}

/// The proof that a request was let in. Dropped when its reply has left, or it came to nothing.
#[derive(Debug)]
pub struct Ticket {
    slots: Arc<Slots>,
    number: u64,
    session: Option<u64>,
    opened: Option<Promise>,
}

impl Ticket {
    /// Goes into the assignment's standing.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The promise to the session that was opened under this ticket: to be kept as long as the session. Dropped with the ticket where
    /// none was opened.
    pub fn opened(&mut self) -> Option<Promise> {
        let promise = self.opened.take()?;
        promise.slots.change(|state, _| state.promises.keep(promise.number));
        Some(promise)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.slots.change(|state, now| {
            state.forget_expected(self.number);
            if let Some(session) = self.session {
                state.promises.step_ends(session, now);
            }
        });
    }
}

/// What a session that was let in may still ask for. Dropped with its session.
#[derive(Debug)]
pub struct Promise {
    slots: Arc<Slots>,
    number: u64,
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.slots.change(|state, _| state.promises.end(self.number, &mut state.shares));
    }
}

/// One slot in use. Dropped before `begin` it is free; dropped after, it rests first.
#[derive(Debug)]
pub(crate) struct SlotGuard {
    slots: Arc<Slots>,
    number: u64,
    begun: bool,
}

impl SlotGuard {
    /// Waits for a place in the backend, then for its tick: two starts are never closer than that.
    pub(crate) async fn start(&mut self, deadline: Instant) -> Result<(), NotBegun> {
        let wait = {
            let mut inner = self.slots.lock();
            if inner.state.stopped {
                return Err(NotBegun::BackendSuspended);
            }
            let placed = inner.state.start(self.number, clock::now());
            let wait = (!placed).then(|| {
                let (sender, receiver) = oneshot::channel();
                inner.waiting.insert(self.number, sender);
                receiver
            });
            inner.wake();
            wait
        };
        if let Some(receiver) = wait {
            granted(receiver, deadline).await?;
        }
        while let Err(at) = self.claim_tick(clock::now()) {
            if at >= deadline {
                return Err(NotBegun::NoTimeLeft);
            }
            clock::sleep_until(at).await;
        }
        Ok(())
    }

    /// Claims the next start. `Err` says when to ask again.
    fn claim_tick(&self, now: Instant) -> Result<(), Instant> {
        let mut inner = self.slots.lock();
        let free_at = inner.last_start.map(|at| clock::after(at, inner.tick_spacing));
        match free_at {
            Some(at) if at > now => Err(at),
            _ => {
                inner.last_start = Some(now);
                Ok(())
            }
        }
    }

    /// Bytes are about to leave under this slot.
    pub(crate) fn begin(&mut self) {
        self.begun = true;
        self.slots.change(|state, now| state.begin(self.number, now));
    }

    /// The answer is complete: another may call the backend while it is judged.
    pub(crate) fn answered(&self) {
        self.slots.change(|state, now| state.answered(self.number, now));
    }

    /// The call is over without a surprise.
    pub(crate) fn settle(mut self) {
        self.begun = false;
    }
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        let rest = {
            let mut inner = self.slots.lock();
            inner.waiting.remove(&self.number);
            let settle = inner.settle;
            let rests = inner.state.free(self.number, self.begun, !settle.is_zero(), clock::now());
            inner.wake();
            rests.then_some(settle)
        };
        let Some(rest) = rest else { return };
        let slots = Arc::clone(&self.slots);
        let until = clock::after(clock::now(), rest);
        self.slots.timers.spawn(async move {
            clock::sleep_until(until).await;
            slots.change(|state, now| state.rested(now));
        });
    }
}
