//! When a word clears a latch: one person's, or those of two different persons where the municipality asks for two. Pure.

use jiff::{SignedDuration, Timestamp};
use sekisho_issuance::normalize;

use super::{Clearance, Latch};

/// The most persons that a municipality may ask for.
pub const MOST_APPROVERS: usize = 2;
/// How long the first of two words counts: both must have looked at the evidence within one working day.
pub const FIRST_WORD_HOLDS: SignedDuration = SignedDuration::from_hours(8);

/// What one more word comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Cleared.
    Clears,
    /// The first of two, until then.
    First,
    /// Whoever said the first word says it again; another person must, until then.
    SamePerson(Timestamp),
}

/// What `by` comes to where `approvers` persons are asked for now, whatever was asked for when the first word was given.
pub(super) fn step(latch: &Latch, by: &Clearance, approvers: usize) -> Step {
    if approvers <= 1 {
        return Step::Clears;
    }
    match pending(latch, by.at) {
        None => Step::First,
        Some((first, until)) if same_person(&first.name, &by.name) => Step::SamePerson(until),
        Some(_) => Step::Clears,
    }
}

/// The first word while it counts, and until when. One that was said in the future was said by a clock that is wrong.
pub(super) fn pending(latch: &Latch, now: Timestamp) -> Option<(&Clearance, Timestamp)> {
    let first = latch.first.as_ref().filter(|_| latch.cleared.is_none())?;
    let until = first.at.checked_add(FIRST_WORD_HOLDS).ok()?;
    (first.at <= now && now < until).then_some((first, until))
}

/// Whether two names are one person's: case, spacing, width and punctuation make nobody another.
fn same_person(one: &str, other: &str) -> bool {
    person(one) == person(other)
}

/// What tells a person from another in a name; empty where nothing does.
pub(super) fn person(name: &str) -> String {
    normalize::name(name).chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use sekisho_issuance::id::{MunicipalityCode, RequestId};

    use super::*;
    use crate::latch::{EvidenceId, LatchId, Scope};
    use crate::registry::DocumentKind;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn word(name: &str, moment: &str) -> Clearance {
        Clearance { name: name.to_owned(), reason: "why".to_owned(), evidence: EvidenceId::of(b""), at: at(moment) }
    }

    fn latch(first: Option<Clearance>) -> Latch {
        let scope = Scope::Kind(MunicipalityCode::new("991007").ok(), DocumentKind::Answer);
        Latch {
            id: LatchId::of(RequestId::from_u128(1), &scope),
            scope,
            municipality: None,
            set_at: at("2026-11-22T09:00:00Z"),
            reason: "identity".to_owned(),
            confirmed: true,
            suspends: true,
            request: String::new(),
            evidence: EvidenceId::of(b""),
            first,
            cleared: None,
        }
    }

    #[test]
    fn case_spacing_width_and_punctuation_make_nobody_a_second_person() {
        for (one, other) in [
            ("Yamada Taro", "yamada  taro"),
            ("Yamada Taro", "YAMADATARO"),
            ("山田 太郎", "山田\u{3000}太郎"),
            ("山田太郎", " 山 田 太 郎 "),
            ("T. Yamada", "Ｔ．Ｙａｍａｄａ"),
            ("ﾔﾏﾀﾞ", "ヤマダ"),
            ("高田", "髙田"),
            ("a\u{200b}b", "ab"),
        ] {
            assert!(same_person(one, other), "{one} {other}");
        }
        for (one, other) in [("山田太郎", "山田次郎"), ("Yamada T", "Yamada J"), ("ヤマダ", "ヤマタ"), ("op1", "op2")]
        {
            assert!(!same_person(one, other), "{one} {other}");
        }
        assert_eq!(person(" -_. "), "");
    }

    #[test]
    fn the_rule_in_force_decides_and_the_first_word_expires() {
        let first = || latch(Some(word("A", "2026-11-22T10:00:00Z")));
        let step_of = |latch: &Latch, name, moment, approvers| step(latch, &word(name, moment), approvers);
        assert_eq!(step_of(&latch(None), "A", "2026-11-22T10:00:00Z", 1), Step::Clears);
        assert_eq!(step_of(&latch(None), "A", "2026-11-22T10:00:00Z", 2), Step::First);
        assert_eq!(step_of(&first(), "B", "2026-11-22T17:59:59Z", 2), Step::Clears);
        assert_eq!(step_of(&first(), "a", "2026-11-22T17:59:59Z", 2), Step::SamePerson(at("2026-11-22T18:00:00Z")));
        assert_eq!(step_of(&first(), "B", "2026-11-22T18:00:00Z", 2), Step::First, "expired");
        assert_eq!(step_of(&first(), "B", "2026-11-22T09:59:59Z", 2), Step::First, "said in the future");
        assert_eq!(step_of(&first(), "A", "2026-11-22T11:00:00Z", 1), Step::Clears, "one is asked for now");
    }
}
