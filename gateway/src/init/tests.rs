//! Proposals from a few made-up exchanges.

use super::*;

fn exchange(server: &str, method: &str, path: &str, session: Option<&str>, body: &str, answer: &str) -> Recorded {
    let mut headers = vec![("x-request-id".to_owned(), format!("id-of-{path}-{body}"))];
    headers.extend(session.map(|session| ("x-session".to_owned(), session.to_owned())));
    headers.push(("x-terminal".to_owned(), "K-0001".to_owned()));
    let json = |text: &str| {
        vec![("content-type".to_owned(), if text.is_empty() { "text/plain" } else { "application/json" }.to_owned())]
    };
    let answer = answer.replace("ECHO", &headers[0].1);
    headers.extend(json(body));
    Recorded {
        server: server.parse().unwrap(),
        tls: false,
        method: method.to_owned(),
        path: path.to_owned(),
        query: String::new(),
        headers,
        body: body.as_bytes().to_vec(),
        status: 200,
        answer_headers: json(&answer),
        answer: answer.into_bytes(),
    }
}

#[test]
fn nothing_recorded_is_a_file_that_says_what_is_missing_and_no_panic() {
    let proposal = propose(&[]);
    assert!(crate::config::parse(&proposal.text).is_err());
    assert!(!proposal.missing.is_empty());
    assert_eq!(proposal.edits, proposal.text.matches("# EDIT:").count());
}

/// A made-up resident, as the record system and certificates have them.
struct Person {
    no: usize,
    name: &'static str,
    birth: (&'static str, &'static str),
    sex: (&'static str, &'static str),
    address: &'static str,
}

/// The one on the recorded page first; each field is as long as the first one's.
const PEOPLE: [Person; 3] = [
    Person {
        no: 1,
        name: "見本　花子",
        birth: ("昭和55年3月12日", "1980-03-12"),
        sex: ("女", "F"),
        address: "見本県見本市中央一丁目２番３号",
    },
    Person {
        no: 2,
        name: "手本　一郎",
        birth: ("昭和48年10月3日", "1973-10-03"),
        sex: ("男", "M"),
        address: "見本県見本市中央二丁目７番１号",
    },
    Person {
        no: 3,
        name: "例示　次郎",
        birth: ("平成10年12月5日", "1998-12-05"),
        sex: ("男", "M"),
        address: "見本県見本市西町三丁目４番９号",
    },
];

/// Their certificate.
fn paper(person: &Person) -> Vec<u8> {
    let hex = |text: &str| text.encode_utf16().map(|unit| format!("{unit:04x}")).collect::<String>();
    let page = include_bytes!("../../../issuance/tests/corpus/readable/by-hand-ucs2.pdf");
    let mut page: String = page.iter().map(|byte| char::from(*byte)).collect();
    let first = &PEOPLE[0];
    for (from, to) in [
        (first.name, person.name),
        (first.birth.0, person.birth.0),
        (first.sex.0, person.sex.0),
        (first.address, person.address),
    ] {
        assert_eq!(from.chars().count(), to.chars().count());
        assert!(page.contains(&format!("<{}>", hex(from))), "{from}");
        page = page.replace(&format!("<{}>", hex(from)), &format!("<{}>", hex(to)));
    }
    page.chars().map(|byte| u8::try_from(byte).unwrap()).collect()
}

