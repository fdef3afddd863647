//! One paper, one ruling.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use super::known::Known;

/// What a kiosk's person is entitled to, taken from the card in the slot and not from anything a backend said.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The request's number in this run.
    pub number: u64,
    /// What makes a repeated request the same one: handing out the same paper again under it is a replay.
    pub replay_key: String,
    /// Everyone the paper must speak of, and nobody else.
    pub residents: BTreeSet<String>,
    /// The kind of certificate.
    pub kind: String,
    /// When the last look at the system of record for this attempt began; without one, when the request was sent.
    pub last_probe: Instant,
}

/// One sheet, as the world that wrote it knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// Whose data stands on it, each with the version of the record that it was taken from.
    pub people: BTreeMap<String, u64>,
    /// It is in the place that it was laid out for, and no person's block mixes records or versions.
    pub whole: bool,
}

/// A paper as the world that wrote it knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The kind of certificate.
    pub kind: String,
    /// The number printed on it.
    pub issue_number: String,
    /// Its sheets in order.
    pub sheets: Vec<Sheet>,
    /// How many sheets its page marks promise.
    pub promised_sheets: usize,
}

/// What was delivered: a digest of its content, and its history if the world knows one.
#[derive(Debug, Clone)]
pub struct Paper {
    /// Digest of the bytes.
    pub content: [u8; 32],
    /// `None`: no complete paper that the world ever wrote.
    pub shown: Option<Shown>,
}

/// How a delivered answer can do harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Harm {
    /// It speaks of somebody else only, or is another kind of certificate than asked for.
    WrongPerson,
    /// Some of it is somebody else's, or from another job, or missing, or cut.
    MixedPage,
    /// Older than a version that was known before the attempt's last probe began.
    Stale,
    /// One issue number, or one content for two sets of residents, twice outside a replay.
    Duplicate,
}

impl Harm {
    /// Every harm, the gravest first.
    pub const ALL: [Self; 4] = [Self::WrongPerson, Self::MixedPage, Self::Stale, Self::Duplicate];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::WrongPerson => "wrong_person",
            Self::MixedPage => "mixed_page",
            Self::Stale => "stale",
            Self::Duplicate => "duplicate",
        }
    }
}

/// The judgement on one delivered answer: the gravest harm, if any.
pub type Ruling = Result<(), Harm>;

/// Judgements counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Right, whole, current and the first of its kind.
    pub right: u64,
    /// See [`Harm::WrongPerson`].
    pub wrong_person: u64,
    /// See [`Harm::MixedPage`].
    pub mixed_page: u64,
    /// See [`Harm::Stale`].
    pub stale: u64,
    /// See [`Harm::Duplicate`].
    pub duplicate: u64,
}

impl Tally {
    /// Counts one ruling.
    pub fn count(&mut self, ruling: Ruling) {
        match ruling {
            Ok(()) => self.right += 1,
            Err(Harm::WrongPerson) => self.wrong_person += 1,
            Err(Harm::MixedPage) => self.mixed_page += 1,
            Err(Harm::Stale) => self.stale += 1,
            Err(Harm::Duplicate) => self.duplicate += 1,
        }
    }

    /// Everything judged.
    pub fn judged(&self) -> u64 {
        self.right + self.harmful() + self.duplicate
    }

    /// Another person's, mixed or stale.
    pub fn harmful(&self) -> u64 {
        self.wrong_person + self.mixed_page + self.stale
    }
}

/// An answer in data rather than on paper: whose record it is, and how old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Whose record.
    pub resident: String,
    /// Its version.
    pub version: u64,
}

/// The judge's memory over one run.
#[derive(Debug, Default)]
pub struct Auditor {
    /// What was public knowledge, and since when.
    pub known: Known,
    // Digests, since a long run remembers millions of them.
    issue_numbers: HashMap<u128, (u64, u128)>,
    contents: HashMap<u128, u128>,
}

impl Auditor {
    /// Judges a paper that was handed out, and remembers it.
    pub fn judge_paper(&mut self, asked: &Asked, paper: &Paper) -> Ruling {
        let Some(shown) = &paper.shown else { return Err(Harm::MixedPage) };
        let duplicate = self.delivered_before(asked, paper, shown);
        persons(asked, shown)?;
        self.currency(asked, shown)?;
        if duplicate { Err(Harm::Duplicate) } else { Ok(()) }
    }

    /// Would this paper have been right? Asks without remembering: for what was produced and kept in.
    pub fn would_be_right(&self, asked: &Asked, shown: &Shown) -> bool {
        persons(asked, shown).is_ok() && self.currency(asked, shown).is_ok()
    }

    /// Judges an answer in data about `resident`, asked for by somebody who may see only that record.
    pub fn judge_claim(&self, resident: &str, last_probe: Instant, claim: &Claim) -> Ruling {
        if claim.resident != resident {
            return Err(Harm::WrongPerson);
        }
        if claim.version < self.known.floor(resident, last_probe) { Err(Harm::Stale) } else { Ok(()) }
    }

    fn currency(&self, asked: &Asked, shown: &Shown) -> Ruling {
        let old = |(resident, version): (&String, &u64)| *version < self.known.floor(resident, asked.last_probe);
        if shown.sheets.iter().flat_map(|sheet| &sheet.people).any(old) { Err(Harm::Stale) } else { Ok(()) }
    }

