//! What `check` says about canaries.

use super::*;

/// The worked configuration with one canary on tax certificates.
fn with(canary: &str) -> String {
    format!("{WORKED}\n[canaries.tax]\n{canary}\n")
}

const GOOD: &str = r#"route = "tax"
every = "30s"
facts = { municipality = "991007" }
people = [{ kiosk = "CANARY-1", card = "9901" }, { kiosk = "CANARY-2", card = "9902" }]
open = { route = "session_open", body = '{"terminal":"{kiosk}","cardSerial":"{card}","cityCode":"{municipality}"}' }
close = { route = "session_close" }"#;

fn edited(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    with(&GOOD.replacen(from, to, 1))
}

#[test]
fn a_canary_is_read_with_where_its_people_stand_and_is_listed() {
    let config = parse(&with(GOOD)).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let canary = &config.canaries["tax"];
    assert_eq!((canary.every, canary.pair, canary.people.len()), (Duration::from_secs(30), true, 2));
    let kiosk = |name: &str| KioskId::new(name).unwrap();
    assert!(config.is_canarys(&kiosk("CANARY-1")) && config.is_canarys(&kiosk("CANARY-2")));
    assert!(!config.is_canarys(&kiosk("K-1")));
    assert!(config.notes.iter().any(|note| note.key == "canaries.tax" && note.message.contains("2 residents")));
}

/// Every request is written and read as the tower would, so that none is refused for the first time at night.
#[test]
fn a_canary_whose_requests_would_be_refused_is_a_mistake_at_its_resident() {
    let text = edited(r#""cardSerial":"{card}","#, "");
    let mistakes = parse(&text).unwrap_err();
    assert_eq!(mistakes.len(), 2, "{mistakes:#?}");
    assert_eq!(mistakes[0].key, "canaries.tax.people[0]");
    assert!(mistakes[0].message.contains("routes.session_open") && mistakes[0].message.contains("missing_fact (card)"));
    let text = edited(", card = \"9902\"", "");
    let wrong = mistake(&text);
    assert!(wrong.message.contains("cannot be written (card)"), "{wrong:?}");
    assert_eq!((wrong.key.as_str(), wrong.line), ("canaries.tax.people[1]", line_of(&text, "people = [")));
}

#[test]
fn two_people_are_two_and_stand_apart() {
    let wrong = mistake(&edited(", { kiosk = \"CANARY-2\", card = \"9902\" }", ""));
    assert!(wrong.message.contains("2 to 16"), "{wrong:?}");
    let wrong = mistake(&edited("card = \"9902\"", "card = \"9901\""));
    assert!(wrong.message.contains("somebody who is there already"), "{wrong:?}");
    let wrong = mistake(&edited("CANARY-2", "CANARY-1"));
    assert!(wrong.message.contains("stands at a kiosk"), "{wrong:?}");
}

#[test]
fn a_canary_names_routes_that_do_what_it_needs() {
    let wrong = mistake(&edited("route = \"tax\"", "route = \"taxx\""));
    assert!(wrong.message.contains("not in `routes`") && wrong.suggestion.contains("tax"), "{wrong:?}");
    let wrong = mistake(&edited("route = \"tax\"", "route = \"inquiry\""));
    assert!(wrong.message.contains("does something else (`inquire`)"), "{wrong:?}");
    let wrong = mistake(&edited("open =", "# open ="));
    assert_eq!(wrong.key, "canaries.tax.open");
    let wrong = mistake(&edited("every = \"30s\"", "every = \"10ms\""));
    assert_eq!(wrong.key, "canaries.tax.every");
    let wrong = mistake(&edited("facts = {", "facts = { kind = \"tax\","));
    assert_eq!(wrong.key, "canaries.tax.facts.kind");
    let wrong = mistake(&edited("every =", "evry ="));
    assert!(wrong.suggestion.contains("every"), "{wrong:?}");
}
