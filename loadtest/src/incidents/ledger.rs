//! What every kiosk asked and got, kept until the end of a run and then judged as a whole.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::auditor::{Asked, Auditor, Claim, Paper, Tally};
use crate::kiosk::{Exchange, Said};
use crate::legacy::Form;

/// How one request for a certificate ended, as the person at the kiosk saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ended {
    /// Paper in hand.
    Released,
    /// A lawful no of the backend.
    Refused,
    /// The gateway kept the answer in.
    Withheld,
    /// A latch or a switch stands.
    Suspended,
    /// Turned away early.
    Shed,
    /// An error, or no answer in the person's patience.
    Failed,
    /// The person walked away on purpose.
    Abandoned,
}

impl Ended {
    /// Reads the answer to a request for a certificate.
    pub fn of(said: &Said) -> Self {
        match said {
            Said::Paper(_) => Self::Released,
            Said::Refused(_) => Self::Refused,
            Said::Problem(problem) => match problem.word.as_str() {
                // Verified or not, nothing leaves under a latch that was set meanwhile.
                "withheld" if problem.reason == "suspended" => Self::Suspended,
                "withheld" => Self::Withheld,
                "suspended" | "switched_off" => Self::Suspended,
                "shed" | "closed" | "draining" | "expired" => Self::Shed,
                _ => Self::Failed,
            },
            Said::Data(_) | Said::Other(_) | Said::Nothing(_) => Self::Failed,
        }
    }
}

/// One request for a certificate.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its number in this run.
    pub number: u64,
    /// The session it was made in; none if none could be opened.
    pub session: Option<String>,
    /// What the other side calls it.
    pub request_id: Option<String>,
    /// Index of the municipality.
    pub city: usize,
    /// What was asked for.
    pub form: Form,
    /// Everyone the paper must speak of.
    pub residents: BTreeSet<String>,
    /// When the visit began.
    pub since: Instant,
    /// When it was asked for.
    pub sent: Instant,
    /// Until when.
    pub done: Instant,
    /// How it ended.
    pub ended: Ended,
    /// Why, where the gateway told.
    pub reason: String,
    /// What was handed out.
    pub paper: Option<Paper>,
}

impl Entry {
    /// What the judge is told was asked.
    pub fn asked(&self, last_probe: Instant) -> Asked {
        Asked {
            number: self.number,
            replay_key: format!("{} {}", self.session.as_deref().unwrap_or_default(), self.form.path()),
            residents: self.residents.clone(),
            kind: self.form.path().to_owned(),
            last_probe,
        }
    }

    /// Whether its visit was in progress at some moment of the span.
    pub fn overlaps(&self, from: Instant, to: Instant) -> bool {
        self.since <= to && self.done >= from
    }
}

/// An answer in data that somebody got, to be judged.
#[derive(Debug, Clone)]
pub struct Told {
    /// Who alone may be spoken of.
    pub resident: String,
    /// When it was asked.
    pub sent: Instant,
    /// What was said.
    pub claim: Claim,
}

#[derive(Default)]
struct Pages {
    entries: Vec<Entry>,
    told: Vec<Told>,
    known: Vec<(String, u64, Instant)>,
    misapplied: u64,
}

/// The book of one run.
#[derive(Default)]
pub struct Ledger {
    pages: Mutex<Pages>,
}

impl Ledger {
    fn pages(&self) -> std::sync::MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes one request down.
    pub fn write(&self, entry: Entry) {
        self.pages().entries.push(entry);
    }

    /// Writes an answer in data down.
    pub fn told(&self, told: Told) {
        self.pages().told.push(told);
    }

    /// A version was acknowledged, or shown by the system of record.
    pub fn known(&self, resident: &str, version: u64, at: Instant) {
        self.pages().known.push((resident.to_owned(), version, at));
    }

    /// A change was made to somebody else's record.
    pub fn misapplied(&self) {
        self.pages().misapplied += 1;
    }

    /// Requests so far that nobody has got paper for in these cities and forms.
    pub fn len(&self) -> usize {
        self.pages().entries.len()
    }

    /// Whether nothing was asked yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Closes the book.
    pub fn close(&self) -> Closed {
        let pages = std::mem::take(&mut *self.pages());
        Closed { entries: pages.entries, told: pages.told, known: pages.known, misapplied: pages.misapplied }
    }
}

