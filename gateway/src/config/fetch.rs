//! `[routes.NAME.fetch]`: a document that is fetched in further steps: which job was accepted, how to ask for it, where it is.

use std::sync::Arc;
use std::time::Duration;

use sekisho_issuance::answer::{Dialect, Extract};
use sekisho_issuance::request::Operation;

use super::dialects::{self, Dialects, places};
use super::lookups::{header, template};
use super::section::{Placed, Section};
use super::source::Findings;
use crate::fetch::{Document, Fetch, Poll};
use crate::template::RequestTemplate;

/// Status codes under which a job may be accepted unless the file says otherwise.
const ACCEPTED: [u16; 3] = [200, 201, 202];
/// How often a job may be asked for, and how seldom.
const EVERY: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(10)];

const JOB_EXAMPLE: &str = "job = { form = \"job\" }";
const STATE_EXAMPLE: &str =
    "state = { form = \"state\", done = [\"DONE\"], pending = [\"WAITING\"], failed = [\"ERROR\"] }";
const REQUEST_EXAMPLE: &str = "request = { method = \"GET\", path = \"/jobs/{job}\" }";

/// The route that a `fetch` table belongs to, as far as it is read.
pub(super) struct Around<'r> {
    pub(super) operation: Option<Operation>,
    pub(super) timeout: Duration,
    pub(super) dialect: &'r Arc<Dialect>,
    pub(super) dialects: &'r Dialects,
}

pub(super) fn read(section: &mut Section<'_>, around: &Around<'_>, found: &mut Findings) -> Option<Fetch> {
    let mut table = section.section(found, "fetch")?;
    if around.operation.is_some_and(|operation| operation != Operation::Issue) {
        found.mistake(table.span(), table.path(), "is only for `issue` routes", "remove it");
    }
    let dialect = own_dialect(&mut table, around.dialect, around.dialects, found);
    let accepted: Vec<u16> = match table.has("accepted") {
        true => table.counts(found, "accepted", 299, "[200, 202]").into_iter().map(|status| status as u16).collect(),
        false => ACCEPTED.to_vec(),
    };
    let job = place(&mut table, "job", &dialect, JOB_EXAMPLE, found);
    if job.is_none() && !table.has("job") {
        let why = "is missing: where the accept reply names the job";
        found.mistake(table.span(), table.key("job"), why, JOB_EXAMPLE);
    }
    let poll = step(&mut table, "poll", found).and_then(|step| poll(step, &dialect, around, found));
    let document = step(&mut table, "document", found).and_then(|step| document(step, &dialect, around, found));
    table.finish(found);
    Some(Fetch { accepted: accepted.into(), job: job?, dialect, poll: poll?, document: document? })
}

fn step<'a>(table: &mut Section<'a>, key: &'static str, found: &mut Findings) -> Option<Section<'a>> {
    let step = table.section(found, key);
    if step.is_none() && !table.has(key) {
        found.mistake(table.span(), table.key(key), "is missing", REQUEST_EXAMPLE);
    }
    step
}

fn poll(mut step: Section<'_>, above: &Arc<Dialect>, around: &Around<'_>, found: &mut Findings) -> Option<Poll> {
    let dialect = own_dialect(&mut step, above, around.dialects, found);
    let request = request(&mut step, &dialect, found);
    let every = step.duration(found, "every", "500ms").unwrap_or(Duration::from_millis(500));
    let [least, most] = EVERY;
    if !(least..=most).contains(&every) || every >= around.timeout {
        let (span, key) = (step.place("every"), step.key("every"));
        found.mistake(
            &span,
            key,
            "must lie between 50ms and 10s, and below the route's `timeout`",
            "every = \"500ms\"",
        );
    }
    let timeout = timeout(&mut step, around, found);
    let job = place(&mut step, "job", &dialect, JOB_EXAMPLE, found);
    if job.is_none() && !step.has("job") {
        let why = "is missing: a status reply about another job would be taken for ours";
        found.note(step.span(), step.key("job"), why, &["R4", "R12", "R13"]);
    }
    let state = step.section(found, "state").and_then(|state| states(state, &dialect, found));
    if state.is_none() && !step.has("state") {
        found.mistake(step.span(), step.key("state"), "is missing", STATE_EXAMPLE);
    }
    step.finish(found);
    let (state, [done, pending, failed]) = state?;
    Some(Poll { request: request?, every, timeout, state, done: done.into(), pending: pending.into(), failed, job })
}

