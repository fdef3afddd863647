//! The table against a slow model that keeps the whole arrival order in one list.

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { waiters_per_lane: 3, waiters_total: 6 };

#[derive(Debug, Clone)]
enum Step {
    Arrive { lanes: Vec<u8>, patience: u64 },
    Leave(usize),
    Begin(usize),
    Hold(usize, Option<u64>),
    Release(usize),
    CloseAll(u64),
    Shut(Vec<u8>),
    Reopen(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (proptest::collection::vec(0..4_u8, 1..3), 1..40_u64).prop_map(|(lanes, patience)| Step::Arrive { lanes, patience }),
        2 => any::<usize>().prop_map(Step::Leave),
        4 => any::<usize>().prop_map(Step::Begin),
        2 => (any::<usize>(), proptest::option::weighted(0.8, 1..30_u64)).prop_map(|(n, t)| Step::Hold(n, t)),
        3 => any::<usize>().prop_map(Step::Release),
        1 => (1..30_u64).prop_map(Step::CloseAll),
        2 => proptest::collection::vec(0..4_u8, 1..3).prop_map(Step::Shut),
        2 => any::<usize>().prop_map(Step::Reopen),
        4 => (1..15_u64).prop_map(Step::Wait),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Waiting,
    Granted,
    Running,
    Held(Option<Instant>),
    Gone,
}

#[derive(Debug)]
struct One {
    lanes: Vec<LaneId>,
    expires: Instant,
    is: Is,
}

/// A change bracket as the outside knows it.
#[derive(Debug)]
struct Bracket {
    lanes: Vec<LaneId>,
    /// Who ran in them when it began.
    ran: Vec<usize>,
    is_open: bool,
    quiet: bool,
}

/// What the outside knows: arrivals in order, and what each was told.
struct Model {
    start: Instant,
    now: Instant,
    closed_until: Option<Instant>,
    all: Vec<One>,
    brackets: Vec<Bracket>,
}

impl Model {
    fn in_ms(&self, ms: u64) -> Instant {
        self.now + Duration::from_millis(ms)
    }

    fn owners(&self, lane: LaneId) -> Vec<usize> {
        let owns = |o: &One| matches!(o.is, Is::Granted | Is::Running | Is::Held(_)) && o.lanes.contains(&lane);
        (0..self.all.len()).filter(|i| owns(&self.all[*i])).collect()
    }

    fn shut(&self, lane: &LaneId) -> bool {
        self.brackets.iter().any(|bracket| bracket.is_open && bracket.lanes.contains(lane))
    }

    /// A bracket is quiet once everybody is gone who ran in its lanes when it began, and is told so once.
    fn hears(&mut self, decision: &Decision) -> Result<(), TestCaseError> {
        for number in &decision.quiet {
            let bracket = &mut self.brackets[*number as usize];
            prop_assert!(bracket.is_open && !bracket.quiet, "told twice, or after it was over");
            bracket.quiet = true;
        }
        for bracket in &self.brackets {
            let gone = bracket.ran.iter().all(|i| self.all[*i].is == Is::Gone);
            prop_assert_eq!(bracket.quiet || bracket.ran.is_empty(), gone || !bracket.is_open && bracket.quiet);
        }
        Ok(())
    }

    /// Takes over what a decision says, checking that it was allowed to say so.
    fn learn(&mut self, decision: &Decision) -> Result<(), TestCaseError> {
        for expired in &decision.expired {
            let one = &mut self.all[*expired as usize];
            prop_assert_eq!(one.is, Is::Waiting, "only a waiter expires");
            prop_assert!(one.expires <= self.now, "a waiter expired early");
            one.is = Is::Gone;
        }
        // Holds that ended by themselves make room for the grants of the same decision.
        for one in &mut self.all {
            if matches!(one.is, Is::Held(Some(until)) if until <= self.now) {
                one.is = Is::Gone;
            }
        }
        for granted in &decision.granted {
            self.grant(*granted as usize)?;
        }
        Ok(())
    }

