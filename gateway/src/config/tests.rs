//! What `check` accepts, and what it says about what it does not.

use std::time::Duration;

use proptest::prelude::*;
use sekisho_issuance::answer::AnswerView;
use sekisho_issuance::request::Operation;

use super::*;
use crate::edge::tests::CONFIG;

mod canaries;
mod dialects;
mod fetch;

/// The worked configuration of the demo.
const WORKED: &str = include_str!("../../../loadtest/demo/gateway.toml");

/// Replaces one piece of the small configuration, which must be there.
fn changed(from: &str, to: &str) -> String {
    assert!(CONFIG.contains(from), "{from}");
    CONFIG.replacen(from, to, 1)
}

/// The one mistake in a configuration.
fn mistake(text: &str) -> Mistake {
    let mut mistakes = parse(text).expect_err("it has a mistake");
    assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
    mistakes.remove(0)
}

fn line_of(text: &str, piece: &str) -> usize {
    text.lines().position(|line| line.contains(piece)).unwrap() + 1
}

#[test]
fn the_worked_configuration_is_accepted_and_leaves_no_root_cause_open() {
    let config = parse(WORKED).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    assert!(config.notes.iter().all(|note| note.open.is_empty()), "{:#?}", config.notes);
    for route in config.routes.iter().filter(|route| route.operation.speaks_of_resident()) {
        assert!(route.checks.names().len() >= 3, "{route:?}");
    }
}

/// A wish that the backend lawfully turns down must not suspend a municipality once three people had it.
#[test]
fn the_worked_configuration_passes_a_wish_for_two_copies_on_as_a_no() {
    let config = parse(WORKED).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let body = br#"{"error":{"code":"ONE_COPY_ONLY","residentId":"9910070001"},"message":"x"}"#;
    let answer = AnswerView { status: 422, headers: &[], body, framing_surprise: false };
    let issues: Vec<_> = config.routes.iter().filter(|route| route.operation == Operation::Issue).collect();
    assert_eq!(issues.len(), 6);
    for route in issues {
        let no = route.refusals.as_ref().unwrap().recognise(&answer);
        assert_eq!(no.map(|no| no.code.to_string()).as_deref(), Some("ONE_COPY_ONLY"), "{}", route.name);
    }
}

/// Every mistake that any test makes is asked for in Japanese where it is made; these make what a slip of the hand would.
#[test]
fn whatever_is_wrong_can_be_said_in_japanese() {
    const SOAP: &str = include_str!("../../../loadtest/demo/gateway-soap.toml");
    const FORM: &str = include_str!("../../../loadtest/demo/gateway-form.toml");
    let mut mistakes = std::collections::BTreeSet::new();
    let mut slipped = std::collections::BTreeSet::new();
    for worked in [WORKED, SOAP, FORM] {
        let lines: Vec<&str> = worked.lines().collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| !line.starts_with('#') && !line.is_empty()) {
            // What is written alike goes wrong alike.
            if !slipped.insert(line.split('#').next()) {
                continue;
            }
            let key = line.split('=').next().unwrap_or_default();
            let values = ["", "1", "\"{x}\"", "{ x = 1 }", "[]"];
            let slips = values.map(|value| format!("{key}= {value}"));
            for slip in slips.iter().map(String::as_str).chain([""]) {
                let text = [&lines[..at], &[slip], &lines[at + 1..]].concat().join("\n");
                mistakes.extend(parse(&text).err().into_iter().flatten().map(|mistake| mistake.message));
            }
        }
    }
    assert!(mistakes.len() > 80, "{}: {mistakes:#?}", mistakes.len());
}

