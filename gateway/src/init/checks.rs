//! Writes what of an operation's answers can be checked, and which of them are lawful noes.

use std::collections::{BTreeMap, BTreeSet};

use sekisho_issuance::document::Document;

use super::flow::{Operation, Role, What, value};
use super::lookups::{answered, is_version};
use super::paper;
use super::read::{Leaf, Place, Seen};
use super::write::{Writer, is_word, papers_bytes, quoted, sizes, sure};

impl Writer<'_> {
    pub(super) fn checks(&mut self, name: &str, operation: &Operation, exchanges: &[&Seen<'_>]) {
        let good: Vec<usize> = operation
            .exchanges
            .iter()
            .copied()
            .filter(|n| {
                let issue = matches!(operation.what, What::Issue(_));
                self.all
                    .seen
                    .get(*n)
                    .is_some_and(|s| (200..300).contains(&s.last.status) && (!issue || s.paper.is_some()))
            })
            .collect();
        let Some(first) = good.first().and_then(|n| self.all.seen.get(*n)) else {
            self.missing.push(format!("routes.{name}: no good answer was recorded, so it has no checks"));
            return;
        };
        let papers: Vec<&Document> =
            exchanges.iter().filter_map(|s| s.paper.as_ref()).map(|paper| &paper.document).collect();
        let extractor = |place: &Place| self.extractor(place, first, &operation.path, None);
        let inside = first.paper.as_ref().and_then(|paper| paper.inside.clone());
        let mut out = String::new();
        let mut put = |text: String| {
            out.push_str(&text);
            out.push('\n');
        };
        let echoes = |in_body: bool| {
            answered(&self.all.seen, &good, |leaf: &Leaf, one| {
                matches!(leaf.place, Place::Body(_)) == in_body && one.request_ids().any(|id| *id == leaf.value)
            })
        };
        let echo = echoes(true).or_else(|| echoes(false));
        if let Some(place) = &inside {
            let key = first.dialect.map_or("json", |(format, _)| format.key());
            put(format!(
                "[routes.{name}.document]   # high: a PDF in base64 stands there\n{key} = {}\ndecode = \"base64\"\nmedia_type = \"application/pdf\"",
                quoted(place)
            ));
            put(format!("size = {}", sizes(papers_bytes(exchanges))));
            let mut beside: BTreeMap<&Place, BTreeSet<&str>> = BTreeMap::new();
            let roots =
                self.all.seen.iter().enumerate().filter(|(n, _)| good.contains(n)).flat_map(|(_, s)| &s.answered);
            for leaf in roots.filter(|leaf| {
                matches!(leaf.place, Place::Body(_)) && Some(&leaf.place) != echo.as_ref().map(|(p, _)| p)
            }) {
                beside.entry(&leaf.place).or_default().insert(&leaf.value);
            }
            let declared: Vec<String> = beside
                .iter()
                .filter(|(_, values)| values.len() <= 3 && values.iter().all(|value| is_word(value)))
                .map(|(place, values)| {
                    let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
                    extractor(place).replace(" }", &format!(", in = [{}] }}", values.join(", ")))
                })
                .collect();
            put(format!("beside = [{}]   # high: the same few words in every answer", declared.join(", ")));
        }
        put(format!("[routes.{name}.checks]"));
        match &echo {
            Some((place, fits)) => put(format!(
                "echo = {}   # {}: the request's X-Request-Id in {fits} answer(s)",
                extractor(place),
                sure(*fits, *fits)
            )),
            None if exchanges.iter().all(|s| s.request_ids().next().is_none()) => {
                put("# echo: unknown, since no recorded request had an X-Request-Id; `record` adds one".to_owned());
            }
            None => {
                put("# echo: none, X-Request-Id does not come back; each call needs a connection of its own".to_owned())
            }
        }
        let statuses: BTreeSet<u16> =
            good.iter().filter_map(|n| self.all.seen.get(*n)).map(|s| s.last.status).collect();
        let statuses: Vec<String> = statuses.iter().map(u16::to_string).collect();
        let media = first.media_type.as_ref().filter(|_| !first.last.answer.is_empty());
        let media = media.map(|media| format!(", media_type = {}", quoted(media))).unwrap_or_default();
        put(format!("shape = {{ status = [{}]{media} }}   # high: as recorded", statuses.join(", ")));
        let resident = self.town.lookups.iter().find(|lookup| lookup.name == "resident");
        let probe = resident.is_some_and(|lookup| lookup.fields.contains_key("version"));
        let version = answered(&self.all.seen, &good, |leaf, _| {
            let named = matches!(&leaf.place, Place::Body(text) if text.to_ascii_lowercase().rsplit(['/', ':']).next().is_some_and(is_version));
            named && !leaf.value.is_empty() && leaf.value.bytes().all(|b| b.is_ascii_digit())
        });
        let id = answered(&self.all.seen, &good, |leaf, one| {
            let known = self.town.visit(one).and_then(|visit| visit.get(&Role::Resident));
            matches!(leaf.place, Place::Body(_)) && known == Some(&leaf.value)
        });
        let mut missing = Vec::new();
        match operation.what {
            What::Issue(_) => {
                if let Some(pattern) = paper::line(&papers, &paper::PAGES) {
                    put(format!("pages = {{ line = '{pattern}' }}   # high: on every page"));
                }
                if let Some(pattern) = paper::line(&papers, &paper::MUNICIPALITY) {
                    put(format!("municipality = {{ line = '{pattern}' }}   # high: on every page"));
                }
                for (check, labels) in
                    [("issued_on", &paper::ISSUED_ON[..]), ("issue_number", &paper::ISSUE_NUMBER[..])]
                {
                    match paper::label(&papers, labels) {
                        Some(label) => put(format!(
                            "{check} = {{ after = {} }}   # {}: the label, on {} document(s)",
                            quoted(label),
                            sure(papers.len(), papers.len()),
                            papers.len()
                        )),
                        None => missing.push(format!("routes.{name}.checks.{check}: no label of it was found")),
                    }
                }
                if probe {
                    put("version = { probe = \"resident\" }   # the record's version before and after must be equal"
                        .to_owned());
                } else {
                    missing.push(format!(
                        "routes.{name}: nothing shows that a document is current (`version` or `as_of`)"
                    ));
                }
                let fields: Vec<(&str, &str)> = paper::FIELDS
                    .iter()
                    .filter(|(field, _)| resident.is_some_and(|lookup| lookup.fields.contains_key(field)))
                    .filter_map(|(field, labels)| Some((*field, paper::label(&papers, labels)?)))
                    .collect();
                let enough: Vec<String> = fields.iter().map(|(field, _)| quoted(field)).collect();
                put(format!(
                    "[routes.{name}.checks.identity]   # {}: each field fits the record on the recorded documents",
                    sure(papers.len(), papers.len())
                ));
                put(format!(
                    "with   = \"resident\"\nenough = [[{}]]\n[routes.{name}.checks.identity.fields]",
                    enough.join(", ")
                ));
                for (field, label) in &fields {
                    put(format!("{field} = {{ after = {} }}", quoted(label)));
                }
                if fields.len() < 3 {
                    missing.push(format!(
                        "routes.{name}.checks.identity: too few fields were found both on paper and in a lookup"
                    ));
                }
            }
            What::Inquire | What::Amend => {
                let amend = operation.what == What::Amend;
                if let Some((place, _)) = &version {
                    let watermark = if amend || !probe { "" } else { ", watermark = \"lookup\"" };
                    put(format!(
                        "as_of = {}   # low: by its name and its form",
                        extractor(place).replace(" }", &format!("{watermark} }}"))
                    ));
                }
                if probe && (!amend || version.is_none()) {
                    put("version = { probe = \"resident\" }".to_owned());
                }
                match &id {
                    Some((place, fits)) => {
                        let with = if amend || resident.is_none() { "" } else { "with   = \"resident\"\n" };
                        put(format!(
                            "[routes.{name}.checks.identity]   # {}: the resident's id in {fits} answer(s)\n{with}enough = [[\"id\"]]",
                            sure(*fits, *fits)
                        ));
                        put(format!("[routes.{name}.checks.identity.fields]\nid = {}", extractor(place)));
                    }
                    None => missing
                        .push(format!("routes.{name}.checks.identity: its answers do not say whom they are about")),
                }
            }
            _ => {}
        }
        self.text.push_str(&out);
        self.missing.extend(missing);
    }

    pub(super) fn refusals(&mut self, name: &str, operation: &Operation, exchanges: &[&Seen<'_>]) {
        if !matches!(operation.what, What::Issue(_) | What::Open) {
            return;
        }
        let is_code = |text: &str| {
            text.len() >= 3
                && text.starts_with(|c: char| c.is_ascii_uppercase())
                && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        };
        let session = self.town.learned.get(&Role::Session).map(|(place, _)| place);
        let opened =
            |s: &Seen<'_>| operation.what == What::Open && session.is_some_and(|at| value(&s.answered, at).is_some());
        let code_of = |s: &Seen<'_>| {
            s.answered.iter().find(|leaf| matches!(leaf.place, Place::Body(_)) && is_code(&leaf.value)).cloned()
        };
        let resident_of = |s: &Seen<'_>| {
            let known = |leaf: &&Leaf| {
                let known = self.town.visits.values().any(|visit| visit.get(&Role::Resident) == Some(&leaf.value));
                matches!(leaf.place, Place::Body(_)) && known
            };
            s.answered.iter().find(known).cloned()
        };
        // Some say no under a good status: then a code and whom it is about are what makes it one.
        let noes: Vec<&&Seen<'_>> = exchanges
            .iter()
            .filter(|s| s.paper.is_none() && !opened(s))
            .filter(|s| s.last.status >= 400 || code_of(s).is_some() && resident_of(s).is_some())
            .collect();
        let Some(first) = noes.first() else { return };
        let (Some(code), Some(resident)) = (code_of(first), resident_of(first)) else {
            self.missing
                .push(format!("routes.{name}: a refusal was recorded that does not say why and whom it is about"));
            return;
        };
        let codes: BTreeSet<&str> =
            noes.iter().filter_map(|s| value(&s.answered, &code.place)).filter(|text| is_code(text)).collect();
        let codes: Vec<String> = codes.into_iter().map(quoted).collect();
        let statuses: BTreeSet<String> = noes.iter().map(|s| s.last.status.to_string()).collect();
        let statuses: Vec<String> = statuses.into_iter().collect();
        let place = self.extractor(&code.place, first, &operation.path, None);
        let place = place.trim_matches(['{', '}', ' ']);
        let whom = self.extractor(&resident.place, first, &operation.path, None);
        self.line(format!(
            "[routes.{name}.refusals]   # low: {} no(es) were recorded; add the other codes that a kiosk may hear\n\
             when     = {{ status = [{}], {place}, in = [{}] }}\nresident = {whom}",
            noes.len(),
            statuses.join(", "),
            codes.join(", ")
        ));
    }
}