    fn grant(&mut self, index: usize) -> Result<(), TestCaseError> {
        prop_assert!(self.closed_until.is_none_or(|u| u <= self.now), "granted while everybody waits");
        prop_assert_eq!(self.all[index].is, Is::Waiting, "granted twice, or after it left");
        prop_assert!(self.all[index].expires > self.now, "granted after its deadline");
        for lane in self.all[index].lanes.clone() {
            prop_assert!(!self.shut(&lane), "granted inside a bracket");
            prop_assert!(self.owners(lane).is_empty(), "two holders of one lane: {:?}", self.owners(lane));
            let overtaken = self.all[..index]
                .iter()
                .any(|o| o.is == Is::Waiting && o.expires > self.now && o.lanes.contains(&lane));
            prop_assert!(!overtaken, "an earlier waiter was overtaken");
        }
        self.all[index].is = Is::Granted;
        Ok(())
    }

    /// Nobody waits whose lanes are all free and who is first in each.
    fn nobody_is_forgotten(&self) -> Result<(), TestCaseError> {
        if self.closed_until.is_some_and(|u| u > self.now) {
            return Ok(());
        }
        for (i, one) in self.all.iter().enumerate().filter(|(_, o)| o.is == Is::Waiting && o.expires > self.now) {
            let blocked = one.lanes.iter().any(|lane| {
                let before = |o: &One| o.is == Is::Waiting && o.lanes.contains(lane);
                self.shut(lane) || !self.owners(*lane).is_empty() || self.all[..i].iter().any(before)
            });
            prop_assert!(blocked, "waiter {} is forgotten", i);
        }
        Ok(())
    }
}

fn distinct(lanes: Vec<u8>) -> Vec<LaneId> {
    let mut lanes: Vec<_> = lanes.into_iter().map(|l| LaneId::from_u128(l.into())).collect();
    lanes.sort();
    lanes.dedup();
    lanes
}

fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut state = State::new(LIMITS);
    let start = Instant::now();
    let mut model = Model { start, now: start, closed_until: None, all: Vec::new(), brackets: Vec::new() };
    for step in steps {
        let pick = |n: usize| n.checked_rem(model.all.len());
        let (event, index) = match step {
            Step::Wait(ms) => {
                model.now += Duration::from_millis(ms);
                (Event::Tick, None)
            }
            Step::CloseAll(ms) => {
                model.closed_until = model.closed_until.max(Some(model.in_ms(ms)));
                (Event::CloseAll { until: model.in_ms(ms) }, None)
            }
            Step::Shut(lanes) => {
                let lanes = distinct(lanes);
                let ran = lanes.iter().flat_map(|lane| model.owners(*lane)).collect();
                let event = Event::Shut { bracket: model.brackets.len() as u64, keys: lanes.clone().into() };
                model.brackets.push(Bracket { lanes, ran, is_open: true, quiet: false });
                (event, None)
            }
            Step::Reopen(n) => {
                let Some(b) = n.checked_rem(model.brackets.len()).filter(|b| model.brackets[*b].is_open) else {
                    continue;
                };
                model.brackets[b].is_open = false;
                // Whoever asked has its answer, or does not want it any more.
                model.brackets[b].quiet = true;
                model.brackets[b].ran.clear();
                (Event::Reopen { bracket: b as u64, keys: model.brackets[b].lanes.clone().into() }, None)
            }
            Step::Arrive { lanes, patience } => {
                let lanes = distinct(lanes);
                let (number, expires) = (model.all.len(), model.in_ms(patience));
                let keys = Keys::of(&lanes).unwrap();
                model.all.push(One { lanes, expires, is: Is::Waiting });
                let purpose = Purpose { backend: "b".into(), operation: Operation::Issue };
                (Event::Arrive { number: number as u64, keys, purpose, expires }, Some(number))
            }
            Step::Leave(n) => {
                let Some(i) = pick(n) else { continue };
                if matches!(model.all[i].is, Is::Waiting | Is::Granted) {
                    model.all[i].is = Is::Gone;
                }
                (Event::Leave { number: i as u64 }, Some(i))
            }
            Step::Begin(n) => {
                let Some(i) = pick(n) else { continue };
                (Event::Begin { number: i as u64 }, Some(i))
            }
            Step::Hold(n, ms) => {
                let Some(i) = pick(n) else { continue };
                let until = ms.map(|ms| model.in_ms(ms));
                if matches!(model.all[i].is, Is::Running | Is::Held(_) | Is::Granted) {
                    model.all[i].is = Is::Held(until);
                }
                (Event::Hold { number: i as u64, until }, Some(i))
            }
            Step::Release(n) => {
                let Some(i) = pick(n) else { continue };
                if matches!(model.all[i].is, Is::Running | Is::Held(_) | Is::Granted) {
                    model.all[i].is = Is::Gone;
                }
                (Event::Release { number: i as u64 }, Some(i))
            }
        };
        let begins = matches!(event, Event::Begin { .. });
        let arrives = matches!(event, Event::Arrive { .. });
        let decision = decide(&mut state, model.now, event);
        model.learn(&decision)?;
        match (index, decision.fate) {
            (Some(i), Fate::Granted) if begins => {
                prop_assert_eq!(model.all[i].is, Is::Granted, "begun without a grant");
                model.all[i].is = Is::Running;
            }
            (Some(i), Fate::Granted) => model.grant(i)?,
            (Some(i), Fate::Full | Fate::Refused) if arrives => model.all[i].is = Is::Gone,
            _ => {}
        }
        model.hears(&decision)?;
        model.nobody_is_forgotten()?;
        let waiting = state.attempts.values().filter(|a| a.phase == Phase::Waiting).count();
        prop_assert_eq!(state.waiting, waiting);
        prop_assert!(waiting <= LIMITS.waiters_total);
        prop_assert!(state.lanes.values().all(|l| l.queue.len() <= LIMITS.waiters_per_lane));
        prop_assert!(!state.lanes.values().any(is_free_and_unwanted), "an idle lane costs memory");
        let known: HashSet<Number> = state.attempts.keys().copied().collect();
        let expected = model.all.iter().enumerate().filter(|(_, o)| o.is != Is::Gone).map(|(i, _)| i as u64);
        prop_assert_eq!(known, expected.collect::<HashSet<_>>());
    }
    for (number, bracket) in model.brackets.iter().enumerate().filter(|(_, bracket)| bracket.is_open) {
        decide(&mut state, model.now, Event::Reopen { bracket: number as u64, keys: bracket.lanes.clone().into() });
    }
    // In the end everybody leaves, and nothing remains.
    for number in 0..model.all.len() as u64 {
        decide(&mut state, model.now, Event::Leave { number });
        decide(&mut state, model.now, Event::Release { number });
    }
    for number in 0..model.all.len() as u64 {
        decide(&mut state, model.now, Event::Leave { number });
    }
    prop_assert!(state.is_idle(), "{:?} left after {:?}", state, model.now - model.start);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn one_holder_in_order_of_arrival_and_nobody_forgotten(steps in proptest::collection::vec(step(), 1..60)) {
        run(steps)?;
    }
}

