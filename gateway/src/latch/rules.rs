//! When a failure suspends: pure, and the only place that says so.

use std::collections::{BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use sekisho_issuance::checks::shape_is_good;
use sekisho_issuance::id::{KioskId, MunicipalityCode, RequestId};
use sekisho_issuance::verdict::{CheckName, Finding, Verdict};

use super::EvidenceId;
use crate::registry::DocumentKind;
use crate::route::Mode;

/// Within this time unexplained failures are seen together.
pub const SUSPICION_WINDOW: SignedDuration = SignedDuration::from_mins(10);

/// Different residents whose answers must fail, and kiosks they must stand at.
const RESIDENTS: usize = 3;
const KIOSKS: usize = 2;

/// Failures kept per municipality and kind; when full the oldest goes, which can only delay what is about to latch anyway.
const MAX_SUSPICIONS: usize = 64;

/// One answer that was withheld.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Of which request.
    pub request: RequestId,
    /// What was kept of it.
    pub evidence: EvidenceId,
    /// Whose.
    pub municipality: Option<MunicipalityCode>,
    /// What.
    pub kind: DocumentKind,
    /// Enforce or observe.
    pub mode: Mode,
    /// Pseudonym of the people it was for.
    pub people: u64,
    /// Where it was asked for.
    pub kiosk: Option<KioskId>,
    /// When.
    pub at: Timestamp,
}

/// What follows from the findings of one withheld answer alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// Suspend the municipality x kind at once: the answer names something else.
    Confirmed(CheckName),
    /// Suspend the kiosk: only its own word is contradicted.
    Kiosk(CheckName),
    /// Remember it; several together suspend.
    Suspect(CheckName),
    /// It says nothing about the document: an authority was silent, or our clock is not sure.
    None,
}

/// Judges findings. An unreadable or badly shaped answer confirms nothing.
pub fn consequence(findings: &[Finding]) -> Consequence {
    let failed = || findings.iter().filter(|f| f.verdict != Verdict::Match);
    let shape_is_good = shape_is_good(findings);
    if let Some(finding) = findings.iter().find(|f| shape_is_good && f.is_confirmed()) {
        return Consequence::Confirmed(finding.check);
    }
    let names_another = |f: &&Finding| f.check.names_its_subject() && matches!(f.verdict, Verdict::Mismatch { .. });
    if let Some(finding) = failed().find(|f| shape_is_good && names_another(f) && !f.independent) {
        return Consequence::Kiosk(finding.check);
    }
    match failed().find(|f| !is_about_us(f)) {
        Some(finding) => Consequence::Suspect(finding.check),
        None => Consequence::None,
    }
}

/// Reasons that say nothing about the answer: we could not ask, the authority lags behind a change,
/// the record changed while its document was made, we do not know the time, or have no room to remember.
const ABOUT_US: [&str; 6] = [
    "lookup_unanswered",
    "probe_unanswered",
    "lookup_behind_amend",
    "changed_meanwhile",
    "clock_unsynchronized",
    "memory_full",
];

/// Withheld all the same, but no sign of a wrong document.
fn is_about_us(finding: &Finding) -> bool {
    matches!(finding.verdict, Verdict::Unverifiable { reason } if ABOUT_US.contains(&reason))
}

/// The unexplained failures of one municipality x kind.
#[derive(Debug, Default)]
pub(super) struct Suspicions(VecDeque<Suspicion>);

#[derive(Debug)]
struct Suspicion {
    people: u64,
    kiosk: Option<KioskId>,
    at: Timestamp,
}

impl Suspicions {
    /// Adds one; whether together they suspend. Then they are forgotten, since the latch remembers.
    pub(super) fn add(&mut self, failure: &Failure) -> bool {
        let oldest = failure.at.saturating_sub(SUSPICION_WINDOW).unwrap_or(Timestamp::MIN);
        self.0.retain(|f| f.at >= oldest);
        if self.0.len() >= MAX_SUSPICIONS {
            self.0.pop_front();
        }
        self.0.push_back(Suspicion { people: failure.people, kiosk: failure.kiosk.clone(), at: failure.at });
        let people: BTreeSet<_> = self.0.iter().map(|f| f.people).collect();
        let kiosks: BTreeSet<_> = self.0.iter().filter_map(|f| f.kiosk.as_ref()).collect();
        let together = people.len() >= RESIDENTS && kiosks.len() >= KIOSKS;
        if together {
            self.0.clear();
        }
        together
    }
}