#[test]
fn a_clock_that_nobody_vouches_for_is_refused_where_dates_are_checked() {
    let clock = WORKED.lines().position(|line| line == "[clock]").unwrap();
    let with = |clock_table: &str| {
        let lines = WORKED.lines().enumerate().filter(|(n, _)| !(clock..clock + 2).contains(n)).map(|(_, line)| line);
        format!("{}\n{clock_table}", lines.collect::<Vec<_>>().join("\n"))
    };
    let witness = "witness = \"/run/systemd/timesync/synchronized\"";
    for (table, key) in [
        ("", "clock"),
        ("[clock]", "clock"),
        ("[clock]\ntrusted = false", "clock"),
        (&*format!("[clock]\ntrusted = true\n{witness}"), "clock"),
        ("[clock]\nwitness = \"synchronized\"", "clock.witness"),
    ] {
        let mistake = mistake(&with(table));
        assert_eq!((mistake.key.as_str(), mistake.suggestion.contains(witness)), (key, true), "{table}: {mistake:?}");
    }
    assert_eq!(parse(&with("[clock]\ntrusted = true")).unwrap().clock, Trust::Operator);
    let trust =
        Trust::Witness { file: "/run/systemd/timesync/synchronized".into(), max_age: Duration::from_secs(7200) };
    assert_eq!(parse(&with(&format!("[clock]\n{witness}"))).unwrap().clock, trust);
    // Nothing here reads dates.
    assert_eq!(parse(CONFIG).unwrap().clock, Trust::Nobody);
}

#[test]
fn each_mistake_is_named_with_its_line_and_a_suggestion() {
    let cases = [
        ("timeout   = \"3s\"", "timeuot   = \"3s\"\ntimeout = \"3s\"", "routes.session_open.timeuot", "timeout"),
        ("timeout   = \"3s\"", "timeout   = 3", "routes.session_open.timeout", "timeout = \"10s\""),
        ("timeout   = \"3s\"", "timeout   = \"3\"", "routes.session_open.timeout", "timeout = \"10s\""),
        ("timeout   = \"3s\"", "timeout   = \"3s\"\nmax_run = \"1s\"", "routes.session_open.max_run", "3 x timeout"),
        ("operation = \"open\"", "operation = \"opne\"", "routes.session_open.operation", "\"open\""),
        ("backend   = \"issuer\"", "backend   = \"isuer\"", "routes.session_open.backend", "\"issuer\""),
        ("lookup = \"card\"", "lookup = \"cart\"", "routes.session_open.authority.lookup", "\"card\""),
        ("lookup = \"card\"", "signed = { header = \"X\" }", "routes.session_open.authority.signed", "lookup"),
        ("\"POST /sessions\"", "\"/sessions\"", "routes.session_open.match", "POST /certificates"),
        ("max_in_flight = 4\n[state]", "max_in_flight = 4\nmax_headers = 5\n[state]", "server.max_headers", "8"),
        ("\"127.0.0.1:0\"", "\"localhost\"", "server.listen", "listen = "),
        (
            "max_in_flight = 4\n[state]",
            "[metrics]\nlisten = \"0.0.0.0:9\"\n[admin]\nlisten = \"127.0.0.1:9\"\n[state]",
            "admin.listen",
            "of its own",
        ),
        ("max_in_flight = 4\n[state]", "max_in_flight = -4\n[state]", "server.max_in_flight", "max_in_flight = 1"),
        ("version = 1", "version = 2", "version", "version = 1"),
        ("hours   = \"always\"", "hours   = \"23:00-06:30\"", "tenants.991007.hours", "06:30-23:00"),
        ("tenants.991007", "tenants.991008", "tenants.991008", "six digits"),
        (
            "resident = { path = \"id\" }",
            "resident = { path = \"ID\" }",
            "routes.inquiry.facts.resident.path",
            "\"id\"",
        ),
        ("path = \"/v2/cards/{card}\"", "path = \"/v2/cards/{card\"", "lookups.card.request.path", "{resident}"),
        (
            "card = { json = \"/cardSerial\" }, municipality = { json = \"/cityCode\" } }\n\n",
            "municipality = { json = \"/cityCode\" } }\n\n",
            "routes.session_open.authority.lookup",
            "card = ",
        ),
        (
            "media_types = [\"text/plain\"]",
            "media_types = [\"application/pdf\"]",
            "routes.notice.media_types[0]",
            "text/plain",
        ),
        ("\"GET /notice\"", "\"POST /notice\"", "routes.notice.match", "GET"),
        (
            "media_types = [\"text/plain\"]",
            "media_types = [\"text/plain\"]\nfacts = { kiosk = { header = \"X\" } }",
            "routes.notice.facts",
            "remove",
        ),
        ("echo     = { json = \"/requestId\" }", "eco = { json = \"/requestId\" }", "routes.inquiry.checks.eco", ""),
        (
            "address       = \"http://127.0.0.1:9\"",
            "address       = \"ftp://127.0.0.1:9\"",
            "backends.issuer.address",
            "http://",
        ),
        (
            "kiosk = { header = \"X-Terminal\" }",
            "kiosk = { client_cert = \"san_uri\" }",
            "routes.session_open.facts.kiosk",
            "clients",
        ),
    ];
    for (from, to, key, suggestion) in cases {
        let text = changed(from, to);
        let found = mistake(&text);
        assert_eq!(found.key, key, "{found}");
        assert!(found.suggestion.contains(suggestion), "{found}");
        let last = key.rsplit('.').next().unwrap().trim_end_matches("[0]");
        let line = text.lines().nth(found.line - 1).unwrap();
        assert!(line.contains(last), "line {} is {line:?}, which does not name {last}", found.line);
    }
}

