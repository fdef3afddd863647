//! A compiled plan and its run: each check once, in order, on one reading of the answer.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use regex::Regex;
use subtle::ConstantTimeEq;

use super::context::AnswerKind;
use super::currency;
use super::envelope::Envelope;
use super::identity::Identity;
use super::paper::{Sheet, prepare};
use super::place::Place;
use super::printed::{self, KindRule, Wanted, values};
use super::shape::{Shape, blank};
use super::spec::{Echoed, Printed, Watermark};
use super::{Content, Evidence, Findings, UniquePolicy};
use crate::answer::{Body, Dialect, Extract};
use crate::document::{Document, Limits};
use crate::request::Operation;
use crate::verdict::{CheckName, Finding, Verdict};

/// The checks of one route, compiled once.
pub struct CheckPlan {
    pub(super) operation: Operation,
    pub(super) answer: AnswerKind,
    pub(super) dialect: Dialect,
    /// Where the document is inside the answer.
    pub(super) envelope: Option<Envelope>,
    pub(super) limits: Limits,
    /// Every label of every `after`, squeezed.
    pub(super) labels: Vec<String>,
    pub(super) shape: Option<Shape>,
    pub(super) echo: Option<Echo>,
    pub(super) identity: Option<Identity>,
    pub(super) kind: Option<KindRule>,
    pub(super) municipality: Option<Place>,
    pub(super) selection: Vec<SelectionItem>,
    pub(super) has_selection: bool,
    pub(super) pages: Option<Regex>,
    pub(super) issue_number: Option<Place>,
    pub(super) as_of: Option<AsOf>,
    pub(super) version: Option<String>,
    pub(super) issued_on: Option<Place>,
    pub(super) issued_at: Option<(Place, SignedDuration)>,
    pub(super) issued_at_off: bool,
    pub(super) unique: Option<UniquePolicy>,
    pub(super) lookup: Option<String>,
    pub(super) currency_unproven: bool,
    pub(super) resident_is_proven: bool,
    pub(super) municipality_is_proven: bool,
    pub(super) warnings: Vec<String>,
}

/// The compiled `echo`.
pub(super) struct Echo {
    pub(super) place: Extract,
    pub(super) equals: Echoed,
}

/// The compiled `as_of`.
pub(super) struct AsOf {
    pub(super) place: Place,
    pub(super) watermark: Watermark,
}

/// One compiled item of `selection`.
pub(super) struct SelectionItem {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) is: BTreeMap<String, Printed>,
    pub(super) unasked: Printed,
}

/// What the gateway's memory needs of an answer.
#[derive(Default)]
struct Noted {
    issue_number: Option<String>,
    as_of: Option<String>,
}

