//! From the `checks` table to a plan: defaults, then every mistake and every contradiction with the rest of the route.

mod envelope;
mod identity;
mod place;

use jiff::SignedDuration;

use super::context::{AnswerKind, PlanContext};
use super::place::Place;
use super::plan::{AsOf, Echo, SelectionItem};
use super::printed::KindRule;
use super::quantity;
use super::shape::{Form, Shape};
use super::spec::{ChecksSpec, Currency, Echoed, OneOrMany, PlaceSpec, Printed, Quantity, Switch, Watermark};
use super::suggest;
use super::{CheckPlan, SpecError, UniquePolicy};
use crate::answer::Format;
use crate::request::Operation;

/// `unique` remembers at least two service days.
const LEAST_UNIQUE_WINDOW: std::time::Duration = std::time::Duration::from_secs(48 * 3600);

const DEFAULT_PAGES: &str = r"^(\d{1,3}) ?/ ?(\d{1,3})$";
const DEFAULT_MUNICIPALITY: &str = r"^(\S+[市区町村])長(?:\s|$)";
const DEFAULT_ISSUED_ON: &str = "発行日";

pub(super) fn compile(spec: &ChecksSpec, context: &PlanContext<'_>) -> Result<CheckPlan, Vec<SpecError>> {
    let mut compiler = Compiler { spec, context, errors: Vec::new(), labels: Vec::new(), warnings: Vec::new() };
    let plan = compiler.plan();
    if compiler.errors.is_empty() { Ok(plan) } else { Err(compiler.errors) }
}

struct Compiler<'c> {
    spec: &'c ChecksSpec,
    context: &'c PlanContext<'c>,
    errors: Vec<SpecError>,
    labels: Vec<String>,
    warnings: Vec<String>,
}

