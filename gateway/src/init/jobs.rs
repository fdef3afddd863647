//! Finds certificates that are jobs among recorded exchanges (accepted, asked for until done, fetched) and makes one exchange of each.
//! A job's id is a value that one answer mints, that is asked with until a certificate comes, and never again.

use std::collections::BTreeSet;

use sekisho_worker::assignment::JobId;

use super::Recorded;
use super::flow::{LEAST_BYTES, says, value};
use super::read::{Leaf, Place, Seen};

/// The steps of one job behind the request that it was accepted with.
pub(super) struct Job<'e> {
    pub(super) id: String,
    /// What the accept reply said, and under which status.
    pub(super) accepted: Vec<Leaf>,
    pub(super) status: u16,
    /// How its state was asked for, in order.
    pub(super) polls: Vec<Seen<'e>>,
    /// Asking for what came out, or the last question about it. A certificate stands in the exchange that was accepted.
    pub(super) fetched: Seen<'e>,
}

/// A job: the exchange that was accepted, its id, and the exchanges that ask with it.
struct Found {
    accept: usize,
    id: String,
    steps: Vec<usize>,
}

/// Puts every job's steps into the exchange that it was accepted with.
pub(super) fn fold(seen: Vec<Seen<'_>>) -> Vec<Seen<'_>> {
    let found = find(&seen);
    let mut slots: Vec<Option<Seen<'_>>> = seen.into_iter().map(Some).collect();
    for Found { accept, id, steps } in found {
        let mut taken: Vec<Seen<'_>> =
            steps.iter().filter_map(|n| slots.get_mut(*n).and_then(Option::take)).collect::<Vec<_>>();
        let (Some(mut fetched), Some(Some(accepted))) = (taken.pop(), slots.get_mut(accept)) else { continue };
        accepted.paper = fetched.paper.take();
        accepted.media_type.clone_from(&fetched.media_type);
        let status = accepted.last.status;
        accepted.last = fetched.last;
        let said = std::mem::replace(&mut accepted.answered, fetched.answered.clone());
        accepted.job = Some(Box::new(Job { id, accepted: said, status, polls: taken, fetched }));
    }
    slots.into_iter().flatten().collect()
}

fn find(seen: &[Seen<'_>]) -> Vec<Found> {
    let sure: Vec<Found> =
        seen.iter().enumerate().filter(|(_, one)| one.paper.is_some()).filter_map(|(n, _)| job(seen, n)).collect();
    // Where a reply of the same kind names a job that came to no certificate: the last step may be a no.
    let mut all: Vec<Found> = Vec::new();
    let known: BTreeSet<&str> = sure.iter().map(|found| found.id.as_str()).collect();
    for first in &sure {
        let Some((path, place)) = seen.get(first.accept).and_then(|one| Some((&one.exchange.path, named(one, first)?)))
        else {
            continue;
        };
        for (accept, one) in seen.iter().enumerate().filter(|(_, one)| one.exchange.path == *path) {
            let Some(id) = value(&one.answered, place).filter(|id| !known.contains(id)) else { continue };
            let steps = asking(seen, accept, one, id);
            if !steps.is_empty() && !all.iter().any(|other| other.accept == accept) {
                all.push(Found { accept, id: id.to_owned(), steps });
            }
        }
    }
    all.extend(sure);
    all
}

fn named<'s>(accept: &'s Seen<'_>, found: &Found) -> Option<&'s Place> {
    accept.answered.iter().find(|leaf| leaf.value == found.id).map(|leaf| &leaf.place)
}

/// The job whose certificate the exchange number `last` fetched.
fn job(seen: &[Seen<'_>], last: usize) -> Option<Found> {
    let fetched = seen.get(last)?;
    let ids = fetched.asked.iter().filter(|leaf| leaf.value.len() >= LEAST_BYTES && JobId::new(&leaf.value).is_some());
    ids.into_iter().find_map(|Leaf { value: id, .. }| {
        let before = seen.iter().enumerate().take(last);
        let mut from_there = before.filter(|(_, one)| one.exchange.server == fetched.exchange.server);
        // Whoever says it first mints it, and is no certificate itself.
        let (accept, one) = from_there.find(|(_, one)| says(&one.asked, id) || says(&one.answered, id))?;
        let mints = !says(&one.asked, id) && one.paper.is_none() && in_session(seen, accept);
        let steps = asking(seen, accept, one, id);
        (mints && steps.len() >= 2 && steps.last() == Some(&last)).then(|| Found { accept, id: id.clone(), steps })
    })
}

/// The exchanges behind `accept` that ask the same server with `id`.
fn asking(seen: &[Seen<'_>], accept: usize, one: &Seen<'_>, id: &str) -> Vec<usize> {
    let later = seen.iter().enumerate().skip(accept + 1);
    later
        .filter(|(_, other)| other.exchange.server == one.exchange.server && says(&other.asked, id))
        .map(|(n, _)| n)
        .collect()
}

/// Whether an exchange asks with what an earlier answer minted: what opens a session does not.
fn in_session(seen: &[Seen<'_>], n: usize) -> bool {
    let Some(one) = seen.get(n) else { return false };
    let minted = |text: &str| {
        let mut before = seen.iter().take(n).filter(|other| other.exchange.server == one.exchange.server);
        let first = before.find(|other| says(&other.asked, text) || says(&other.answered, text));
        first.is_some_and(|first| !says(&first.asked, text))
    };
    one.asked.iter().any(|leaf| leaf.value.len() >= LEAST_BYTES && minted(&leaf.value))
}

/// What a recorded request would be as a template: `facts` are values and what stands for them. `None` where a value stands in a body
/// that is no text.
pub(super) fn template(one: &Seen<'_>, facts: &[(&str, &str)]) -> Option<Template> {
    let put = |text: &str| match facts.iter().find(|(known, _)| *known == text) {
        Some((_, fact)) => format!("{{{fact}}}"),
        None => text.to_owned(),
    };
    let Recorded { method, query, body, .. } = one.exchange;
    let path: String = one.segments.iter().map(|segment| format!("/{}", put(segment))).collect();
    let pairs = |text: &str| -> String {
        let pair = |pair: &str| match pair.split_once('=') {
            Some((name, value)) => format!("{name}={}", put(value)),
            None => pair.to_owned(),
        };
        text.split('&').map(pair).collect::<Vec<_>>().join("&")
    };
    let charset = one.dialect.map(|(_, charset)| charset).unwrap_or_default();
    let text = charset.decode(body).ok()?;
    let is_form = one.dialect.is_some_and(|(format, _)| format.name() == "form");
    let body = match is_form {
        true => pairs(&text),
        false => facts.iter().fold(text.to_string(), |text, (known, fact)| {
            let text = text.replace(&format!("\"{known}\""), &format!("\"{{{fact}}}\""));
            text.replace(&format!(">{known}<"), &format!(">{{{fact}}}<"))
        }),
    };
    let target = if query.is_empty() { path } else { format!("{path}?{}", pairs(query)) };
    let told = one.exchange.headers.iter().filter(|(name, value)| {
        name.eq_ignore_ascii_case("soapaction") || facts.iter().any(|(known, _)| known == value)
    });
    let headers = told.map(|(name, value)| (name.clone(), put(value))).collect();
    Some(Template { method: method.clone(), target, headers, body })
}

/// A request with facts in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Template {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}
