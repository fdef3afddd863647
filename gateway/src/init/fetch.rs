//! Writes how a certificate that is a job is asked for and fetched: only where every recorded job was asked for in the same words.

use std::collections::BTreeSet;

use super::flow::{Operation, Role, value};
use super::jobs::{Job, Template, template};
use super::read::{Leaf, Place, Seen};
use super::write::{EDIT, Writer, is_word, quoted, sure};

/// What the words of a status reply mean.
#[derive(Default)]
struct Words<'w> {
    done: BTreeSet<&'w str>,
    pending: BTreeSet<&'w str>,
    failed: BTreeSet<&'w str>,
}

/// A job with the exchange that it was accepted with.
type Accepted<'s, 'e> = (&'s Seen<'e>, &'s Job<'e>);

impl Writer<'_> {
    pub(super) fn fetch(&mut self, name: &str, operation: &Operation, exchanges: &[&Seen<'_>]) {
        let all: Vec<Accepted<'_, '_>> = exchanges.iter().filter_map(|s| Some((*s, s.job.as_deref()?))).collect();
        let good: Vec<Accepted<'_, '_>> = all.iter().copied().filter(|(s, _)| s.paper.is_some()).collect();
        match self.tables(name, operation, &good) {
            Ok(text) => self.text.push_str(&text),
            Err(why) if !all.is_empty() => self.missing.push(format!("routes.{name}.fetch: {why}")),
            Err(_) => {}
        }
    }

    fn tables(&self, name: &str, operation: &Operation, jobs: &[Accepted<'_, '_>]) -> Result<String, String> {
        let (accepted, first) = jobs.first().ok_or("no job came to a certificate")?;
        let count = jobs.len();
        let poll_first = first.polls.first().ok_or("no question about a job was recorded")?;
        if [poll_first, &first.fetched].iter().any(|step| self.dialect(step) != self.dialect(accepted)) {
            return Err("its steps are written in several dialects; write the table by hand".to_owned());
        }
        let asks = |s: &Seen<'_>, job: &Job<'_>, step: &Seen<'_>| template(step, &self.facts(s, job));
        let poll = one(jobs.iter().flat_map(|(s, job)| job.polls.iter().map(|step| asks(s, job, step))));
        let poll = poll.ok_or("the questions about its jobs differ in more than the job")?;
        let visits: BTreeSet<_> = jobs.iter().map(|(s, _)| self.town.visit(s)).collect();
        let strange = |(s, job): &Accepted<'_, '_>| {
            let facts = self.facts(s, job);
            let in_text = |leaf: &&Leaf| matches!(leaf.place, Place::Body(_) | Place::Query(_));
            let steps = job.polls.iter().chain(std::iter::once(&job.fetched));
            steps
                .flat_map(|step| &step.asked)
                .filter(in_text)
                .any(|leaf| facts.iter().all(|(known, _)| *known != leaf.value))
        };
        if visits.len() < 2 && jobs.iter().any(strange) {
            // What is the same in one visit may be about its resident.
            return Err("what else its requests say was recorded in one visit only; record another".to_owned());
        }
        let fetch = one(jobs.iter().map(|(s, job)| asks(s, job, &job.fetched)));
        let fetch = fetch.ok_or("the requests for its documents differ in more than the job")?;
        let named = |leaves: &dyn Fn(&'_ Job<'_>) -> Vec<Vec<Leaf>>| {
            let all: Vec<(&str, Vec<Leaf>)> =
                jobs.iter().flat_map(|(_, job)| leaves(job).into_iter().map(|l| (job.id.as_str(), l))).collect();
            let places = all.first().into_iter().flat_map(|(_, leaves)| leaves).map(|leaf| leaf.place.clone());
            let everywhere = |place: &Place| all.iter().all(|(id, leaves)| value(leaves, place) == Some(id));
            places.filter(everywhere).max_by_key(|place| matches!(place, Place::Body(_)))
        };
        let job =
            named(&|job| vec![job.accepted.clone()]).ok_or("its accept replies name the job in different places")?;
        let place = |place: &Place| self.extractor(place, accepted, &operation.path, None);
        let sureness = sure(count, count);
        let mut out = format!(
            "[routes.{name}.fetch]   # {sureness}: {count} job(s) were accepted, asked for and fetched. Kiosks get the document at once;\n\
             # what they asked for its state and fetched it with is done by the gateway, and refused to them\n"
        );
        let mut put = |text: String| {
            out.push_str(&text);
            out.push('\n');
        };
        let statuses: BTreeSet<u16> = jobs.iter().map(|(_, job)| job.status).collect();
        put(format!("accepted = {statuses:?}   # high: as recorded").replace('{', "[").replace('}', "]"));
        put(format!("job      = {}   # {sureness}: the value that is then asked with", place(&job)));
        put(format!("[routes.{name}.fetch.poll]\nrequest = {}", request(&poll)));
        put("every   = \"500ms\"   # how often it may be asked\ntimeout = \"2s\"".to_owned());
        let polls = |job: &Job<'_>| job.polls.iter().map(|step| step.answered.clone()).collect();
        if let Some(at) = named(&polls) {
            put(format!("job     = {}   # {sureness}: the job asked for, in every reply", place(&at)));
        }
        // Jobs of other kinds that are asked for alike say what the words mean, too.
        let alike: Vec<Accepted<'_, '_>> = self
            .all
            .seen
            .iter()
            .filter_map(|s| Some((s, s.job.as_deref()?)))
            .filter(|(s, job)| {
                let first = job.polls.first().unwrap_or(&job.fetched);
                asks(s, job, first).as_ref() == Some(&poll)
            })
            .collect();
        let is_poll = |s: &Seen<'_>, job: &Job<'_>| asks(s, job, &job.fetched).as_ref() == Some(&poll);
        let (at, words) = state(&alike, &is_poll).ok_or("no reply says how a job stands")?;
        let list = |words: &BTreeSet<&str>| words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(", ");
        let failed = match words.failed.is_empty() {
            true => String::new(),
            false => format!(", failed = [{}]", list(&words.failed)),
        };
        let (pending, why) = match words.pending.is_empty() {
            true => (quoted("PENDING"), format!("{EDIT} the words for a job that is not done yet; none was recorded")),
            false => {
                let why =
                    "# fair: what it said before the fetch, and earlier; with any other word the document is withheld";
                (list(&words.pending), why.to_owned())
            }
        };
        let from = place(&at).trim_matches(['{', '}', ' ']).to_owned();
        put(format!("state   = {{ {from}, done = [{}], pending = [{pending}]{failed} }}   {why}", list(&words.done)));
        put(format!("[routes.{name}.fetch.document]\nrequest = {}", request(&fetch)));
        if let Some(at) = named(&|job| vec![job.fetched.answered.clone()]) {
            put(format!("job     = {}   # {sureness}: the job whose output it is", place(&at)));
        }
        Ok(out)
    }

    /// What a job's requests may say, by value.
    fn facts<'v>(&'v self, s: &Seen<'_>, job: &'v Job<'_>) -> Vec<(&'v str, &'static str)> {
        let visit = self.town.visit(s);
        let roles = [Role::Session, Role::Resident, Role::Card, Role::Kiosk, Role::Municipality];
        let told = roles.into_iter().filter_map(|role| Some((visit?.get(&role)?.as_str(), role.fact())));
        std::iter::once((job.id.as_str(), "job")).chain(told).collect()
    }
}

