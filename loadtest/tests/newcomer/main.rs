//! From zero to protected: a town's exchanges are recorded, `init` proposes, a person edits what only a person can know, and then no
//! wrong document leaves. The edits are those of `gateway/docs/guide.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod record;
mod visits;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sekisho_gateway::config;
use sekisho_gateway::init::{Proposal, Recorded, propose};
use sekisho_gateway::server::pass_through::{Tell, listen, pass_through};
use sekisho_loadtest::cluster::{Site, Town, TownPlan};
use sekisho_loadtest::dialect::Dialect;
use sekisho_loadtest::kiosk::{Kiosk, Said, Scope};
use sekisho_loadtest::legacy::{Fault, FaultPlan, Form};

use visits::PATIENCE;

/// A pass-through in front of `to`; what is exchanged is kept in `kept`.
async fn recorder(to: std::net::SocketAddr, kept: &Arc<Mutex<Vec<Recorded>>>) -> std::net::SocketAddr {
    let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let kept = kept.clone();
    let tell: Tell = Arc::new(move |exchange| kept.lock().unwrap().push(exchange));
    tokio::spawn(pass_through(listener, to.to_string().parse().unwrap(), tell));
    address
}

/// What is said meanwhile, without a file in between.
async fn recorded(town: &Town, dialect: Dialect) -> Vec<Recorded> {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let (issuer, records) = (recorder(town.issuer(), &kept).await, recorder(town.records(), &kept).await);
    visits::all(town, issuer, records, dialect).await;
    std::mem::take(&mut *kept.lock().unwrap())
}

/// What the guide's reader writes: at most ten lines.
fn edited(proposal: &Proposal, dir: &Path) -> String {
    let lines = proposal.text.lines().map(|line| {
        let edits = [
            ("mode    = \"observe\"", "mode = \"enforce\"".to_owned()),
            ("listen = \"127.0.0.1:8080\"", "listen = \"127.0.0.1:0\"".to_owned()),
            ("listen = \"127.0.0.1:9641\"", "listen = \"127.0.0.1:0\"".to_owned()),
            ("listen = \"127.0.0.1:9640\"", "listen = \"127.0.0.1:0\"".to_owned()),
            ("dir = \"sekisho-state\"", format!("dir = \"{}\"", dir.join("state").display())),
            ("witness = ", "trusted = true".to_owned()),
            ("enabled = false", "enabled = true".to_owned()),
            ("hours   = \"06:30-23:00\"", "hours = \"always\"".to_owned()),
        ];
        edits.into_iter().find(|(begins, _)| line.starts_with(begins)).map_or(line.to_owned(), |(_, edit)| edit)
    });
    lines.collect::<Vec<_>>().join("\n")
}

async fn walk(dialect: Dialect) {
    // Long enough for a job to be asked for in vain.
    let plan = TownPlan { service: Duration::from_millis(60), ..TownPlan::of(11, 1, 40) };
    let town = Town::start(plan.speaking(dialect)).await.unwrap();
    let exchanges = recorded(&town, dialect).await;
    let proposal = propose(&exchanges);
    if let Some(path) = std::env::var_os("SEKISHO_KEEP_PROPOSAL") {
        std::fs::write(path, &proposal.text).unwrap();
    }
    config::parse(&proposal.text)
        .unwrap_or_else(|mistakes| panic!("{mistakes:#?}\n{:#?}\n{}", proposal.missing, proposal.text));
    for person in town.can_ask_for(0, Form::Tax) {
        assert!(!proposal.text.contains(town.id(person)), "a recorded person is in the proposal");
    }

    assert!(proposal.text.contains("[routes.tax.refusals]"), "{:#?}\n{}", proposal.missing, proposal.text);
    assert!(proposal.missing.is_empty(), "{:#?}", proposal.missing);
    if dialect == Dialect::Form {
        assert!(
            proposal.text.contains("done = [\"2\"], pending = [\"1\"], failed = [\"9\"] }   # fair"),
            "{}",
            proposal.text
        );
        none_asked_in_vain(&exchanges);
    }

    let dir = tempfile::tempdir().unwrap();
    let text = edited(&proposal, dir.path());
    let changed = text.lines().zip(proposal.text.lines()).filter(|(new, old)| new != old).count();
    assert!(changed <= 10, "{changed} lines were edited");
    println!(
        "{dialect:?}: {} exchanges, {} lines proposed, {changed} edited",
        exchanges.len(),
        proposal.text.lines().count()
    );
    let program = Path::new(env!("CARGO_BIN_EXE_sekisho-loadtest"));
    let site = Site::prepare(program, dir.path(), &text.parse().unwrap()).unwrap();
    let gateway = site.start().await.unwrap();
    protects(&town, gateway.kiosk_side, dialect).await;
}

