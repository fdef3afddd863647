//! A document inside an answer: the paper is checked as any other, and nothing beside it leaves unchecked.

use std::collections::BTreeMap;

use sekisho_issuance::answer::{Charset, Dialect, Format};
use sekisho_issuance::checks::spec::DocumentSpec;
use sekisho_issuance::checks::{CheckPlan, Content, Findings, PlanContext, SpecError};
use sekisho_issuance::verdict::CheckName;

use crate::scene::{CHECKS, LOOKUP, Scene, asked, certificate, compile, document, hanako, said, taro};

const DOCUMENT: &str = r#"
    xml = "//j:IssueResult/j:Pdf"
    decode = "base64"
    size = ["16B", "1KiB"]
    beside = [
        { xml = "//j:IssueResult/j:Code", in = ["00"] },
        { xml = "//j:IssueResult/j:Number", equals = "resident" },
        { xml = "//j:IssueResult/j:Printed", matches = '\d{8}' },
    ]
"#;

const ECHOED: &str = r#"
    [echo]
    xml = "/s:Envelope/s:Header/j:Seq"
    equals = "session"
    [shape]
    size = ["1B", "8KiB"]
"#;

fn dialect() -> Dialect {
    let namespaces = [("s", "http://schemas.xmlsoap.org/soap/envelope/"), ("j", "urn:example:juki:1")];
    let namespaces = namespaces.map(|(prefix, uri)| (prefix.to_owned(), uri.to_owned()));
    Dialect { charset: Charset::ShiftJis, format: Format::Xml, namespaces: BTreeMap::from(namespaces) }
}

fn compiled(table: &str, checks: &str) -> Result<CheckPlan, Vec<SpecError>> {
    let spec: &'static DocumentSpec = Box::leak(Box::new(toml::from_str(table).unwrap()));
    compile(checks, LOOKUP, |context: &mut PlanContext<'_>| {
        context.dialect = dialect();
        context.document = Some(spec);
    })
}

fn plan() -> CheckPlan {
    compiled(DOCUMENT, &format!("{ECHOED}\n{CHECKS}")).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

/// `%PDF-1.7 ... %%EOF`, too poor to be read but in good form.
const PDF: &str = "JVBERi0xLjcKeAolJUVPRgo=";

fn envelope(header: &str, result: &str) -> Vec<u8> {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"Shift_JIS\"?>\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:j=\"urn:example:juki:1\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><s:Header>{header}</s:Header>\
         <s:Body><j:IssueResult>{result}</j:IssueResult></s:Body></s:Envelope>"
    );
    Charset::ShiftJis.encode(&text).unwrap()
}

const SEQ: &str = "<j:Seq>S-1</j:Seq>";

fn result(pdf: &str) -> String {
    format!("<j:Code>00</j:Code><j:Number>1001</j:Number><j:Printed>20261122</j:Printed><j:Pdf>{pdf}</j:Pdf>")
}

fn scene(body: Vec<u8>) -> Scene {
    let mut scene = asked(&[taro()]);
    scene.headers = vec![("content-type".to_owned(), b"text/xml; charset=Shift_JIS".to_vec())];
    scene.body = body;
    scene
}

/// What the checks say when the envelope is `body` and the paper in it is `paper`'s.
fn judged(body: Vec<u8>, paper: &[crate::scene::Someone]) -> Findings {
    let (scene, plan) = (scene(body), plan());
    let content = match plan.read(&scene.body, Some("text/xml")) {
        Content::Enclosed(around, _) => Content::Enclosed(around, Ok(document(certificate(&[paper])))),
        other => other,
    };
    plan.judge(&scene.evidence(), content)
}

fn shape(body: Vec<u8>) -> String {
    said(&judged(body, &[taro()]), CheckName::Shape)
}

#[test]
fn the_right_paper_in_a_declared_envelope_matches_on_every_check() {
    let findings = judged(envelope(SEQ, &result(PDF)), &[taro()]);
    assert!(findings.all_match(), "{:?}", findings.findings);
}

#[test]
fn a_paper_of_another_in_an_envelope_suspends_at_once_also_where_the_envelope_says_so_too() {
    let findings = judged(envelope(SEQ, &result(PDF)), &[hanako()]);
    assert_eq!(findings.confirmed_mismatch().unwrap().check, CheckName::Identity);
    let whole = judged(envelope(SEQ, &result(PDF).replace("1001", "1002")), &[hanako()]);
    assert_eq!(said(&whole, CheckName::Shape), "unverifiable envelope_names_another");
    assert_eq!(whole.confirmed_mismatch().unwrap().check, CheckName::Identity);
}

