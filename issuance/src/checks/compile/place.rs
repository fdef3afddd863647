//! Compiling where a value stands: labels, expressions, boxes, pointers and headers.

use regex::{Regex, RegexBuilder};

use super::Compiler;
use crate::answer::{BodyPlace, Extract, Format};
use crate::checks::context::AnswerKind;
use crate::checks::place::Place;
use crate::checks::spec::PlaceSpec;
use crate::normalize;

/// The greatest compiled size of one expression: a configuration cannot eat the memory.
const EXPRESSION_BYTES: usize = 1 << 20;

impl Compiler<'_> {
    /// Compiles a place; exactly one of its keys must be there, and fit what the answer is.
    pub(super) fn place(&mut self, key: &str, spec: &PlaceSpec) -> Option<Place> {
        let given = [
            ("after", spec.after.is_some()),
            ("line", spec.line.is_some()),
            ("box_mm", spec.box_mm.is_some()),
            ("json", spec.json.is_some()),
            ("xml", spec.xml.is_some()),
            ("form", spec.form.is_some()),
            ("header", spec.header.is_some()),
        ];
        let given: Vec<&str> = given.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect();
        let answer = self.context.answer;
        let data = self.context.dialect.format.key();
        let enclosed = self.context.document.is_some();
        let usual = match answer {
            AnswerKind::Document if key != "echo" && enclosed => {
                format!("write one of `after`, `line`, `box_mm`, `{data}`, `header`")
            }
            AnswerKind::Document if key != "echo" => "write one of `after`, `line`, `box_mm`, `header`".to_owned(),
            AnswerKind::Document if !enclosed => "write `header`".to_owned(),
            _ => format!("write one of `{data}`, `header`"),
        };
        let [only] = given[..] else {
            let message = match given.len() {
                0 => "nothing says where it stands".to_owned(),
                _ => format!("it cannot stand in several places: {}", given.join(", ")),
            };
            self.wrong(key, message, usual);
            return None;
        };
        let on_paper = matches!(only, "after" | "line" | "box_mm");
        let in_body = matches!(only, "json" | "xml" | "form");
        let fits = match answer {
            AnswerKind::Document if in_body => enclosed,
            AnswerKind::Document => !on_paper || key != "echo",
            AnswerKind::Data => !on_paper,
            AnswerKind::Opaque => only == "header" || in_body && key == "echo",
        };
        if !fits {
            let what = match answer {
                AnswerKind::Document => "a document",
                AnswerKind::Data => "data, not a paper",
                AnswerKind::Opaque => "not looked into",
            };
            self.wrong(&format!("{key}.{only}"), format!("the answer of this route is {what}"), usual);
            return None;
        }
        if let Some(label) = &spec.after {
            if normalize::squeeze(label).is_empty() {
                self.wrong(&format!("{key}.after"), "the label is empty", "write the printed label, like \"氏名\"");
                return None;
            }
            return Some(Place::After { label: self.label(label), lines: 1 });
        }
        if let Some(line) = &spec.line {
            return self.expression(&format!("{key}.line"), line, 1).map(Place::Line);
        }
        if let Some([x, y, width, height]) = spec.box_mm {
            let sound = [x, y, width, height].iter().all(|v| v.is_finite()) && x >= 0.0 && y >= 0.0;
            if !sound || width <= 0.0 || height <= 0.0 {
                let like = "write [x, y, width, height] in millimetres from the top left, as `read` prints them";
                self.wrong(&format!("{key}.box_mm"), "the box has no area on the page", like);
                return None;
            }
            return Some(Place::Box([x, y, x + width, y + height]));
        }
        if in_body {
            return self.body_place(key, &spec.json, &spec.xml, &spec.form).map(Extract::Body).map(Place::Answer);
        }
        let header = spec.header.clone()?;
        let named = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if header.is_empty() || !header.bytes().all(named) {
            self.wrong(&format!("{key}.header"), "this is no header name", "write one like \"X-Request-Id\"");
            return None;
        }
        Some(Place::Answer(Extract::Header(header)))
    }

    /// A place in the answer's body, in the route's dialect.
    pub(super) fn body_place(
        &mut self,
        key: &str,
        json: &Option<String>,
        xml: &Option<String>,
        form: &Option<String>,
    ) -> Option<BodyPlace> {
        let given = [(Format::Json, json), (Format::Xml, xml), (Format::Form, form)];
        let given: Vec<(Format, &String)> =
            given.into_iter().filter_map(|(f, text)| Some((f, text.as_ref()?))).collect();
        let dialect = &self.context.dialect;
        let [(format, text)] = given[..] else {
            self.wrong(key, "must name exactly one place", format!("write `{}`", dialect.format.key()));
            return None;
        };
        let like = match dialect.format {
            Format::Json => format!("write json = \"/{}\"", text.trim_matches('/')),
            Format::Xml => {
                "write a path like xml = \"//j:Result/j:Number\", and its prefixes in `namespaces`".to_owned()
            }
            Format::Form | Format::Multipart => "write the name of a field, like form = \"number\"".to_owned(),
        };
        let place = match dialect.place(format, text) {
            Ok(BodyPlace::Xml(path)) if path.is_relative() => Err("the path does not say where to begin".to_owned()),
            place => place,
        };
        place.map_err(|why| self.wrong(&format!("{key}.{}", format.name()), why, like)).ok()
    }

    /// The number of a label; equal labels share one.
    pub(super) fn label(&mut self, text: &str) -> usize {
        let squeezed = normalize::squeeze(text);
        let squeezed = squeezed.strip_suffix(':').unwrap_or(&squeezed).to_owned();
        if let Some(known) = self.labels.iter().position(|label| *label == squeezed) {
            return known;
        }
        self.labels.push(squeezed);
        self.labels.len() - 1
    }

    /// Compiles an expression for folded lines; 0 groups means any number.
    pub(super) fn expression(&mut self, key: &str, source: &str, groups: usize) -> Option<Regex> {
        let expression = match RegexBuilder::new(&normalize::pattern(source)).size_limit(EXPRESSION_BYTES).build() {
            Ok(expression) => expression,
            Err(error) => {
                let error = error.to_string();
                let last = error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.wrong(
                    key,
                    format!("not a regular expression: {last}"),
                    "the syntax is that of the Rust crate `regex`",
                );
                return None;
            }
        };
        let found = expression.captures_len() - 1;
        if groups > 0 && found != groups {
            let like = match groups {
                1 => "put one pair of parentheses around the value; others as (?:...)",
                _ => "put one pair around this page and one around all pages, like '^(\\d+)／(\\d+)$'",
            };
            self.wrong(key, format!("it has {found} groups, not {groups}"), like);
            return None;
        }
        if expression.is_match("") {
            self.wrong(key, "it matches an empty line, so it would find a value everywhere", "anchor it with ^ and $");
            return None;
        }
        Some(expression)
    }
}
