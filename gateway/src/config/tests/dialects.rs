//! Dialects in a configuration: what is accepted, and at which line a mistake in one is told.

use super::*;

/// The worked configuration of a backend that speaks SOAP in Shift_JIS.
const SOAP: &str = include_str!("../../../../loadtest/demo/gateway-soap.toml");

fn soap(from: &str, to: &str) -> String {
    assert!(SOAP.contains(from), "{from}");
    SOAP.replacen(from, to, 1)
}

#[track_caller]
fn told(text: &str, key: &str, line: &str, words: &str) {
    let mistakes = parse(text).expect_err("it has a mistake");
    let found = mistakes.iter().find(|mistake| mistake.key == key);
    let mistake = found.unwrap_or_else(|| panic!("nothing of {key} in {mistakes:#?}"));
    assert_eq!(mistake.line, line_of(text, line), "{mistake}");
    assert!(mistake.to_string().contains(words), "{mistake}");
}

#[test]
fn the_worked_soap_configuration_is_accepted_and_leaves_no_root_cause_open() {
    let config = parse(SOAP).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    assert!(config.notes.iter().all(|note| note.open.is_empty()), "{:#?}", config.notes);
    assert_eq!(config.routes.iter().filter(|route| route.operation == Operation::Issue).count(), 6);
}

#[test]
fn a_soap_fault_with_a_declared_code_is_a_refusal_under_either_status() {
    let config = parse(SOAP).unwrap();
    let route = config.routes.get("tax").unwrap();
    let fault = |code: &str| {
        format!(
            "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><s:Fault><faultcode>s:Client</faultcode>\
             <detail xmlns:j=\"urn:example:juki:1\"><j:Code>{code}</j:Code><j:Number>1001</j:Number></detail></s:Fault></s:Body></s:Envelope>"
        )
    };
    let recognised = |status: u16, body: &str| {
        let answer = AnswerView { status, headers: &[], body: body.as_bytes(), framing_surprise: false };
        route.refusals.as_ref().unwrap().recognise(&answer).map(|no| no.code.to_string())
    };
    assert_eq!(recognised(500, &fault("MOVED_OUT")).as_deref(), Some("MOVED_OUT"));
    assert_eq!(recognised(200, &fault("MOVED_OUT")).as_deref(), Some("MOVED_OUT"));
    assert_eq!(recognised(503, &fault("MOVED_OUT")), None);
    assert_eq!(recognised(500, &fault("PRINT_TIMEOUT")), None, "not a lawful no");
    assert_eq!(recognised(500, &fault("MOVED_OUT</j:Code><j:Code>TAX_DUE")), None, "two codes are none");
    assert_eq!(recognised(500, &fault("MOVED<!-- -->_OUT")), None);
    assert_eq!(recognised(500, &fault("MOVED_OUT").replace("urn:example:juki:1", "urn:other")), None);
}

fn own((before, after): (&str, &str)) -> (String, String) {
    (before.to_owned(), after.to_owned())
}

#[test]
fn a_fault_that_names_nobody_is_declared_so_and_stands_and_falls_with_the_echo() {
    let saying = |resident: &str| {
        let (before, rest) = SOAP.split_once("[routes.tax.refusals]").unwrap();
        let place = "resident = { xml = \"//s:Fault/detail/j:Number\" }";
        assert!(rest.contains(place));
        format!("{before}[routes.tax.refusals]{}", rest.replacen(place, resident, 1))
    };
    let config = parse(&saying("resident = \"echo\"")).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    assert!(config.routes.get("tax").unwrap().refusals.as_ref().unwrap().resident.is_none());
    let note = config.notes.iter().find(|note| note.key == "routes.tax.refusals.resident").unwrap();
    assert_eq!(note.open, ["R4", "R12"]);
    told(&saying("resident = \"nobody\""), "routes.tax.refusals.resident", "resident = \"nobody\"", "xml = ");
    let (before, rest) = saying("resident = \"echo\"").split_once("[routes.tax.checks]").map(own).unwrap();
    let echo = rest.lines().find(|line| line.starts_with("echo")).unwrap().to_owned();
    let deaf = format!("{before}[routes.tax.checks]{}", rest.replacen(&echo, "echo = false", 1));
    told(&deaf, "routes.tax.refusals.resident", "resident = \"echo\"", "checks none");
}

