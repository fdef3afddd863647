//! `read` and `test` as a vendor calls them.

use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::json;

use super::*;

const CONFIG: &str = include_str!("../../edge/tests.toml");

fn person(id: &str, name: &str) -> Value {
    json!({"id": id, "name": name, "birth": "1980-03-12", "address": "見本市本町1-2-3", "version": "7"})
}

/// An inquiry about `id`, answered as it should be.
fn inquiry(id: &str, name: &str) -> Value {
    let request_id = "01a2016c-eb8d-7516-841b-71feb0a49f46";
    let mut answer = person(id, name);
    answer["requestId"] = request_id.into();
    json!({
        "name": id,
        "request": {"method": "GET", "path": format!("/residents/{id}"), "headers": {"X-Session": "s", "X-Terminal": "K-1"}},
        "request_id": request_id,
        "facts": {"card": "c", "municipality": "991007"},
        "before": person(id, name), "after": person(id, name),
        "sent_at": "2026-11-22T01:00:00Z", "received_at": "2026-11-22T01:00:01Z",
        "answer": {"status": 200, "headers": {"Content-Type": "application/json"}, "body": answer},
    })
}

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn test(config: &str, exchanges: &[Value]) -> (bool, String) {
    let dir = Dir::new();
    let lines: Vec<String> = exchanges.iter().map(Value::to_string).collect();
    let path = dir.write("recorded.jsonl", &lines.join("\n"));
    let config = crate::config::parse(config).unwrap_or_else(|m| panic!("{m:#?}"));
    let mut out = Vec::new();
    let passed = super::super::test::run(&config, &path, &mut out);
    (passed.unwrap_or_else(|error| panic!("{error}")), String::from_utf8(out).unwrap())
}

#[test]
fn right_exchanges_pass_and_each_swap_is_caught() {
    let (passed, said) = test(CONFIG, &[inquiry("r-1", "関守　一郎"), inquiry("r-2", "関守　花子")]);
    assert!(passed, "{said}");
    assert!(said.contains("2 swapped pair(s), 0 would pass"), "{said}");
}

#[test]
fn a_swapped_pair_of_different_people_that_would_pass_names_the_weak_check() {
    // Twins at one address whose answers bear no id: only the request id tells them apart, and that is not to be relied on.
    let weak = CONFIG.replace("enough = [[\"id\"]]", "enough = [[\"name\", \"birth_date\", \"address\"]]").replace(
        "id = { json = \"/id\" }\n\n[routes.notice]",
        "name = { json = \"/name\" }\nbirth_date = { json = \"/birth\" }\naddress = { json = \"/address\" }\n\n[routes.notice]",
    );
    assert_ne!(weak, CONFIG);
    let (passed, said) = test(&weak, &[inquiry("r-1", "関守　薫"), inquiry("r-2", "関守　薫")]);
    assert!(!passed, "{said}");
    assert!(
        said.contains("r-1 would be given the answer of r-2: `routes.inquiry.checks.identity` is too weak"),
        "{said}"
    );
}

#[test]
fn an_answer_that_is_not_what_was_expected_fails() {
    let mut wrong = inquiry("r-1", "関守　一郎");
    wrong["answer"]["body"]["id"] = "r-9".into();
    let (passed, said) = test(CONFIG, &[wrong.clone(), inquiry("r-2", "関守　花子"), inquiry("r-3", "関守　次郎")]);
    assert!(!passed && said.contains("r-1: withhold (identity)  <- not what was expected"), "{said}");
    wrong["expect"] = "withhold".into();
    let (passed, said) = test(CONFIG, &[wrong, inquiry("r-2", "関守　花子"), inquiry("r-3", "関守　次郎")]);
    assert!(passed, "{said}");
}

const SOAP: &str = include_str!("../../../../loadtest/demo/gateway-soap.toml");