/// A book that nobody writes in any more.
pub struct Closed {
    /// Every request.
    pub entries: Vec<Entry>,
    /// Every answer in data.
    pub told: Vec<Told>,
    /// Versions that were acknowledged or shown, and when.
    pub known: Vec<(String, u64, Instant)>,
    /// Changes made to somebody else's record.
    pub misapplied: u64,
}

/// What latches hold: municipality and form; no form, where sessions and answers in data are held.
pub(super) type Suspended = HashSet<(usize, Option<Form>)>;

/// What the judge says about a whole run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Judged {
    /// The documents.
    pub papers: Tally,
    /// Answers in data that were wrong or stale.
    pub wrong_data: u64,
}

impl Closed {
    /// Judges everything. `shown` is what the system of record showed; `last_probe` tells when the last look at the system of record for a request began.
    pub fn judge(&self, shown: Vec<(String, u64, Instant)>, last_probe: impl Fn(&Entry) -> Instant) -> Judged {
        let mut auditor = Auditor::default();
        for (resident, version, at) in self.known.iter().chain(&shown) {
            auditor.known.note(resident, *version, *at);
        }
        let mut judged = Judged::default();
        for entry in &self.entries {
            if let Some(paper) = &entry.paper {
                judged.papers.count(auditor.judge_paper(&entry.asked(last_probe(entry)), paper));
            }
        }
        let wrong = |told: &&Told| auditor.judge_claim(&told.resident, told.sent, &told.claim).is_err();
        judged.wrong_data = self.told.iter().filter(wrong).count() as u64;
        judged
    }

    /// Requests by how they ended.
    pub fn ended(&self, how: Ended) -> u64 {
        self.entries.iter().filter(|entry| entry.ended == how).count() as u64
    }

    /// The requests that the fault did not touch: not named by the backend's fault log (by session or request id), and
    /// not of a municipality and kind that was suspended.
    pub(super) fn unaffected(&self, named: &HashSet<String>, suspended: &Suspended) -> Vec<&Entry> {
        let is_named =
            |entry: &Entry| [&entry.session, &entry.request_id].into_iter().flatten().any(|id| named.contains(id));
        let held = |entry: &Entry| {
            // Without a session, what was suspended is the opening of one.
            let wanted = entry.session.as_ref().map(|_| entry.form);
            let stands = |what| suspended.contains(&(entry.city, what));
            entry.ended == Ended::Suspended && (stands(Some(entry.form)) || stands(wanted))
        };
        let chosen = self.entries.iter().filter(|e| e.ended != Ended::Abandoned && !is_named(e) && !held(e));
        chosen.collect()
    }
}

/// The exchange's reason, where the gateway gave one.
pub(super) fn reason(exchange: &Exchange) -> String {
    match &exchange.said {
        Said::Problem(problem) => format!("{}/{}", problem.word, problem.reason),
        Said::Nothing(trouble) => trouble.to_string(),
        Said::Other(status) => format!("status {status}"),
        Said::Refused(code) => code.clone(),
        Said::Paper(_) | Said::Data(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn entry(number: u64, city: usize, ended: Ended) -> Entry {
        let now = Instant::now();
        Entry {
            number,
            session: Some(format!("s{number}")),
            request_id: None,
            city,
            form: Form::Tax,
            residents: BTreeSet::from([format!("r{number}")]),
            since: now,
            sent: now,
            done: now + Duration::from_millis(10),
            ended,
            reason: String::new(),
            paper: None,
        }
    }

    #[test]
    fn a_suspension_excuses_only_what_it_suspended() {
        let ledger = Ledger::default();
        for (number, city, ended) in
            [(1, 0, Ended::Suspended), (2, 1, Ended::Suspended), (3, 0, Ended::Failed), (4, 1, Ended::Released)]
        {
            ledger.write(entry(number, city, ended));
        }
        let closed = ledger.close();
        let unaffected = closed.unaffected(&HashSet::from(["s4".to_owned()]), &HashSet::from([(0, Some(Form::Tax))]));
        let numbers: Vec<u64> = unaffected.iter().map(|entry| entry.number).collect();
        assert_eq!(numbers, [2, 3], "a request that failed or was suspended elsewhere still counts");
    }
}
