//! What a plan is compiled against: the rest of the route, as far as checks depend on it.

use std::collections::{BTreeMap, BTreeSet};

use super::spec::{DocumentSpec, LookupFields};
use crate::answer::Dialect;
use crate::certificate::Kind;
use crate::document::Limits;
use crate::request::Operation;

/// What an answer's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKind {
    /// A PDF document.
    Document,
    /// Data in the route's dialect.
    Data,
    /// Something that is not looked into (`open`, `close`, `pass`), possibly nothing.
    Opaque,
}

/// A lookup, as seen from the checks of one route.
#[derive(Debug, Clone, Copy)]
pub struct LookupContext<'a> {
    /// How its reply is read.
    pub fields: &'a LookupFields,
    /// Another backend and another channel pool than the route's own: only then can a comparison be called independent.
    pub independent: bool,
}

/// The rest of the route. Start from [`PlanContext::new`], so that a new field here breaks nobody.
#[derive(Debug, Clone)]
pub struct PlanContext<'a> {
    /// What the route does.
    pub operation: Operation,
    /// Which certificate it issues.
    pub kind: Option<Kind>,
    /// What its answer is.
    pub answer: AnswerKind,
    /// What it is written in, where it is no document by itself.
    pub dialect: Dialect,
    /// Where the document is inside the answer; `None` where the answer is the document.
    pub document: Option<&'a DocumentSpec>,
    /// Every configured lookup, by name.
    pub lookups: BTreeMap<&'a str, LookupContext<'a>>,
    /// Names of the route's selection facts (`copies`, `scope`).
    pub selection: BTreeSet<&'a str>,
    /// The resident comes from an authority (a lookup by card, a signed assertion, a trusted source), not from the kiosk.
    pub resident_is_proven: bool,
    /// The municipality does not come from the kiosk alone.
    pub municipality_is_proven: bool,
    /// Municipalities have a configured name, so that `municipality` can be on by default.
    pub municipality_names: bool,
    /// Backend connections are never reused, so that `echo` may be off.
    pub fresh_connections: bool,
    /// Contents of the gaiji tables that [`ChecksSpec::gaiji_files`](super::ChecksSpec::gaiji_files) names.
    pub gaiji: BTreeMap<&'a str, &'a str>,
    /// Bounds of reading a document.
    pub limits: Limits,
}

impl PlanContext<'_> {
    /// The context of an `operation` with nothing else known: the strictest of each choice.
    pub fn new(operation: Operation) -> Self {
        Self {
            operation,
            kind: None,
            answer: match operation {
                Operation::Issue => AnswerKind::Document,
                Operation::Inquire | Operation::Amend => AnswerKind::Data,
                Operation::Open | Operation::Close | Operation::Pass => AnswerKind::Opaque,
            },
            dialect: Dialect::default(),
            document: None,
            lookups: BTreeMap::new(),
            selection: BTreeSet::new(),
            resident_is_proven: false,
            municipality_is_proven: false,
            municipality_names: false,
            fresh_connections: false,
            gaiji: BTreeMap::new(),
            limits: Limits::default(),
        }
    }
}