fn document(
    mut step: Section<'_>,
    above: &Arc<Dialect>,
    around: &Around<'_>,
    found: &mut Findings,
) -> Option<Document> {
    let dialect = own_dialect(&mut step, above, around.dialects, found);
    let request = request(&mut step, &dialect, found);
    let timeout = timeout(&mut step, around, found);
    // The answer is the route's, and so is its dialect.
    let job = place(&mut step, "job", around.dialect, "job = { header = \"X-Job\" }", found);
    if job.is_none() && !step.has("job") {
        let why = "is missing: only the document itself shows whether it is another job's output";
        found.note(step.span(), step.key("job"), why, &["R2", "R4"]);
    }
    step.finish(found);
    Some(Document { request: request?, timeout, job })
}

/// The `state` table: one place, and what its words mean.
fn states(mut table: Section<'_>, dialect: &Dialect, found: &mut Findings) -> Option<(Extract, [Vec<Arc<str>>; 3])> {
    const WORDS: [&str; 3] = ["done", "pending", "failed"];
    let mistakes = found.mistakes.len();
    let from = one_place(&mut table, dialect, found);
    let mut known: Vec<&str> = Vec::new();
    let words = WORDS.map(|key| {
        let list: Vec<Placed<&str>> = table.texts(found, key, "[\"DONE\"]").map_or_else(Vec::new, |list| list.value);
        for word in &list {
            if known.contains(&word.value) {
                word.wrong(
                    found,
                    format!("stands twice: is a job in state \"{}\" done or not?", word.value),
                    STATE_EXAMPLE,
                );
            }
            known.push(word.value);
        }
        list.into_iter().map(|word| Arc::from(word.value)).collect::<Vec<Arc<str>>>()
    });
    let whole = from.is_some() && !words[0].is_empty() && !words[1].is_empty();
    if !whole && found.mistakes.len() == mistakes {
        found.mistake(table.span(), table.path(), "needs one place of the reply, `done` and `pending`", STATE_EXAMPLE);
    }
    table.finish(found);
    Some((from?, words))
}

fn request(step: &mut Section<'_>, dialect: &Arc<Dialect>, found: &mut Findings) -> Option<RequestTemplate> {
    let Some(request) = step.section(found, "request") else {
        if !step.has("request") {
            found.mistake(step.span(), step.key("request"), "is missing", REQUEST_EXAMPLE);
        }
        return None;
    };
    let (span, path) = (request.span().clone(), request.path().to_owned());
    let template = template(request, dialect, found)?.with_job();
    if !template.names_job() {
        found.mistake(&span, path, "does not say which job: `{job}` stands nowhere in it", REQUEST_EXAMPLE);
    }
    Some(template)
}

fn timeout(step: &mut Section<'_>, around: &Around<'_>, found: &mut Findings) -> Duration {
    let timeout = step.duration(found, "timeout", "2s").unwrap_or(around.timeout);
    if timeout.is_zero() {
        found.mistake(&step.place("timeout"), step.key("timeout"), "must be longer than nothing", "timeout = \"2s\"");
    }
    timeout
}

/// A step's own `dialect`, else the one above it.
pub(super) fn own_dialect(
    section: &mut Section<'_>,
    above: &Arc<Dialect>,
    dialects: &Dialects,
    found: &mut Findings,
) -> Arc<Dialect> {
    match section.has("dialect") {
        true => dialects::of(section, dialects, found),
        false => {
            section.forgive("dialect");
            above.clone()
        }
    }
}

fn place(
    section: &mut Section<'_>,
    key: &'static str,
    dialect: &Dialect,
    example: &str,
    found: &mut Findings,
) -> Option<Extract> {
    let mut table = section.section(found, key)?;
    let mistakes = found.mistakes.len();
    let place = one_place(&mut table, dialect, found);
    if place.is_none() && found.mistakes.len() == mistakes {
        found.mistake(table.span(), table.path(), "must name exactly one place of the reply", example);
    }
    table.finish(found);
    place
}

fn one_place(table: &mut Section<'_>, dialect: &Dialect, found: &mut Findings) -> Option<Extract> {
    let mut from: Vec<Extract> = places(table, dialect, found).into_iter().map(Extract::Body).collect();
    if let Some(placed) = table.text(found, "header", "X-Job") {
        from.extend(header(&placed, found).map(|name| Extract::Header(name.as_str().to_owned())));
    }
    let one = from.len() == 1;
    from.pop().filter(|_| one)
}