#[test]
fn a_mistake_in_a_dialect_is_told_at_its_line() {
    told(
        &soap("\"Shift_JIS\"                      #", "\"JIS\" #"),
        "dialects.centre.charset",
        "charset    = \"JIS\"",
        "Windows-31J",
    );
    told(
        &soap("format     = \"xml\"", "format     = \"xlm\""),
        "dialects.centre.format",
        "format     = \"xlm\"",
        "\"xml\"",
    );
    let unknown = soap(
        "dialect = \"centre\"\ntimeout = \"800ms\"\n[lookups.card",
        "dialect = \"center\"\ntimeout = \"800ms\"\n[lookups.card",
    );
    told(&unknown, "lookups.card.dialect", "dialect = \"center\"", "\"centre\"");
    told(
        &soap("//j:CardResult/j:ResidentId", "//k:CardResult/j:Id"),
        "lookups.card.fields.id",
        "//k:CardResult",
        "prefix `k`",
    );
    told(
        &soap("//j:Open/j:CardNo", "//j:Open/j:CardNo[1]"),
        "routes.session_open.facts.card.xml",
        "CardNo[1]",
        "no element's name",
    );
    let json = soap("session = { xml = \"//j:OpenResult/j:SessionId\" }", "session = { json = \"/id\" }");
    told(&json, "routes.session_open.learn.session.json", "json = \"/id\"", "the dialect is xml");
    told(
        &soap("decode     = \"base64\"", "decode     = \"hex\""),
        "routes.resident_record.document.decode",
        "decode     = \"hex\"",
        "base64",
    );
    told(
        &soap("beside     = [{ xml", "beside     = [{ xm"),
        "routes.resident_record.document.beside[0].xm",
        "{ xm =",
        "unknown field",
    );
    let misplaced = soap("echo  = { header = \"X-Request-Id\" }", "echo  = { xml = \"j:MessageId\" }");
    told(&misplaced, "routes.session_close.checks.echo.xml", "\"j:MessageId\"", "where to begin");
    let emoji = soap("{message_ja}</faultstring>", "{message_ja}☺</faultstring>");
    let mistakes = parse(&emoji).unwrap_err();
    assert!(
        mistakes.iter().any(|m| m.key == "problems.soap-fault.body" && m.message.contains("Shift_JIS")),
        "{mistakes:?}"
    );
}

#[test]
fn routes_of_one_url_are_told_apart_and_treated_alike_until_then() {
    let kind = |to: &str| soap("when      = { xml = \"//j:Issue/j:Kind\", in = [\"02\"] }", to);
    let same_value = kind("when      = { xml = \"//j:Issue/j:Kind\", in = [\"02\", \"01\"] }");
    told(&same_value, "routes.seal_registration.when", "[\"02\", \"01\"]", "\"01\"");
    let elsewhere = kind("when      = { xml = \"//j:Issue/j:Sort\", in = [\"02\"] }");
    told(&elsewhere, "routes.seal_registration.when", "j:Sort", "elsewhere");
    let kind_unsaid = SOAP.replace(
        "match     = \"POST /juki/Issue\"\nwhen      = { xml = \"//j:Issue/j:Kind\", in = [\"02\"] }",
        "match     = \"POST /juki/Issue\" # every kind",
    );
    told(&kind_unsaid, "routes.seal_registration.match", "# every kind", "one route");
    let timeout = "kind      = \"seal_registration\"\nbackend   = \"issuer\"\ntimeout   = \"10s\"";
    let other = soap(timeout, &timeout.replace("10s", "9s"));
    told(&other, "routes.seal_registration.timeout", "timeout   = \"9s\"", "the same in both");
}

#[test]
fn a_file_that_a_configuration_names_stands_beside_it_and_is_part_of_its_digest() {
    let inline = SOAP.find("body       = '''").unwrap();
    let end = inline + SOAP[inline..].find("</s:Envelope>'''").unwrap() + "</s:Envelope>'''".len();
    let text = [&SOAP[..inline], "body_file  = \"fault.xml\"", &SOAP[end..]].concat();
    told(&text, "problems.soap-fault.body_file", "body_file  = ", "only a configuration file");
    let folder = tempfile::tempdir().unwrap();
    assert!(parse_in(&text, Some(folder.path())).unwrap_err()[0].message.contains("cannot be read"));
    let digest = |fault: &str| {
        std::fs::write(folder.path().join("fault.xml"), fault).unwrap();
        parse_in(&text, Some(folder.path())).unwrap_or_else(|mistakes| panic!("{mistakes:#?}")).digest
    };
    assert_ne!(digest("<f>{code}</f>"), digest("<f>{code} </f>"));
}

#[test]
fn a_table_of_private_use_characters_is_read_beside_the_configuration() {
    let text = soap(
        "name       = { after = \"氏名\", prefix = 30 }",
        "name       = { after = \"氏名\", prefix = 30, gaiji = \"991007.gaiji\" }",
    );
    let folder = tempfile::tempdir().unwrap();
    let read = || parse_in(&text, Some(folder.path())).map(|_| ());
    assert!(read().unwrap_err()[0].message.contains("was not found"));
    std::fs::write(folder.path().join("991007.gaiji"), "E001 9AD9 trailing\n").unwrap();
    assert!(read().unwrap_err()[0].key.ends_with("name.gaiji"));
    std::fs::write(folder.path().join("991007.gaiji"), "E001 9AD9\n").unwrap();
    assert_eq!(read(), Ok(()));
}

#[test]
fn a_document_inside_json_is_declared_as_one_inside_xml_is() {
    let (media_type, size) = ("media_type = \"application/pdf\", ", "shape        = { status = [200], ");
    let document = "\n[routes.tax.document]\njson = \"/pdf\"\ndecode = \"base64\"\n[routes.tax.checks]";
    let with = |shape: &str| {
        let at = WORKED.find("[routes.tax.checks]").unwrap();
        let (before, tax) = WORKED.split_at(at);
        let tax = tax.replacen("[routes.tax.checks]", document, 1);
        format!("{before}{}", tax.replacen(&format!("{size}{media_type}"), &format!("{size}{shape}"), 1))
    };
    let config = parse(&with("media_type = \"application/json\", ")).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    assert!(config.routes.get("tax").unwrap().checks.names().len() >= 8);
    assert_eq!(mistake(&with(media_type)).key, "routes.tax.checks.shape.media_type", "the answer is no document");
}