#[test]
fn a_reply_to_another_session_is_told_by_its_envelope() {
    let findings = judged(envelope("<j:Seq>S-2</j:Seq>", &result(PDF)), &[taro()]);
    assert_eq!(said(&findings, CheckName::Echo), "mismatch echo");
    let twice = judged(envelope("<j:Seq>S-1</j:Seq><j:Seq>S-2</j:Seq>", &result(PDF)), &[taro()]);
    assert_eq!(said(&twice, CheckName::Echo), "unverifiable echo_missing", "which of two, nobody can say");
}

#[test]
fn what_nobody_checks_does_not_leave_beside_the_document() {
    let more = "unverifiable envelope_says_more";
    for beside in [
        "<j:Name>鈴木 次郎</j:Name>",
        "<j:鈴木次郎/>",
        "<j:Extra><j:Name>鈴木 次郎</j:Name></j:Extra>",
        "<!-- 鈴木 次郎 -->",
        "<j:Note xmlns:j=\"urn:suzuki-jiro\"/>",
    ] {
        assert_eq!(shape(envelope(SEQ, &format!("{}{beside}", result(PDF)))), more, "{beside}");
    }
    assert_eq!(shape(envelope(&format!("{SEQ}<j:Seq2>1</j:Seq2>"), &result(PDF))), more);
    assert_eq!(shape(envelope(SEQ, &result(PDF).replace("<j:Code>", "<j:Code name=\"鈴木\">"))), more);
    assert_eq!(shape(envelope(SEQ, &result(PDF).replace("<j:Pdf>", "<j:Pdf xsi:type=\"鈴木\">"))), more);
    let undeclared = "unverifiable envelope_value_undeclared";
    assert_eq!(shape(envelope(SEQ, &result(PDF).replace(">00<", ">鈴木<"))), undeclared);
    assert_eq!(shape(envelope(SEQ, &result(PDF).replace("20261122", "20261122 鈴木"))), undeclared);
    let second = format!("{}<j:Code>01</j:Code>", result(PDF));
    assert_eq!(shape(envelope(SEQ, &second)), undeclared, "every node of a declared place is looked at");
}

#[test]
fn there_is_exactly_one_document_in_good_form_and_nothing_else_in_its_place() {
    let reason = |body: Vec<u8>| {
        let (scene, plan) = (scene(body), plan());
        said(&plan.run(&scene.evidence()), CheckName::Shape)
    };
    let with = |pdf: &str| reason(envelope(SEQ, &result(pdf)));
    let twice = format!("{}<j:Pdf>{PDF}</j:Pdf>", result(PDF));
    assert_eq!(reason(envelope(SEQ, &twice)), "unverifiable document_ambiguous");
    let second_result = format!("{}</j:IssueResult><j:IssueResult>{}", result(PDF), result(PDF));
    assert_eq!(reason(envelope(SEQ, &second_result)), "unverifiable document_ambiguous");
    assert_eq!(with("<j:Part/>"), "unverifiable document_not_plain");
    assert_eq!(reason(envelope(SEQ, "<j:Code>00</j:Code>")), "unverifiable document_missing");
    for garbage in
        ["", "JVBERi0*", "JVBERi0", "JVBERi0xLjcKeAolJUVPRgo", "JVBERi0xLjcKeAolJUVPRgp=", "=JVBERi0", "JVBERi0_"]
    {
        let said = with(garbage);
        assert!(
            ["unverifiable document_not_base64", "unverifiable document_magic"].contains(&&*said),
            "{garbage}: {said}"
        );
    }
    assert_eq!(with("PGh0bWw+ZXJyb3I8L2h0bWw+IDA="), "unverifiable document_magic");
    assert_eq!(with("JVBERi0xLjcKeAolJUVPRgp4eHh4"), "unverifiable document_trailing_bytes");
    assert_eq!(with("JVBERi0KJSVFT0YK"), "unverifiable document_size", "shorter than declared");
    assert_eq!(with(&"JVBE".repeat(400)), "unverifiable document_size", "longer than declared");
    // Folded lines are good form; this one is too poor a file to be read.
    let folded = with("\r\n JVBERi0xLjcK\r\n\teAolJUVPRgo=\n");
    assert!(folded.starts_with("unverifiable ") && !folded.contains("document_"), "{folded}");
    let cdata = with(&format!("<![CDATA[{PDF}]]>"));
    assert_eq!(cdata, folded, "a CDATA section is a way of writing");
}

