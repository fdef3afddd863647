//! The clock of a run: on a thread of its own, so that nothing which serves requests can hold it up, it begins what is due.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::change::change;
use super::ground::{Ground, Stop};
use super::timetable::{Event, Timetable};
use super::visit::visit;
use crate::cluster::Town;
use crate::legacy::FaultPlan;
use crate::plan::{Plan, Trouble};

/// A wish to stop is seen so soon.
const LOOKS_UP_EVERY: Duration = Duration::from_millis(50);

/// Begins everything at its time, on the runtime of `handle`; returns when nothing more begins, or a stop is wished.
pub(super) fn pace(ground: &Arc<Ground>, handle: &Handle, tracker: &TaskTracker) {
    for entry in Timetable::of(&ground.plan) {
        if entry.event == Event::Start && !ground.share.takes(entry.number) {
            continue;
        }
        // Made before it is due, so that only handing it over is left.
        let task: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = match entry.event {
            Event::Start => Some(Box::pin(until_stopped(visit(Arc::clone(ground), entry), ground.stop.clone()))),
            Event::Change(beside) => {
                Some(Box::pin(until_stopped(change(Arc::clone(ground), entry, beside), ground.stop.clone())))
            }
            Event::FaultOn(_) | Event::FaultOff(_) => None,
        };
        let due = ground.began + entry.at;
        loop {
            if ground.stop.is_wished() {
                return;
            }
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::sleep(left.min(LOOKS_UP_EVERY));
        }
        match (task, entry.event) {
            (Some(task), _) => {
                tracker.spawn_on(task, handle);
            }
            (None, Event::FaultOn(n)) => switch(&ground.plan, ground.town.as_deref(), n, true),
            (None, Event::FaultOff(n)) => switch(&ground.plan, ground.town.as_deref(), n, false),
            (None, Event::Start | Event::Change(_)) => {}
        }
    }
}

async fn until_stopped(task: impl Future<Output = ()>, stop: Stop) {
    tokio::select! { () = task => {}, () = stop.wished() => {} }
}

fn switch(plan: &Plan, town: Option<&Town>, n: usize, on: bool) {
    let (Some(fault), Some(town)) = (plan.faults.get(n), town) else { return };
    match fault.what {
        Trouble::Stall => town.world().pace().freeze(on),
        Trouble::Slow(factor) => town.world().pace().slow(if on { factor } else { 1.0 }),
        Trouble::Fault(what, rate) => {
            let rate = if on { rate } else { 0.0 };
            let plan = match &fault.city {
                Some(code) => FaultPlan::in_city(what, code, rate),
                None => FaultPlan::one(what, rate),
            };
            town.faults(&plan);
        }
    }
}