/// The answer in the forms that the checks read.
pub(super) enum Read<'c> {
    Paper(Vec<Sheet<'c>>),
    Data(&'c Body<'c>),
    Opaque,
    Unreadable(&'static str),
}

impl CheckPlan {
    /// The checks that are on, in the order in which they run. `issue_number` and `unique` are finished by the gateway,
    /// which remembers what left before.
    pub fn names(&self) -> Vec<CheckName> {
        CheckName::ALL.into_iter().filter(|check| self.is_on(*check)).collect()
    }

    fn is_on(&self, check: CheckName) -> bool {
        match check {
            CheckName::Shape => self.shape.is_some(),
            CheckName::Echo => self.echo.is_some(),
            CheckName::Identity => self.identity.is_some(),
            CheckName::Kind => self.kind.is_some(),
            CheckName::Municipality => self.municipality.is_some(),
            CheckName::Selection => !self.selection.is_empty(),
            CheckName::Pages => self.pages.is_some(),
            CheckName::IssueNumber => self.issue_number.is_some(),
            CheckName::AsOf => self.as_of.is_some(),
            CheckName::Version => self.version.is_some(),
            CheckName::IssuedOn => self.issued_on.is_some(),
            CheckName::IssuedAt => self.issued_at.is_some(),
            CheckName::Unique => self.unique.is_some(),
            // Said by the gate, which knows the route's further steps.
            CheckName::Job => false,
        }
    }

    /// Each check that is off, with the root causes (R1-R13 of the incident table) that it leaves open. A check that has
    /// no meaning for this answer is not listed, nor is `as_of` where a complete comparison proves currency.
    pub fn open_causes(&self) -> Vec<(CheckName, &'static [&'static str])> {
        let speaks = self.operation.speaks_of_resident();
        let paper = self.answer == AnswerKind::Document && speaks;
        let open = |check: &CheckName| -> Option<&'static [&'static str]> {
            Some(match check {
                CheckName::Shape => &["R1", "R12"],
                CheckName::Echo => &["R4", "R12", "R13"],
                CheckName::Identity if speaks => &["R1", "R2", "R3", "R4", "R5", "R6", "R10", "R11", "R12", "R13"],
                CheckName::Kind if paper => &["R1", "R4", "R12"],
                CheckName::Municipality if paper => &["R5", "R6"],
                CheckName::Selection if paper && self.has_selection => &["R4", "R13"],
                CheckName::Pages if paper => &["R6"],
                CheckName::IssueNumber if paper => &["R1", "R2", "R4"],
                CheckName::AsOf if self.currency_unproven => &["R7"],
                CheckName::Version if speaks && self.operation != Operation::Amend => &["R3"],
                CheckName::IssuedOn if paper => &["R1", "R4"],
                CheckName::IssuedAt if paper && self.issued_at_off => &["R1", "R4"],
                CheckName::Unique if paper => &["R1", "R2", "R4", "R13"],
                _ => return None,
            })
        };
        let off = CheckName::ALL.into_iter().filter(|check| !self.is_on(*check));
        off.filter_map(|check| open(&check).map(|causes| (check, causes))).collect()
    }

    /// What `check` should say beside errors, in plain words.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The lookup whose replies the evidence must hold as `before` (and `after`, see [`CheckPlan::needs_after`]).
    pub fn lookup(&self) -> Option<&str> {
        self.lookup.as_deref()
    }

    /// Whether the lookup must be asked again after the call.
    pub fn needs_after(&self) -> bool {
        self.version.is_some()
    }

    /// Whether an echo proves that an answer belongs to its request, so that a connection may be reused.
    pub fn echoed(&self) -> bool {
        self.echo.as_ref().is_some_and(|echo| echo.equals != Echoed::Session)
    }

    /// Whether what comes back is the kiosk's own session.
    pub fn echoes_session(&self) -> bool {
        self.echo.as_ref().is_some_and(|echo| echo.equals == Echoed::Session)
    }

    /// Whether an issue number is read, which the gateway must never see twice.
    pub fn reads_issue_number(&self) -> bool {
        self.issue_number.is_some()
    }

    /// Whether dates or times on paper are read, which need a clock that is right.
    pub fn reads_dates(&self) -> bool {
        self.issued_on.is_some() || self.issued_at.is_some()
    }

    /// What `unique` asks of the gateway's memory; `None` where it is off.
    pub fn unique(&self) -> Option<UniquePolicy> {
        self.unique
    }

    /// `currency = "unproven"` was written: listed per tenant.
    pub fn currency_unproven(&self) -> bool {
        self.currency_unproven
    }

    /// Reads the body as the plan expects it; `content_type` is what its sender says of it. Never panics on any bytes; bounded by the
    /// document limits.
    pub fn read<'b>(&self, body: &'b [u8], content_type: Option<&str>) -> Content<'b> {
        match (self.answer, &self.envelope) {
            (AnswerKind::Document, None) => crate::document::read(body, &self.limits).into(),
            (AnswerKind::Document, Some(envelope)) => match self.dialect.read(body, content_type) {
                Ok(around) => {
                    let document = envelope.open(&around, &self.limits);
                    Content::Enclosed(around, document)
                }
                Err(reason) => Content::Unreadable(reason),
            },
            (AnswerKind::Data, _) if body.is_empty() => Content::Opaque,
            (AnswerKind::Data, _) => {
                self.dialect.read(body, content_type).map_or_else(Content::Unreadable, Content::Data)
            }
            (AnswerKind::Opaque, _) if self.echo.is_some() => {
                self.dialect.read(body, content_type).map_or(Content::Opaque, Content::Data)
            }
            (AnswerKind::Opaque, _) => Content::Opaque,
        }
    }

    /// Runs every check. Never panics on any bytes; time and memory are bounded by the document limits. An answer of the
    /// wrong form is not read at all.
    pub fn run(&self, evidence: &Evidence<'_>) -> Findings {
        let shape = self.form_of(evidence);
        let content = match &shape {
            None | Some(Verdict::Match) => self.read(evidence.answer.body, evidence.answer.header("content-type")),
            Some(_) => Content::Unreadable("shape"),
        };
        self.judge_formed(evidence, shape, content)
    }

    /// Runs every check on an answer that was read already.
    pub fn judge(&self, evidence: &Evidence<'_>, content: Content<'_>) -> Findings {
        self.judge_formed(evidence, self.form_of(evidence), content)
    }

    /// Whether the answer has the form of a good one; `None` where that is not checked.
    fn form_of(&self, evidence: &Evidence<'_>) -> Option<Verdict> {
        self.shape.as_ref().map(|shape| shape.judge(&evidence.answer))
    }

    fn judge_formed(&self, evidence: &Evidence<'_>, shape: Option<Verdict>, content: Content<'_>) -> Findings {
        let mut findings = Vec::with_capacity(12);
        let mut noted = Noted::default();
        {
            let (read, around) = self.prepare(&content);
            self.check_all(evidence, shape, &read, around, &mut findings, &mut noted);
        }
        let content_digest = match &content {
            Content::Document(document) | Content::Enclosed(_, Ok(document)) => document.content_digest,
            _ if self.unique().is_some() => *blake3::hash(evidence.answer.body).as_bytes(),
            _ => [0; 32],
        };
        let document = match content {
            Content::Document(document) | Content::Enclosed(_, Ok(document)) => Some(document),
            _ => None,
        };
        let Noted { issue_number, as_of } = noted;
        Findings { findings, document, content_digest, issue_number, as_of }
    }

    /// What was read, and the data that it is or that stands around it.
    pub(super) fn prepare<'c>(&self, content: &'c Content<'c>) -> (Read<'c>, Option<&'c Body<'c>>) {
        let paper = |document: &'c Document| match document.pages.is_empty() {
            true => Read::Unreadable("no_page"),
            false => Read::Paper(prepare(document, &self.labels)),
        };
        match content {
            Content::Document(document) => (paper(document), None),
            Content::Enclosed(around, Ok(document)) => (paper(document), Some(around)),
            Content::Enclosed(around, Err(reason)) => (Read::Unreadable(reason), Some(around)),
            Content::Data(body) => (Read::Data(body), Some(body)),
            Content::Opaque => (Read::Opaque, None),
            Content::Unreadable(reason) => (Read::Unreadable(reason), None),
        }
    }

    fn check_all(
        &self,
        evidence: &Evidence<'_>,
        shape: Option<Verdict>,
        read: &Read<'_>,
        body: Option<&Body>,
        findings: &mut Vec<Finding>,
        noted: &mut Noted,
    ) {
        let mut say = |check, verdict, independent| findings.push(Finding { check, verdict, independent });
        let sheets = match read {
            Read::Paper(sheets) => &sheets[..],
            _ => &[],
        };
        // A paper that cannot be read says nothing, rather than saying that something is missing.
        let on_paper = |verdict: &dyn Fn() -> Verdict| match read {
            Read::Unreadable(reason) => Verdict::Unverifiable { reason },
            _ => verdict(),
        };
        let found = |place: &Place| values(sheets, place, evidence, body);

        if let Some(shape) = shape {
            let data = self.answer == AnswerKind::Data || self.envelope.is_some();
            let verdict = match (shape, read) {
                (Verdict::Match, Read::Unreadable(reason)) if data => Verdict::Unverifiable { reason },
                (Verdict::Match, _) => match (&self.envelope, body) {
                    (Some(envelope), Some(around)) => envelope.judge(around, evidence.facts),
                    _ => Verdict::Match,
                },
                (verdict, _) => verdict,
            };
            say(CheckName::Shape, verdict, true);
        }
        if let Some(echo) = &self.echo {
            say(CheckName::Echo, echo.judge(evidence, body), echo.equals != Echoed::Session);
        }
        if let Some(identity) = &self.identity {
            let judge = |evidence: &Evidence<'_>| match read {
                Read::Paper(sheets) => identity.judge_paper(evidence, sheets, body),
                Read::Data(body) => identity.judge_data(evidence, Some(body)),
                Read::Opaque => identity.judge_data(evidence, None),
                Read::Unreadable(reason) => Verdict::Unverifiable { reason },
            };
            let mut verdict = judge(evidence);
            // The record itself changed while this was made, and what came is its newer state: withheld, but nobody else's.
            if matches!(verdict, Verdict::Mismatch { .. })
                && self.changed_meanwhile(evidence)
                && judge(&Evidence { before: evidence.after, ..*evidence }) == Verdict::Match
            {
                verdict = Verdict::Unverifiable { reason: "changed_meanwhile" };
            }
            say(CheckName::Identity, verdict, self.resident_is_proven);
        }
        if let Some(kind) = &self.kind {
            say(CheckName::Kind, on_paper(&|| kind.judge(sheets)), true);
        }
        if let Some(place) = &self.municipality {
            let verdict = on_paper(&|| printed::municipality(evidence.municipality_name, &found(place)));
            say(CheckName::Municipality, verdict, self.municipality_is_proven);
        }
        if !self.selection.is_empty() {
            say(CheckName::Selection, on_paper(&|| self.selected(evidence, &found)), false);
        }
        if let Some(mark) = &self.pages {
            say(CheckName::Pages, on_paper(&|| printed::pages(sheets, mark)), true);
        }
        if let Some(place) = &self.issue_number {
            // Only what is wrong is said here: whether the number is new, the gateway's memory says.
            let number = match read {
                Read::Unreadable(reason) => Err(Verdict::Unverifiable { reason }),
                _ => printed::issue_number(&found(place)),
            };
            match number {
                Ok(number) => noted.issue_number = Some(number),
                Err(verdict) => say(CheckName::IssueNumber, verdict, false),
            }
        }
        if let Some(as_of) = &self.as_of {
            let printed = found(&as_of.place);
            let verdict = currency::as_of(evidence, as_of.watermark, &printed, self.version.is_some());
            say(CheckName::AsOf, on_paper(&|| verdict.clone()), true);
            noted.as_of = printed.into_iter().next().map(|(_, text)| text);
        }
        if self.version.is_some() {
            let verdict = match self.operation {
                Operation::Amend => currency::version_made(evidence, noted.as_of.as_deref()),
                _ => currency::version(evidence),
            };
            say(CheckName::Version, verdict, true);
        }
        if let Some(place) = &self.issued_on {
            say(CheckName::IssuedOn, on_paper(&|| printed::issued_on(evidence, &found(place))), true);
        }
        if let Some((place, skew)) = &self.issued_at {
            say(CheckName::IssuedAt, on_paper(&|| printed::issued_at(evidence, *skew, &found(place))), true);
        }
    }

    /// Whether the authority's version moved between its two replies.
    fn changed_meanwhile(&self, evidence: &Evidence<'_>) -> bool {
        self.version.is_some()
            && self.operation != Operation::Amend
            && matches!(
                currency::version(evidence),
                Verdict::Mismatch { .. } | Verdict::Unverifiable { reason: "people_changed_meanwhile" }
            )
    }

    fn selected(&self, evidence: &Evidence<'_>, found: &dyn Fn(&Place) -> Vec<printed::Value>) -> Verdict {
        let mut worst = Verdict::Match;
        for item in &self.selection {
            let wanted = match evidence.facts.selection.get(&item.name) {
                None => Some(&item.unasked),
                Some(asked) => item.is.get(asked),
            };
            let verdict = match wanted {
                None => Verdict::Unverifiable { reason: "selection_value_undeclared" },
                Some(wanted) => printed::selected(&item.name, &wanted.into(), &found(&item.place)),
            };
            match verdict {
                Verdict::Mismatch { .. } => return verdict,
                Verdict::Unverifiable { .. } => worst = verdict,
                Verdict::Match => {}
            }
        }
        worst
    }
}

