//! Papers, people and requests, built by hand: labels in one column, values in another, as forms are printed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sekisho_issuance::answer::AnswerView;
use sekisho_issuance::certificate::Kind;
use sekisho_issuance::checks::{
    CheckPlan, ChecksSpec, Content, Evidence, Findings, LookupContext, LookupFields, LookupReply, PlanContext, Reached,
    SpecError,
};
use sekisho_issuance::document::{Document, Line, Page, Run};
use sekisho_issuance::id::{CardDigest, KioskId, MunicipalityCode, RequestId, ResidentId, SessionId};
use sekisho_issuance::request::{Facts, Operation};
use sekisho_issuance::verdict::{CheckName, Verdict};

/// A generated person.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Someone {
    pub(crate) id: String,
    pub(crate) name: String,
    /// ISO.
    pub(crate) birth: String,
    /// As printed.
    pub(crate) birth_printed: String,
    pub(crate) sex: String,
    pub(crate) address: String,
}

pub(crate) fn someone(id: &str, name: &str, birth: &str, birth_printed: &str, sex: &str, address: &str) -> Someone {
    let [id, name, birth, birth_printed, sex, address] =
        [id, name, birth, birth_printed, sex, address].map(str::to_owned);
    Someone { id, name, birth, birth_printed, sex, address }
}

pub(crate) fn taro() -> Someone {
    someone("1001", "髙橋　太郎", "1980-03-12", "昭和５５年３月１２日", "男", "見本県見本市本町一丁目２番３号")
}

pub(crate) fn hanako() -> Someone {
    someone("1002", "髙橋　花子", "1982-11-03", "昭和５７年１１月３日", "女", "見本県見本市本町一丁目２番３号")
}

pub(crate) fn jiro() -> Someone {
    someone("2001", "鈴木　次郎", "1975-07-07", "昭和５０年７月７日", "男", "見本県見本市港町９番地")
}

pub(crate) fn run(text: &str, x_mm: f32, y_mm: f32) -> Run {
    let width_mm = text.chars().count() as f32 * 3.9;
    Run { text: text.to_owned(), x_mm, y_mm, width_mm, height_mm: 3.9 }
}

/// A page under construction.
#[derive(Clone, Default)]
pub(crate) struct Sheet {
    pub(crate) lines: Vec<Line>,
    y: f32,
}

impl Sheet {
    pub(crate) fn line(mut self, cells: &[(&str, f32)]) -> Self {
        self.y += 6.0;
        let runs = cells.iter().map(|(text, x)| run(text, *x, self.y)).collect();
        self.lines.push(Line { runs });
        self
    }

    pub(crate) fn row(self, label: &str, value: &str) -> Self {
        self.line(&[(label, 25.0), (value, 60.0)])
    }

    pub(crate) fn person(self, person: &Someone) -> Self {
        self.row("氏　名", &person.name)
            .row("生年月日", &person.birth_printed)
            .row("性　別", &person.sex)
            .row("住　所", &person.address)
    }

    pub(crate) fn gap(mut self, mm: f32) -> Self {
        self.y += mm;
        self
    }
}

/// A title, people, a page mark, a date, and the mayor on the last sheet.
pub(crate) fn certificate(sheets: &[&[Someone]]) -> Vec<Sheet> {
    let all = sheets.len();
    let sheet = |(index, people): (usize, &&[Someone])| {
        let head = Sheet::default().line(&[("住　民　票　の　写　し", 80.0)]).row("世帯主", "髙橋　太郎");
        let mut sheet = people.iter().fold(head, Sheet::person);
        sheet = sheet.line(&[(&format!("{}／{all}", index + 1), 170.0)]).row("発行日", "令和８年１１月２２日");
        if index + 1 == all { sheet.line(&[("見本市長　山田　一郎", 110.0)]) } else { sheet }
    };
    sheets.iter().enumerate().map(sheet).collect()
}

pub(crate) fn document(sheets: Vec<Sheet>) -> Document {
    let page = |sheet: Sheet| Page { width_mm: 210.0, height_mm: 297.0, lines: sheet.lines, ..Page::default() };
    Document { pages: sheets.into_iter().map(page).collect(), content_digest: [7; 32] }
}

pub(crate) const LOOKUP: &str = r#"
    id = { json = "/id" }
    name = { json = "/name" }
    birth_date = { json = "/birth" }
    sex = { json = "/sex" }
    address = { json = "/address" }
    version = { json = "/version" }
    people = { json = "/household", shared = ["address"] }
"#;

pub(crate) const CHECKS: &str = r#"
    [identity]
    with = "resident"
    enough = [["name", "birth_date", "sex", "address"]]
    [identity.fields]
    name = { after = "氏名" }
    birth_date = { after = "生年月日" }
    sex = { after = "性別" }
    address = { after = "住所" }
"#;

pub(crate) fn lookup_fields(text: &str) -> LookupFields {
    toml::from_str(text).unwrap()
}