#[cfg(test)]
mod tests {
    use sekisho_issuance::verdict::FieldEvidence;

    use super::*;

    fn finding(check: CheckName, independent: bool, verdict: Verdict) -> Finding {
        Finding { check, verdict, independent }
    }

    fn mismatch() -> Verdict {
        let field = FieldEvidence {
            field: "name".to_owned(),
            page: Some(1),
            expected_chars: 4,
            found_chars: 4,
            differs_in: "kanji".to_owned(),
        };
        Verdict::Mismatch { field }
    }

    fn unverifiable(reason: &'static str) -> Verdict {
        Verdict::Unverifiable { reason }
    }

    /// The paper of another person stands in an envelope that says more than is declared.
    #[test]
    fn another_persons_paper_is_confirmed_whatever_stands_around_it() {
        let found = |shape| {
            consequence(&[finding(CheckName::Shape, true, shape), finding(CheckName::Identity, true, mismatch())])
        };
        assert_eq!(found(unverifiable("envelope_says_more")), Consequence::Confirmed(CheckName::Identity));
        assert_eq!(found(unverifiable("document_not_base64")), Consequence::Suspect(CheckName::Shape));
        assert_eq!(found(mismatch()), Consequence::Suspect(CheckName::Shape));
    }

    #[test]
    fn another_person_on_a_good_paper_is_confirmed() {
        let findings =
            [finding(CheckName::Shape, true, Verdict::Match), finding(CheckName::Identity, true, mismatch())];
        assert_eq!(consequence(&findings), Consequence::Confirmed(CheckName::Identity));
    }

    #[test]
    fn a_bad_shape_confirms_nothing() {
        let findings = [finding(CheckName::Shape, true, mismatch()), finding(CheckName::Identity, true, mismatch())];
        assert_eq!(consequence(&findings), Consequence::Suspect(CheckName::Shape));
    }

    #[test]
    fn a_kiosks_own_word_suspends_only_the_kiosk() {
        let findings = [finding(CheckName::Identity, false, mismatch())];
        assert_eq!(consequence(&findings), Consequence::Kiosk(CheckName::Identity));
        let both = [finding(CheckName::Identity, false, mismatch()), finding(CheckName::Kind, true, mismatch())];
        assert_eq!(consequence(&both), Consequence::Confirmed(CheckName::Kind));
    }

    #[test]
    fn an_old_version_or_an_unreadable_name_is_only_suspect() {
        assert_eq!(
            consequence(&[finding(CheckName::Version, true, mismatch())]),
            Consequence::Suspect(CheckName::Version)
        );
        let gaiji = [finding(CheckName::Identity, true, unverifiable("gaiji_unmapped"))];
        assert_eq!(consequence(&gaiji), Consequence::Suspect(CheckName::Identity));
    }

    #[test]
    fn a_silent_authority_or_an_unsure_clock_never_latches() {
        for reason in ABOUT_US {
            assert_eq!(consequence(&[finding(CheckName::Identity, true, unverifiable(reason))]), Consequence::None);
        }
    }

    #[test]
    fn three_residents_at_two_kiosks_within_ten_minutes() {
        let kiosk = |name: &str| Some(KioskId::new(name).unwrap());
        let start: Timestamp = "2026-11-22T12:00:00+09:00".parse().unwrap();
        let minute = |m: i64| start + SignedDuration::from_mins(m);
        let failure = |people, place: &str, m| Failure {
            request: RequestId::from_u128(1),
            evidence: EvidenceId::of(b""),
            municipality: None,
            kind: DocumentKind::Answer,
            mode: Mode::Enforce,
            people,
            kiosk: kiosk(place),
            at: minute(m),
        };
        let mut together = Suspicions::default();
        assert!(!together.add(&failure(1, "K-1", 0)));
        assert!(!together.add(&failure(1, "K-2", 1)), "the same resident twice");
        assert!(!together.add(&failure(2, "K-2", 2)));
        assert!(together.add(&failure(3, "K-2", 3)));
        assert!(!together.add(&failure(4, "K-2", 4)), "begins anew");
        let mut one_kiosk = Suspicions::default();
        assert!(!(0..10).any(|i| one_kiosk.add(&failure(i, "K-1", 0))), "one kiosk alone may be broken itself");
        let mut slow = Suspicions::default();
        assert!(!slow.add(&failure(1, "K-1", 0)));
        assert!(!slow.add(&failure(2, "K-2", 5)));
        assert!(!slow.add(&failure(3, "K-1", 11)), "the first is past the window");
    }
}
