//! Whose turn it is: weighted fair between municipalities, by rank and arrival within one. What one does not use is lent, and taken
//! back at the next turn.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use sekisho_issuance::id::MunicipalityCode;

use super::pace::Pace;
use crate::numbered::Numbered;
use crate::standing::{Rank, Standing, WORKS};

/// Whose share is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Flow {
    /// The gateway's own questions; before everybody.
    Control,
    /// A municipality's requests, or those of nobody.
    Of(Option<MunicipalityCode>),
}

impl Flow {
    pub(super) fn of(standing: &Standing) -> Self {
        match standing.rank {
            Rank::Control => Self::Control,
            _ => Self::Of(standing.municipality),
        }
    }
}

/// Its place within one municipality: rank, arrival, number.
pub(super) type Place = (Rank, Instant, u64);

/// Seconds over which the use of a share is averaged.
const RECENT_S: f64 = 2.0;
/// A share that uses less than this many slots counts as not used.
const IDLE: f64 = 0.01;
/// Shares remembered although nobody of them is there; beyond, the idle ones are forgotten.
const REMEMBERED: usize = 64;

/// What is known of one municipality at this backend. Work is in microseconds of a slot.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) share: u16,
    /// Let in or waiting, not yet in the backend, by rank.
    pub(super) ahead: [i64; Rank::ALL.len()],
    /// In the backend, as it was expected to take.
    pub(super) placed: i64,
    /// Steps that started sessions are still expected to ask for, in thousandths, by sort of work.
    pub(super) promised: [i64; WORKS],
    /// Work of sessions let in that the share has not yet had the time for, in seconds of a slot; as of the instant.
    pub(super) pacing: (f64, Instant),
    demand: (f64, Instant),
    /// Requests and sessions that are counted here.
    pub(super) present: usize,
    /// Where its turn ended, in the turns' own time.
    finish: u64,
    turn: Option<u64>,
    queue: BTreeMap<Place, ()>,
}

impl Account {
    fn new(now: Instant) -> Self {
        Self {
            share: 1,
            ahead: [0; Rank::ALL.len()],
            placed: 0,
            promised: [0; WORKS],
            pacing: (0.0, now),
            demand: (0.0, now),
            present: 0,
            finish: 0,
            turn: None,
            queue: BTreeMap::new(),
        }
    }

    /// Slots that its requests used lately, on average.
    pub(super) fn demand(&self, now: Instant) -> f64 {
        let (slots, at) = self.demand;
        slots * (-now.saturating_duration_since(at).as_secs_f64() / RECENT_S).exp()
    }

    /// Work of `micros` was asked for.
    pub(super) fn asked(&mut self, micros: i64, now: Instant) {
        self.demand = (self.demand(now) + micros as f64 / 1e6 / RECENT_S, now);
    }

    /// Seconds of a slot that are let in and not yet in the backend, of `rank` and before.
    pub(super) fn ahead_of(&self, rank: Rank) -> f64 {
        let before = Rank::ALL.iter().zip(self.ahead).filter(|(other, _)| **other <= rank);
        before.map(|(_, micros)| micros).sum::<i64>() as f64 / 1e6
    }

    /// What its sessions are still expected to ask for, in seconds of a slot.
    pub(super) fn thinking(&self, paces: &[Pace; WORKS]) -> f64 {
        self.promised.iter().zip(paces).map(|(thousandths, pace)| *thousandths as f64 / 1e3 * pace.mean()).sum()
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.present == 0 && self.demand(now) < IDLE
    }
}

/// Everybody's accounts, and whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Shares {
    accounts: Numbered<Flow, Account>,
    turns: BTreeSet<(u64, Flow)>,
    /// The turns' own time.
    clock: u64,
    waiting: usize,
}

impl Shares {
    /// The account of `flow`, made when it is new.
    pub(super) fn account(&mut self, flow: Flow, now: Instant) -> &mut Account {
        if self.accounts.len() > REMEMBERED && !self.accounts.contains_key(&flow) {
            self.accounts.retain(|_, account| !account.is_idle(now));
        }
        self.accounts.entry(flow).or_insert_with(|| Account::new(now))
    }

