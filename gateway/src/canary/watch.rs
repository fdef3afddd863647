//! Runs every canary when it is due, one run of each at a time, and says what it saw. Serves nobody.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::run::{Sight, run};
use super::{Canary, Expect, Seen};
use crate::edge::Edge;
use crate::record::{Record, Sang};

/// How often it is looked whether anything is due, and whether a reload has added or removed a canary.
const LOOK_EVERY: Duration = Duration::from_millis(250);

#[derive(Default)]
struct Turn {
    due: Option<Instant>,
    number: usize,
    under_way: bool,
}

/// Runs until `edge` is gone or drains.
pub(crate) async fn watch(edge: Weak<Edge>) {
    let mut turns: HashMap<Arc<str>, Turn> = HashMap::new();
    let mut running: JoinSet<Arc<str>> = JoinSet::new();
    loop {
        {
            let Some(edge) = edge.upgrade().filter(|edge| !edge.drain.begun()) else { return };
            let (config, now) = (edge.config(), Instant::now());
            turns.retain(|name, turn| turn.under_way || config.canaries.contains_key(name));
            for (name, canary) in &config.canaries {
                let turn = turns.entry(name.clone()).or_default();
                if turn.under_way || turn.due.is_some_and(|due| due > now) {
                    continue;
                }
                turn.under_way = true;
                turn.due = Some(now + jittered(canary.every));
                turn.number = turn.number.wrapping_add(1);
                running.spawn(one(edge.clone(), canary.clone(), turn.number));
            }
        }
        tokio::select! {
            Some(done) = running.join_next() => match done {
                Ok(name) => turns.entry(name).or_default().under_way = false,
                // A panic of a run, not of a request: nobody knows whose it was, and each is asked for anew.
                Err(_) => turns.values_mut().for_each(|turn| turn.under_way = false),
            },
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Nine to eleven tenths, so that the gateways of a country do not ask at once.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(0.9 + 0.2 * rand::random::<f64>())
}

async fn one(edge: Arc<Edge>, canary: Arc<Canary>, turn: usize) -> Arc<str> {
    let sights = Box::pin(run(&edge, &canary, turn)).await;
    for sight in &sights {
        say(&edge, &canary, sight);
    }
    for expect in Expect::ALL {
        let seen = sights.iter().filter(|sight| sight.expect == expect).map(|sight| sight.seen);
        if let Some(worst) = seen.max() {
            edge.canaries.ran(&canary.name, expect, worst, Instant::now());
        }
    }
    canary.name.clone()
}

/// Counts, records and logs one sight.
fn say(edge: &Edge, canary: &Canary, sight: &Sight) {
    let at = edge.clock.now();
    edge.canaries.saw(&canary.name, sight.expect, sight.seen, &edge.registry, at);
    let record = Record::Canary(Sang {
        at,
        canary: canary.name.to_string(),
        route: canary.issue.route.name.to_string(),
        municipality: canary.municipality().map(String::from),
        expect: sight.expect.name().to_owned(),
        result: sight.seen.name().to_owned(),
        reason: sight.reason.to_owned(),
        request: sight.request.as_ref().map(ToString::to_string),
        document_of: sight.document_of.as_ref().map(ToString::to_string),
    });
    if edge.gate.records().append_lazy(&record).is_err() {
        tracing::error!(canary = %canary.name, "what a canary saw could not be recorded");
    }
    let request = sight.request.as_ref().map(ToString::to_string).unwrap_or_default();
    let (name, expect, result, reason) = (&canary.name, sight.expect.name(), sight.seen.name(), sight.reason);
    match sight.seen {
        Seen::Passed => tracing::debug!(canary = %name, expect, result, reason, request, "canary"),
        Seen::Closed | Seen::Shed => tracing::info!(canary = %name, expect, result, reason, request, "canary"),
        Seen::Failed => tracing::error!(canary = %name, expect, result, reason, request, "canary"),
        Seen::Blind | Seen::NotWithheld => tracing::error!(
            canary = %name,
            expect,
            result,
            reason,
            request,
            "another resident's document was not recognised as such: stop issuing, see the runbook"
        ),
    }
}
