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
