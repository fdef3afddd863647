//! The checks of a route: a compiled plan, the evidence it reads, and one finding per check.

mod compile;
mod context;
mod currency;
mod envelope;
mod explain;
mod identity;
mod lookup;
mod paper;
mod place;
mod plan;
mod printed;
pub mod quantity;
mod shape;
pub mod spec;
pub mod suggest;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::answer::{AnswerView, Body};
use crate::document::{Document, Unreadable};
use crate::id::{RequestId, ResidentId};
use crate::request::Facts;
use crate::verdict::{CheckName, Finding, Verdict};

pub use context::{AnswerKind, LookupContext, PlanContext};
pub use currency::order as order_of_versions;
pub use explain::lines;
pub use lookup::LOOKUP_REQUIREMENT_NOT_MET;
pub use plan::CheckPlan;
pub use spec::{ChecksSpec, LookupFields};

/// A mistake in a `checks` or `lookups` table, found when a plan is compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {
    /// Path of the key below the table, dotted (`identity.fields.name.line`).
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub suggestion: String,
}

/// A person as an authority's lookup describes them.
#[derive(Clone)]
pub struct Person {
    /// The id the authority answered for.
    pub id: Option<ResidentId>,
    /// The version of this person's own record, where the reply says it.
    pub version: Option<String>,
    /// Attributes by configured field name; personal data, hence no `Debug`.
    pub fields: BTreeMap<String, String>,
}

/// What a lookup answered, parsed.
#[derive(Clone)]
pub struct LookupReply {
    /// The person asked for first, then the others on the same sheet.
    pub people: Vec<Person>,
    /// The version of the record asked for, where the lookup has one.
    pub version: Option<String>,
}

/// Versions that the records are known to have reached: nothing older may be shown. Ids are personal data, hence no `Debug`.
#[derive(Clone, Default)]
pub struct Reached {
    /// By an amend that was acknowledged.
    pub amended: Vec<(ResidentId, String)>,
    /// When this route's lookup was asked before, for an answer that was released.
    pub shown: Vec<(ResidentId, String)>,
    /// By the municipality's record feed, for everybody.
    pub feed: Option<String>,
}

/// Everything a plan may look at. Nothing here outlives the request.
pub struct Evidence<'a> {
    /// What was asked.
    pub facts: &'a Facts,
    /// By whom, for `echo`.
    pub request: RequestId,
    /// The nonce sent with the attempt, for `echo`.
    pub nonce: u128,
    /// The answer as it arrived.
    pub answer: AnswerView<'a>,
    /// When the first byte went to the backend.
    pub sent_at: Timestamp,
    /// When the last byte came back.
    pub received_at: Timestamp,
    /// The authority's word before the call; `None` where the route has no lookup or it failed.
    pub before: Option<&'a LookupReply>,
    /// The authority's word after the call.
    pub after: Option<&'a LookupReply>,
    /// The lowest versions that may still be shown of the people asked for.
    pub reached: &'a Reached,
    /// The name printed for the municipality (`見本市`), where configured.
    pub municipality_name: Option<&'a str>,
    /// Whether our clock is known to be right; otherwise `issued_on` and `issued_at` are Unverifiable.
    pub clock_synchronized: bool,
}

/// What a plan found.
pub struct Findings {
    /// One per check of the plan, in plan order.
    pub findings: Vec<Finding>,
    /// The document, if the answer is one and could be read.
    pub document: Option<Document>,
    /// Digest of what the answer says, without transport metadata: for `unique`. Zeros where the plan does not ask for it and the
    /// answer is no document.
    pub content_digest: [u8; 32],
    /// The issue number as printed, normalized, where the plan reads one: for `issue_number`.
    pub issue_number: Option<String>,
    /// What the answer says of its age, where `as_of` reads it: of an amend, the version that it made.
    pub as_of: Option<String>,
}

impl Findings {
    /// Whether every check matched; no finding at all is not a pass.
    pub fn all_match(&self) -> bool {
        !self.findings.is_empty() && self.findings.iter().all(|f| f.verdict == Verdict::Match)
    }

    /// The finding that suspends at once: the shape is good and the answer names something else, against an expectation
    /// that does not come from the kiosk alone. `unique` and `issue_number` findings are judged by [`Finding::is_confirmed`].
    pub fn confirmed_mismatch(&self) -> Option<&Finding> {
        self.findings.iter().find(|f| shape_is_good(&self.findings) && f.is_confirmed())
    }
}

/// Whether nothing was found wrong with the shape, so that a mismatch is about what the answer says. What it says beside its
/// document may be undeclared, and yet the document names somebody else.
pub fn shape_is_good(findings: &[Finding]) -> bool {
    findings.iter().filter(|finding| finding.check == CheckName::Shape).all(|shape| match &shape.verdict {
        Verdict::Match => true,
        Verdict::Unverifiable { reason } => envelope::UNDECLARED.contains(reason),
        Verdict::Mismatch { .. } => false,
    })
}

/// What the body of an answer turned out to be.
pub enum Content<'b> {
    /// A document that could be read.
    Document(Document),
    /// Data in the route's dialect.
    Data(Body<'b>),
    /// A document inside such data, or why there is none that can be read.
    Enclosed(Body<'b>, Result<Document, &'static str>),
    /// Not looked into.
    Opaque,
    /// Nothing that can be vouched for; the reason is a stable word.
    Unreadable(&'static str),
}

impl From<Result<Document, Unreadable>> for Content<'_> {
    fn from(read: Result<Document, Unreadable>) -> Self {
        match read {
            Ok(document) => Self::Document(document),
            Err(Unreadable(reason)) => Self::Unreadable(reason),
        }
    }
}

/// What the gateway's memory needs for `unique`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UniquePolicy {
    /// How long a content is remembered.
    pub window: Duration,
    /// Refuse also the same residents' content in another session.
    pub strict: bool,
}

impl CheckPlan {
    /// Compiles and cross-checks a `checks` table against the rest of its route; every mistake is reported.
    pub fn compile(spec: &ChecksSpec, context: &PlanContext<'_>) -> Result<Self, Vec<SpecError>> {
        compile::compile(spec, context)
    }
}
