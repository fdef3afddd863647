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

/// Whoever gets no configuration that `check` accepts must at least hear why.
#[test]
fn a_protocol_without_a_session_is_told_what_it_lacks() {
    let paper = |n: usize| {
        let mut one = exchange("a:80", "POST", "/issue", None, &format!(r#"{{"card":"card-000{n}"}}"#), "");
        one.answer_headers = vec![("content-type".to_owned(), "application/pdf".to_owned())];
        one.answer =
            std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../issuance/tests/corpus/readable/by-hand-euc.pdf"))
                .unwrap();
        one
    };
    let lacks =
        |exchanges: &[Recorded]| propose(exchanges).missing.iter().any(|why| why.contains("no session was found"));
    assert!(lacks(&[paper(1), paper(2)]));
    assert!(!lacks(&[exchange("a:80", "GET", "/notice", None, "", "")]), "nothing was issued");
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