/// The place that says how a job stands: few words, and those before the fetch are never those of an earlier reply.
fn state<'j>(jobs: &[Accepted<'j, '_>], is_poll: &dyn Fn(&Seen<'_>, &Job<'_>) -> bool) -> Option<(Place, Words<'j>)> {
    let replies = jobs.iter().flat_map(|(_, job)| &job.polls);
    let places: BTreeSet<&Place> = replies.flat_map(|reply| &reply.answered).map(|leaf| &leaf.place).collect();
    let candidates = places.into_iter().filter_map(|place| {
        let mut words = Words::default();
        for (s, job) in jobs {
            // A job that was asked for to the last came to nothing.
            let failed = s.paper.is_none() && is_poll(s, job);
            let mut said = job.polls.iter().map(|r| value(&r.answered, place)).collect::<Option<Vec<_>>>()?;
            match failed {
                true => words.failed.extend(value(&job.fetched.answered, place)),
                false => words.done.extend(said.pop()),
            }
            words.pending.extend(said);
        }
        let each = || words.done.iter().chain(&words.pending);
        let apart = words.done.is_disjoint(&words.pending) && words.done.len() <= 2 && words.pending.len() <= 4;
        let few = !words.done.is_empty() && apart && each().all(|word| !word.is_empty() && is_word(word));
        words.failed.retain(|word| is_word(word) && !words.done.contains(word) && !words.pending.contains(word));
        let name = match place {
            Place::Body(text) | Place::Header(text) => text.to_ascii_lowercase(),
            _ => String::new(),
        };
        let called = ["state", "status", "jotai", "状態"].iter().any(|word| name.contains(word));
        let rank = (!words.pending.is_empty(), called);
        (few && rank != (false, false)).then(|| (rank, place.clone(), words))
    });
    candidates.max_by_key(|(rank, ..)| *rank).map(|(_, place, words)| (place, words))
}

/// The one template that all are.
fn one(all: impl Iterator<Item = Option<Template>>) -> Option<Template> {
    let all: Option<BTreeSet<Template>> = all.collect();
    let mut all = all?.into_iter();
    all.next().filter(|_| all.next().is_none())
}

fn request(template: &Template) -> String {
    let mut parts = vec![format!("method = {}, path = {}", quoted(&template.method), quoted(&template.target))];
    if !template.headers.is_empty() {
        let headers = template.headers.iter().map(|(name, value)| format!("{} = {}", quoted(name), quoted(value)));
        parts.push(format!("headers = {{ {} }}", headers.collect::<Vec<_>>().join(", ")));
    }
    if !template.body.is_empty() {
        parts.push(format!("body = {}", quoted(&template.body)));
    }
    format!("{{ {} }}", parts.join(", "))
}
