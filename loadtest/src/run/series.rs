//! What happened in each second of a run, for the lines on the terminal and the charts of the report.

use std::time::Duration;

use serde::Serialize;

use super::times::Times;
use crate::plan::Outcome;

/// One second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, serde::Deserialize)]
pub struct Second {
    /// Which, from the beginning of the run.
    pub at: u64,
    /// Sessions that were to begin.
    pub offered: u64,
    /// Sessions that ended well: paper, or the backend's lawful no.
    pub good: u64,
    /// Sessions that ended without what they came for.
    pub lost: u64,
    /// Answers of any sort.
    pub answers: u64,
    /// Certificates in hand.
    pub papers: u64,
    /// Early noes.
    pub shed: u64,
    /// Answers kept in.
    pub withheld: u64,
    /// Errors, and no answer at all.
    pub failed: u64,
    /// Sessions under way at its end.
    pub in_flight: u64,
    /// Latency of answers other than early noes, in milliseconds.
    pub p50_ms: f64,
    /// See `p50_ms`.
    pub p99_ms: f64,
    /// See `p50_ms`.
    pub max_ms: f64,
}

/// All seconds so far.
#[derive(Debug, Default)]
pub(super) struct Series {
    seconds: Vec<Second>,
    /// The sums of all seconds, whenever their events were heard of.
    totals: Second,
    /// Latencies of the seconds that are not over.
    open: Vec<(usize, Times)>,
    /// Latencies of those that are, where somebody wants them.
    kept: Option<Vec<(usize, Times)>>,
}

/// Every second of a run.
#[derive(Debug, Clone, Default)]
pub(super) struct Seconds {
    pub(super) all: Vec<Second>,
    /// Their latencies, where they were kept.
    pub(super) latencies: Vec<(usize, Times)>,
}

impl Seconds {
    /// Adds what another process counted in the same seconds.
    pub(super) fn add(&mut self, more: &[Second], latencies: &[(usize, Times)]) {
        for (n, second) in more.iter().enumerate() {
            if self.all.len() <= n {
                self.all.push(Second { at: n as u64, ..Second::default() });
            }
            if let Some(sum) = self.all.get_mut(n) {
                sum.offered += second.offered;
                sum.good += second.good;
                sum.lost += second.lost;
                sum.answers += second.answers;
                sum.papers += second.papers;
                sum.shed += second.shed;
                sum.withheld += second.withheld;
                sum.failed += second.failed;
                sum.in_flight += second.in_flight;
            }
        }
        for (n, times) in latencies {
            match self.latencies.iter_mut().find(|(of, _)| of == n) {
                Some((_, sum)) => sum.merge(times),
                None => self.latencies.push((*n, times.clone())),
            }
        }
        for (n, times) in &self.latencies {
            if let Some(second) = self.all.get_mut(*n) {
                second.show(times);
            }
        }
    }
}

impl Second {
    fn show(&mut self, latencies: &Times) {
        let summary = latencies.summary();
        (self.p50_ms, self.p99_ms, self.max_ms) = (summary.p50, summary.p99, summary.max);
    }
}

/// An event cannot come later than that after its second; longer runs than a week there are none.
const MOST_SECONDS: usize = 8 * 24 * 3600;

impl Series {
    /// Keeps every latency, so that those of several processes can be added up.
    pub(super) fn keeping() -> Self {
        Self { kept: Some(Vec::new()), ..Self::default() }
    }

    fn second(&mut self, at: Duration) -> Option<&mut Second> {
        let n = usize::try_from(at.as_secs()).unwrap_or(usize::MAX).min(MOST_SECONDS);
        while self.seconds.len() <= n {
            let at = self.seconds.len() as u64;
            self.seconds.push(Second { at, ..Second::default() });
        }
        self.seconds.get_mut(n)
    }

    /// Counts in the second and in the sum.
    fn count(&mut self, at: Duration, field: impl Fn(&mut Second) -> &mut u64) {
        *field(&mut self.totals) += 1;
        if let Some(second) = self.second(at) {
            *field(second) += 1;
        }
    }

