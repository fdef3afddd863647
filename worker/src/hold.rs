//! After a call whose end is not known: how long its lanes stay held, and when its intent is over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::assignment::{Answer, Call};
use crate::clock;
use crate::intent::IntentGuard;
use crate::lane::LaneGuard;
use crate::lookup;
use crate::owner::Owner;
use crate::standing::{Rank, Standing};

/// Between two version probes that differ, or fail.
pub(crate) const PROBE_EVERY: Duration = Duration::from_secs(2);

/// The version probe of an `amend`, asked again until what it shows is settled.
pub(crate) struct Probe {
    pub(crate) owner: Arc<Owner>,
    pub(crate) call: Call,
}

/// Holds the lanes until the call can have no effect any more, then ends its intent.
///
/// That is `max_run` after it began. After an `amend` with a version probe it is also not before two equal probes, the later one
/// not before `max_run`: the first is asked at once, so that a record that did not change costs no further wait. While the
/// probe differs or fails the residents wait on; an operator may `abandon` the attempt.
pub(crate) fn until_over(lanes: LaneGuard, intent: Option<IntentGuard>, probe: Option<Probe>) {
    let Some(until) = lanes.may_act_until() else { return };
    let timers = lanes.timers();
    match probe {
        Some(probe) => {
            timers.spawn(settled(lanes, intent, probe, until));
        }
        None => {
            // The guard's drop holds the lanes by time alone; the intent needs a task to end it.
            drop(lanes);
            if let Some(intent) = intent {
                timers.spawn(async move {
                    clock::sleep_until(until).await;
                    intent.over();
                });
            }
        }
    }
}

async fn settled(mut lanes: LaneGuard, intent: Option<IntentGuard>, probe: Probe, until: Instant) {
    lanes.hold_open();
    let mut last = ask(&probe).await;
    let mut next = until;
    loop {
        clock::sleep_until(next).await;
        let seen = ask(&probe).await;
        if (seen.is_some() && seen == last) || !lanes.is_held() {
            break;
        }
        last = seen;
        next = clock::after(clock::now(), PROBE_EVERY);
    }
    lanes.settle();
    if let Some(intent) = intent {
        intent.over();
    }
}

/// What the probe shows: status and digest of the body, nothing of the transport.
pub(crate) async fn ask(probe: &Probe) -> Option<(u16, [u8; 32])> {
    let deadline = clock::after(clock::now(), probe.call.timeout);
    let found = lookup::run(&probe.owner, &probe.call, &Standing::of(Rank::Control, clock::now()), deadline, false)
        .await
        .ok()?;
    let Answer { status, body, framing_surprise, .. } = &found.answer;
    (*status == 200 && !framing_surprise).then(|| (*status, *blake3::hash(body.as_slice()).as_bytes()))
}