/// What a vendor records of a protocol without a session: each request says kiosk, card and city; `at` says at which kiosk each stands.
fn without_sessions(at: [&str; 3], headers: [&str; 3]) -> Vec<Recorded> {
    let mut exchanges = vec![exchange("a:80", "GET", "/notice", None, "", "")];
    for (person, kiosk) in PEOPLE.iter().zip(at) {
        let (card, resident) = (format!("card-000{}", person.no), format!("r-0000{}", person.no));
        let says = |mut one: Recorded| {
            one.headers.retain(|(name, _)| name != "x-terminal");
            let said = headers.iter().zip([kiosk, &card, "991007"]).filter(|(name, _)| !name.is_empty());
            one.headers.extend(said.map(|(name, value)| ((*name).to_owned(), value.to_owned())));
            one
        };
        let mut issued = says(exchange("a:80", "POST", "/certificates", None, r#"{"copies":"1"}"#, ""));
        let echo = issued.headers[0].clone();
        issued.answer_headers = vec![("content-type".to_owned(), "application/pdf".to_owned()), echo];
        issued.answer = paper(person);
        let record = format!(r#"{{"id":"{resident}","version":"7","requestId":"ECHO"}}"#);
        let inquiry = says(exchange("a:80", "GET", &format!("/records/{resident}"), None, "", &record));
        let holder = format!(r#"{{"residentId":"{resident}","cardSerial":"{card}","cityCode":"991007"}}"#);
        let Person { name, birth, sex, address, .. } = person;
        let known = format!(
            r#"{{"id":"{resident}","name":"{name}","birth":"{}","sex":"{}","address":"{address}","version":"7"}}"#,
            birth.1, sex.1
        );
        exchanges.extend([issued, inquiry]);
        for (path, answer) in [(format!("/v2/cards/{card}"), holder), (format!("/v2/residents/{resident}"), known)] {
            let mut asked = exchange("b:80", "GET", &path, None, "", &answer);
            asked.headers.retain(|(name, _)| name != "x-terminal");
            exchanges.push(asked);
        }
    }
    exchanges
}

const NAMED: [&str; 3] = ["x-terminal", "x-card", "x-city"];

/// A vendor whose protocol names no card presence: what was recorded is enough for a configuration that `check` accepts, in which a connection
/// is one.
#[test]
fn a_protocol_without_a_session_is_proposed_with_its_connection_as_one() {
    let proposal = propose(&without_sessions(["K-0001", "K-0002", "K-0002"], NAMED));
    let config = crate::config::parse(&proposal.text)
        .unwrap_or_else(|mistakes| panic!("{mistakes:#?}\n{:#?}\n{}", proposal.missing, proposal.text));
    assert_eq!(proposal.missing, Vec::<String>::new(), "{}", proposal.text);
    let by_connection: Vec<_> = config
        .routes
        .iter()
        .filter(|route| route.session_is_connection())
        .map(|route| route.name.to_string())
        .collect();
    assert_eq!(by_connection, ["resident_record", "records_get"], "{}", proposal.text);
    for line in [
        "session = { connection = true }   # EDIT:",
        "kiosk = { header = \"x-terminal\" }   # high",
        "card = { header = \"x-card\" }   # high",
        "municipality = { header = \"x-city\" }   # high",
        "authority = { lookup = \"card\" }\n",
    ] {
        assert_eq!(proposal.text.matches(line).count(), 2, "in both routes: {line}\n{}", proposal.text);
    }
    for person in &PEOPLE {
        let said = [person.name.to_owned(), format!("card-000{}", person.no), format!("r-0000{}", person.no)];
        assert!(said.iter().all(|value| !proposal.text.contains(value)), "a recorded person is in the proposal");
    }
}

/// What is not called like a kiosk is one only where several people's requests say the same, and is doubted.
#[test]
fn a_kiosk_is_told_by_its_name_or_by_who_shares_it() {
    let kiosk = |at, header| {
        let text = propose(&without_sessions(at, [header, "x-card", "x-city"])).text;
        text.lines().find(|line| line.starts_with("kiosk = ")).map(str::to_owned)
    };
    let shared = ["K-0001", "K-0002", "K-0002"];
    assert!(kiosk(shared, "x-from").unwrap().starts_with("kiosk = { header = \"x-from\" }   # low"));
    assert!(kiosk(["K-0001", "K-0002", "K-0003"], "x-kiosk-no").unwrap().contains("# high"));
    assert_eq!(kiosk(["K-0001", "K-0002", "K-0003"], "x-from"), None, "it may be anything about a person");
    assert_eq!(kiosk(["K-0001"; 3], "x-from"), None, "everybody's requests say it");
}

/// Whoever gets no configuration that `check` accepts must at least hear why; and what speaks of somebody is handed to nobody unchecked.
#[test]
fn a_protocol_without_a_session_is_told_what_it_lacks() {
    let lacks =
        |exchanges: &[Recorded]| propose(exchanges).missing.iter().any(|why| why.contains("no session was found"));
    let at = ["K-0001", "K-0002", "K-0002"];
    for unsaid in 0..3 {
        let mut headers = NAMED;
        headers[unsaid] = "";
        assert!(lacks(&without_sessions(at, headers)), "{}", NAMED[unsaid]);
    }
    let alone: Vec<_> = without_sessions(at, NAMED).into_iter().filter(|one| one.server == "a:80").collect();
    assert!(lacks(&alone), "nobody was asked whose card it is");
    assert!(!lacks(&[exchange("a:80", "GET", "/notice", None, "", "")]), "nothing was issued");

    for unsaid in NAMED {
        let mut silent = without_sessions(at, NAMED);
        for one in silent.iter_mut().filter(|one| one.path.starts_with("/records/")) {
            one.headers.retain(|(name, _)| name != unsaid);
        }
        let Proposal { text, missing, .. } = propose(&silent);
        assert!(crate::config::parse(&text).is_ok() && !text.contains("/records"), "{unsaid}: {text}");
        assert!(missing.iter().any(|what| what.contains("/records/")), "{unsaid}: {missing:?}");
    }
}

#[test]
fn undeclared_things_are_not_proposed_as_passed_on() {
    let exchanges = [
        exchange("a:80", "POST", "/reset", None, r#"{"all":"yes!"}"#, r#"{"done":"ok"}"#),
        exchange("a:80", "GET", "/notice", None, "", ""),
    ];
    let proposal = propose(&exchanges);
    assert!(!proposal.text.contains("/reset"), "{}", proposal.text);
    assert!(proposal.missing.iter().any(|what| what.contains("/reset")));
    assert!(proposal.text.contains("match     = \"GET /notice\""), "{}", proposal.text);
}
