//! A backend's slots: how many calls it may have at once, when the next may start, which rest after a surprise.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::assignment::NotBegun;
use crate::clock;

/// Waiters beyond this are refused at once.
const MAX_WAITERS: usize = 4096;

#[derive(Debug)]
struct State {
    limit: usize,
    in_use: usize,
    resting: usize,
    waiting: VecDeque<oneshot::Sender<SlotGuard>>,
    stopped: bool,
    last_start: Option<Instant>,
    tick_spacing: Duration,
    settle: Duration,
}

/// The slots of one backend; first come, first served.
#[derive(Debug)]
pub(crate) struct Slots {
    state: Mutex<State>,
    timers: tokio::runtime::Handle,
}

/// Slots counted at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) limit: usize,
    pub(crate) in_use: usize,
    pub(crate) resting: usize,
    pub(crate) waiting: usize,
}

impl Slots {
    pub(crate) fn new(limit: usize, tick: Duration, settle: Duration, timers: tokio::runtime::Handle) -> Arc<Self> {
        let state = State {
            limit,
            in_use: 0,
            resting: 0,
            waiting: VecDeque::new(),
            stopped: false,
            last_start: None,
            tick_spacing: tick,
            settle,
        };
        Arc::new(Self { state: Mutex::new(state), timers })
    }

    /// Waits for a slot until `deadline`. Dropped, it gives a slot back that came in the meantime.
    pub(crate) async fn acquire(self: &Arc<Self>, deadline: Instant) -> Result<SlotGuard, NotBegun> {
        let receiver = {
            let mut state = self.lock();
            if state.stopped {
                return Err(NotBegun::BackendSuspended);
            }
            if state.in_use + state.resting < state.limit && state.waiting.is_empty() {
                state.in_use += 1;
                return Ok(SlotGuard { slots: Arc::clone(self), begun: false, over: false });
            }
            if state.waiting.len() >= MAX_WAITERS {
                state.waiting.retain(|w| !w.is_closed());
            }
            if state.waiting.len() >= MAX_WAITERS {
                return Err(NotBegun::BackendBusy);
            }
            let (sender, receiver) = oneshot::channel();
            state.waiting.push_back(sender);
            receiver
        };
        match tokio::time::timeout_at(deadline.into(), receiver).await {
            Ok(Ok(guard)) => Ok(guard),
            Ok(Err(_)) => Err(NotBegun::BackendSuspended),
            Err(_) => Err(NotBegun::BackendBusy),
        }
    }

    /// No slot is given from now on, and nobody waits for one.
    pub(crate) fn stop(&self) {
        let waiting = {
            let mut state = self.lock();
            state.stopped = true;
            std::mem::take(&mut state.waiting)
        };
        drop(waiting);
    }

    /// Slots are given again.
    pub(crate) fn resume(self: &Arc<Self>) {
        self.lock().stopped = false;
        self.hand_out();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Changes the limit; what is in use beyond it is not taken away.
    pub(crate) fn configure(self: &Arc<Self>, limit: usize, tick_spacing: Duration, settle: Duration) {
        let mut state = self.lock();
        (state.limit, state.tick_spacing, state.settle) = (limit, tick_spacing, settle);
        drop(state);
        self.hand_out();
    }

    pub(crate) fn set_limit(self: &Arc<Self>, limit: usize) {
        self.lock().limit = limit;
        self.hand_out();
    }

    /// Whether anything of what was begun still counts: a call, a rest, a tick.
    pub(crate) fn are_in_use(&self, now: Instant) -> bool {
        let state = self.lock();
        let ticking = state.last_start.is_some_and(|at| clock::after(at, state.tick_spacing) > now);
        state.in_use + state.resting > 0 || ticking
    }

    pub(crate) fn counted(&self) -> Counted {
        let state = self.lock();
        Counted {
            limit: state.limit,
            in_use: state.in_use,
            resting: state.resting,
            waiting: state.waiting.iter().filter(|w| !w.is_closed()).count(),
        }
    }

    fn hand_out(self: &Arc<Self>) {
        loop {
            let waiter = {
                let mut state = self.lock();
                if state.stopped || state.in_use + state.resting >= state.limit {
                    return;
                }
                let Some(waiter) = state.waiting.pop_front() else { return };
                state.in_use += 1;
                waiter
            };
            // A waiter that is gone gives the guard back here, and its drop goes on with the next one.
            if let Err(mut unwanted) = waiter.send(SlotGuard { slots: Arc::clone(self), begun: false, over: false }) {
                unwanted.over = true;
                self.lock().in_use -= 1;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One slot in use. Dropped before `begin` it is free; dropped after, it rests first.
#[derive(Debug)]
pub(crate) struct SlotGuard {
    slots: Arc<Slots>,
    begun: bool,
    over: bool,
}

impl SlotGuard {
    /// Claims the next start. `Err` says when to ask again: two starts are never closer than the backend's tick.
    pub(crate) fn claim_tick(&self, now: Instant) -> Result<(), Instant> {
        let mut state = self.slots.lock();
        let free_at = state.last_start.map(|at| clock::after(at, state.tick_spacing));
        match free_at {
            Some(at) if at > now => Err(at),
            _ => {
                state.last_start = Some(now);
                Ok(())
            }
        }
    }

    /// Bytes are about to leave under this slot.
    pub(crate) fn begin(&mut self) {
        self.begun = true;
    }

    /// The call is over without a surprise.
    pub(crate) fn settle(mut self) {
        self.begun = false;
    }
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let rest = {
            let mut state = self.slots.lock();
            state.in_use -= 1;
            let rest = if self.begun { state.settle } else { Duration::ZERO };
            if !rest.is_zero() {
                state.resting += 1;
            }
            rest
        };
        if rest.is_zero() {
            self.slots.hand_out();
            return;
        }
        let slots = Arc::clone(&self.slots);
        let timers = self.slots.timers.clone();
        let until = clock::after(clock::now(), rest);
        timers.spawn(async move {
            clock::sleep_until(until).await;
            slots.lock().resting -= 1;
            slots.hand_out();
        });
    }
}
