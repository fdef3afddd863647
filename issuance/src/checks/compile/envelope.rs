//! Compiling `document`: where the paper is inside the answer, and what else the answer may say.

use regex::RegexBuilder;

use super::Compiler;
use crate::answer::{BodyPlace, Extract};
use crate::checks::context::AnswerKind;
use crate::checks::envelope::{Beside, Envelope, Says};
use crate::checks::place::Place;
use crate::checks::plan::CheckPlan;
use crate::checks::spec::BesideSpec;
use crate::checks::suggest;

/// The facts that a value beside the document may repeat.
const FACTS: [&str; 5] = ["kiosk", "session", "municipality", "resident", "card"];
const MOST_BESIDE: usize = 64;
const EXPRESSION_BYTES: usize = 1 << 16;

impl Compiler<'_> {
    /// What is declared of a document inside the answer; `plan` says what its checks read there.
    pub(super) fn envelope(&mut self, plan: &CheckPlan) -> Option<Envelope> {
        let spec = self.context.document?;
        if self.context.answer != AnswerKind::Document {
            let message = format!("an answer to `{}` holds no certificate", self.context.operation.name());
            self.wrong("document", message, "remove it, or declare the route with operation = \"issue\"");
            return None;
        }
        let place = self.body_place("document", &spec.json, &spec.xml, &spec.form);
        if spec.decode != "base64" {
            self.wrong("document.decode", "says how the document is written there", "decode = \"base64\"");
        }
        if spec.media_type.as_deref().is_some_and(|media_type| media_type != "application/pdf") {
            self.wrong("document.media_type", "only PDF can be read", "media_type = \"application/pdf\"");
        }
        let (least, most) = match &spec.size {
            Some([least, most]) => (self.size("document.size", least), self.size("document.size", most)),
            None => (Some(512), Some(self.context.limits.max_file_bytes as u64)),
        };
        if spec.beside.len() > MOST_BESIDE {
            self.wrong("document.beside", format!("more than {MOST_BESIDE} entries"), "declare fewer");
        }
        let beside = spec.beside.iter().take(MOST_BESIDE).filter_map(|beside| self.beside(beside)).collect();
        let in_body = |place: &Place| match place {
            Place::Answer(Extract::Body(place)) => Some(place.clone()),
            _ => None,
        };
        let mut checked: Vec<BodyPlace> = plan.places().into_iter().filter_map(|(_, place)| in_body(place)).collect();
        checked.extend(plan.echo.iter().filter_map(|echo| in_body(&Place::Answer(echo.place.clone()))));
        Some(Envelope {
            place: place?,
            least: least?,
            most: most?,
            beside,
            checked,
            namespaces: self.context.dialect.namespaces.values().cloned().collect(),
        })
    }

    fn beside(&mut self, spec: &BesideSpec) -> Option<Beside> {
        let key = "document.beside";
        let place = self.body_place(key, &spec.json, &spec.xml, &spec.form)?;
        let says = match (&spec.r#in[..], &spec.equals, &spec.matches) {
            (values, None, None) if !values.is_empty() => Says::OneOf(values.to_vec()),
            ([], Some(name), None) => {
                let known = || FACTS.into_iter().chain(self.context.selection.iter().copied());
                if !known().any(|fact| fact == name) {
                    let nearest = suggest::instead(name, known().collect::<Vec<_>>());
                    self.wrong(key, format!("`{name}` is no fact that a request holds"), nearest);
                    return None;
                }
                Says::Fact(name.clone())
            }
            ([], None, Some(expression)) => {
                let whole = format!(r"\A(?:{expression})\z");
                match RegexBuilder::new(&whole).size_limit(EXPRESSION_BYTES).build() {
                    Ok(expression) => Says::Like(expression),
                    Err(_) => {
                        self.wrong(
                            key,
                            format!("\"{expression}\" is no regular expression"),
                            r"matches = '\d{4}-\d{2}-\d{2}'",
                        );
                        return None;
                    }
                }
            }
            _ => {
                let like = "in = [\"00\"], or equals = \"session\", or matches = '\\d+'";
                self.wrong(key, format!("`{}` does not say what may stand there", place.as_str()), like);
                return None;
            }
        };
        Some(Beside { place, says })
    }
}
