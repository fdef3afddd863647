//! The figures of a soak, and whether they are good enough.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::auditor::Tally;

/// What a soak showed.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Figures {
    /// Requests for a certificate.
    pub requests: u64,
    /// Certificates handed out.
    pub released: u64,
    /// Of those: of another person.
    pub wrong_person: u64,
    /// Of those: mixed.
    pub mixed_page: u64,
    /// Of those: stale.
    pub stale: u64,
    /// Of those: delivered before.
    pub duplicate: u64,
    /// Right, current, intact documents that a check kept in.
    pub false_withholds: u64,
    /// What the kiosks were told for those, by reason.
    pub false_withhold_reasons: BTreeMap<String, u64>,
    /// Correct documents that the backend produced, by its own log.
    pub correct_produced: u64,
    /// Of those: released.
    pub correct_released: u64,
    /// Requests that ended in each other way, by the gateway's word and reason.
    pub ended: BTreeMap<String, u64>,
    /// Requests refused because a latch was set.
    pub latch_refusals: u64,
    /// Latches that the operator cleared.
    pub latches_cleared: u64,
    /// Changes that the resident system made behind the gateway.
    pub amends_behind: u64,
    /// How often each fault's window opened, and how often it did harm.
    pub faults: BTreeMap<String, (u64, u64)>,
    /// The first few requests that something was wrong with, for `explain` and the log. Of simulated people.
    pub examples: Vec<String>,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// CPU seconds of the gateway.
    pub gateway_cpu_seconds: f64,
}

impl Figures {
    /// Takes the judge's counts over.
    pub fn judged(&mut self, papers: Tally) {
        self.released = papers.judged();
        self.wrong_person = papers.wrong_person;
        self.mixed_page = papers.mixed_page;
        self.stale = papers.stale;
        self.duplicate = papers.duplicate;
    }

    /// Released per correct document produced.
    pub fn released_share(&self) -> f64 {
        self.correct_released as f64 / (self.correct_produced.max(1) as f64)
    }

    /// What is not as it must be.
    pub fn complaints(&self) -> Vec<String> {
        let zero = [
            ("wrong person", self.wrong_person),
            ("mixed page", self.mixed_page),
            ("stale", self.stale),
            ("duplicate", self.duplicate),
            ("right, but withheld by a check", self.false_withholds),
        ];
        let counted = zero.iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("{n} documents: {what}"));
        let share = self.released_share();
        let low = (share < 0.8).then(|| format!("only {:.1} % of the correct documents were released", share * 100.0));
        let full: u64 = self.ended.iter().filter(|(how, _)| how.ends_with("/memory")).map(|(_, n)| n).sum();
        let full =
            (full > 0).then(|| format!("{full} requests met a full memory: a gateway must bear this many for hours"));
        let silent = self.faults.iter().filter(|(_, (windows, harms))| windows + harms == 0);
        let silent =
            silent.map(|(fault, _)| format!("the fault {fault} never fired, so the run says nothing about it"));
        counted.chain(low).chain(full).chain(silent).collect()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<26} {:>10} {:>10}", "fault", "windows", "harms")?;
        for (fault, (windows, harms)) in &self.faults {
            writeln!(f, "{fault:<26} {windows:>10} {harms:>10}")?;
        }
        writeln!(f)?;
        let rate = self.requests as f64 / self.seconds.max(f64::MIN_POSITIVE);
        writeln!(f, "requests                   {:>10}   in {:.0} s ({rate:.0}/s)", self.requests, self.seconds)?;
        for (name, count) in [
            ("released", self.released),
            ("wrong person", self.wrong_person),
            ("mixed page", self.mixed_page),
            ("stale", self.stale),
            ("duplicate", self.duplicate),
            ("false withholds", self.false_withholds),
            ("latch refusals", self.latch_refusals),
            ("latches cleared", self.latches_cleared),
            ("changes behind the gateway", self.amends_behind),
        ] {
            writeln!(f, "{name:<26} {count:>10}")?;
        }
        for (how, count) in &self.ended {
            writeln!(f, "  {how:<42} {count:>10}")?;
        }
        for (reason, count) in &self.false_withhold_reasons {
            writeln!(f, "  falsely withheld: {reason:<24} {count:>10}")?;
        }
        writeln!(
            f,
            "correct documents produced {:>10}, released {} ({:.2} %)",
            self.correct_produced,
            self.correct_released,
            self.released_share() * 100.0
        )?;
        for example in &self.examples {
            writeln!(f, "example: {example}")?;
        }
        let per_request = self.gateway_cpu_seconds * 1e6 / self.requests.max(1) as f64;
        write!(f, "gateway CPU                {:>10.1} s ({per_request:.0} us per request)", self.gateway_cpu_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_fault_and_a_low_share_are_complaints() {
        let fine = Figures { correct_produced: 100, correct_released: 80, ..Figures::default() };
        assert!(fine.complaints().is_empty());
        assert_eq!(Figures { correct_released: 79, ..fine.clone() }.complaints().len(), 1);
        assert_eq!(Figures { false_withholds: 1, ..fine.clone() }.complaints().len(), 1);
        let full = BTreeMap::from([("Shed shed/memory".to_owned(), 1)]);
        assert_eq!(Figures { ended: full, ..fine.clone() }.complaints().len(), 1);
        let silent = BTreeMap::from([("slow".to_owned(), (0, 0))]);
        assert_eq!(Figures { faults: silent, ..fine }.complaints().len(), 1);
    }
}