/// Compiles `checks` for the issuance of a residence record, with one lookup `resident`.
pub(crate) fn compile(
    checks: &str,
    lookup: &str,
    adjust: impl Fn(&mut PlanContext<'_>),
) -> Result<CheckPlan, Vec<SpecError>> {
    let spec: ChecksSpec = toml::from_str(checks).unwrap();
    let fields = lookup_fields(lookup);
    let mut context = PlanContext::new(Operation::Issue);
    context.kind = Some(Kind::ResidentRecord);
    context.lookups.insert("resident", LookupContext { fields: &fields, independent: true });
    context.resident_is_proven = true;
    context.municipality_is_proven = true;
    context.municipality_names = true;
    context.fresh_connections = true;
    adjust(&mut context);
    CheckPlan::compile(&spec, &context)
}

pub(crate) fn plan(checks: &str) -> CheckPlan {
    compile(checks, LOOKUP, |_| {}).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

/// A request and everything that surrounds its answer; right unless a test changes it.
pub(crate) struct Scene {
    pub(crate) facts: Facts,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) sent_at: Timestamp,
    pub(crate) received_at: Timestamp,
    pub(crate) before: Option<LookupReply>,
    pub(crate) after: Option<LookupReply>,
    pub(crate) reached: Reached,
    pub(crate) municipality_name: Option<&'static str>,
    pub(crate) clock_synchronized: bool,
}

pub(crate) const REQUEST: RequestId = RequestId::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);

/// The authority's reply about the first person, the rest being the household.
pub(crate) fn reply(people: &[Someone], version: &str) -> LookupReply {
    let describe = |p: &Someone| serde_json::json!({"id": p.id, "name": p.name.replace('　', " "), "birth": p.birth, "sex": p.sex, "address": p.address});
    let mut body = describe(&people[0]);
    body["version"] = version.into();
    body["household"] = people.iter().map(describe).collect();
    lookup_fields(LOOKUP).parse(body.to_string().as_bytes()).unwrap()
}

/// `people[0]` asks for a certificate of all of `people`.
pub(crate) fn asked(people: &[Someone]) -> Scene {
    let mut residents: Vec<_> = people.iter().map(|p| ResidentId::new(&p.id).unwrap()).collect();
    residents.sort();
    let body = [b"%PDF-1.7\n".as_slice(), &[b' '; 1000], b"\n%%EOF\n"].concat();
    Scene {
        facts: Facts {
            kiosk: KioskId::new("K-0001").ok(),
            session: SessionId::new("S-1").ok(),
            municipality: MunicipalityCode::new("991007").ok(),
            residents,
            applicant: ResidentId::new(&people[0].id).ok(),
            kind: Some(Kind::ResidentRecord),
            selection: BTreeMap::new(),
            card: CardDigest::new("C-1").ok(),
            idempotency_key: None,
        },
        headers: vec![("content-type".to_owned(), b"application/pdf".to_vec())],
        status: 200,
        body,
        sent_at: "2026-11-22T10:00:00+09:00".parse().unwrap(),
        received_at: "2026-11-22T10:00:03+09:00".parse().unwrap(),
        before: Some(reply(people, "7")),
        after: Some(reply(people, "7")),
        reached: Reached::default(),
        municipality_name: Some("見本市"),
        clock_synchronized: true,
    }
}

impl Scene {
    pub(crate) fn evidence(&self) -> Evidence<'_> {
        Evidence {
            facts: &self.facts,
            request: REQUEST,
            nonce: 0xabc,
            answer: AnswerView {
                status: self.status,
                headers: &self.headers,
                body: &self.body,
                framing_surprise: false,
            },
            sent_at: self.sent_at,
            received_at: self.received_at,
            before: self.before.as_ref(),
            after: self.after.as_ref(),
            reached: &self.reached,
            municipality_name: self.municipality_name,
            clock_synchronized: self.clock_synchronized,
        }
    }

    pub(crate) fn paper(&self, plan: &CheckPlan, sheets: Vec<Sheet>) -> Findings {
        plan.judge(&self.evidence(), Content::Document(document(sheets)))
    }

    /// What one check says of a paper.
    pub(crate) fn says(&self, plan: &CheckPlan, check: CheckName, sheets: Vec<Sheet>) -> String {
        said(&self.paper(plan, sheets), check)
    }
}

/// `match`, `mismatch FIELD` with `@PAGE`, or `unverifiable REASON`.
pub(crate) fn said(findings: &Findings, check: CheckName) -> String {
    let found: Vec<_> = findings.findings.iter().filter(|f| f.check == check).collect();
    assert!(found.len() <= 1, "one finding per check");
    match found.first().map(|f| &f.verdict) {
        None => "nothing".to_owned(),
        Some(Verdict::Match) => "match".to_owned(),
        Some(Verdict::Unverifiable { reason }) => format!("unverifiable {reason}"),
        Some(Verdict::Mismatch { field }) => match field.page {
            Some(page) => format!("mismatch {}@{page}", field.field),
            None => format!("mismatch {}", field.field),
        },
    }
}
