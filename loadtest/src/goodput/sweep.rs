//! Which settings of a peer are best: one knob after the other, each value measured, the best kept. Prints nothing.

use super::row::{Sample, Swept, share};
use super::settings::Setting;

/// A setting with what was measured of it.
#[derive(Debug, Clone)]
pub(super) struct Tried {
    pub(super) setting: Setting,
    pub(super) sample: Sample,
}

/// As far apart two goodputs (of the capacity) must be to tell them apart in one short measurement.
const TELLS_APART: f64 = 0.015;

impl Tried {
    /// Whether it serves people better: goodput first; what is equal there by started sessions, then by the time to no.
    fn beats(&self, other: &Self, capacity: f64) -> bool {
        let difference = (self.sample.papers_per_second - other.sample.papers_per_second) / capacity;
        if difference.abs() > TELLS_APART {
            return difference > 0.0;
        }
        let well = |sample: &Sample| share(sample.started_well, sample.started).unwrap_or(0.0);
        let difference = well(&self.sample) - well(&other.sample);
        if difference.abs() > 0.005 {
            return difference > 0.0;
        }
        let no = |sample: &Sample| sample.no_p99_ms.unwrap_or(f64::INFINITY);
        no(&self.sample) < no(&other.sample)
    }
}

/// The best of some, the earlier one where none is better.
pub(super) fn best(tried: &[Tried], capacity: f64) -> Option<&Tried> {
    tried.iter().reduce(|best, one| if one.beats(best, capacity) { one } else { best })
}

/// As the table shows it.
pub(super) fn swept(name: &str, tried: &[Tried], capacity: f64) -> Vec<Swept> {
    let chosen = best(tried, capacity).map(|tried| &tried.setting);
    let line = |tried: &Tried| Swept {
        name: name.to_owned(),
        setting: tried.setting.to_string(),
        goodput: tried.sample.papers_per_second / capacity,
        started_well: share(tried.sample.started_well, tried.sample.started),
        no_p99_ms: tried.sample.no_p99_ms,
        best: chosen == Some(&tried.setting),
    };
    tried.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::contestant::Against;
    use super::*;

    fn tried(papers_per_second: f64, started_well: u64, no_p99_ms: f64) -> Tried {
        let sample =
            Sample { papers_per_second, started: 1000, started_well, no_p99_ms: Some(no_p99_ms), ..Sample::default() };
        Tried { setting: Setting::first(Against::Haproxy), sample }
    }

    #[test]
    fn goodput_decides_then_started_sessions_then_the_time_to_no() {
        let ahead = |a: Tried, b: Tried| a.beats(&b, 100.0);
        assert!(ahead(tried(95.0, 500, 900.0), tried(90.0, 1000, 1.0)));
        assert!(ahead(tried(94.0, 1000, 900.0), tried(95.0, 900, 1.0)));
        assert!(ahead(tried(94.0, 1000, 1.0), tried(95.0, 1000, 900.0)));
        assert!(!ahead(tried(94.0, 1000, 1.0), tried(95.0, 1000, 1.0)));
    }
}