    /// The sums so far.
    pub(super) fn totals(&self) -> &Second {
        &self.totals
    }

    pub(super) fn offered(&mut self, at: Duration) {
        self.count(at, |second| &mut second.offered);
    }

    pub(super) fn ended(&mut self, at: Duration, good: bool) {
        self.count(at, |second| if good { &mut second.good } else { &mut second.lost });
    }

    pub(super) fn answered(&mut self, at: Duration, outcome: Outcome, latency: Duration) {
        self.count(at, |second| &mut second.answers);
        match outcome {
            Outcome::Released => self.count(at, |second| &mut second.papers),
            Outcome::Shed => self.count(at, |second| &mut second.shed),
            Outcome::Withheld => self.count(at, |second| &mut second.withheld),
            Outcome::Answered | Outcome::Refused => {}
            _ => self.count(at, |second| &mut second.failed),
        }
        if outcome == Outcome::Shed {
            return;
        }
        let n = usize::try_from(at.as_secs()).unwrap_or(usize::MAX).min(MOST_SECONDS);
        match self.open.iter_mut().find(|(of, _)| *of == n) {
            Some((_, times)) => times.record(latency),
            None => {
                let mut times = Times::default();
                times.record(latency);
                self.open.push((n, times));
            }
        }
    }

    /// The second before `now` is over: its percentiles are known.
    pub(super) fn close(&mut self, now: Duration, in_flight: u64) -> Option<&Second> {
        self.totals.in_flight = in_flight;
        let last = usize::try_from(now.as_secs()).unwrap_or(usize::MAX).checked_sub(1)?;
        self.second(Duration::from_secs(last as u64))?.in_flight = in_flight;
        self.settle(last);
        self.seconds.get(last)
    }

    fn settle(&mut self, until: usize) {
        let open = std::mem::take(&mut self.open);
        let (over, open): (Vec<_>, Vec<_>) = open.into_iter().partition(|(n, _)| *n <= until);
        self.open = open;
        for (n, times) in over {
            if let Some(second) = self.seconds.get_mut(n) {
                second.show(&times);
            }
            if let Some(kept) = &mut self.kept {
                kept.push((n, times));
            }
        }
    }

    /// Every second.
    pub(super) fn finish(mut self) -> Seconds {
        self.settle(usize::MAX);
        Seconds { all: self.seconds, latencies: self.kept.unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_what_happened_in_it() {
        let ms = Duration::from_millis;
        let mut series = Series::default();
        series.offered(ms(100));
        series.offered(ms(1100));
        series.answered(ms(900), Outcome::Released, ms(40));
        series.answered(ms(950), Outcome::Shed, ms(4000));
        series.answered(ms(2500), Outcome::GaveUp, ms(70));
        series.ended(ms(990), true);
        let first = series.close(ms(1001), 3).unwrap().clone();
        assert_eq!((first.offered, first.papers, first.shed, first.good, first.in_flight), (1, 1, 1, 1, 3));
        assert!((39.0..41.0).contains(&first.p99_ms), "a no is no latency: {}", first.p99_ms);
        let all = series.finish().all;
        assert_eq!(all.len(), 3);
        assert_eq!((all[2].failed, all[1].offered), (1, 1));
        assert!(all[2].p50_ms > 69.0);
    }

    #[test]
    fn percentiles_of_two_processes_are_those_of_all_their_answers() {
        let ms = Duration::from_millis;
        let counted = |from: u64, to: u64| {
            let mut series = Series::keeping();
            (from..to).for_each(|n| series.answered(ms(500), Outcome::Released, ms(n)));
            series.finish()
        };
        let (one, both) = (counted(1, 1000), [counted(1, 900), counted(900, 1000)]);
        let mut sum = Seconds::default();
        both.iter().for_each(|seconds| sum.add(&seconds.all, &seconds.latencies));
        assert_eq!(sum.all, one.all);
    }
}
