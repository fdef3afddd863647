//! A route's further steps where its document is fetched: rendered for the worker, and what is found about the job afterwards.

use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use sekisho_issuance::answer::{AnswerView, Dialect, Extract};
use sekisho_issuance::request::Facts;
use sekisho_issuance::verdict::{CheckName, FieldEvidence, Finding, Verdict};
use sekisho_worker::assignment::{self, Answer, JobEnd, JobId, JobReport};

use crate::bound::Bound;
use crate::route::{FactName, Route};
use crate::template::{Marks, RequestTemplate, Target};

/// `[routes.NAME.fetch]`, compiled.
#[derive(Debug)]
pub struct Fetch {
    /// Under which status codes a job is accepted.
    pub accepted: Arc<[u16]>,
    /// Where the accept reply names the job.
    pub job: Extract,
    /// What the accept reply is written in.
    pub dialect: Arc<Dialect>,
    /// Asking for its state.
    pub poll: Poll,
    /// Fetching the document.
    pub document: Document,
}

/// `[routes.NAME.fetch.poll]`.
#[derive(Debug)]
pub struct Poll {
    /// What is asked.
    pub request: RequestTemplate,
    /// Between two questions.
    pub every: Duration,
    /// For one question.
    pub timeout: Duration,
    /// Where the reply says how the job stands.
    pub state: Extract,
    /// Words for: fetch it.
    pub done: Arc<[Arc<str>]>,
    /// Words for: ask again.
    pub pending: Arc<[Arc<str>]>,
    /// Words for: it will never be done.
    pub failed: Vec<Arc<str>>,
    /// Where the reply names its job.
    pub job: Option<Extract>,
}

/// `[routes.NAME.fetch.document]`.
#[derive(Debug)]
pub struct Document {
    /// What is asked.
    pub request: RequestTemplate,
    /// For the document to come.
    pub timeout: Duration,
    /// Where its answer names its job.
    pub job: Option<Extract>,
}

/// A status reply is no longer than this.
const MAX_STATUS_BYTES: usize = 64 << 10;

impl Fetch {
    /// The steps of one request, with nothing open in them but the job's id. `Err` names a fact that is missing or does not fit.
    pub fn render(
        &self,
        route: &Route,
        facts: &Facts,
        marks: &Marks,
        salt: u128,
    ) -> Result<assignment::Fetch, FactName> {
        let Poll { request, every, timeout, state, done, pending, job, .. } = &self.poll;
        let asking = |timeout, max_response_bytes, echoed| Target {
            backend: &route.backend,
            timeout,
            max_response_bytes,
            echoed,
        };
        let poll = request.render_job(&asking(*timeout, MAX_STATUS_BYTES, false), facts, marks)?;
        let fetching = asking(self.document.timeout, route.max_response_bytes, route.echoed);
        Ok(assignment::Fetch {
            accepted: self.accepted.clone(),
            job: self.job.clone(),
            dialect: self.dialect.clone(),
            salt,
            poll: assignment::Poll {
                call: poll,
                dialect: request.dialect.clone(),
                every: *every,
                state: state.clone(),
                done: done.clone(),
                pending: pending.clone(),
                job: job.clone(),
            },
            document: self.document.request.render_job(&fetching, facts, marks)?,
        })
    }

    /// What is found about the job of an answer that is no refusal.
    fn verdict(&self, route: &Route, report: &JobReport, answer: &Answer, view: &AnswerView<'_>) -> Verdict {
        let unverifiable = |reason| Verdict::Unverifiable { reason };
        match report.end {
            JobEnd::NotAccepted => unverifiable("no_job"),
            JobEnd::NotRemembered => unverifiable("memory_full"),
            JobEnd::Reused | JobEnd::OtherJob => mismatch(report.id.as_ref(), 0),
            JobEnd::NotDone => unverifiable(match self.says_failed(answer, view) {
                true => "job_failed",
                false => "job_state",
            }),
            JobEnd::Fetched => {
                let Some(place) = &self.document.job else { return Verdict::Match };
                let wants_body = matches!(place, Extract::Body(_));
                let body = wants_body.then(|| route.dialect.read(view.body, view.header(CONTENT_TYPE.as_str())).ok());
                match (place.find(view, body.flatten().as_ref()), &report.id) {
                    (Some(named), Some(id)) if named == id.as_str() => Verdict::Match,
                    (Some(named), id) => mismatch(id.as_ref(), named.chars().count()),
                    (None, _) => unverifiable("job_unnamed"),
                }
            }
        }
    }

    fn says_failed(&self, answer: &Answer, view: &AnswerView<'_>) -> bool {
        let body = self.poll.request.dialect.read(view.body, view.header(CONTENT_TYPE.as_str())).ok();
        let said = self.poll.state.find(view, body.as_ref());
        answer.status == 200 && said.is_some_and(|said| self.poll.failed.iter().any(|word| **word == *said))
    }
}

/// What is found about an answer's job; nothing on a route that fetches none.
pub fn finding(bound: &Bound, report: Option<&JobReport>, answer: &Answer, view: &AnswerView<'_>) -> Option<Finding> {
    let route = bound.route();
    let fetch = route.fetch.as_ref()?;
    let verdict = match report {
        Some(report) => fetch.verdict(route, report, answer, view),
        // The worker was told to fetch and says nothing of it.
        None => Verdict::Unverifiable { reason: "no_job" },
    };
    Some(Finding { check: CheckName::Job, verdict, independent: true })
}

/// Whether there is no document: the reply that ended the job is none, whatever the checks would say of it.
pub fn ended_early(report: Option<&JobReport>) -> bool {
    report.is_some_and(|report| report.end != JobEnd::Fetched)
}

fn mismatch(id: Option<&JobId>, found_chars: usize) -> Verdict {
    let expected_chars = id.map_or(0, |id| id.as_str().len());
    let field = "job".to_owned();
    Verdict::Mismatch {
        field: FieldEvidence { field, page: None, expected_chars, found_chars, differs_in: String::new() },
    }
}
