//! Echo, shape, JSON answers, and what `read` shows.

use sekisho_issuance::checks::{CheckPlan, ChecksSpec, Content, LookupContext, PlanContext};
use sekisho_issuance::request::Operation;
use sekisho_issuance::verdict::CheckName;

use crate::scene::*;

#[test]
fn the_echo_is_this_request_or_it_is_another() {
    let echo = |table: &str, value: Option<&str>| {
        let compiled = plan(&format!("[echo]\n{table}\n{CHECKS}"));
        let mut scene = asked(&[taro()]);
        scene.headers.extend(value.map(|v| ("x-request-id".to_owned(), v.as_bytes().to_vec())));
        let findings = scene.paper(&compiled, certificate(&[&[taro()]]));
        (said(&findings, CheckName::Echo), findings.confirmed_mismatch().is_some())
    };
    let header = "header = \"X-Request-Id\"";
    assert_eq!(echo(header, Some(&REQUEST.to_string())), ("match".into(), false));
    assert_eq!(echo(header, Some("01900000-0000-7000-8000-000000000002")), ("mismatch echo".into(), true));
    assert_eq!(echo(header, None), ("unverifiable echo_missing".into(), false));
    let nonce = format!("{header}\nequals = \"nonce\"");
    assert_eq!(echo(&nonce, Some("00000000000000000000000000000abc")), ("match".into(), false));
    assert_eq!(echo(&nonce, Some("abc")), ("mismatch echo".into(), true));
    let session = format!("{header}\nequals = \"session\"");
    assert_eq!(echo(&session, Some("S-1")), ("match".into(), false));
    assert_eq!(echo(&session, Some("S-2")), ("mismatch echo".into(), false), "the kiosk alone said S-1");
    assert!(plan(&format!("[echo]\n{header}\n{CHECKS}")).echoed());
    assert!(!plan(&format!("[echo]\n{session}\n{CHECKS}")).echoed());
}

#[test]
fn a_repeated_echo_header_is_no_echo() {
    let compiled = plan(&format!("[echo]\nheader = \"X-Request-Id\"\n{CHECKS}"));
    let mut scene = asked(&[taro()]);
    for id in [REQUEST.to_string(), "other".to_owned()] {
        scene.headers.push(("x-request-id".to_owned(), id.into_bytes()));
    }
    let said = scene.says(&compiled, CheckName::Echo, certificate(&[&[taro()]]));
    assert_eq!(said, "unverifiable echo_missing");
}

#[test]
fn an_answer_of_the_wrong_form_is_not_even_read() {
    let mut scene = asked(&[taro()]);
    scene.status = 500;
    let findings = plan(CHECKS).run(&scene.evidence());
    assert_eq!(said(&findings, CheckName::Shape), "mismatch status");
    assert_eq!(said(&findings, CheckName::Identity), "unverifiable shape");
    assert!(findings.confirmed_mismatch().is_none());
}

fn inquiry() -> CheckPlan {
    let checks = r#"
        [identity]
        with = "resident"
        enough = [["id"], ["name", "birth_date", "address"]]
        [identity.fields]
        id = { json = "/id" }
        name = { json = "/name" }
        birth_date = { json = "/birth" }
        sex = { json = "/sex" }
        address = { json = "/address" }
    "#;
    let spec: ChecksSpec = toml::from_str(checks).unwrap();
    let fields = lookup_fields(LOOKUP);
    let mut context = PlanContext::new(Operation::Inquire);
    context.resident_is_proven = true;
    context.lookups.insert("resident", LookupContext { fields: &fields, independent: true });
    CheckPlan::compile(&spec, &context).unwrap_or_else(|e| panic!("{e:#?}"))
}

fn ask(body: &str) -> (String, String) {
    let mut scene = asked(&[taro()]);
    scene.headers = vec![("content-type".to_owned(), b"application/json".to_vec())];
    scene.body = body.as_bytes().to_vec();
    let findings = inquiry().run(&scene.evidence());
    (said(&findings, CheckName::Shape), said(&findings, CheckName::Identity))
}