/// What nothing names, each request must say itself; and nobody opens, closes or echoes it.
#[test]
fn a_connection_stands_in_for_a_session_and_for_nothing_else() {
    let by_header = "facts     = { session = { header = \"X-Session\" }, kiosk = { header = \"X-Terminal\" }, resident = { path = \"id\" } }";
    let inquiry = |said: &str| {
        changed(
            by_header,
            &format!("facts = {{ session = {{ connection = true }}, resident = {{ path = \"id\" }}{said} }}"),
        )
    };
    let (kiosk, card) = (", kiosk = { header = \"X-Terminal\" }", ", card = { header = \"X-Card\" }");
    let city = ", municipality = { header = \"X-City\" }";
    let whole = inquiry(&format!("{kiosk}{card}{city}"));
    let notes = parse(&whole).unwrap_or_else(|mistakes| panic!("{mistakes:?}")).notes;
    let doubted =
        |note: &Note| note.key == "routes.inquiry" && note.message.contains("nothing but the caller says who");
    assert!(notes.iter().any(doubted), "{notes:#?}");
    assert_eq!(mistake(&inquiry(&format!("{card}{city}"))).key, "routes.inquiry.facts.kiosk");
    assert_eq!(mistake(&inquiry(&format!("{kiosk}{city}"))).key, "routes.inquiry.facts.card");
    assert_eq!(mistake(&inquiry(&format!("{kiosk}{card}"))).key, "routes.inquiry.facts.municipality");
    let two = whole.replace("{ connection = true }", "{ connection = true, client_cert = \"san_uri\" }");
    assert!(parse(&two).unwrap_err().iter().any(|mistake| mistake.message.contains("exactly one place")));
    let closed = changed(
        "session = { path = \"id\" }",
        "session = { connection = true }, card = { header = \"X-Card\" }, municipality = { header = \"X-City\" }",
    );
    assert_eq!(mistake(&closed).key, "routes.session_close.facts.session");
    let kiosk = changed("kiosk = { header = \"X-Terminal\" }", "kiosk = { connection = true }");
    assert!(mistake(&kiosk).message.contains("only a `session`"));
    let echo = whole
        .replace("echo     = { json = \"/requestId\" }", "echo     = { json = \"/requestId\", equals = \"session\" }");
    assert_eq!(mistake(&echo).key, "routes.inquiry.checks.echo");
}