impl<'p> From<&'p Printed> for Wanted<'p> {
    fn from(printed: &'p Printed) -> Self {
        match printed {
            Printed::Text(text) => Self::Text(text),
            Printed::Some(true) => Self::Something,
            Printed::Some(false) => Self::Nothing,
        }
    }
}

impl Echo {
    fn judge(&self, evidence: &Evidence<'_>, body: Option<&Body>) -> Verdict {
        let nonce;
        let request;
        let expected = match self.equals {
            Echoed::RequestId => {
                request = evidence.request.to_string();
                &request
            }
            Echoed::Nonce => {
                nonce = format!("{:032x}", evidence.nonce);
                &nonce
            }
            Echoed::Session => match &evidence.facts.session {
                Some(session) => session.expose(),
                None => return Verdict::Unverifiable { reason: "no_session_to_echo" },
            },
        };
        let Some(found) = self.place.find(&evidence.answer, body) else {
            return Verdict::Unverifiable { reason: "echo_missing" };
        };
        if bool::from(found.as_bytes().ct_eq(expected.as_bytes())) {
            return Verdict::Match;
        }
        let field = crate::verdict::FieldEvidence {
            expected_chars: expected.chars().count(),
            found_chars: found.chars().count(),
            ..blank("echo")
        };
        Verdict::Mismatch { field }
    }
}
