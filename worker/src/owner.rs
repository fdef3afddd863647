//! The owner of the residents' lanes: takes assignments, runs each as one attempt, and is what operators speak to.

use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use sekisho_issuance::fence::Epoch;
use sekisho_issuance::request::Operation;
use sekisho_issuance::shard::LaneId;
use tokio::sync::Notify;

use crate::assignment::{Answer, Assignment, Call, NotBegun, Unanswered};
use crate::backend::{Backend, BackendConfig, BackendState};
use crate::clock;
use crate::doubt::Doubts;
use crate::intent::Intents;
use crate::intent::keys::Before;
pub use crate::intent::keys::KEPT_FOR as KEYS_KEPT_FOR;
use crate::journal::JournalError;
use crate::lane::Lanes;
use crate::lane::table::{Event, Keys, Limits, Purpose};
pub use crate::lane::{AttemptReport, LaneReport};
use crate::lease::{Embedded, Lease};
use crate::metric;
pub use crate::settlement::{Attested, Settlement, StageTimes};
pub use crate::slot::{Ask, Promise, Ticket};
use crate::standing::{Rank, Refusal, Standing};
use crate::{attempt, lookup};

/// What the owner is told at start.
#[derive(Debug, Clone)]
pub struct OwnerConfig {
    /// Where the intent journal lives; locked by whoever starts the process.
    pub state_dir: PathBuf,
    /// The number of this ownership.
    pub epoch: Epoch,
    /// Backends by configured name.
    pub backends: HashMap<Arc<str>, BackendConfig>,
    /// How long an assignment waits for its lanes, inside its deadline.
    pub lane_wait: Duration,
    /// Waiters in one lane; more are refused at once.
    pub waiters_per_lane: usize,
    /// Waiters in all lanes.
    pub waiters_total: usize,
    /// The largest `max_run` of any route: how long everybody waits when the intents cannot be read.
    pub longest_max_run: Duration,
    /// The intent journal is rewritten beyond this size.
    pub rotate_intents_above_bytes: u64,
}

impl OwnerConfig {
    /// Defaults for everything but where, what number, and which backends.
    pub fn new(state_dir: PathBuf, epoch: Epoch, backends: HashMap<Arc<str>, BackendConfig>) -> Self {
        Self {
            state_dir,
            epoch,
            backends,
            lane_wait: Duration::from_secs(30),
            waiters_per_lane: 8,
            waiters_total: 4096,
            longest_max_run: Duration::from_secs(120),
            rotate_intents_above_bytes: 64 * 1024 * 1024,
        }
    }
}

/// Why the owner cannot start.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub enum StartError {
    /// Timers need a runtime that lives as long as the owner.
    #[error("started outside a runtime")]
    NoRuntime,
    /// The state directory refuses. An unreadable journal is no such refusal: then everybody waits.
    #[error("the intent journal: {0}")]
    Journal(#[from] JournalError),
}

/// One owner of every lane of this process.
pub struct Owner {
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) intents: Arc<Intents>,
    pub(crate) doubts: Doubts,
    before: Before,
    torn_bytes: u64,
    pub(crate) lease: Box<dyn Lease>,
    pub(crate) lane_wait: Duration,
    pub(crate) timers: tokio::runtime::Handle,
    backends: RwLock<HashMap<Arc<str>, Arc<Backend>>>,
    /// Out of the configuration, but calls may still run in them.
    pub(crate) removed: Mutex<HashMap<Arc<str>, Arc<Backend>>>,
    next_number: AtomicU64,
    draining: AtomicBool,
    active: AtomicUsize,
    idle: Notify,
}

impl Owner {
    /// Whether something may have been begun under the key of this digest before this process: nobody knows what came of it.
    pub fn began_before(&self, key: u128) -> bool {
        self.before.holds(key)
    }

    /// Starts inside the runtime that shall run its timers. Residents whose intent is open wait from now on.
    pub fn start(config: OwnerConfig) -> Result<Arc<Self>, StartError> {
        let timers = tokio::runtime::Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        let (intents, found) = Intents::open(&config.state_dir, config.rotate_intents_above_bytes)?;
        let limits = Limits { waiters_per_lane: config.waiters_per_lane, waiters_total: config.waiters_total };
        let backends =
            config.backends.into_iter().map(|(name, b)| (Arc::clone(&name), Backend::new(name, b, timers.clone())));
        let owner = Arc::new(Self {
            lanes: Lanes::new(limits, timers.clone()),
            intents,
            doubts: Doubts::default(),
            before: Before::new(&found, config.longest_max_run),
            torn_bytes: found.torn_bytes,
            lease: Box::new(Embedded(config.epoch)),
            lane_wait: config.lane_wait,
            backends: RwLock::new(backends.collect()),
            removed: Mutex::default(),
            timers,
            next_number: AtomicU64::new(1),
            draining: AtomicBool::new(false),
            active: AtomicUsize::new(0),
            idle: Notify::new(),
        });
        owner.inherit(found, config.longest_max_run);
        Ok(owner)
    }

