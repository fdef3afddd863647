//! `read`: what a plan sees in an answer, for the person who writes its checks. The result holds the answer's text; it is
//! printed for whoever asked, and never logged.

use serde_json::{Value, json};

use super::place::Place;
use super::plan::{CheckPlan, Read};
use super::{Content, Evidence};
use crate::answer::Body;
use crate::document::{Document, Line, Page};

/// Every page's lines and runs with their boxes in millimetres, without any plan.
pub fn lines(document: &Document) -> Value {
    let pages = document.pages.iter().zip(1..).map(|(page, number): (&Page, u32)| {
        json!({
            "page": number,
            "width_mm": round(page.width_mm),
            "height_mm": round(page.height_mm),
            "lines": page.lines.iter().map(line).collect::<Vec<_>>(),
        })
    });
    Value::Array(pages.collect())
}

fn line(line: &Line) -> Value {
    let runs = line.runs.iter().map(|run| {
        let area = [run.x_mm, run.y_mm, run.width_mm, run.height_mm].map(round);
        json!({ "text": run.text, "box_mm": area })
    });
    json!({ "text": crate::normalize::line(&line.text()), "runs": runs.collect::<Vec<_>>() })
}

fn round(mm: f32) -> f64 {
    (f64::from(mm) * 10.0).round() / 10.0
}

impl CheckPlan {
    /// Per page the lines and what each extractor of the plan finds; with evidence, also what each check says.
    pub fn explain(&self, content: Content, evidence: Option<&Evidence<'_>>) -> Value {
        let mut out = serde_json::Map::new();
        let on: Vec<&str> = self.names().into_iter().map(|name| name.name()).collect();
        out.insert("checks_on".to_owned(), json!(on));
        let off: Vec<Value> = self
            .open_causes()
            .into_iter()
            .map(|(check, causes)| json!({ "check": check.name(), "leaves_open": causes }))
            .collect();
        out.insert("checks_off".to_owned(), Value::Array(off));
        match &content {
            Content::Document(document) => {
                out.insert("pages".to_owned(), lines(document));
            }
            Content::Enclosed(around, document) => {
                if let Ok(document) = document {
                    out.insert("pages".to_owned(), lines(document));
                }
                if let Err(reason) = document {
                    out.insert("unreadable".to_owned(), json!(reason));
                }
                let undeclared = self.envelope.as_ref().map(|envelope| envelope.undeclared(around)).unwrap_or_default();
                out.insert("undeclared_beside_the_document".to_owned(), json!(undeclared));
            }
            Content::Data(_) | Content::Opaque => {}
            Content::Unreadable(reason) => {
                out.insert("unreadable".to_owned(), json!(reason));
            }
        }
        let (read, body) = self.prepare(&content);
        let found = self.finds(&read, body, evidence);
        out.insert("finds".to_owned(), Value::Array(found));
        if let Some(evidence) = evidence {
            let findings = self.judge(evidence, content);
            out.insert("says".to_owned(), serde_json::to_value(&findings.findings).unwrap_or(Value::Null));
        }
        Value::Object(out)
    }

    pub(super) fn places(&self) -> Vec<(String, &Place)> {
        let mut places: Vec<(String, &Place)> = Vec::new();
        for field in self.identity.iter().flat_map(|identity| &identity.fields) {
            places.push((format!("identity.fields.{}", field.name), &field.place));
        }
        places.extend(self.selection.iter().map(|item| (format!("selection.{}", item.name), &item.place)));
        let single = [
            ("municipality", &self.municipality),
            ("issue_number", &self.issue_number),
            ("issued_on", &self.issued_on),
        ];
        places.extend(single.into_iter().filter_map(|(name, place)| Some((name.to_owned(), place.as_ref()?))));
        places.extend(self.as_of.iter().map(|as_of| ("as_of".to_owned(), &as_of.place)));
        places.extend(self.issued_at.iter().map(|(place, _)| ("issued_at".to_owned(), place)));
        places
    }

    fn finds(&self, read: &Read<'_>, body: Option<&Body>, evidence: Option<&Evidence<'_>>) -> Vec<Value> {
        let mut out = Vec::new();
        for (name, place) in self.places() {
            match (place, read) {
                (Place::Answer(extract), _) => {
                    let nothing =
                        crate::answer::AnswerView { status: 0, headers: &[], body: &[], framing_surprise: false };
                    let answer = evidence.map_or(nothing, |evidence| evidence.answer);
                    let found = extract.find(&answer, body);
                    out.push(json!({ "key": name, "page": null, "found": found }));
                }
                (place, Read::Paper(sheets)) => {
                    for sheet in sheets {
                        let spots = place.on(sheet);
                        let found: Vec<&str> = spots.iter().map(|spot| spot.raw.as_str()).collect();
                        let goes_on = spots.iter().any(|spot| spot.goes_on);
                        let mut entry = json!({ "key": name, "page": sheet.number, "found": found });
                        if let (true, Some(entry)) = (goes_on, entry.as_object_mut()) {
                            entry.insert("goes_on_below".to_owned(), json!(true));
                        }
                        out.push(entry);
                    }
                }
                _ => {}
            }
        }
        out
    }
}
