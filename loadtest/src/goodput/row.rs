//! What the contest found out: samples, the rows made from them, and the whole as JSON. Measures nothing.

use serde::{Deserialize, Serialize};

/// One measurement of one contestant.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sample {
    /// Certificates a second of its own backend before, closed loop at the knee.
    pub(super) capacity_before: Option<f64>,
    /// Certificates in their deadline.
    pub(super) papers_per_second: f64,
    /// Sessions begun, in multiples of the capacity.
    pub(super) offered: f64,
    pub(super) started: u64,
    pub(super) started_well: u64,
    pub(super) admitted: u64,
    pub(super) admitted_well: u64,
    pub(super) noes: u64,
    pub(super) no_p50_ms: Option<f64>,
    pub(super) no_p99_ms: Option<f64>,
    pub(super) paper_p99_ms: Option<f64>,
    pub(super) wrong: u64,
    pub(super) errors: f64,
    pub(super) start_error_p999_ms: f64,
    pub(super) dropped: u64,
    /// Cores that the contestant itself used.
    pub(super) cpu: f64,
    /// Share of the machine that was busy with anything.
    pub(super) busy: Option<f64>,
    pub(super) examples: Vec<String>,
}

/// One contestant at one multiple: medians over the runs, unless said otherwise.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Who.
    pub name: String,
    /// Sessions begun per second, in multiples of the capacity.
    pub multiple: f64,
    /// How many measurements.
    pub runs: usize,
    /// Certificates in their deadline over capacity, 1 = the capacity.
    pub goodput: f64,
    /// Of the worst run.
    pub goodput_least: f64,
    /// Of the best run.
    pub goodput_most: f64,
    /// Of the least able of its backends before, over the capacity.
    pub backend_least: Option<f64>,
    /// Of the most able.
    pub backend_most: Option<f64>,
    /// Offered, in multiples of the capacity.
    pub offered: f64,
    /// Steps of started sessions that were answered well in their deadline, of all of all runs.
    pub started_well: Option<f64>,
    /// Steps of started sessions, over all runs.
    pub started: u64,
    /// Answers other than an early no that were good and in their deadline, of all of all runs.
    pub admitted_well: Option<f64>,
    /// Early noes, over all runs.
    pub noes: u64,
    /// From the first byte sent to an early no.
    pub no_p50_ms: Option<f64>,
    /// See `no_p50_ms`.
    pub no_p99_ms: Option<f64>,
    /// Certificates, from when they should have been asked for.
    pub paper_p99_ms: Option<f64>,
    /// Wrong, mixed, stale and duplicate documents, over all runs.
    pub wrong: u64,
    /// Answers that were neither good nor an early no, of all.
    pub errors: f64,
    /// How much later than intended sessions were begun.
    pub start_error_p999_ms: f64,
    /// Starts for which no kiosk was free, over all runs.
    pub dropped: u64,
    /// Cores that the contestant itself used.
    pub cpu: f64,
    /// Share of the machine that was busy with anything.
    pub busy: Option<f64>,
}

/// One setting of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Swept {
    /// Whose.
    pub name: String,
    /// Its settings, as text.
    pub setting: String,
    /// Goodput over capacity.
    pub goodput: f64,
    /// Steps of started sessions answered well.
    pub started_well: Option<f64>,
    /// Time to no.
    pub no_p99_ms: Option<f64>,
    /// Whether it is the one that was measured.
    pub best: bool,
}

/// Everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Contest {
    /// The layout of this; a reader of another one must refuse it.
    pub layout: u32,
    /// When it began.
    pub started: String,
    /// The machine.
    pub machine: String,
    /// This build.
    pub version: String,
    /// What happened to the backend.
    pub scenario: String,
    /// Who ran on which core.
    pub cores: String,
    /// What the backend is like.
    pub backend: String,
    /// The command that does the same again.
    pub command: String,
    /// Certificates a second at the knee: the first backend's, then of every measurement's own backend before it.
    pub capacities: Vec<f64>,
    /// Their median, which everything is held against.
    pub capacity: f64,
    /// The multiple at which settings were swept.
    pub swept_at: f64,
    /// Every setting that was tried.
    pub sweep: Vec<Swept>,
    /// Contestants that are not installed here.
    pub absent: Vec<String>,
    /// By multiple, then contestant.
    pub rows: Vec<Row>,
    /// Somebody interrupted it: what is there is partial.
    pub interrupted: bool,
    /// Evidence of harmful documents.
    pub examples: Vec<String>,
}

/// The middle of the values; of an even number the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// A part of all; of none, none.
pub(super) fn share(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| part as f64 / all as f64)
}

impl Row {
    /// The medians of some measurements, held against `capacity`.
    pub(super) fn of(name: &str, multiple: f64, samples: &[Sample], capacity: f64) -> Self {
        let all = |value: fn(&Sample) -> f64| median(samples.iter().map(value).collect()).unwrap_or(0.0);
        let some = |value: fn(&Sample) -> Option<f64>| median(samples.iter().filter_map(value).collect());
        let sum = |value: fn(&Sample) -> u64| samples.iter().map(value).sum::<u64>();
        let goodputs = || samples.iter().map(|sample| sample.papers_per_second / capacity);
        let befores = || samples.iter().filter_map(|sample| sample.capacity_before).map(|before| before / capacity);
        Self {
            name: name.to_owned(),
            multiple,
            runs: samples.len(),
            goodput: median(goodputs().collect()).unwrap_or(0.0),
            goodput_least: goodputs().fold(f64::INFINITY, f64::min),
            goodput_most: goodputs().fold(0.0, f64::max),
            backend_least: befores().reduce(f64::min),
            backend_most: befores().reduce(f64::max),
            offered: all(|sample| sample.offered),
            started_well: share(sum(|sample| sample.started_well), sum(|sample| sample.started)),
            started: sum(|sample| sample.started),
            admitted_well: share(sum(|sample| sample.admitted_well), sum(|sample| sample.admitted)),
            noes: sum(|sample| sample.noes),
            no_p50_ms: some(|sample| sample.no_p50_ms),
            no_p99_ms: some(|sample| sample.no_p99_ms),
            paper_p99_ms: some(|sample| sample.paper_p99_ms),
            wrong: sum(|sample| sample.wrong),
            errors: all(|sample| sample.errors),
            start_error_p999_ms: all(|sample| sample.start_error_p999_ms),
            dropped: sum(|sample| sample.dropped),
            cpu: all(|sample| sample.cpu),
            busy: some(|sample| sample.busy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_none_is_none_and_of_two_their_mean() {
        assert_eq!([median(vec![]), median(vec![2.0, 1.0]), median(vec![9.0, 1.0, 2.0])], [None, Some(1.5), Some(2.0)]);
    }

    #[test]
    fn a_row_holds_medians_of_rates_and_sums_of_harms() {
        let sample =
            |papers_per_second, wrong, no_p99_ms| Sample { papers_per_second, wrong, no_p99_ms, ..Sample::default() };
        let before = |capacity_before| Sample { capacity_before: Some(capacity_before), ..Sample::default() };
        let row = Row::of("x", 2.0, &[before(99.0), before(104.0), before(100.0)], 100.0);
        assert_eq!((row.backend_least, row.backend_most), (Some(0.99), Some(1.04)));
        let samples = [sample(90.0, 0, None), sample(100.0, 1, Some(4.0)), sample(20.0, 0, Some(2.0))];
        let row = Row::of("x", 2.0, &samples, 100.0);
        assert_eq!((row.goodput, row.goodput_least, row.goodput_most), (0.9, 0.2, 1.0));
        assert_eq!((row.wrong, row.no_p99_ms, row.runs), (1, Some(3.0), 3));
    }
}
