//! One attempt, read from top to bottom: lanes, lookup, slot, channel, intent, last check, write, job, probe, attestation.

mod job;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sekisho_issuance::request::Operation;

use crate::assignment::{Answer, Assignment, Call, NotBegun, Unanswered};
use crate::attest::attest;
use crate::backend::Backend;
use crate::channel::burn;
use crate::channel::exchange::{Failed, Prepared, Replied, exchange};
use crate::clock;
use crate::doubt;
use crate::hold::Probe;
use crate::lane::table::{Keys, Purpose};
use crate::lookup::{self, Found};
use crate::metric::{self, Burn};
use crate::owner::{Attested, Owner, Settlement, StageTimes};
use crate::settlement::{Held, Unjudged};

/// The machine may have slept this long between arrival and write; after more, the deadline cannot be trusted.
const MAX_SLEEP: Duration = Duration::from_secs(1);
/// Connections kept open at once only to see whether an answer comes beyond `max_run`.
const MAX_WATCHED: usize = 256;
/// How much longer than `max_run` they are kept, in units of `max_run`.
const WATCH_RUNS: u32 = 2;

/// Runs `assignment` to its end. `begun` is set in the same step as the first byte is handed over; before it, the future may be
/// dropped and everything is given back.
pub(crate) async fn run(
    owner: Arc<Owner>,
    assignment: Assignment,
    begun: Arc<AtomicBool>,
) -> Result<Attested, Unanswered> {
    let a = assignment;
    let active = owner.activate();
    let awake = clock::Since::now();
    check(&owner, &a, "assign")?;
    let backend = owner.backend(&a.call.backend).ok_or(NotBegun::Unreachable)?;
    let config = backend.config();
    let mut prepared = Prepared::new(&a.call, &config).ok_or(NotBegun::Unreachable)?;
    backend.check()?;
    let mut times = StageTimes::default();
    let mut watch = Stopwatch(clock::now());

    let mut lanes = match Keys::of(a.lanes.as_slice()) {
        None => None,
        Some(keys) => {
            let purpose = Purpose { backend: Arc::clone(&backend.name), operation: a.operation };
            let number = owner.number();
            Some(owner.lanes.acquire(number, keys, purpose, owner.lane_wait, a.deadline).await?)
        }
    };
    doubt::settle(&owner, &a).await?;
    times.lane = watch.lap();

    // A lookup on the same backend is covered by the attempt's own slot.
    let same = |call: &Call| call.backend == a.call.backend;
    let mut slot = None;
    if a.before.as_ref().is_some_and(same) {
        slot = Some(backend.slots.acquire_whole(&a.standing, Some(a.operation), a.deadline).await?);
        times.channel = watch.lap();
    }
    let mut channels = Vec::new();
    let mut before = None;
    if let Some(call) = &a.before {
        let found = Box::pin(lookup::run(&owner, call, &a.standing, a.deadline, same(call))).await;
        let in_doubt = matches!(found, Err(Unanswered::Indeterminate(_)));
        before = keep(found, Some(&mut channels));
        times.before = watch.lap();
        if let Some(slot) = slot.as_mut().filter(|_| in_doubt && !config.hazards.settle_after_timeout.is_zero()) {
            // The backend may still be at the lookup, and is known not to bear a second call beside it.
            slot.begin();
            return Err(NotBegun::Guarded("lookup_unanswered").into());
        }
        guard(&a, before.as_ref())?;
    }
    let mut slot = match slot {
        Some(slot) => slot,
        None => backend.slots.acquire(&a.standing, a.operation, a.deadline).await?,
    };
    let channel = lookup::connect(&backend, &config, &a.call, &mut prepared, a.deadline).await?;
    times.channel += watch.lap();

    let fence = owner.intents.mint()?;
    let mut intent = None;
    if lanes.is_some() {
        intent = Some(owner.intents.begin(fence, &a).await?);
    }
    slot.start(a.deadline).await?;
    times.intent = watch.lap();

    // Nothing is awaited from here to the write.
    check(&owner, &a, "write")?;
    backend.check()?;
    if awake.slept_over(MAX_SLEEP) {
        return Err(NotBegun::Expired.into());
    }
    let began = clock::now();
    if let Some(lanes) = &mut lanes {
        lanes.begin(began, a.max_run, a.operation)?;
    }
    slot.begin();
    if let Some(intent) = &mut intent {
        intent.begun();
    }
    begun.store(true, Ordering::SeqCst);
    let discard = Arc::new(AtomicBool::new(false));
    let mut sent = Box::pin(exchange(channel, prepared, Arc::clone(&config), Arc::clone(&discard)));
    let until = a.deadline.min(clock::after(began, a.call.timeout));
    let probe = a.after.clone().filter(|_| a.operation == Operation::Amend);
    let mut held = Held {
        channels,
        backend: Arc::clone(&backend),
        slot: Some(slot),
        intent,
        lanes,
        probe: probe.map(|call| Probe { owner: Arc::clone(&owner), call }),
        active: Some(active),
        framing_surprise: false,
    };
    let Replied { answer, channel, surprise } = match tokio::time::timeout_at(until.into(), &mut sent).await {
        Ok(Ok(replied)) => replied,
        Ok(Err(failed)) => return Err(unanswered(held, failed)),
        Err(_) => {
            discard.store(true, Ordering::SeqCst);
            owner.timers.spawn(watch_late(Arc::clone(&owner), backend, sent, began, a.max_run));
            held.surprised(Some(Burn::Timeout));
            return Err(Unanswered::Indeterminate(Burn::Timeout.label()));
        }
    };
    times.backend = watch.lap();
    // A backend that rests after a surprise gets its next call only when this answer was none.
    let may_rest = surprise.is_some() || !config.hazards.settle_after_timeout.is_zero();
    if a.fetch.is_none() && !may_rest && !a.after.as_ref().is_some_and(same) {
        held.answered();
    }
    if let Some(surprise) = surprise {
        burn(&backend.name, surprise);
        held.framing_surprise = true;
    }
    held.channels.extend(channel.map(|channel| Unjudged { backend: Arc::clone(&backend), channel }));

    // From here on a dropped settlement holds what must be held.
    let mut settlement = Settlement::new(held);
    let (mut answer, mut job) = (answer, None);
    if let Some(fetch) = &a.fetch {
        // Boxed: few routes fetch, and every attempt would carry the room for it.
        match Box::pin(job::run(&owner, &a, fetch, fence, answer, &mut settlement)).await {
            Ok((ended, report)) => (answer, job) = (ended, Some(report)),
            Err(error) => {
                settlement.abandoned();
                return Err(error);
            }
        }
        times.backend += watch.lap();
    }
    let (mut after, mut out_of_time) = (None, false);
    if let Some(call) = &a.after {
        let until_deadline = clock::after(clock::now(), call.timeout) >= a.deadline;
        let found = Box::pin(lookup::run(&owner, call, &a.standing, a.deadline, same(call))).await;
        if same(call) && matches!(found, Err(Unanswered::Indeterminate(_))) {
            settlement.rest_slot();
        }
        let unasked = matches!(found, Err(Unanswered::NotBegun(NotBegun::NoTimeLeft | NotBegun::Expired)));
        out_of_time = until_deadline && unasked;
        after = keep(found, settlement.channels());
        times.after = watch.lap();
    }
    let attestation = attest(a.binding, fence, a.epoch, &answer);
    Ok(Attested { attestation, answer, job, before, after, out_of_time, times, settlement })
}