/// The same in SOAP, as text that stands for Shift_JIS.
fn soap_inquiry(id: &str, name: &str) -> Value {
    let request_id = "01a2016c-eb8d-7516-841b-71feb0a49f46";
    let envelope = |header: &str, body: &str| {
        format!(
            "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:j=\"urn:example:juki:1\"><s:Header>{header}\
             </s:Header><s:Body>{body}</s:Body></s:Envelope>"
        )
    };
    let record = format!(
        "<j:InquiryResult><j:Id>{id}</j:Id><j:Name>{name}</j:Name><j:Birth>1980-03-12</j:Birth><j:Sex>女</j:Sex>\
         <j:Address>見本市表町1-2-3</j:Address><j:Version>7</j:Version></j:InquiryResult>"
    );
    let asked = envelope(
        "<j:Terminal>K-1</j:Terminal><j:Seq>S-1</j:Seq>",
        &format!("<j:Inquiry><j:Number>{id}</j:Number></j:Inquiry>"),
    );
    json!({
        "name": id,
        "request": {"method": "POST", "path": "/juki/Inquiry", "headers": {"Content-Type": "text/xml; charset=Shift_JIS"}, "text": asked},
        "request_id": request_id,
        "facts": {"card": "c", "municipality": "991007"},
        "before": envelope("", &record), "after": envelope("", &record),
        "sent_at": "2026-11-22T01:00:00Z", "received_at": "2026-11-22T01:00:01Z",
        "answer": {
            "status": 200, "headers": {"Content-Type": "text/xml; charset=Shift_JIS"},
            "text": envelope(&format!("<j:MessageId>{request_id}</j:MessageId>"), &record),
        },
    })
}

#[test]
fn exchanges_in_soap_and_shift_jis_are_tested_like_any_others() {
    let exchanges = [soap_inquiry("r-1", "表　一郎"), soap_inquiry("r-2", "表　花子")];
    let (passed, said) = test(SOAP, &exchanges);
    assert!(passed && said.contains("2 swapped pair(s), 0 would pass"), "{said}");
    let mut hidden = soap_inquiry("r-1", "表　一郎");
    let answer = hidden["answer"]["text"].as_str().unwrap().to_owned();
    let another = "<j:History><j:Item><j:Id>r-2</j:Id></j:Item></j:History></j:InquiryResult>";
    hidden["answer"]["text"] = answer.replace("</j:InquiryResult>", another).into();
    let (passed, said) = test(SOAP, &[hidden, soap_inquiry("r-2", "表　花子"), soap_inquiry("r-3", "表　次郎")]);
    assert!(!passed && said.contains("r-1: withhold (identity)"), "another person deep in the answer: {said}");
}

#[test]
fn one_person_alone_proves_nothing() {
    let (passed, said) = test(CONFIG, &[inquiry("r-1", "関守　一郎")]);
    assert!(!passed && said.contains("nothing is proven"), "{said}");
}

#[test]
fn a_bad_recording_is_named_with_its_line() {
    let dir = Dir::new();
    let config = crate::config::parse(CONFIG).unwrap();
    let mut unknown = inquiry("r-1", "関守　一郎");
    unknown["anwser"] = 1.into();
    let mut two_bodies = inquiry("r-1", "関守　一郎");
    two_bodies["answer"]["text"] = "x".into();
    let mut undeclared = inquiry("r-1", "関守　一郎");
    undeclared["request"]["path"] = "/nowhere".into();
    for (recorded, why) in [(unknown, "anwser"), (two_bodies, "body_file"), (undeclared, "undeclared_path")] {
        let path = dir.write("recorded.jsonl", &format!("\n{recorded}\n"));
        let error = load(&path, &config).err().unwrap();
        assert!(error.contains("recorded.jsonl:2: ") && error.contains(why), "{error}");
    }
}

#[test]
fn commands_exit_with_the_codes_that_the_manual_names() {
    let dir = Dir::new();
    let good = dir.write("good.toml", CONFIG);
    let bad = dir.write("bad.toml", "version = 1\n");
    let paper = dir.write("paper.pdf", "no pdf at all");
    let code = |args: &[&Path]| {
        let args =
            std::iter::once(OsString::from("sekisho-gateway")).chain(args.iter().map(|a| a.as_os_str().to_owned()));
        format!("{:?}", crate::cli::main_from(args))
    };
    let exit = |code: u8| format!("{:?}", std::process::ExitCode::from(code));
    let word = Path::new;
    assert_eq!(code(&[word("check"), &good]), exit(0));
    assert_eq!(code(&[word("check"), word("--config"), &good]), exit(0));
    assert_eq!(code(&[word("check"), &bad]), exit(2));
    assert_eq!(code(&[word("check"), word("/nonexistent")]), exit(1));
    assert_eq!(code(&[word("check")]), exit(2));
    assert_eq!(code(&[word("run"), &bad]), exit(2));
    assert_eq!(code(&[word("read"), &paper]), exit(1));
    assert_eq!(code(&[word("nonsense")]), exit(2));
}
