//! From what held, what to write into a configuration, and how sure that is. Pure.

use std::fmt;

use serde::Serialize;

use super::measure::Measured;
use super::search::Search;

/// Of the highest rate that held, so much is called safe: a short try does not see the worst minute of a day.
const SAFE: f64 = 0.9;
/// The time-out is so many times the slowest of a thousand.
const PATIENT: f64 = 2.0;

/// What is proposed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Proposal {
    /// Sessions a second that may be let come.
    pub safe_rate: f64,
    /// The highest rate that held.
    pub held_at: f64,
    /// The lowest rate that broke, if any did.
    pub broke_at: Option<f64>,
    /// Certificates a second at `held_at`.
    pub papers_per_second: f64,
    /// For `[backends.X] max_in_flight`.
    pub max_in_flight: u64,
    /// For a route's `timeout`, in seconds.
    pub timeout_seconds: f64,
    /// How often `held_at` was tried and held.
    pub confirmed: usize,
    /// Rates tried in all.
    pub tries: usize,
    /// Certificates counted at `held_at`.
    pub papers: u64,
}

/// The proposal, if anything held.
pub fn propose(search: &Search, measured: &[Measured]) -> Option<Proposal> {
    let held_at = search.held_at()?;
    let at: Vec<&Measured> = measured.iter().filter(|one| one.rate == held_at).collect();
    let most = |value: fn(&Measured) -> f64| at.iter().map(|one| value(one)).fold(0.0, f64::max);
    // Half a second is as fine as anybody sets a time-out.
    let timeout = (most(|one| one.p999_ms) / 1e3 * PATIENT * 2.0).ceil() / 2.0;
    Some(Proposal {
        safe_rate: held_at * SAFE,
        held_at,
        broke_at: search.broke_at(),
        papers_per_second: most(|one| one.papers_per_second),
        max_in_flight: most(|one| one.inside).ceil().max(1.0) as u64,
        timeout_seconds: timeout.max(1.0),
        confirmed: search.confirmed(),
        tries: search.tries(),
        papers: at.iter().map(|one| one.papers).sum(),
    })
}

impl Proposal {
    /// How far it can be believed, in a word.
    pub fn sureness(&self) -> &'static str {
        match (self.broke_at, self.confirmed, self.papers) {
            (Some(_), 3.., 1000..) => "sure",
            (Some(_), 3.., 200..) => "fairly sure: few certificates were counted (--seconds)",
            (None, 3.., _) => "a lower bound: nothing broke up to the highest rate that was tried (--to)",
            _ => "not sure: what held once broke another time, or too little was counted (--seconds)",
        }
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let broke = self.broke_at.map_or("nothing broke".to_owned(), |broke| format!("{broke:.1}/s broke"));
        writeln!(f, "highest safe rate   {:.1} sessions/s", self.safe_rate)?;
        writeln!(
            f,
            "                    {:.0} % of {:.1}/s, which held {} times ({:.1} certificates/s); {broke}. Held: at least 99 % served, \
             and half of\n                    the certificates no slower than twice what they take with few people.",
            SAFE * 100.0,
            self.held_at,
            self.confirmed,
            self.papers_per_second
        )?;
        writeln!(f, "max_in_flight       {}", self.max_in_flight)?;
        writeln!(
            f,
            "                    certificates being made at {:.1}/s, on average: a start and a ceiling. Asked through a gateway, its own limit hides a higher one.",
            self.held_at
        )?;
        writeln!(f, "timeout             {}s", self.timeout_seconds)?;
        writeln!(f, "                    twice the slowest of a thousand at that rate, in half seconds, at least 1 s")?;
        write!(
            f,
            "how sure            {} ({} rates tried, {} certificates at the one that counts)",
            self.sureness(),
            self.tries,
            self.papers
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(rate: f64, inside: f64, p999_ms: f64) -> Measured {
        Measured {
            rate,
            goodput: 1.0,
            papers_per_second: rate,
            inside,
            p50_ms: 100.0,
            p99_ms: 200.0,
            p999_ms,
            papers: 400,
            start_error_p999_ms: 0.1,
            wrong: 0,
        }
    }

    #[test]
    fn the_proposal_is_made_of_what_held_at_the_highest_rate_and_of_nothing_above_it() {
        let mut search = Search::new(50.0, 1000.0);
        let all = [measured(50.0, 5.0, 150.0), measured(100.0, 10.2, 700.0), measured(104.0, 90.0, 9000.0)];
        search.tell(50.0, true);
        (0..3).for_each(|_| search.tell(100.0, true));
        search.tell(104.0, false);
        let proposal = propose(&search, &[all[0], all[1], all[1], all[1], all[2]]).unwrap();
        assert_eq!((proposal.max_in_flight, proposal.timeout_seconds, proposal.safe_rate), (11, 1.5, 90.0));
        assert_eq!((proposal.sureness(), proposal.papers), ("sure", 1200));
        assert!(proposal.to_string().contains("104.0/s broke"));
    }

    #[test]
    fn what_never_broke_is_a_lower_bound() {
        let mut search = Search::new(50.0, 50.0);
        (0..3).for_each(|_| search.tell(50.0, true));
        let proposal = propose(&search, &[measured(50.0, 5.0, 150.0)]).unwrap();
        assert!(proposal.sureness().starts_with("a lower bound"));
        assert_eq!(propose(&Search::new(1.0, 2.0), &[]), None);
    }
}
