//! What happens when: sessions begin, records change, faults come and go. Seeded, in order of time, made as it is needed. Pure.

use std::iter::Peekable;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::plan::Plan;
use crate::plan::curve::Curve;

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// A session begins.
    Start,
    /// A record changes: which entry of `[[alongside]]`.
    Change(usize),
    /// A fault comes: which entry of `[[fault]]`.
    FaultOn(usize),
    /// It goes.
    FaultOff(usize),
}

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// From the beginning of the run.
    pub(super) at: Duration,
    /// In which stage.
    pub(super) stage: usize,
    pub(super) event: Event,
    /// Its number among those of its kind: the seed of everything that it draws.
    pub(super) number: u64,
}

type Lane = Peekable<Box<dyn Iterator<Item = (Duration, Event)> + Send>>;

/// The whole run.
pub(super) struct Timetable {
    plan: Arc<Plan>,
    lanes: Vec<Lane>,
    starts: u64,
    changes: u64,
}

impl Timetable {
    pub(super) fn of(plan: &Arc<Plan>) -> Self {
        let mut lanes: Vec<Lane> = Vec::new();
        let mut lane = |events: Box<dyn Iterator<Item = (Duration, Event)> + Send>| lanes.push(events.peekable());
        // Faults first: of two things at one moment they come first.
        for (n, fault) in plan.faults.iter().enumerate() {
            lane(Box::new([(fault.at, Event::FaultOn(n)), (fault.at + fault.lasts, Event::FaultOff(n))].into_iter()));
        }
        let mut begins = Duration::ZERO;
        for (n, stage) in plan.stages.iter().enumerate() {
            let seed = plan.seed ^ (n as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let from = begins;
            let times = arrivals(stage.curve.clone(), stage.random.then_some(seed));
            lane(Box::new(times.map(move |at| (from + at, Event::Start))));
            begins += stage.lasts;
        }
        for (n, beside) in plan.alongside.iter().enumerate() {
            let times = arrivals(Curve::constant(beside.rate, begins), None);
            lane(Box::new(times.map(move |at| (at, Event::Change(n)))));
        }
        Self { plan: Arc::clone(plan), lanes, starts: 0, changes: 0 }
    }
}

impl Iterator for Timetable {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let due = self.lanes.iter_mut().enumerate().filter_map(|(n, lane)| Some((lane.peek()?.0, n)));
        let (_, lane) = due.min()?;
        let (at, event) = self.lanes.get_mut(lane)?.next()?;
        let number = match event {
            Event::Start => one_more(&mut self.starts),
            Event::Change(_) => one_more(&mut self.changes),
            Event::FaultOn(_) | Event::FaultOff(_) => 0,
        };
        Some(Entry { at, stage: stage_at(&self.plan, at), event, number })
    }
}

/// The number before it was counted.
fn one_more(count: &mut u64) -> u64 {
    let number = *count;
    *count += 1;
    number
}

/// The stage of a moment; the last one has no end.
pub(super) fn stage_at(plan: &Plan, at: Duration) -> usize {
    let mut ends = Duration::ZERO;
    for (n, stage) in plan.stages.iter().enumerate() {
        ends += stage.lasts;
        if at < ends {
            return n;
        }
    }
    plan.stages.len().saturating_sub(1)
}

/// Evenly by the curve, or as a Poisson process on it.
fn arrivals(curve: Curve, random: Option<u64>) -> impl Iterator<Item = Duration> + Send {
    let mut rng = random.map(StdRng::seed_from_u64);
    let mut count = if random.is_some() { 0.0 } else { -0.5 };
    std::iter::from_fn(move || {
        count += match &mut rng {
            // 1 - u lies in (0, 1], so the logarithm is finite.
            Some(rng) => -(1.0 - rng.random::<f64>()).ln(),
            None => 1.0,
        };
        curve.after(count).map(Duration::from_secs_f64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::parse;

    fn plan(stages: &str) -> Arc<Plan> {
        Arc::new(parse(&format!("name = \"t\"\nwhy = \"t\"\n{stages}")).unwrap())
    }

    const TWO: &str = "[[stage]]\nname = \"a\"\nrate = \"10/s\"\nfor = \"2s\"\n\
                       [[stage]]\nname = \"b\"\nrate = { from = \"100/s\", shape = \"poisson\" }\nfor = \"20s\"\n";

    #[test]
    fn everything_comes_in_order_of_time_in_its_stage_with_its_number() {
        let beside =
            "[[alongside]]\nwhat = \"amend\"\nrate = \"2/s\"\n[[fault]]\nat = \"b\"\nfor = \"1s\"\nwhat = \"reset\"\n";
        let plan = plan(&format!("{TWO}{beside}"));
        let all: Vec<Entry> = Timetable::of(&plan).collect();
        assert!(all.is_sorted_by_key(|entry| entry.at));
        let starts: Vec<&Entry> = all.iter().filter(|entry| entry.event == Event::Start).collect();
        assert_eq!(starts.iter().filter(|entry| entry.stage == 0).count(), 20);
        assert!(starts.iter().enumerate().all(|(n, entry)| entry.number == n as u64));
        assert_eq!(all.iter().filter(|entry| entry.event == Event::Change(0)).count(), 44);
        let on = all.iter().find(|entry| entry.event == Event::FaultOn(0)).unwrap();
        let off = all.iter().find(|entry| entry.event == Event::FaultOff(0)).unwrap();
        assert_eq!((on.at, off.at), (Duration::from_secs(2), Duration::from_secs(3)));
    }

    #[test]
    fn random_arrivals_have_the_mean_and_the_spread_of_a_poisson_process() {
        let plan = plan(TWO);
        let in_b = Timetable::of(&plan).filter(|entry| entry.stage == 1);
        let mut per_tenth = vec![0f64; 200];
        in_b.for_each(|entry| per_tenth[((entry.at.as_secs_f64() - 2.0) * 10.0) as usize] += 1.0);
        let mean = per_tenth.iter().sum::<f64>() / 200.0;
        let variance = per_tenth.iter().map(|n| (n - mean).powi(2)).sum::<f64>() / 199.0;
        assert!((9.0..11.0).contains(&mean) && (7.0..13.5).contains(&variance), "mean {mean} variance {variance}");
    }

    #[test]
    fn the_same_seed_gives_the_same_timetable() {
        let with = |seed| Timetable::of(&plan(&format!("seed = {seed}\n{TWO}"))).collect::<Vec<_>>();
        assert_eq!(with(7), with(7));
        assert_ne!(with(7), with(8));
    }
}