/// Where every job was done when it was first asked for, what it says before is a line for a person, in its safe form.
fn none_asked_in_vain(exchanges: &[Recorded]) {
    let pending = |exchange: &Recorded| String::from_utf8_lossy(&exchange.answer).contains("state=1");
    let quick: Vec<Recorded> = exchanges.iter().filter(|exchange| !pending(exchange)).cloned().collect();
    assert!(quick.len() < exchanges.len());
    let proposal = propose(&quick);
    config::parse(&proposal.text).unwrap_or_else(|mistakes| panic!("{mistakes:#?}\n{}", proposal.text));
    assert!(proposal.text.contains("pending = [\"PENDING\"], failed = [\"9\"] }   # EDIT:"), "{}", proposal.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_recorded_json_to_protected_with_at_most_ten_edited_lines() {
    walk(Dialect::Json).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_recorded_soap_to_protected_with_at_most_ten_edited_lines() {
    walk(Dialect::Soap).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_recorded_jobs_in_forms_to_protected_with_at_most_ten_edited_lines() {
    walk(Dialect::Form).await;
}

/// A resident as a kiosk knows them, by card, and as the auditor does.
struct Person {
    card: String,
    id: String,
    is_mistakable: bool,
}

/// Whether the certificate that a person got at `target` is theirs alone; `None` = they got none.
async fn served(town: &Town, target: std::net::SocketAddr, dialect: Dialect, person: &Person) -> Option<bool> {
    let mut kiosk = Kiosk::new("K-9001", target, PATIENCE).speaking(dialect);
    let (_, opened) = kiosk.open(&person.card, town.code(0)).await;
    let opened = opened?;
    let exchange = kiosk.issue(&opened.session, "tax", Scope::Alone).await;
    kiosk.close(&opened.session).await;
    let Said::Paper(paper) = exchange.said else { return None };
    let shown = town.read(&paper.bytes).shown?;
    Some(shown.sheets.iter().all(|sheet| sheet.people.keys().all(|id| *id == person.id)))
}

/// Everybody is served while the backend is good; when it takes people for each other, nobody gets another's certificate.
async fn protects(town: &Town, gateway: std::net::SocketAddr, dialect: Dialect) {
    let person = |no| Person {
        card: town.card(no).to_owned(),
        id: town.id(no).to_owned(),
        is_mistakable: town.is_mistakable(no),
    };
    let people: Vec<Person> = town.can_ask_for(0, Form::Tax).into_iter().map(person).collect();
    for person in people.iter().take(10) {
        let served = served(town, gateway, dialect, person).await;
        assert_eq!(served, Some(true), "{dialect}: a good backend's document is kept in");
    }
    town.faults(&FaultPlan::one(Fault::InsuranceWeakMatch, 1.0));
    let mistakable: Vec<&Person> = people.iter().filter(|person| person.is_mistakable).collect();
    let mut harmed = 0;
    for person in &mistakable {
        harmed += usize::from(served(town, town.issuer(), dialect, person).await == Some(false));
    }
    assert!(harmed > 0, "{dialect}: the backend harms nobody, so nothing is proven");
    for person in &mistakable {
        assert_ne!(served(town, gateway, dialect, person).await, Some(false), "{dialect}: another's certificate left");
    }
}