#[test]
fn tls_without_trust_files_or_an_address_that_asks_for_it_is_refused() {
    let backend = |tls: &str, scheme: &str| {
        let address = "address       = \"http://127.0.0.1:9\"";
        changed(address, &format!("address = \"{scheme}://127.0.0.1:9\"\n{tls}"))
    };
    let misspelt = changed("kiosk = { header = \"X-Terminal\" }", "kiosk = { client_cert = \"san_url\" }");
    for (text, key, message) in [
        (misspelt, "routes.session_open.facts.kiosk.client_cert", "names nothing"),
        (backend("", "https"), "backends.issuer.tls", "whom to trust"),
        (backend("tls = { server_name = \"a\" }", "https"), "backends.issuer.tls.servers", "nobody would be trusted"),
        (backend("tls = { servers = \"a.pem\" }", "https"), "backends.issuer.tls.servers", "only a configuration file"),
        (
            changed("[state]", "tls = { clients = \"a.pem\" }\n[state]"),
            "server.tls.clients",
            "only a configuration file",
        ),
        (changed("[state]", "tls = {}\n[state]"), "server.tls.identity", "is missing"),
        (changed("[state]", "tls = { identity = \"a\" }\n[state]"), "server.tls.key_file", "is missing"),
    ] {
        let mistakes = parse(&text).unwrap_err();
        let found = mistakes.iter().any(|m| m.key == key && m.message.contains(message));
        assert!(found, "{key} {message}: {mistakes:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let absent = backend("tls = { servers = \"absent.pem\" }", "https");
    let found = parse_in(&absent, Some(folder.path())).unwrap_err();
    assert_eq!((found[0].key.as_str(), found[0].line), ("backends.issuer.tls", line_of(&absent, "absent.pem")));
    std::fs::write(folder.path().join("absent.pem"), "no PEM").unwrap();
    assert!(parse_in(&absent, Some(folder.path())).unwrap_err()[0].message.contains("holds no PEM entry"));
}

#[test]
fn every_mistake_is_found_in_one_go() {
    let text = CONFIG
        .replace("timeout   = \"3s\"", "timeout   = 3")
        .replace("operation = \"close\"", "operation = \"closed\"")
        .replace("name    = \"見本市\"", "nmae    = \"見本市\"");
    let mistakes = parse(&text).unwrap_err();
    let keys: Vec<&str> = mistakes.iter().map(|m| m.key.as_str()).collect();
    for key in [
        "tenants.991007.nmae",
        "tenants.991007.name",
        "routes.session_open.timeout",
        "routes.session_close.timeout",
        "routes.session_close.operation",
        "routes.inquiry.timeout",
    ] {
        assert!(keys.contains(&key), "{key} is not in {keys:?}");
    }
    assert!(mistakes.is_sorted_by_key(|m| m.line));
    let broken = parse("[server\nlisten = 1\n[admin\n").unwrap_err();
    assert_eq!(broken.first().unwrap().line, 1, "{broken:?}");
}

#[test]
fn an_issue_route_without_an_authority_is_refused() {
    let start = WORKED.find("[routes.tax]").unwrap();
    let (before, after) = WORKED.split_at(start);
    let text = before.to_owned() + &after.replacen("authority = { lookup = \"card\" }", "", 1);
    assert_eq!(mistake(&text).key, "routes.tax.authority");
    let trusted = before.to_owned() + &after.replacen("{ lookup = \"card\" }", "\"trusted_source\"", 1);
    let config = parse(&trusted).unwrap();
    let note = config.notes.iter().find(|n| n.key == "routes.tax.authority").unwrap();
    assert_eq!((note.line, note.open.as_slice()), (line_of(&trusted, "\"trusted_source\""), &["R10", "R11"][..]));
}

#[test]
fn what_an_operation_needs_must_be_said_or_have_a_stand_in() {
    let without_session = changed("session = { header = \"X-Session\" }, ", "");
    assert_eq!(mistake(&without_session).key, "routes.inquiry.facts.municipality");
    let without_card = changed(
        "card = { json = \"/cardSerial\" }, municipality = { json = \"/cityCode\" } }\nlearn",
        "municipality = { json = \"/cityCode\" } }\nlearn",
    );
    assert_eq!(mistake(&without_card).key, "routes.session_open.facts.card");
    let keyless = WORKED.replace("\nidempotency_key = { header = \"Idempotency-Key\" }", "");
    assert_eq!(mistake(&keyless).key, "routes.address_change.facts.idempotency_key");
    let tuple = keyless.replace("operation = \"amend\"", "key = [\"resident\"]\noperation = \"amend\"");
    assert!(parse(&tuple).is_ok());
}

#[test]
fn a_check_that_is_off_is_said_with_its_line_and_what_it_leaves_open() {
    let text = WORKED.replacen("unique       = { window = \"48h\" }", "unique       = false", 1);
    let config = parse(&text).unwrap();
    let note = config.notes.iter().find(|n| n.key == "routes.resident_record.checks.unique").unwrap();
    assert_eq!(note.line, line_of(&text, "unique       = false"));
    assert!(note.message.contains(&format!("line {}", note.line)), "{note}");
    assert!(note.open.contains(&"R2"), "{note}");
}

#[test]
fn a_lookup_of_the_backend_it_is_to_judge_is_called_dependent() {
    let text = changed("[lookups.resident]\nbackend = \"residents\"", "[lookups.resident]\nbackend = \"issuer\"");
    let config = parse(&text).unwrap();
    assert!(config.notes.iter().any(|n| n.message.contains("dependent")), "{:?}", config.notes);
    assert!(!config.routes.get("inquiry").unwrap().independent_lookup);
}

#[test]
fn a_route_or_a_municipality_may_only_be_stricter() {
    let looser = changed("enabled = true", "enabled = true\nmode = \"observe\"");
    assert_eq!(mistake(&looser).key, "tenants.991007.mode");
    let observing = format!("mode = \"observe\"\n{}", changed("enabled = true", "enabled = true\nmode = \"enforce\""));
    let config = parse(&observing).unwrap();
    assert_eq!(config.tenants.values().next().unwrap().mode, Mode::Enforce);
    assert_eq!(parse(CONFIG).unwrap().mode, Mode::Enforce, "a file that somebody trims must not fail open");
}

#[test]
fn two_routes_for_one_request_are_refused() {
    let text = format!(
        "{CONFIG}\n[routes.again]\nmatch = \"GET /notice\"\noperation = \"pass\"\nbackend = \"issuer\"\ntimeout = \"1s\"\nmedia_types = [\"text/plain\"]\n"
    );
    let found = mistake(&text);
    assert_eq!(found.key, "routes.again.match");
    assert!(found.message.contains("routes.notice"), "{found}");
}

#[test]
fn defaults_are_on_the_safe_side() {
    let config = parse(CONFIG).unwrap();
    let route = config.routes.get("inquiry").unwrap();
    assert_eq!(route.max_run, Duration::from_secs(9), "three times the timeout");
    let issue = parse(WORKED).unwrap();
    assert!(!issue.routes.get("tax").unwrap().echoed, "an issue opens a connection of its own");
    assert!(issue.routes.get("inquiry").unwrap().echoed);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,400}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_damage_makes_the_parser_panic(at in 0usize..4000, len in 0usize..40, junk in "[\\PC\\n\"'\\[\\]{}=.,0-9]{0,20}") {
        let mut text: Vec<char> = CONFIG.chars().collect();
        let start = at.min(text.len());
        let end = (start + len).min(text.len());
        text.splice(start..end, junk.chars());
        let text: String = text.into_iter().collect();
        if let Err(mistakes) = parse(&text) {
            prop_assert!(!mistakes.is_empty());
            prop_assert!(mistakes.iter().all(|m| m.line >= 1 && m.line <= text.lines().count().max(1) + 1));
        }
    }
}

/// Of the build for `sekisho-loadtest layers`. Run with `cargo test --package sekisho-gateway --lib --features weakened weakened`.
#[cfg(feature = "weakened")]
mod weakened {
    use super::*;

    /// The worked configuration with these checks of one certificate switched off, and what goes with `identity` admitted.
    fn without(checks: &[&str]) -> String {
        let mut table: toml::Table = WORKED.parse().unwrap();
        let route = table["routes"]["resident_record"]["checks"].as_table_mut().unwrap();
        route.insert("currency".to_owned(), "unproven".into());
        for check in checks {
            route.insert((*check).to_owned(), false.into());
        }
        toml::to_string(&table).unwrap()
    }

    #[test]
    fn a_weakened_build_listens_nowhere_beyond_loopback() {
        parse(WORKED).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        for listener in ["server", "metrics", "admin"] {
            for beyond in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
                let mut table: toml::Table = WORKED.parse().unwrap();
                table[listener]["listen"] = beyond.into();
                let mistakes = parse(&toml::to_string(&table).unwrap()).unwrap_err();
                let said = |mistake: &Mistake| {
                    mistake.key == format!("{listener}.listen") && mistake.to_string().contains("loopback")
                };
                assert!(mistakes.iter().all(said), "{listener} {beyond}: {mistakes:#?}");
            }
        }
    }

    #[test]
    fn a_weakened_build_goes_without_identity_and_then_with_everything_else() {
        parse(&without(&["identity"])).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        for second in ["shape", "echo", "kind", "municipality", "pages", "issue_number", "issued_on", "unique"] {
            let mistakes = parse(&without(&["identity", second])).unwrap_err();
            assert!(mistakes.iter().any(|m| m.key.ends_with("checks.identity")), "{second}: {mistakes:#?}");
        }
    }

    #[test]
    fn a_weakened_build_still_wants_identity_declared() {
        let mut table: toml::Table = WORKED.parse().unwrap();
        table["routes"]["resident_record"]["checks"].as_table_mut().unwrap().remove("identity");
        assert!(parse(&toml::to_string(&table).unwrap()).is_err());
    }
}