    /// The account of `flow`, where there is one.
    pub(super) fn known(&mut self, flow: Flow) -> Option<&mut Account> {
        self.accounts.get_mut(&flow)
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// Requests that wait for a slot.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Takes a request into its queue.
    pub(super) fn push(&mut self, flow: Flow, place: Place, now: Instant) {
        let clock = self.clock;
        let account = self.account(flow, now);
        account.queue.insert(place, ());
        if account.turn.is_none() {
            let turn = if flow == Flow::Control { 0 } else { account.finish.max(clock) };
            account.turn = Some(turn);
            self.turns.insert((turn, flow));
        }
        self.waiting += 1;
    }

    /// Who is next.
    pub(super) fn peek(&self) -> Option<(Flow, Place)> {
        let (_, flow) = self.turns.first()?;
        let (place, ()) = self.accounts.get(flow)?.queue.first_key_value()?;
        Some((*flow, *place))
    }

    /// Takes a request out of its queue: with `micros` its share is charged, without it left or was dropped.
    pub(super) fn remove(&mut self, flow: Flow, place: Place, micros: Option<i64>) {
        let Some(account) = self.accounts.get_mut(&flow) else { return };
        if account.queue.remove(&place).is_none() {
            return;
        }
        self.waiting = self.waiting.saturating_sub(1);
        let Some(turn) = account.turn.take() else { return };
        self.turns.remove(&(turn, flow));
        let mut next = turn;
        if let (Some(micros), true) = (micros, flow != Flow::Control) {
            self.clock = self.clock.max(turn);
            // In hundredths, so that a large share still moves on.
            next = turn.saturating_add(u64::try_from(micros).unwrap_or(0) * 100 / u64::from(account.share.max(1)));
            account.finish = next;
        }
        if !account.queue.is_empty() {
            account.turn = Some(next);
            self.turns.insert((next, flow));
        }
    }

    /// Everybody who waits, in no order.
    pub(super) fn drain(&mut self) -> Vec<u64> {
        let mut all = Vec::with_capacity(self.waiting);
        for account in self.accounts.values_mut() {
            all.extend(std::mem::take(&mut account.queue).into_keys().map(|(_, _, number)| number));
            account.turn = None;
        }
        self.turns.clear();
        self.waiting = 0;
        all
    }

    /// Slots that `flow` can count on, of `slots`: its own share, and what the others do not use of theirs now. Looks at every
    /// municipality that asked lately, few of them.
    pub(super) fn slots_for(&self, flow: Flow, share: u16, slots: f64, paces: &[Pace; WORKS], now: Instant) -> f64 {
        let mut shares = f64::from(share.max(1));
        let mut others = 0.0;
        let active = || self.accounts.iter().filter(|(other, account)| **other != flow && !account.is_idle(now));
        shares += active().map(|(_, account)| f64::from(account.share)).sum::<f64>();
        for (_, account) in active() {
            let waiting = account.ahead_of(Rank::Batch) + account.thinking(paces);
            let own = f64::from(account.share) / shares * slots;
            others += own.min(account.demand(now) + waiting);
        }
        (slots - others).max(f64::from(share.max(1)) / shares * slots)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const PACES: [Pace; WORKS] = [Pace::guess(0.2); WORKS];

    fn flow(code: &str) -> Flow {
        Flow::Of(Some(MunicipalityCode::new(code).unwrap()))
    }

    fn take(shares: &mut Shares, micros: i64) -> Option<(Flow, Place)> {
        let (flow, place) = shares.peek()?;
        shares.remove(flow, place, Some(micros));
        Some((flow, place))
    }

    #[test]
    fn a_share_that_was_not_used_is_lent_and_taken_back_at_the_next_turn() {
        let (mut shares, now) = (Shares::default(), Instant::now());
        let (surging, calm) = (flow("991007"), flow("991015"));
        for n in 0..100 {
            shares.push(surging, (Rank::New, now, n), now);
        }
        for _ in 0..50 {
            assert_eq!(take(&mut shares, 200_000).unwrap().0, surging, "alone it has everything");
        }
        shares.push(calm, (Rank::New, now, 1000), now);
        shares.push(calm, (Rank::New, now, 1001), now);
        let next: Vec<_> = (0..4).map(|_| take(&mut shares, 200_000).unwrap().0).collect();
        assert_eq!(next.iter().filter(|f| **f == calm).count(), 2, "{next:?}");
    }

    #[test]
    fn within_a_municipality_rank_decides_then_arrival_and_the_gateways_own_questions_come_first() {
        let (mut shares, now) = (Shares::default(), Instant::now());
        let later = now + Duration::from_secs(1);
        let city = flow("991007");
        shares.push(city, (Rank::New, now, 1), now);
        shares.push(city, (Rank::Started, later, 2), now);
        shares.push(city, (Rank::Started, now, 3), now);
        shares.push(city, (Rank::Batch, now, 4), now);
        shares.push(Flow::Control, (Rank::Control, later, 5), now);
        let order: Vec<_> = std::iter::from_fn(|| take(&mut shares, 1000)).map(|(_, (_, _, n))| n).collect();
        assert_eq!(order, [5, 3, 2, 1, 4]);
        assert_eq!(shares.waiting(), 0);
    }

    #[test]
    fn who_is_idle_lends_everything_and_who_asks_has_its_own() {
        let (mut shares, now) = (Shares::default(), Instant::now());
        let (a, b) = (flow("991007"), flow("991015"));
        assert_eq!(shares.slots_for(a, 1, 8.0, &PACES, now), 8.0);
        shares.account(b, now).asked(2_000_000, now);
        assert_eq!(shares.slots_for(a, 1, 8.0, &PACES, now), 7.0, "one slot is used by the other");
        shares.account(b, now).asked(200_000_000, now);
        assert_eq!(shares.slots_for(a, 1, 8.0, &PACES, now), 4.0);
        assert_eq!(shares.slots_for(a, 3, 8.0, &PACES, now), 6.0, "three times the weight");
        assert_eq!(shares.slots_for(a, 1, 8.0, &PACES, now + Duration::from_secs(60)), 8.0);
    }

    proptest! {
        /// While both have something to do, the work done for two municipalities is as their weights, to within one request each.
        #[test]
        fn work_is_shared_by_weight(weights in (1u16..10, 1u16..10), costs in proptest::collection::vec(1i64..500_000, 400)) {
            let (mut shares, now) = (Shares::default(), Instant::now());
            let flows = [flow("991007"), flow("991015")];
            for (flow, weight) in flows.iter().zip([weights.0, weights.1]) {
                shares.account(*flow, now).share = weight;
                (0..400).for_each(|n| shares.push(*flow, (Rank::New, now, n), now));
            }
            let mut done = [0.0f64; 2];
            for cost in &costs {
                let (flow, _) = take(&mut shares, *cost).unwrap();
                done[usize::from(flow == flows[1])] += *cost as f64;
            }
            let per_weight = [done[0] / f64::from(weights.0), done[1] / f64::from(weights.1)];
            prop_assert!((per_weight[0] - per_weight[1]).abs() <= 1_000_000.0, "{per_weight:?}");
        }

        /// Whatever comes and goes, everybody is taken out once, and nothing is left.
        #[test]
        fn nobody_is_lost_or_served_twice(steps in proptest::collection::vec((0u8..3, 0u64..40, 0usize..6), 1..200)) {
            let (mut shares, now) = (Shares::default(), Instant::now());
            let flows = [Flow::Control, flow("991007"), flow("991015"), Flow::Of(None)];
            let mut here = BTreeMap::new();
            for (what, number, rank) in steps {
                let flow = flows[(number % 4) as usize];
                let place = here.get(&number).copied().unwrap_or((Rank::ALL[rank], now, number));
                match what {
                    0 if !here.contains_key(&number) => {
                        shares.push(flow, place, now);
                        here.insert(number, place);
                    }
                    1 => {
                        shares.remove(flow, place, None);
                        here.remove(&number);
                    }
                    _ => {
                        if let Some((_, (_, _, served))) = take(&mut shares, 1000) {
                            prop_assert!(here.remove(&served).is_some());
                        }
                    }
                }
                prop_assert_eq!(shares.waiting(), here.len());
            }
            while let Some((_, (_, _, served))) = take(&mut shares, 1000) {
                prop_assert!(here.remove(&served).is_some());
            }
            prop_assert!(here.is_empty());
        }
    }
}