#[test]
fn a_fault_with_status_200_releases_nothing() {
    let fault =
        "<s:Fault xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><faultcode>j:E999</faultcode></s:Fault>";
    let (scene, plan) = (scene(envelope(SEQ, fault)), plan());
    let findings = plan.run(&scene.evidence());
    assert_eq!(said(&findings, CheckName::Identity), "unverifiable document_missing");
    assert!(!findings.all_match());
}

#[test]
fn an_envelope_that_cannot_be_read_in_its_charset_is_unverifiable() {
    let plan = plan();
    let mut broken = envelope(SEQ, &result(PDF));
    let at = broken.windows(7).position(|w| w == b"</j:Seq").unwrap();
    broken.insert(at, 0x95);
    assert_eq!(said(&plan.run(&scene(broken).evidence()), CheckName::Shape), "unverifiable charset_undecodable");
    let mut other = scene(envelope(SEQ, &result(PDF)));
    other.headers = vec![("content-type".to_owned(), b"text/xml; charset=UTF-8".to_vec())];
    assert_eq!(said(&plan.run(&other.evidence()), CheckName::Shape), "mismatch media_type");
}

#[test]
fn a_document_inside_json_is_held_to_the_same() {
    let spec: DocumentSpec =
        toml::from_str("json = \"/result/pdf\"\ndecode = \"base64\"\nsize = [\"1B\", \"1KiB\"]\nbeside = [{ json = \"/result/code\", in = [\"0\"] }]").unwrap();
    let plan = compile(CHECKS, LOOKUP, |context: &mut PlanContext<'_>| {
        // The plan keeps nothing of the table.
        context.document = Some(Box::leak(Box::new(spec.clone())));
    })
    .unwrap();
    let shape = |result: serde_json::Value| {
        let mut scene = asked(&[taro()]);
        scene.headers = vec![("content-type".to_owned(), b"application/json".to_vec())];
        scene.body = serde_json::json!({ "result": result }).to_string().into_bytes();
        scene.body.resize(600, b' ');
        let content = match plan.read(&scene.body, None) {
            Content::Enclosed(around, _) => Content::Enclosed(around, Ok(document(certificate(&[&[taro()]])))),
            other => other,
        };
        said(&plan.judge(&scene.evidence(), content), CheckName::Shape)
    };
    assert_eq!(shape(serde_json::json!({"pdf": PDF, "code": 0})), "match");
    let more = "unverifiable envelope_says_more";
    assert_eq!(shape(serde_json::json!({"pdf": PDF, "code": 0, "name": "鈴木"})), more);
    assert_eq!(shape(serde_json::json!({"pdf": PDF, "code": 0, "鈴木": {}})), more);
    assert_eq!(shape(serde_json::json!({"pdf": PDF, "code": 0, "n": [7]})), more);
    assert_eq!(shape(serde_json::json!({"pdf": PDF, "code": 1})), "unverifiable envelope_value_undeclared");
    assert_eq!(shape(serde_json::json!({"pdf": PDF, "code": {"0": "0"}})), more);
}

#[test]
fn mistakes_in_the_table_are_told_by_their_key() {
    let keys = |table: &str, checks: &str| -> Vec<String> {
        compiled(table, checks).err().unwrap().into_iter().map(|error| error.key).collect()
    };
    assert_eq!(keys("json = \"/pdf\"\ndecode = \"base64\"", CHECKS), ["document.json"]);
    assert_eq!(keys("xml = \"//k:Pdf\"", CHECKS), ["document.xml", "document.decode"]);
    assert_eq!(keys("xml = \"j:Pdf\"\ndecode = \"base64\"", CHECKS), ["document.xml"]);
    let beside =
        |entry: &str| format!("xml = \"//j:Pdf\"\ndecode = \"base64\"\nbeside = [{{ xml = \"//j:C\", {entry} }}]");
    for entry in ["equals = \"name\"", "in = []", "matches = '('", "in = [\"1\"], matches = '1'"] {
        assert_eq!(keys(&beside(entry), CHECKS), ["document.beside"], "{entry}");
    }
    let without = compile(&format!("{ECHOED}\n{CHECKS}"), LOOKUP, |context| context.dialect = dialect());
    assert_eq!(without.err().unwrap()[0].key, "echo.xml", "an answer that is the document has no envelope");
}