#[test]
fn the_audit_table_says_how_long_and_to_whom_and_its_slips_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let made = |name: &str| crate::evidence::PersonSecret::make(&dir.path().join(name)).unwrap().to_string();
    let (one, two) = (made("1"), made("2"));
    let with = |table: &str| format!("{CONFIG}\n[audit]\n{table}\n");
    let text = with(&format!(
        "keep = \"1830d\"\nsegment = \"16MiB\"\nevidence_keep = \"30d\"\nevidence_key = [\"{one}\", \"{two}\"]"
    ));
    let audit = parse(&text).unwrap().audit;
    let day = Duration::from_secs(24 * 3600);
    assert_eq!((audit.keep, audit.segment_bytes, audit.evidence_keep), (1830 * day, 16 << 20, 30 * day));
    assert_eq!(audit.evidence_key.unwrap().second.to_string(), two);
    for (table, key) in [
        ("keep = \"30\"", "audit.keep"),
        ("keep = \"2d\"", "audit.keep"),
        ("keep = \"30d\"\nevidence_keep = \"31d\"", "audit.evidence_keep"),
        ("head_file = \"head\"", "audit.head_file"),
        ("segment = \"2KiB\"", "audit.segment"),
        (&*format!("evidence_key = [\"{one}\", \"{one}\"]"), "audit.evidence_key"),
        (&*format!("evidence_key = [\"{one}\"]"), "audit.evidence_key"),
        ("evidence_key = [\"x\", \"y\"]", "audit.evidence_key[0]"),
    ] {
        let mistakes = parse(&with(table)).expect_err(table);
        assert!(mistakes[0].key == key && !mistakes[0].suggestion.is_empty(), "{table}: {mistakes:#?}");
    }
}