#[test]
fn a_json_answer_speaks_of_the_person_asked_for() {
    let body = |id: &str, name: &str| {
        let t = taro();
        serde_json::json!({"id": id, "name": name, "birth": t.birth, "sex": t.sex, "address": t.address}).to_string()
    };
    assert_eq!(ask(&body("1001", "高橋太郎")), ("match".into(), "match".into()));
    assert_eq!(ask(&body("2001", "高橋太郎")).1, "mismatch id");
    assert_eq!(ask(&body("1001", "鈴木次郎")).1, "mismatch name");
    assert_eq!(ask(&body("１００１", "高橋太郎")).1, "mismatch id", "ids exactly");
    assert_eq!(ask("{}").1, "unverifiable field_missing");
    assert_eq!(ask(r#"{"id":"1001"}"#).1, "unverifiable currency_incomplete");
}

#[test]
fn a_json_answer_that_also_describes_somebody_else_is_withheld() {
    let also = |extra: serde_json::Value| {
        let t = taro();
        let mut body =
            serde_json::json!({"id": t.id, "name": t.name, "birth": t.birth, "sex": t.sex, "address": t.address});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        ask(&body.to_string()).1
    };
    let (h, t) = (hanako(), taro());
    let another = "unverifiable answer_names_another";
    assert_eq!(also(serde_json::json!({"household": [{"id": t.id}, {"id": h.id}]})), another);
    assert_eq!(also(serde_json::json!({"previous": {"deep": [[{"id": 1002}]]}})), another);
    assert_eq!(also(serde_json::json!({"merged": {"id": [t.id, h.id]}})), another);
    assert_eq!(also(serde_json::json!({"spouse": {"name": h.name, "birth": h.birth}})), another);
    assert_eq!(also(serde_json::json!({"household": [{"id": t.id, "name": t.name}]})), "match");
    assert_eq!(also(serde_json::json!({"city": {"name": "見本市"}, "requestId": "7"})), "match", "describes nobody");
    let unmapped = "\u{e000}橋太郎";
    assert_eq!(
        also(serde_json::json!({"printed": {"id": t.id, "name": unmapped}})),
        "match",
        "their own id stands beside"
    );
    assert_eq!(
        also(serde_json::json!({"printed": {"name": unmapped, "birth": t.birth}})),
        another,
        "nothing tells whose"
    );
}

#[test]
fn empty_members_prove_nobody_even_where_the_authority_knows_nothing() {
    let mut scene = asked(&[taro()]);
    let blank = r#"{"id":"1001","name":"","birth":"","sex":"","address":"","version":"7"}"#;
    let reply = lookup_fields(LOOKUP).parse(blank.as_bytes()).unwrap();
    (scene.before, scene.after) = (Some(reply.clone()), Some(reply));
    scene.headers = vec![("content-type".to_owned(), b"application/json".to_vec())];
    scene.body = br#"{"name":"","birth":"","sex":"","address":""}"#.to_vec();
    let findings = inquiry().run(&scene.evidence());
    assert_eq!(said(&findings, CheckName::Identity), "unverifiable field_missing");
}

#[test]
fn json_with_two_meanings_is_withheld() {
    let twice = r#"{"id":"1001","id":"2001"}"#;
    assert_eq!(ask(twice), ("unverifiable json_duplicate_key".into(), "unverifiable json_duplicate_key".into()));
    assert_eq!(ask("{\"id\":\"1001\"}{}").0, "unverifiable json_trailing_bytes");
    assert_eq!(ask("[\"1001\"]").0, "mismatch magic");
}

#[test]
fn read_shows_lines_places_and_what_each_key_finds() {
    let scene = asked(&[taro()]);
    let content = || Content::Document(document(certificate(&[&[taro()]])));
    let shown = plan(CHECKS).explain(content(), None);
    assert_eq!(shown["pages"][0]["lines"][0]["text"], "住 民 票 の 写 し");
    assert_eq!(shown["pages"][0]["lines"][2]["runs"][1]["box_mm"], serde_json::json!([60.0, 18.0, 19.5, 3.9]));
    let finds = shown["finds"].as_array().unwrap();
    let name = finds.iter().find(|f| f["key"] == "identity.fields.name").unwrap();
    assert_eq!(name["found"], serde_json::json!(["髙橋　太郎"]));
    assert!(shown.get("says").is_none());
    let shown = plan(CHECKS).explain(content(), Some(&scene.evidence()));
    assert_eq!(shown["says"][1], serde_json::json!({"check": "identity", "verdict": "match", "independent": true}));
}
