//! Whatever happens in whatever order, the counts are true and nobody is in the backend beyond its limit; then the guards.

use proptest::prelude::*;
use sekisho_issuance::id::MunicipalityCode;

use super::forecast::Question;
use super::state::{Entry, Stage};
use super::*;
use crate::standing::Rank;

const MS: Duration = Duration::from_millis(1);

fn standing(rank: Rank, city: usize, now: Instant) -> Standing {
    let codes = ["991007", "991015", "991023"];
    let municipality = codes.get(city).map(|code| MunicipalityCode::new(code).unwrap());
    Standing { municipality, share: city as u16 + 1, ..Standing::of(rank, now) }
}

fn is_true(state: &State) {
    let of = |wanted: fn(&Stage) -> bool| state.entries.values().filter(|entry| wanted(&entry.stage)).count();
    assert_eq!(state.placed, of(|s| matches!(s, Stage::Placed { .. })));
    assert_eq!(state.on_the_way, of(|s| matches!(s, Stage::Preparing | Stage::Ready)));
    assert_eq!(state.judged, of(|s| *s == Stage::Answered));
    assert_eq!(state.shares.waiting(), of(|s| matches!(s, Stage::Waiting { .. })));
    assert!(state.placed <= state.limit.now());
    let placed = |entry: &&Entry| matches!(entry.stage, Stage::Placed { .. });
    let cost: i64 = state.entries.values().filter(placed).map(|entry| entry.cost).sum();
    let accounts: Vec<_> = state.shares.all().collect();
    assert_eq!(accounts.iter().map(|account| account.placed).sum::<i64>(), cost);
    let counted = |entry: &&Entry| !matches!(entry.stage, Stage::Placed { .. } | Stage::Answered);
    let ahead: i64 = state.entries.values().filter(counted).map(|entry| entry.cost).sum();
    assert_eq!(accounts.iter().flat_map(|account| account.ahead).sum::<i64>(), ahead);
}

/// Answers come in clumps: an eighth of the places may come free at once and is taken at once, however quickly one prepares.
#[test]
fn places_that_come_free_together_do_not_wait_for_one_after_the_other_to_prepare() {
    let now = Instant::now();
    let mut state = State::new(16, None, now);
    let enter = |state: &mut State| match state.enter(
        &standing(Rank::New, 0, now),
        Work::Of(Operation::Issue),
        now + MS * 3000,
        false,
        now,
    ) {
        Entered::Granted(number) => Some((number, state.start(number, now))),
        _ => None,
    };
    let placed: Vec<u64> = (0..16).map(|_| enter(&mut state).unwrap()).map(|(number, _)| number).collect();
    let ready = (0..16).filter_map(|_| enter(&mut state)).count();
    assert_eq!((state.placed, ready), (16, 2), "beyond them, whoever waits can still be overtaken");
    placed.iter().take(2).for_each(|number| state.answered(*number, now));
    assert_eq!(state.placed, 16);
}

proptest! {
    #[test]
    fn the_counts_are_true_and_the_limit_holds(
        limit in 1usize..6,
        steps in proptest::collection::vec((0u8..10, 0usize..40, 0usize..6, 0u64..400), 1..300),
    ) {
        let start = Instant::now();
        let mut now = start;
        let mut state = State::new(limit, None, now);
        let (mut tickets, mut inside, mut sessions, mut rests) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for (what, which, rank, pause) in steps {
            now += MS * pause as u32;
            let place = standing(Rank::ALL[rank], which % 4, now);
            match what {
                0..=2 => {
                    let operation = [Operation::Issue, Operation::Open, Operation::Amend][usize::from(what)];
                    let session = (!sessions.is_empty() && rank == 2).then(|| sessions[which % sessions.len()]);
                    let deadline = now + MS * 3000;
                    let question = Question { standing: place, operation, deadline, session, started: session.is_some() };
                    if let Ok(entry) = state.ask(&question, now) {
                        entry.opens.into_iter().for_each(|number| state.promises.keep(number));
                        sessions.extend(entry.opens);
                        tickets.push((entry.ticket, place, operation));
                    }
                }
                3 | 4 if !tickets.is_empty() => {
                    let (ticket, place, operation) = tickets.swap_remove(which % tickets.len());
                    let place = Standing { ticket: Some(ticket), ..place };
                    match state.enter(&place, Work::Of(operation), now + MS * 2000, what == 4, now) {
                        Entered::Granted(number) | Entered::Waits(number, _) => inside.push(number),
                        Entered::Refused(_) => {}
                    }
                }
                5 if !inside.is_empty() => {
                    let number = inside[which % inside.len()];
                    if state.start(number, now) {
                        state.begin(number, now);
                    }
                }
                6 if !inside.is_empty() => state.answered(inside[which % inside.len()], now),
                7 if !inside.is_empty() => {
                    let number = inside.swap_remove(which % inside.len());
                    rests += usize::from(state.free(number, rank % 2 == 0, true, now));
                }
                8 if rests > 0 => {
                    rests -= 1;
                    state.rested(now);
                }
                9 if !sessions.is_empty() => {
                    let number = sessions.swap_remove(which % sessions.len());
                    state.promises.step_ends(number, now);
                    state.promises.end(number, &mut state.shares);
                }
                _ => {}
            }
            state.take_wakes();
            is_true(&state);
        }
        // Everything ends, and nothing is left of it.
        (0..rests).for_each(|_| state.rested(now));
        tickets.iter().for_each(|(ticket, ..)| state.forget_expected(*ticket));
        for number in inside {
            state.free(number, false, true, now);
        }
        sessions.into_iter().for_each(|number| state.promises.end(number, &mut state.shares));
        is_true(&state);
        prop_assert!(state.entries.is_empty(), "{:?}", state.entries);
        prop_assert!(state.shares.all().all(|account| account.promised.iter().all(|n| *n == 0) && account.present == 0));
    }

    /// Nobody waits for ever: as long as places come free, everybody has their turn or their no.
    #[test]
    fn everybody_has_a_turn_or_hears_a_no(limit in 1usize..5, ranks in proptest::collection::vec((0usize..6, 0usize..4), 1..60)) {
        let mut now = Instant::now();
        let mut state = State::new(limit, None, now);
        let mut open = Vec::new();
        for (rank, city) in &ranks {
            let place = standing(Rank::ALL[*rank], *city, now);
            let entered = state.enter(&place, Work::Of(Operation::Issue), now + MS * 60_000, true, now);
            if let Entered::Granted(number) | Entered::Waits(number, _) = entered {
                open.push(number);
            }
        }
        let mut served = 0;
        for _ in 0..ranks.len() {
            let placed = open.iter().position(|n| matches!(state.entries.get(n).map(|e| e.stage), Some(Stage::Placed { .. })));
            let Some(at) = placed else { break };
            now += MS;
            let number = open.swap_remove(at);
            state.begin(number, now);
            state.free(number, false, false, now);
            served += 1;
        }
        prop_assert_eq!(served, ranks.len());
    }
}