impl Compiler<'_> {
    fn wrong(&mut self, key: &str, message: impl Into<String>, suggestion: impl Into<String>) {
        self.errors.push(SpecError { key: key.to_owned(), message: message.into(), suggestion: suggestion.into() });
    }

    fn plan(&mut self) -> CheckPlan {
        let (spec, context) = (self.spec, self.context);
        let speaks = context.operation.speaks_of_resident();
        if !speaks {
            self.nobody_spoken_of();
        }
        let paper = context.answer == AnswerKind::Document;
        let issues = paper && context.operation == Operation::Issue;
        let shape = (!spec.shape.is_off()).then(|| self.shape());
        let echo = self.echo();
        let (identity, complete) = if speaks { self.identity() } else { (None, false) };
        let kind = self.kind(issues);
        let municipality = self.placed("municipality", &spec.municipality, |s| s.place()).or_else(|| {
            let default = speaks && paper && context.municipality_names && spec.municipality == Switch::Default;
            default.then(|| self.expression("municipality.line", DEFAULT_MUNICIPALITY, 1).map(Place::Line)).flatten()
        });
        let selection = self.selection();
        let pages = match &spec.pages {
            Switch::Off => None,
            Switch::On(pages) if paper => self.expression("pages.line", &pages.line, 2),
            Switch::On(_) => self.only_on_paper("pages"),
            Switch::Default if issues => self.expression("pages.line", DEFAULT_PAGES, 2),
            Switch::Default => None,
        };
        let issue_number = self.placed("issue_number", &spec.issue_number, |s| s.place());
        let as_of = self.as_of();
        let version = if speaks { self.version() } else { None };
        let issued_on = self.placed("issued_on", &spec.issued_on, |s| s.place()).or_else(|| {
            let default = issues && spec.issued_on == Switch::Default;
            default.then(|| Place::After { label: self.label(DEFAULT_ISSUED_ON), lines: 1 })
        });
        let issued_at = self.issued_at();
        let unique = self.unique(issues);
        if speaks {
            self.currency(as_of.is_some(), version.is_some(), complete);
        }
        let complete_matters = as_of.is_none() && spec.currency.is_none();
        let lookup = identity.as_ref().and_then(|i| i.with.clone()).or_else(|| version.clone());
        if let (Some(lookup), Some(probe)) = (&lookup, &version)
            && lookup != probe
        {
            let message = format!("a route asks one lookup: identity compares with `{lookup}`, this probes `{probe}`");
            self.wrong("version.probe", message, format!("write \"{lookup}\", and give it a `version` field"));
        }
        self.warn(lookup.as_deref(), echo.as_ref());
        let mut plan = CheckPlan {
            operation: context.operation,
            answer: context.answer,
            dialect: context.dialect.clone(),
            envelope: None,
            limits: context.limits,
            labels: std::mem::take(&mut self.labels),
            shape,
            echo,
            identity: identity.map(|mut identity| {
                if !complete_matters {
                    identity.complete = 0;
                }
                identity
            }),
            kind,
            municipality,
            selection,
            has_selection: !context.selection.is_empty(),
            pages,
            issue_number,
            as_of,
            version,
            issued_on,
            issued_at,
            issued_at_off: spec.issued_at.is_off(),
            unique,
            lookup,
            currency_unproven: spec.currency.is_some(),
            resident_is_proven: context.resident_is_proven,
            municipality_is_proven: context.municipality_is_proven,
            warnings: std::mem::take(&mut self.warnings),
        };
        plan.envelope = self.envelope(&plan);
        plan
    }

    /// `open`, `close` and `pass` answers speak of no resident: only their form and echo can be checked.
    fn nobody_spoken_of(&mut self) {
        let spec = self.spec;
        let declared = [
            ("identity", spec.identity.declared().is_some()),
            ("kind", spec.kind.declared().is_some()),
            ("municipality", spec.municipality.declared().is_some()),
            ("selection", spec.selection.declared().is_some()),
            ("pages", spec.pages.declared().is_some()),
            ("issue_number", spec.issue_number.declared().is_some()),
            ("as_of", spec.as_of.declared().is_some()),
            ("version", spec.version.declared().is_some()),
            ("issued_on", spec.issued_on.declared().is_some()),
            ("issued_at", spec.issued_at.declared().is_some()),
            ("unique", spec.unique.declared().is_some()),
            ("currency", spec.currency.is_some()),
        ];
        for (key, _) in declared.into_iter().filter(|(_, declared)| *declared) {
            let message = format!("an answer to `{}` speaks of no resident", self.context.operation.name());
            self.wrong(key, message, "remove it");
        }
    }

    fn shape(&mut self) -> Shape {
        let answer = self.context.answer;
        let declared = self.spec.shape.declared().cloned().unwrap_or_default();
        let status = declared.status.unwrap_or_else(|| match self.context.operation {
            Operation::Open => vec![200, 201],
            Operation::Close => vec![200, 204],
            Operation::Issue | Operation::Inquire | Operation::Amend | Operation::Pass => vec![200],
        });
        if status.is_empty() {
            self.wrong("shape.status", "no status is good", "write [200]");
        }
        for code in &status {
            if !matches!(code, 200..=205 | 207..=299) {
                let message = format!("{code} is no complete good answer");
                self.wrong(
                    "shape.status",
                    message,
                    "list 2xx statuses other than 206; a lawful no belongs to `refusals`",
                );
            }
        }
        let format = self.context.dialect.format;
        let data = match format {
            Format::Xml => ["text/xml", "application/xml", "application/soap+xml"].map(str::to_owned).to_vec(),
            Format::Json | Format::Form | Format::Multipart => vec![format.media_type().to_owned()],
        };
        let media_types: Vec<String> = match declared.media_type.as_ref().map(OneOrMany::as_slice) {
            Some(types) => types.iter().map(|t| t.to_ascii_lowercase()).collect(),
            None => match answer {
                AnswerKind::Document if self.context.document.is_none() => vec!["application/pdf".to_owned()],
                AnswerKind::Document | AnswerKind::Data => data,
                AnswerKind::Opaque => [data, vec!["text/plain".to_owned()]].concat(),
            },
        };
        if self.context.document.is_some() && media_types.iter().any(|media_type| media_type == "application/pdf") {
            let message = "the answer is no document: the document is inside it";
            self.wrong("shape.media_type", message, format!("write \"{}\"", format.media_type()));
        }
        for media_type in &media_types {
            let plain = media_type.split_once('/').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty());
            if !plain || media_type.contains([';', ' ', '*']) {
                let message = format!("\"{media_type}\" is no media type without parameters");
                self.wrong("shape.media_type", message, "write one like \"application/pdf\"");
            } else if answer == AnswerKind::Opaque && media_type == "application/pdf" {
                let message = format!("`{}` may not hand out documents", self.context.operation.name());
                self.wrong("shape.media_type", message, "declare the route with operation = \"issue\"");
            }
        }
        let (least, most) = match (&declared.size, answer) {
            (Some([least, most]), _) => (self.size("shape.size", least), self.size("shape.size", most)),
            (None, AnswerKind::Document) => (Some(512), Some(self.context.limits.max_file_bytes as u64)),
            (None, AnswerKind::Data) => (Some(2), Some(1 << 20)),
            // A session's end has nothing to say, and nothing that it says is compared with anybody.
            (None, AnswerKind::Opaque) if self.context.operation == Operation::Close => (Some(0), Some(0)),
            (None, AnswerKind::Opaque) => (Some(0), Some(64 << 10)),
        };
        let (least, most) = (least.unwrap_or(0), most.unwrap_or(u64::MAX));
        if least > most {
            self.wrong("shape.size", "the least size is greater than the greatest", "swap the two");
        }
        let form = match answer {
            AnswerKind::Document if self.context.document.is_none() => Form::Document,
            AnswerKind::Document | AnswerKind::Data => Form::Data(format, self.context.dialect.charset),
            AnswerKind::Opaque => Form::Opaque,
        };
        Shape { status, media_types, least, most, form }
    }

    fn size(&mut self, key: &str, quantity: &Quantity) -> Option<u64> {
        quantity::size(quantity).map_err(|e| self.wrong(key, e.message, e.suggestion)).ok()
    }

    fn duration(&mut self, key: &str, quantity: &Quantity) -> Option<std::time::Duration> {
        quantity::duration(quantity).map_err(|e| self.wrong(key, e.message, e.suggestion)).ok()
    }

    fn echo(&mut self) -> Option<Echo> {
        let spec = self.spec.echo.declared()?;
        let (header, json, xml, form) = (spec.header.clone(), spec.json.clone(), spec.xml.clone(), spec.form.clone());
        let places = PlaceSpec { header, json, xml, form, ..PlaceSpec::default() };
        match self.place("echo", &places)? {
            Place::Answer(place) => Some(Echo { place, equals: spec.equals }),
            _ => None,
        }
    }

    fn kind(&mut self, issues: bool) -> Option<KindRule> {
        let Some(kind) = self.context.kind else {
            if self.spec.kind.declared().is_some() {
                self.wrong(
                    "kind",
                    "the route names no kind",
                    "add kind = \"resident_record\" (or another) to the route",
                );
            }
            return None;
        };
        match &self.spec.kind {
            Switch::Off => None,
            Switch::Default => issues.then_some(KindRule { kind, line: None }),
            Switch::On(spec) if issues => {
                let line = self.expression("kind.line", &spec.line, 0)?;
                Some(KindRule { kind, line: Some(line) })
            }
            Switch::On(_) => self.only_on_paper("kind"),
        }
    }

    fn selection(&mut self) -> Vec<SelectionItem> {
        let mut items = Vec::new();
        for (name, item) in self.spec.selection.declared().into_iter().flatten() {
            let key = format!("selection.{name}");
            if !self.context.selection.contains(name.as_str()) {
                let known = suggest::instead(name, self.context.selection.iter().copied());
                self.wrong(&key, format!("the route has no fact `{name}`"), known);
            }
            if item.is.is_empty() {
                let like = "write is = { yes = true, no = false } with every value that can be asked";
                self.wrong(&format!("{key}.is"), "nothing says what each asked value prints", like);
            }
            if let Some(place) = self.place(&key, &item.place()) {
                let unasked = item.unasked.clone().unwrap_or(Printed::Some(false));
                items.push(SelectionItem { name: name.clone(), place, is: item.is.clone(), unasked });
            }
        }
        items
    }

    fn as_of(&mut self) -> Option<AsOf> {
        let spec = self.spec.as_of.declared()?;
        let place = self.place("as_of", &spec.place());
        if spec.watermark == Watermark::Lookup {
            let compared = self.spec.identity.declared().and_then(|identity| identity.with.as_deref());
            let probed = self.spec.version.declared().map(|version| version.probe.as_str());
            let lookup = compared.or(probed).and_then(|name| self.context.lookups.get(name));
            if lookup.is_none_or(|l| l.fields.version.is_none()) {
                let message = "no lookup of this route has a version to reach";
                self.wrong("as_of.watermark", message, "give identity.with a lookup that has a `version` field");
            }
        }
        Some(AsOf { place: place?, watermark: spec.watermark })
    }

    fn version(&mut self) -> Option<String> {
        match &self.spec.version {
            Switch::Off => None,
            Switch::Default => {
                let with = self.spec.identity.declared()?.with.as_deref()?;
                let lookup = self.context.lookups.get(with)?;
                lookup.fields.version.as_ref().map(|_| with.to_owned())
            }
            Switch::On(spec) => {
                match self.context.lookups.get(spec.probe.as_str()) {
                    None => self.no_lookup("version.probe", &spec.probe),
                    Some(lookup) if lookup.fields.version.is_none() => {
                        let message = format!("the lookup `{}` has no `version`", spec.probe);
                        self.wrong("version.probe", message, "add version = { json = \"/version\" } to its fields");
                    }
                    Some(lookup) if lookup.fields.id.is_none() => {
                        let message = format!("a reply of `{}` does not say for whom it answers", spec.probe);
                        self.wrong("version.probe", message, "add id = { json = \"/id\" } to its fields");
                    }
                    Some(_) => {}
                }
                Some(spec.probe.clone())
            }
        }
    }

    fn issued_at(&mut self) -> Option<(Place, SignedDuration)> {
        let spec = self.spec.issued_at.declared()?;
        let place = self.place("issued_at", &spec.place());
        let skew = match &spec.backend_skew {
            Some(quantity) => self.duration("issued_at.backend_skew", quantity)?,
            None => std::time::Duration::from_secs(2),
        };
        Some((place?, SignedDuration::try_from(skew).ok()?))
    }

    fn unique(&mut self, issues: bool) -> Option<UniquePolicy> {
        let spec = match &self.spec.unique {
            Switch::Off => return None,
            Switch::Default if !issues => return None,
            Switch::Default => Default::default(),
            Switch::On(spec) => spec.clone(),
        };
        let window = match &spec.window {
            Some(quantity) => self.duration("unique.window", quantity).unwrap_or(LEAST_UNIQUE_WINDOW),
            None => LEAST_UNIQUE_WINDOW,
        };
        if window < LEAST_UNIQUE_WINDOW {
            let message =
                "a file left over on one day is printed on the next: content is remembered for two service days";
            self.wrong("unique.window", message, "write \"48h\" or more, or leave it out");
        }
        Some(UniquePolicy { window, strict: spec.strict })
    }

    /// Something must show that an answer is current, or somebody must write that nothing does.
    fn currency(&mut self, as_of: bool, probed: bool, complete: bool) {
        if self.context.operation == Operation::Amend {
            return self.version_made(as_of || probed);
        }
        let needed = matches!(self.context.operation, Operation::Issue | Operation::Inquire);
        // Where identity itself is wrong, that has to be put right first.
        let identity_is_wrong = self.errors.iter().any(|error| error.key.starts_with("identity"));
        let proven = as_of || complete || identity_is_wrong;
        match self.spec.currency {
            Some(Currency::Unproven) if proven => {
                self.warnings.push("`currency = \"unproven\"` is not needed: the checks prove it".to_owned());
            }
            None if needed && !proven => {
                let message = "nothing shows that the answer is current: a revoked or outdated record would pass";
                let suggestion = "declare `as_of`, or compare every field of a lookup in `identity` (and drop from the \
                                  lookup what the paper does not print), or write currency = \"unproven\"";
                self.wrong("currency", message, suggestion);
            }
            _ => {}
        }
    }

    /// An amend must tell which version it made, or an older document could follow its acknowledgement.
    fn version_made(&mut self, told: bool) {
        if !told && !cfg!(feature = "weakened") {
            let message =
                "nothing tells which version the change made: an older document could follow its acknowledgement";
            let suggestion = "declare as_of = { json = \"/version\" } where the answer says it, or version = { probe = \"resident\" } \
                              with a lookup that does";
            self.wrong("as_of", message, suggestion);
        } else if self.spec.currency.is_some() {
            self.warnings.push("`currency` has no meaning for a change".to_owned());
        }
    }

    fn warn(&mut self, lookup: Option<&str>, echo: Option<&Echo>) {
        if let Some(name) = lookup
            && self.context.lookups.get(name).is_some_and(|l| !l.independent)
        {
            self.warnings.push(format!(
                "lookup `{name}` asks the backend it judges: a fault there may falsify both answers alike"
            ));
        }
        let weak = echo.is_some_and(|echo| echo.equals == Echoed::Session);
        if weak {
            let why = "`echo` compares the session: two answers to one session cannot be told apart by it";
            self.warnings.push(why.to_owned());
        }
        if !self.context.fresh_connections && (echo.is_none() || weak) {
            let why = "without an echo of the request id or nonce, each call takes a fresh connection";
            self.warnings.push(why.to_owned());
        }
    }

    fn placed<T: PartialEq>(
        &mut self,
        key: &str,
        switch: &Switch<T>,
        place: impl Fn(&T) -> PlaceSpec,
    ) -> Option<Place> {
        self.place(key, &place(switch.declared()?))
    }

    fn no_lookup(&mut self, key: &str, name: &str) {
        let known = suggest::instead(name, self.context.lookups.keys().copied());
        self.wrong(key, format!("there is no lookup `{name}`"), known);
    }

    fn only_on_paper<T>(&mut self, key: &str) -> Option<T> {
        self.wrong(key, "only a certificate on paper has it", "remove it");
        None
    }
}