fn arrive(number: Number, lanes: &[u128], expires: Instant) -> Event {
    let lanes: Vec<_> = lanes.iter().map(|l| LaneId::from_u128(*l)).collect();
    let purpose = Purpose { backend: "b".into(), operation: Operation::Amend };
    Event::Arrive { number, keys: Keys::of(&lanes).unwrap(), purpose, expires }
}

#[test]
fn a_late_release_does_not_free_the_successor() {
    let (mut state, now) = (State::new(LIMITS), Instant::now());
    let later = now + Duration::from_secs(60);
    assert_eq!(decide(&mut state, now, arrive(1, &[7], later)).fate, Fate::Granted);
    assert_eq!(decide(&mut state, now, arrive(2, &[7], later)).fate, Fate::Queued);
    assert_eq!(decide(&mut state, now, Event::Release { number: 1 }).granted, [2]);
    assert_eq!(decide(&mut state, now, Event::Release { number: 1 }).granted, [0_u64; 0]);
    assert_eq!(decide(&mut state, now, arrive(3, &[7], later)).fate, Fate::Queued);
}

#[test]
fn a_household_takes_all_lanes_or_none() {
    let (mut state, now) = (State::new(LIMITS), Instant::now());
    let later = now + Duration::from_secs(60);
    decide(&mut state, now, arrive(1, &[2], later));
    assert_eq!(decide(&mut state, now, arrive(2, &[1, 2, 3], later)).fate, Fate::Queued);
    // 3 came after the household, so it waits although nobody holds its lane.
    assert_eq!(decide(&mut state, now, arrive(3, &[3], later)).fate, Fate::Queued);
    assert_eq!(decide(&mut state, now, Event::Leave { number: 2 }).granted, [3]);
}