    /// An earlier life of the process may still have effect: its residents wait, or everybody where it cannot be read.
    fn inherit(self: &Arc<Self>, found: crate::intent::Found, longest_max_run: Duration) {
        let now = clock::now();
        if found.torn_bytes > 0 {
            tracing::warn!(bytes = found.torn_bytes, "an unfinished write was cut off the intent journal");
        }
        if let Some(error) = found.unreadable {
            tracing::error!(%error, wait_s = longest_max_run.as_secs(), "the intents cannot be read: everybody waits");
            self.lanes.apply(now, Event::CloseAll { until: clock::after(now, longest_max_run) });
        }
        for (name, why) in &found.suspended {
            self.with_backend(name, |b| b.suspend(why));
        }
        let mut ends = Vec::with_capacity(found.open.len());
        for intent in found.open {
            let until = clock::after(now, intent.max_run);
            if intent.probed {
                // Over only when a probe shows a settled version, or an operator says so.
                self.doubts.add(intent.fence, intent.lanes.clone(), now);
            } else {
                ends.push((until, intent.fence));
            }
            let operation = match intent.operation {
                "amend" => Operation::Amend,
                "inquire" => Operation::Inquire,
                _ => Operation::Issue,
            };
            if let Some(keys) = Keys::of(&intent.lanes) {
                let purpose = Purpose { backend: "".into(), operation };
                let number = self.number();
                self.lanes.overlaps.inherit(keys.as_slice(), number, until);
                self.lanes.apply(now, Event::Inherit { number, keys, purpose, until });
            }
        }
        let doubtful = self.doubts.all().len();
        if ends.is_empty() && doubtful == 0 {
            return;
        }
        tracing::warn!(
            intents = ends.len(),
            doubtful,
            "attempts of an earlier run may still have effect: their residents wait"
        );
        ends.sort_unstable();
        let intents = Arc::clone(&self.intents);
        self.timers.spawn(async move {
            for (until, fence) in ends {
                clock::sleep_until(until).await;
                intents.over(fence);
            }
        });
    }

    /// Bytes of an unfinished write that were cut off the intent journal at the start.
    pub fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    /// Takes new backend settings over; names that are gone get no call any more.
    pub fn reconfigure(&self, backends: HashMap<Arc<str>, BackendConfig>) {
        let mut current = self.backends.write().unwrap_or_else(PoisonError::into_inner);
        let mut removed = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
        removed.extend(current.extract_if(|name, _| !backends.contains_key(name)).inspect(|(_, gone)| gone.remove()));
        for (name, config) in backends {
            match current.get(&name) {
                Some(backend) => backend.reconfigure(config),
                None => {
                    let backend = match removed.remove(&name) {
                        // What was begun in it still takes its slots.
                        Some(back) => {
                            back.reconfigure(config);
                            back.resume();
                            back
                        }
                        None => Backend::new(Arc::clone(&name), config, self.timers.clone()),
                    };
                    // Gone and back again, it is still suspended: only an operator resumes it.
                    if let Some(why) = self.intents.suspended(&name) {
                        backend.suspend(why);
                    }
                    current.insert(name, backend);
                }
            }
        }
        removed.retain(|_, backend| backend.is_in_use());
    }

    /// Whether a request for `backend` may be let in, before anything is spent on it; `None` where there is no such backend, which the
    /// attempt says itself.
    pub fn admit(&self, backend: &str, ask: &Ask<'_>) -> Result<Option<Ticket>, Refusal> {
        self.backend(backend).map(|backend| backend.slots.admit(ask)).transpose()
    }

    /// Runs `assignment` as one attempt. Dropping the future cancels only what has not begun.
    pub fn assign(self: &Arc<Self>, assignment: Assignment) -> Assigned {
        let begun = Arc::new(AtomicBool::new(false));
        let run = Box::pin(attempt::run(Arc::clone(self), assignment, Arc::clone(&begun)));
        Assigned { run: Some(run), begun, runtime: self.timers.clone() }
    }

