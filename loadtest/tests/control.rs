//! The instruments themselves: without a fault, the backend is right and the judge finds nothing wrong.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panic"
)]

use std::path::Path;
use std::time::Duration;

use sekisho_loadtest::cluster::{Site, Town, TownPlan, protecting};
use sekisho_loadtest::incidents::{Ended, Field, Side, Visit};
use sekisho_loadtest::legacy::Form;
use sekisho_loadtest::report::Step;

#[tokio::test]
async fn without_a_fault_every_paper_is_judged_right() {
    let town = Town::start(TownPlan::of(7, 3, 60)).await.unwrap();
    let target = town.issuer();
    let field = Field::new(town, target, Duration::from_secs(20), Step::silent());
    for city in field.town.cities() {
        for form in Form::ALL {
            for (n, person) in field.town.can_ask_for(city, form).into_iter().take(6).enumerate() {
                let visit =
                    Visit { person, form, household: n % 2 == 0, looks_first: true, since: None, walks_away: None };
                assert_eq!(field.visit(Side::Everyday, visit).await, Ended::Released);
            }
        }
    }
    let book = field.ledger.close();
    let judged = book.judge(Vec::new(), |entry| entry.sent);
    assert_eq!(judged.papers.judged(), book.entries.len() as u64);
    let paper = book.entries.iter().find(|e| e.paper.as_ref().is_some_and(|p| p.shown.is_none()));
    assert!(paper.is_none(), "the world does not know its own paper: {paper:?}");
    assert_eq!(judged.papers.right, judged.papers.judged(), "{:?} {:?}", judged, book.entries.first());
    assert_eq!(judged.wrong_data, 0);
}

#[tokio::test]
async fn without_a_fault_the_gateway_releases_every_paper() {
    let town = Town::start(TownPlan::of(7, 3, 60)).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_sekisho-loadtest"));
    let site = Site::prepare(program, dir.path(), &protecting(&town).unwrap()).unwrap();
    let gateway = site.start().await.unwrap();
    let field = Field::new(town, gateway.kiosk_side, Duration::from_secs(20), Step::silent());
    for city in field.town.cities() {
        for form in Form::ALL {
            for (n, person) in field.town.can_ask_for(city, form).into_iter().take(30).enumerate() {
                let visit =
                    Visit { person, form, household: n % 2 == 0, looks_first: true, since: None, walks_away: None };
                field.visit(Side::Everyday, visit).await;
            }
        }
    }
    let book = field.ledger.close();
    let judged = book.judge(Vec::new(), |entry| entry.sent);
    let kept: Vec<String> = book
        .entries
        .iter()
        .filter(|e| e.ended != Ended::Released)
        .map(|e| format!("{} {} {:?} {:?}: {}", e.city, e.form.path(), e.residents, e.request_id, e.reason))
        .collect();
    assert!(kept.is_empty(), "{} of {} kept in: {kept:#?}", kept.len(), book.entries.len());
    assert_eq!(judged.papers.right, book.entries.len() as u64);
    assert_eq!(judged.wrong_data, 0);
}