#[test]
fn predecessors_of_one_resident_hold_until_the_later_end() {
    let (mut state, now) = (State::new(LIMITS), Instant::now());
    let keys = |l: u128| Keys::of(&[LaneId::from_u128(l)]).unwrap();
    let purpose = || Purpose { backend: "b".into(), operation: Operation::Issue };
    let (first, second) = (now + Duration::from_secs(10), now + Duration::from_secs(20));
    decide(&mut state, now, Event::Inherit { number: 1, keys: keys(7), purpose: purpose(), until: first });
    decide(&mut state, now, Event::Inherit { number: 2, keys: keys(7), purpose: purpose(), until: second });
    decide(&mut state, now, arrive(3, &[7], now + Duration::from_secs(60)));
    assert_eq!(decide(&mut state, first, Event::Tick).granted, [0_u64; 0]);
    assert_eq!(decide(&mut state, second, Event::Tick).granted, [3]);
}

#[test]
fn a_bracket_waits_for_what_runs_and_holds_what_comes() {
    let (mut state, now) = (State::new(LIMITS), Instant::now());
    let later = now + Duration::from_secs(60);
    let lanes = |all: &[u128]| all.iter().map(|l| LaneId::from_u128(*l)).collect::<Arc<[_]>>();
    decide(&mut state, now, arrive(1, &[7], later));
    decide(&mut state, now, Event::Begin { number: 1 });
    let shut = decide(&mut state, now, Event::Shut { bracket: 5, keys: lanes(&[6, 7]) });
    assert_eq!((shut.quiet, state.is_quiet(5)), (vec![], false));
    assert_eq!(decide(&mut state, now, arrive(2, &[6], later)).fate, Fate::Queued);
    assert_eq!(decide(&mut state, now, arrive(3, &[8], later)).fate, Fate::Granted, "nobody else is held");
    // Its end is not known: only `max_run` later nothing of it can have effect any more.
    decide(&mut state, now, Event::Hold { number: 1, until: Some(now + Duration::from_secs(9)) });
    assert!(!state.is_quiet(5));
    assert_eq!(decide(&mut state, now + Duration::from_secs(9), Event::Tick).quiet, [5]);
    // A second bracket on one of them: it opens with the last.
    decide(&mut state, now, Event::Shut { bracket: 6, keys: lanes(&[6]) });
    assert_eq!(decide(&mut state, now, Event::Reopen { bracket: 5, keys: lanes(&[6, 7]) }).granted, [0_u64; 0]);
    assert_eq!(decide(&mut state, now, Event::Reopen { bracket: 6, keys: lanes(&[6]) }).granted, [2]);
}