/// Whether it may begin at all: not draining, addressed to this ownership, somebody still waiting.
fn check(owner: &Owner, a: &Assignment, place: &'static str) -> Result<(), NotBegun> {
    owner.check_open()?;
    if owner.lease.held() != Some(a.epoch) {
        metrics::counter!(metric::FENCE_REJECTIONS, "place" => place).increment(1);
        return Err(NotBegun::WrongEpoch);
    }
    if clock::now() >= a.deadline { Err(NotBegun::Expired) } else { Ok(()) }
}

/// Asks the guard about what the lookup said; without an answer it cannot agree.
fn guard(a: &Assignment, before: Option<&Answer>) -> Result<(), NotBegun> {
    match (&a.before_guard, before) {
        (None, _) => Ok(()),
        (Some(guard), Some(answer)) => guard(answer).map_err(NotBegun::Guarded),
        (Some(_), None) => Err(NotBegun::Guarded("lookup_unanswered")),
    }
}

fn keep(found: Result<Found, Unanswered>, channels: Option<&mut Vec<Unjudged>>) -> Option<Answer> {
    let Found { answer, backend, channel } = found.ok()?;
    if let Some(channels) = channels {
        channels.extend(channel.map(|channel| Unjudged { backend, channel }));
    }
    Some(answer)
}

/// No usable reply: nothing happened if no byte left, else nobody knows.
pub(crate) fn unanswered(mut held: Held, failed: Failed) -> Unanswered {
    if failed.sent {
        held.surprised(Some(failed.reason));
        return Unanswered::Indeterminate(failed.reason.label());
    }
    // Nobody will judge what the lookup before said, so its channel serves nobody else.
    held.channels.clear();
    Settlement::new(held).passed();
    NotBegun::Unreachable.into()
}

/// Reads on after nobody waits: an answer is destroyed and counted, and one beyond `max_run` shows that the lane was given away
/// too early, which suspends the backend.
async fn watch_late<E>(
    owner: Arc<Owner>,
    backend: Arc<Backend>,
    mut sent: Pin<Box<E>>,
    began: Instant,
    max_run: Duration,
) where
    E: Future<Output = Result<Replied, Failed>>,
{
    static WATCHED: AtomicUsize = AtomicUsize::new(0);
    let may_act_until = clock::after(began, max_run);
    match tokio::time::timeout_at(may_act_until.into(), &mut sent).await {
        Ok(Ok(replied)) => {
            drop(replied);
            return backend.count_late("within_max_run");
        }
        Ok(Err(_)) => return,
        Err(_) => {}
    }
    struct Watched;
    impl Drop for Watched {
        fn drop(&mut self) {
            WATCHED.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let others = WATCHED.fetch_add(1, Ordering::SeqCst);
    let _watched = Watched;
    if others >= MAX_WATCHED {
        return;
    }
    let until = clock::after(may_act_until, max_run.saturating_mul(WATCH_RUNS));
    if let Ok(Ok(replied)) = tokio::time::timeout_at(until.into(), sent).await {
        drop(replied);
        backend.count_late("beyond_max_run");
        owner.suspend(&backend, "late_answer");
    }
}

struct Stopwatch(Instant);

impl Stopwatch {
    fn lap(&mut self) -> Duration {
        let now = clock::now();
        now.saturating_duration_since(std::mem::replace(&mut self.0, now))
    }
}