    fn delivered_before(&mut self, asked: &Asked, paper: &Paper, shown: &Shown) -> bool {
        let replay = digest([asked.replay_key.as_str()]);
        let holder = *self.issue_numbers.entry(digest([shown.issue_number.as_str()])).or_insert((asked.number, replay));
        let same_number = holder.0 != asked.number && holder.1 != replay;
        let residents = digest(asked.residents.iter().map(String::as_str));
        let content = u128::from_be_bytes(std::array::from_fn(|n| paper.content.get(n).copied().unwrap_or(0)));
        let owners = *self.contents.entry(content).or_insert(residents);
        same_number || owners != residents
    }
}

/// 128 bits of a list of texts.
fn digest<'a>(texts: impl IntoIterator<Item = &'a str>) -> u128 {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        hasher.update(&(text.len() as u64).to_be_bytes()).update(text.as_bytes());
    }
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    u128::from_be_bytes(bytes)
}

fn persons(asked: &Asked, shown: &Shown) -> Ruling {
    let named: BTreeSet<&String> = shown.sheets.iter().flat_map(|sheet| sheet.people.keys()).collect();
    let expected: BTreeSet<&String> = asked.residents.iter().collect();
    if shown.kind != asked.kind || named.is_disjoint(&expected) {
        return Err(Harm::WrongPerson);
    }
    let whole = shown.sheets.len() == shown.promised_sheets && shown.sheets.iter().all(|sheet| sheet.whole);
    if named == expected && whole { Ok(()) } else { Err(Harm::MixedPage) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn asked(number: u64, residents: &[&str], last_probe: Instant) -> Asked {
        Asked {
            number,
            replay_key: format!("session-{number}"),
            residents: residents.iter().map(|r| (*r).to_owned()).collect(),
            kind: "tax".into(),
            last_probe,
        }
    }

    fn sheet(people: &[(&str, u64)]) -> Sheet {
        Sheet { people: people.iter().map(|(r, v)| ((*r).to_owned(), *v)).collect(), whole: true }
    }

    fn paper(number: &str, sheets: Vec<Sheet>) -> Paper {
        let promised_sheets = sheets.len();
        let shown = Shown { kind: "tax".into(), issue_number: number.into(), sheets, promised_sheets };
        Paper { content: *blake3::hash(number.as_bytes()).as_bytes(), shown: Some(shown) }
    }

    fn with(mut paper: Paper, change: impl FnOnce(&mut Shown)) -> Paper {
        change(paper.shown.as_mut().unwrap());
        paper
    }

    #[test]
    fn each_harm_is_told_from_the_others() {
        let now = Instant::now();
        let judge = |who: &[&str], paper: Paper| Auditor::default().judge_paper(&asked(1, who, now), &paper);
        let own = || paper("1", vec![sheet(&[("a", 1), ("b", 1)]), sheet(&[("a", 1)])]);
        assert_eq!(judge(&["a", "b"], own()), Ok(()));
        assert_eq!(judge(&["c"], own()), Err(Harm::WrongPerson));
        assert_eq!(judge(&["a"], own()), Err(Harm::MixedPage), "somebody too many");
        assert_eq!(judge(&["a", "b", "c"], own()), Err(Harm::MixedPage), "somebody missing");
        assert_eq!(
            judge(&["a", "b"], with(own(), |s| s.sheets[1].whole = false)),
            Err(Harm::MixedPage),
            "a torn sheet"
        );
        assert_eq!(judge(&["a", "b"], with(own(), |s| s.promised_sheets = 3)), Err(Harm::MixedPage), "a sheet missing");
        assert_eq!(judge(&["a", "b"], with(own(), |s| s.kind = "seal".into())), Err(Harm::WrongPerson));
        assert_eq!(judge(&["a", "b"], Paper { shown: None, ..own() }), Err(Harm::MixedPage), "no paper of this world");
    }

    #[test]
    fn stale_means_older_than_what_was_known_before_the_last_probe() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let judge = |probe| {
            let mut auditor = Auditor::default();
            auditor.known.note("a", 2, after(10));
            auditor.judge_paper(&asked(1, &["a"], probe), &paper("1", vec![sheet(&[("a", 1)])]))
        };
        assert_eq!(judge(after(10)), Ok(()));
        assert_eq!(judge(after(11)), Err(Harm::Stale));
    }

    #[test]
    fn one_number_for_two_sessions_is_a_duplicate_and_a_replay_is_not() {
        let now = Instant::now();
        let one = paper("1", vec![sheet(&[("a", 1)])]);
        let mut auditor = Auditor::default();
        assert_eq!(auditor.judge_paper(&asked(1, &["a"], now), &one), Ok(()));
        let replay = Asked { number: 2, ..asked(1, &["a"], now) };
        assert_eq!(auditor.judge_paper(&replay, &one), Ok(()));
        assert_eq!(auditor.judge_paper(&asked(3, &["a"], now), &one), Err(Harm::Duplicate));
    }

    #[test]
    fn one_content_for_two_residents_is_a_duplicate_even_under_two_numbers() {
        let now = Instant::now();
        let mut auditor = Auditor::default();
        let first = paper("1", vec![sheet(&[("a", 1)])]);
        assert_eq!(auditor.judge_paper(&asked(1, &["a"], now), &first), Ok(()));
        let second = Paper { content: first.content, ..paper("2", vec![sheet(&[("b", 1)])]) };
        assert_eq!(auditor.judge_paper(&asked(2, &["b"], now), &second), Err(Harm::Duplicate));
    }

    #[test]
    fn a_claim_about_another_or_an_older_record_is_caught() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut auditor = Auditor::default();
        auditor.known.note("a", 2, start);
        let judge =
            |resident: &str, version| auditor.judge_claim("a", after(1), &Claim { resident: resident.into(), version });
        assert_eq!((judge("a", 2), judge("a", 1), judge("b", 2)), (Ok(()), Err(Harm::Stale), Err(Harm::WrongPerson)));
    }
}