    /// A lookup outside any lane. Its connection is not used again; see [`Owner::call_settled`].
    pub async fn call(self: &Arc<Self>, call: Call, deadline: Instant) -> Result<Answer, Unanswered> {
        self.check_open()?;
        let standing = Standing::of(Rank::New, clock::now());
        lookup::run(self, &call, &standing, deadline, false).await.map(|found| found.answer)
    }

    /// A lookup outside any lane, whose connection may be used again when the settlement says that the answer passed.
    pub async fn call_settled(
        self: &Arc<Self>,
        call: Call,
        standing: &Standing,
        deadline: Instant,
    ) -> Result<(Answer, Settlement), Unanswered> {
        self.check_open()?;
        let found = lookup::run(self, &call, standing, deadline, false).await?;
        Ok((found.answer, Settlement::of_lookup(found.backend, found.channel)))
    }

    /// What a backend says of itself: on a connection of its own and outside its slots, so that a full one can still say what it is.
    pub async fn ask_itself(self: &Arc<Self>, call: Call, deadline: Instant) -> Result<Answer, Unanswered> {
        self.check_open()?;
        let standing = Standing::of(Rank::Control, clock::now());
        lookup::run(self, &call, &standing, deadline, true).await.map(|found| found.answer)
    }

    /// Takes new settings of one backend over; `false` where there is none of that name.
    pub fn reconfigure_backend(&self, name: &str, config: BackendConfig) -> bool {
        self.with_backend(name, |b| b.reconfigure(config))
    }