fn slots(limit: usize) -> Arc<Slots> {
    let settings = Settings { limit, objective: None, tick_spacing: Duration::ZERO, settle: MS * 1000 };
    Slots::new(settings, tokio::runtime::Handle::current())
}

async fn place(slots: &Arc<Slots>, rank: Rank) -> Result<SlotGuard, NotBegun> {
    let now = clock::now();
    slots.acquire_whole(&Standing::of(rank, now), Some(Operation::Issue), now + MS * 10_000).await
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_goes_gives_its_turn_on_also_when_it_was_just_granted() {
    let slots = slots(1);
    let held = place(&slots, Rank::New).await.unwrap();
    let mut gone = Box::pin(place(&slots, Rank::Started));
    let mut next = Box::pin(place(&slots, Rank::New));
    assert!(futures_util::poll!(&mut gone).is_pending() && futures_util::poll!(&mut next).is_pending());
    drop(held);
    // Granted, and dropped before it heard of it.
    drop(gone);
    assert!(next.await.is_ok());
    assert_eq!(slots.counted(), Counted { limit: 1, ..Counted::default() });
}

#[tokio::test(start_paused = true)]
async fn a_prepared_call_waits_for_its_place_and_the_backend_never_has_more_than_its_limit() {
    let slots = slots(2);
    let first = [place(&slots, Rank::New).await.unwrap(), place(&slots, Rank::New).await.unwrap()];
    let now = clock::now();
    let mut prepared = slots.acquire(&Standing::of(Rank::New, now), Operation::Issue, now + MS * 10_000).await.unwrap();
    let mut start = Box::pin(prepared.start(now + MS * 10_000));
    assert!(futures_util::poll!(&mut start).is_pending(), "prepared, but both places are taken");
    drop(first);
    start.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_place_is_anothers_while_its_answer_is_judged_and_rests_after_a_surprise() {
    let slots = slots(1);
    let mut judged = place(&slots, Rank::New).await.unwrap();
    judged.begin();
    judged.answered();
    let next = place(&slots, Rank::New).await.unwrap();
    drop(judged);
    assert_eq!(slots.counted().resting, 1, "dropped unjudged");
    drop(next);
    let mut waits = Box::pin(place(&slots, Rank::New));
    assert!(futures_util::poll!(&mut waits).is_pending());
    let asked = clock::now();
    waits.await.unwrap();
    assert_eq!(clock::now() - asked, MS * 1000);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_or_has_prepared_is_told_when_the_backend_is_suspended() {
    let slots = slots(2);
    let _held = [place(&slots, Rank::New).await.unwrap(), place(&slots, Rank::New).await.unwrap()];
    let now = clock::now();
    let mut prepared = slots.acquire(&Standing::of(Rank::New, now), Operation::Issue, now + MS * 10_000).await.unwrap();
    let mut waits = Box::pin(place(&slots, Rank::New));
    let mut start = Box::pin(prepared.start(now + MS * 10_000));
    assert!(futures_util::poll!(&mut waits).is_pending() && futures_util::poll!(&mut start).is_pending());
    slots.stop();
    assert_eq!(waits.await.unwrap_err(), NotBegun::BackendSuspended);
    assert_eq!(start.await, Err(NotBegun::BackendSuspended));
}

#[tokio::test(start_paused = true)]
async fn a_ticket_and_a_promise_are_counted_for_as_long_as_they_are_held() {
    let slots = slots(1);
    let now = clock::now();
    let ask = |operation, session, started| Ask {
        operation,
        standing: Standing::of(if started { Rank::Started } else { Rank::New }, now),
        deadline: now + MS * 1000,
        session,
        started,
    };
    let mut opened = slots.admit(&ask(Operation::Open, None, false)).unwrap();
    let promise = opened.opened().unwrap();
    drop(opened);
    let refused = (0..20).map(|_| slots.admit(&ask(Operation::Open, None, false))).filter(Result::is_err).count();
    assert_eq!(refused, 20, "what the first will ask for is all that fits");
    let steps: Vec<_> = (0..50).map(|_| slots.admit(&ask(Operation::Issue, Some(&promise), true)).unwrap()).collect();
    assert_eq!(steps.len(), 50, "whoever was let in is not turned away");
    drop(steps);
    drop(promise);
    let mut inner = slots.lock();
    assert!(inner.state.entries.is_empty());
    assert!(inner.state.shares.all().all(|account| account.present == 0));
    assert!(inner.state.take_wakes().is_empty());
}
