//! Many kiosks at once, all forms, changes in between; and what each of them got, judged by where the sheets came from.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::super::{Form, Running, Scope, World};
use super::client::Client;

const KIOSKS: usize = 16;
const TURNS: usize = 30;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) good: usize,
    pub(super) wrong_person: usize,
    pub(super) mixed: usize,
    pub(super) stale: usize,
    pub(super) duplicate: usize,
    pub(super) wrong_echo: usize,
    pub(super) unanswered: usize,
}

impl Tally {
    pub(super) fn harm(&self) -> usize {
        self.wrong_person + self.mixed + self.stale
    }
}

/// Runs the storm in one municipality.
pub(super) async fn storm(world: &Arc<World>, running: &Running, city: &str) -> Tally {
    let tally = Arc::new(Mutex::new(Tally::default()));
    let numbers = Arc::new(Mutex::new(HashMap::new()));
    let openings = Arc::new(Client::new(running.issuer));
    let issues = Arc::new(Client::new(running.issuer));
    let records = Arc::new(Client::new(running.records));
    let people = world.samples(city, true);
    let big: Vec<_> = people.iter().filter(|p| p.household == 9).cloned().collect();
    let weak: Vec<_> = people.iter().filter(|p| p.weak_match).cloned().collect();
    let kiosks = (0..KIOSKS).map(|kiosk| {
        let (world, tally, numbers) = (Arc::clone(world), Arc::clone(&tally), Arc::clone(&numbers));
        let (openings, issues, records) = (Arc::clone(&openings), Arc::clone(&issues), Arc::clone(&records));
        let (people, big, weak) = (people.clone(), big.clone(), weak.clone());
        tokio::spawn(async move {
            let terminal = format!("K-{kiosk:04}");
            for turn in 0..TURNS {
                let form = Form::ALL[(kiosk + turn) % 6];
                let from = match form {
                    Form::Tax if !weak.is_empty() => &weak,
                    Form::FamilyRegister => &big,
                    _ => &people,
                };
                let person = &from[(kiosk * 17 + turn * 7) % from.len()];
                if form == Form::SealRegistration {
                    let seal = json!({ "seal": format!("{:07}", kiosk * 1000 + turn) }).to_string();
                    let path = format!("/v2/residents/{}/amend", person.resident);
                    assert_eq!(records.send("POST", &path, &[], &seal).await.unwrap().status, 200);
                }
                // Nobody logs out.
                let opened = openings.open(&terminal, &person.card, &person.city).await.unwrap().json();
                let session = opened["sessionId"].as_str().unwrap().to_owned();
                let request = format!("r-{kiosk}-{turn}");
                let known = world.register().get(person.no).unwrap().version;
                let reply = issues.issue(&request, &session, &terminal, form.path(), "household").await;
                let mut tally = tally.lock().unwrap();
                let origins = match &reply {
                    Ok(reply) if reply.status == 200 => world.audit_pdf(&reply.body).ok(),
                    _ => None,
                };
                let Some(origins) = origins else {
                    tally.unanswered += 1;
                    continue;
                };
                let expected = world.expected_sheets(person.no, form, Scope::Household);
                let all: BTreeSet<_> = expected.iter().flatten().copied().collect();
                let got: BTreeSet<_> = origins.iter().flat_map(|o| o.residents.iter().map(|(no, _)| *no)).collect();
                let wrong = !got.is_subset(&all) || origins.iter().any(|o| o.kind != form);
                let sheets_differ = origins.len() != expected.len()
                    || origins
                        .iter()
                        .zip(&expected)
                        .any(|(o, e)| o.residents.iter().map(|(no, _)| *no).ne(e.iter().copied()));
                let stale =
                    origins.iter().flat_map(|o| &o.residents).any(|(no, version)| *no == person.no && *version < known);
                let number = origins[0].issue_number.clone();
                tally.duplicate += usize::from(numbers.lock().unwrap().insert(number, ()).is_some());
                tally.wrong_echo += usize::from(reply.unwrap().header("X-Request-Id") != Some(&request));
                tally.wrong_person += usize::from(wrong);
                tally.mixed += usize::from(!wrong && (sheets_differ || origins.iter().any(|o| o.torn)));
                tally.stale += usize::from(!wrong && stale);
                tally.good += usize::from(!wrong && !sheets_differ && !stale);
            }
        })
    });
    let kiosks: Vec<_> = kiosks.collect();
    for kiosk in kiosks {
        kiosk.await.unwrap();
    }
    let tally = tally.lock().unwrap().clone();
    eprintln!("{tally:?}");
    tally
}