    /// Begins nothing more, waits for what has begun and been handed out, then closes the intent journal. Held lanes are left
    /// to the next start, which waits for them.
    pub async fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        loop {
            let idle = self.idle.notified();
            if self.active.load(Ordering::SeqCst) == 0 {
                break;
            }
            idle.await;
        }
        self.intents.close();
    }

    /// Closes the intent journal at once: nothing that speaks of a resident begins any more. For an exit that cannot wait.
    pub fn close_journal(&self) {
        self.intents.close();
    }

    /// Per backend, how many attempts wait, run and are held, and the age of the oldest.
    pub fn lanes(&self) -> Vec<LaneReport> {
        self.lanes.report()
    }

    /// The `count` oldest attempts, with the amends of an earlier run whose end nobody saw.
    pub fn oldest_attempts(&self, count: usize) -> Vec<AttemptReport> {
        let now = clock::now();
        let doubtful = self.doubts.all().into_iter().map(|(number, shard, since)| AttemptReport {
            number,
            backend: "".into(),
            operation: Operation::Amend.name(),
            state: "doubtful",
            age: now.saturating_duration_since(since),
            shard,
        });
        let mut oldest: Vec<_> = doubtful.chain(self.lanes.oldest(count)).collect();
        oldest.sort_by_key(|a| (std::cmp::Reverse(a.age), a.number));
        oldest.truncate(count);
        oldest
    }

    /// An operator's word that a held attempt can have no effect any more, or that nothing is doubtful about an earlier one; frees
    /// its lanes. `false` where it is neither.
    pub fn abandon(&self, number: u64) -> bool {
        let doubtful = self.doubts.over(number);
        if doubtful {
            self.intents.over(number);
        }
        doubtful || self.lanes.abandon(number)
    }

    /// Closes `lanes` for the change bracket `bracket`: what runs in them goes on, nothing more begins until [`Owner::reopen`].
    pub fn shut(&self, bracket: u64, lanes: &[LaneId]) {
        self.lanes.shut(bracket, lanes);
    }

    /// Waits until nothing that may still have effect is left in the lanes that `bracket` closed.
    pub async fn quiet(&self, bracket: u64) {
        self.lanes.quiet(bracket).await;
    }

    /// Opens `lanes`, which `bracket` closed; those that another bracket holds stay closed.
    pub fn reopen(&self, bracket: u64, lanes: &[LaneId]) {
        self.lanes.reopen(bracket, lanes);
    }

    /// Every backend, by name.
    pub fn backend_states(&self) -> Vec<BackendState> {
        let backends = self.backends.read().unwrap_or_else(PoisonError::into_inner);
        let mut states: Vec<_> = backends.values().map(|b| b.state()).collect();
        states.sort_by(|a, b| a.name.cmp(&b.name));
        states
    }

    /// No call goes to `name` until it is resumed; `false` where there is none of that name.
    pub fn drain_backend(&self, name: &str) -> bool {
        self.with_backend(name, |b| self.suspend(b, "drained"))
    }

    /// Calls go to `name` again.
    pub fn resume_backend(&self, name: &str) -> bool {
        self.with_backend(name, |b| {
            self.intents.suspend(name, None);
            b.resume();
        })
    }

    /// Suspends `backend` until an operator resumes it, over restarts as well.
    pub(crate) fn suspend(&self, backend: &Backend, why: &'static str) {
        backend.suspend(why);
        self.intents.suspend(&backend.name, Some(why));
    }

    /// At most `limit` calls at once go to `name`, never more than configured.
    pub fn set_limit(&self, name: &str, limit: usize) -> bool {
        self.with_backend(name, |b| b.slots.set_limit(limit.min(b.config().max_in_flight)))
    }

    /// Whether intents can be written; if not, nothing that speaks of a resident begins.
    pub fn is_durable(&self) -> bool {
        !self.intents.is_poisoned()
    }

    /// Operations begun while another may still have had effect for the same resident, since start; must stay 0.
    pub fn overlaps(&self) -> u64 {
        self.lanes.overlaps.seen()
    }

    /// Sets the gauges; called before each scrape.
    pub fn publish_gauges(&self) {
        for state in self.backend_states() {
            let backend = || Arc::clone(&state.name);
            metrics::gauge!(metric::BACKEND_IN_FLIGHT, "backend" => backend())
                .set((state.in_flight + state.resting) as f64);
            metrics::gauge!(metric::BACKEND_LIMIT, "backend" => backend()).set(state.limit as f64);
            metrics::gauge!(metric::BACKEND_SUSPENDED, "backend" => backend())
                .set(f64::from(u8::from(state.suspended.is_some())));
            let lanes = self.lanes().into_iter().find(|l| l.backend == state.name);
            let (waiting, running) =
                lanes.map_or((Duration::ZERO, Duration::ZERO), |l| (l.oldest_waiting, l.oldest_running));
            for (age, label) in [(waiting, "waiting"), (running, "running")] {
                metrics::gauge!(metric::LANE_OLDEST, "backend" => backend(), "state" => label).set(age.as_secs_f64());
            }
        }
        metrics::gauge!(metric::INTENTS_OPEN).set(self.intents.count() as f64);
    }

    pub(crate) fn backend(&self, name: &str) -> Option<Arc<Backend>> {
        self.backends.read().unwrap_or_else(PoisonError::into_inner).get(name).map(Arc::clone)
    }

    pub(crate) fn number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn check_open(&self) -> Result<(), NotBegun> {
        if self.draining.load(Ordering::SeqCst) { Err(NotBegun::Draining) } else { Ok(()) }
    }

    /// Counts one attempt until its guard goes.
    pub(crate) fn activate(self: &Arc<Self>) -> Active {
        self.active.fetch_add(1, Ordering::SeqCst);
        Active(Arc::clone(self))
    }

    fn with_backend(&self, name: &str, act: impl FnOnce(&Backend)) -> bool {
        self.backend(name).map(|backend| act(&backend)).is_some()
    }
}

/// One attempt that draining waits for.
pub(crate) struct Active(Arc<Owner>);

impl Drop for Active {
    fn drop(&mut self) {
        if self.0.active.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

type Run = Pin<Box<dyn Future<Output = Result<Attested, Unanswered>> + Send>>;

/// An assignment under way. Dropped before its first byte left, it is cancelled; dropped later, it runs on by itself and its
/// answer is destroyed unjudged.
#[must_use = "an assignment does nothing unless awaited"]
pub struct Assigned {
    run: Option<Run>,
    begun: Arc<AtomicBool>,
    runtime: tokio::runtime::Handle,
}

impl Future for Assigned {
    type Output = Result<Attested, Unanswered>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Taken out meanwhile: a run that panics is dropped, which holds its lanes, and never polled again.
        let Some(mut run) = self.run.take() else { return Poll::Pending };
        let polled = run.as_mut().poll(cx);
        if polled.is_pending() {
            self.run = Some(run);
        }
        polled
    }
}

impl Drop for Assigned {
    fn drop(&mut self) {
        if let Some(run) = self.run.take().filter(|_| self.begun.load(Ordering::SeqCst)) {
            self.runtime.spawn(run);
        }
    }
}
