//! Which job ids were given to issuances lately: a backend that gives one to two of them mixes two people. Digests only.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Days on which jobs were accepted that are remembered over a restart, whatever the calendar says.
const KEPT_DAYS: usize = 3;
/// Before today, by the calendar.
const DAYS_BEFORE_TODAY: i64 = 2;
/// By a clock that nobody sets.
const KEPT_AT_LEAST: Duration = Duration::from_secs(48 * 3600);
/// More are not remembered, and so not served.
const MAX_JOBS: usize = 1 << 20;
const SECONDS_A_DAY: i64 = 86_400;

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// No other issuance was given this id.
    First,
    /// Another was.
    Reused,
    /// It cannot be remembered.
    Full,
}

/// Job digests by the day on which they were accepted.
#[derive(Default)]
pub(crate) struct Jobs {
    days: BTreeMap<i64, Day>,
    count: usize,
}

struct Day {
    /// The attempt that each was given to, and when, in seconds.
    jobs: HashMap<u128, (u64, i64)>,
    last: Instant,
}

impl Jobs {
    /// Takes `digest` for the attempt `fence`.
    pub(crate) fn claim(&mut self, digest: u128, fence: u64, at_s: i64, now: Instant) -> Claimed {
        let oldest = at_s.div_euclid(SECONDS_A_DAY).saturating_sub(DAYS_BEFORE_TODAY);
        let past = |day: &Day| now.saturating_duration_since(day.last) >= KEPT_AT_LEAST;
        while let Some(first) = self.days.first_entry().filter(|day| *day.key() < oldest && past(day.get())) {
            self.count -= first.remove().jobs.len();
        }
        if self.days.values().any(|day| day.jobs.contains_key(&digest)) {
            return Claimed::Reused;
        }
        if self.count >= MAX_JOBS {
            return Claimed::Full;
        }
        self.hold(digest, fence, at_s, now);
        Claimed::First
    }

    /// Remembers what a journal says.
    pub(crate) fn restore(&mut self, digest: u128, fence: u64, at_s: i64, now: Instant) {
        self.hold(digest, fence, at_s, now);
    }

    /// After a restart, where no clock runs through: the last days on which anything was accepted stay, and what is recent by the calendar.
    pub(crate) fn forget_restored(&mut self, now_s: i64) {
        let oldest = now_s.div_euclid(SECONDS_A_DAY).saturating_sub(DAYS_BEFORE_TODAY);
        while self.days.len() > KEPT_DAYS
            && let Some(first) = self.days.first_entry().filter(|day| *day.key() < oldest)
        {
            self.count -= first.remove().jobs.len();
        }
    }

    /// Digest, attempt and second of each.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u128, u64, i64)> {
        self.days.values().flat_map(|day| day.jobs.iter().map(|(digest, (fence, at_s))| (*digest, *fence, *at_s)))
    }

    fn hold(&mut self, digest: u128, fence: u64, at_s: i64, now: Instant) {
        let fresh = || Day { jobs: HashMap::new(), last: now };
        let day = self.days.entry(at_s.div_euclid(SECONDS_A_DAY)).or_insert_with(fresh);
        day.last = day.last.max(now);
        self.count += usize::from(day.jobs.insert(digest, (fence, at_s)).is_none());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = SECONDS_A_DAY;

    #[test]
    fn an_id_is_told_for_two_days_by_both_clocks_and_then_forgotten() {
        let (mut jobs, start) = (Jobs::default(), Instant::now());
        let hours = |n: u64| start + Duration::from_secs(n * 3600);
        assert_eq!(jobs.claim(7, 1, 0, start), Claimed::First);
        assert_eq!(jobs.claim(7, 2, DAY * 2, hours(47)), Claimed::Reused);
        assert_eq!(jobs.claim(7, 2, DAY * 9, hours(47)), Claimed::Reused, "the calendar jumped");
        assert_eq!(jobs.claim(7, 2, 0, hours(900)), Claimed::Reused, "the calendar stands");
        assert_eq!(jobs.claim(7, 2, DAY * 9, hours(900)), Claimed::First);
        assert_eq!(jobs.all().collect::<Vec<_>>(), [(7, 2, DAY * 9)]);
    }

    #[test]
    fn a_start_after_a_jump_still_knows_the_last_days() {
        let (mut jobs, now) = (Jobs::default(), Instant::now());
        for day in 0..6 {
            jobs.restore(day as u128, 1, day * DAY, now);
        }
        jobs.forget_restored(300 * DAY);
        let known: Vec<_> = (0..6).map(|id| jobs.claim(id, 2, 300 * DAY, now)).collect();
        assert_eq!(known.iter().filter(|c| **c == Claimed::Reused).count(), 3);
        assert_eq!(known[3..], [Claimed::Reused; 3]);
    }

    #[test]
    fn when_full_nothing_new_passes_and_the_known_is_still_told() {
        let (mut jobs, now) = (Jobs::default(), Instant::now());
        assert_eq!(jobs.claim(1, 1, 0, now), Claimed::First);
        jobs.count = MAX_JOBS;
        assert_eq!(jobs.claim(2, 2, 0, now), Claimed::Full);
        assert_eq!(jobs.claim(1, 2, 0, now), Claimed::Reused);
    }
}
