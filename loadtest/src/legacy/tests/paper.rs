//! The paper as others read it: qpdf finds nothing to complain about, and poppler's text says what provenance says.

use std::collections::BTreeSet;
use std::process::Command;

use super::super::paper::{self, Extract};
use super::super::{Form, PageOrigin, Scope, ServiceTime, World, WorldConfig};
use super::client::Client;
use super::served;

/// Is the tool there? Where `SEKISHO_REQUIRE_TOOLS=1` it has to be.
fn tool(name: &str) -> bool {
    let there = Command::new(name).arg("--version").output().or_else(|_| Command::new(name).arg("-v").output()).is_ok();
    let required = std::env::var("SEKISHO_REQUIRE_TOOLS").is_ok_and(|v| v == "1");
    assert!(there || !required, "{name} is not installed");
    if !there {
        eprintln!("{name} is not installed; not checked");
    }
    there
}

/// Without white space and variation selectors, hyphens alike, half-width kana as they are.
fn plain(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_whitespace() && !('\u{E0100}'..='\u{E01EF}').contains(c))
        .map(|c| if matches!(c, '‑' | '－' | '−' | '-') { '-' } else { c })
        .collect()
}

/// What stands after a label in each line that begins with it.
fn after<'a>(page: &'a str, label: &str) -> Vec<String> {
    page.lines().filter_map(|line: &'a str| line.trim_start().strip_prefix(label)).map(plain).collect()
}

fn judge(world: &World, file: &std::path::Path, person: usize, form: Form, scope: Scope) {
    let bytes = std::fs::read(file).unwrap();
    let origins = world.audit_pdf(&bytes).unwrap();
    let expected = world.expected_sheets(person, form, scope);
    let named: Vec<Vec<usize>> = origins.iter().map(|o| o.residents.iter().map(|(no, _)| *no).collect()).collect();
    assert_eq!(named, expected);
    assert!(origins.iter().all(|o| !o.torn && o.kind == form && o.laid_out_as == o.page && o.pages == expected.len()));
    if tool("qpdf") {
        let checked = Command::new("qpdf").arg("--check").arg(file).output().unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    }
    if !tool("pdftotext") {
        return;
    }
    let output = Command::new("pdftotext").args(["-layout", "-enc", "UTF-8"]).arg(file).arg("-").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let pages: Vec<&str> = text.trim_end_matches('\u{c}').split('\u{c}').collect();
    assert_eq!(pages.len(), origins.len());
    for (page, origin) in pages.iter().zip(&origins) {
        let records: Vec<_> = origin.residents.iter().map(|(no, _)| world.register().get(*no).unwrap()).collect();
        let names: Vec<_> =
            records.iter().map(|r| plain(&r.person.name.chars().take(30).collect::<String>())).collect();
        assert_eq!(after(page, "氏名"), names, "{page}");
        let addresses: BTreeSet<_> = records.iter().map(|r| plain(&r.address)).collect();
        assert_eq!(after(page, "住所").into_iter().collect::<BTreeSet<_>>(), addresses);
        assert_eq!(after(page, "性別"), records.iter().map(|r| r.person.sex.text().to_owned()).collect::<Vec<_>>());
        assert_eq!(after(page, "生年月日").len(), records.len());
        assert_eq!(page.lines().map(plain).filter(|line| *line == form.title()).count(), 1);
        assert!(plain(page).contains(&format!("発行番号{}", origin.issue_number)));
        assert!(plain(page).contains(&format!("発行日{}", origin.issue_date)));
        assert!(plain(page).contains(&format!("{}／{}", origin.page, origin.pages)));
        assert_eq!(page.contains("相違ないことを証明する"), origin.page == origin.pages);
    }
}

#[tokio::test]
async fn provenance_says_what_poppler_reads_on_every_kind_and_style() {
    let config = WorldConfig { service: ServiceTime::INSTANT, residents_each: 120, ..WorldConfig::default() };
    let (world, running) = served(config).await;
    let client = Client::new(running.issuer);
    let directory = tempfile::tempdir().unwrap();
    let mut judged = 0;
    for city in world.city_codes() {
        let people = world.samples(&city, true);
        let difficult = |name: &str| name.contains(['\u{E0100}', '\u{E0101}', '髙', '﨑']) || name.chars().count() > 30;
        let chosen = people
            .iter()
            .filter(|p| difficult(&p.name))
            .take(4)
            .chain(people.iter().filter(|p| p.household > 4 && p.seal).take(2));
        for person in chosen {
            let opened = client.open("K-0007", &person.card, &city).await.unwrap().json();
            let session = opened["sessionId"].as_str().unwrap();
            for form in Form::ALL {
                if form == Form::SealRegistration && !person.seal {
                    continue;
                }
                let reply = client.issue("r1", session, "K-0007", form.path(), "household").await.unwrap();
                assert_eq!(reply.status, 200);
                let file = directory.path().join("certificate.pdf");
                std::fs::write(&file, &reply.body).unwrap();
                judge(&world, &file, person.no, form, Scope::Household);
                judged += 1;
            }
        }
    }
    assert!(judged > 50, "{judged}");
}

#[tokio::test]
async fn a_document_with_one_changed_byte_is_not_ours() {
    let (world, running) = served(WorldConfig { service: ServiceTime::INSTANT, ..WorldConfig::default() }).await;
    let client = Client::new(running.issuer);
    for city in world.city_codes() {
        let person = world.samples(&city, true).remove(0);
        let opened = client.open("K-0007", &person.card, &city).await.unwrap().json();
        let session = opened["sessionId"].as_str().unwrap();
        let file = client.issue("r1", session, "K-0007", "tax", "self").await.unwrap().body;
        let whole = world.audit_pdf(&file).unwrap();
        for at in (0..file.len()).step_by(file.len() / 97) {
            let mut changed = file.clone();
            changed[at] ^= 1;
            // A digit of the stamp may become another digit; that is another issue number, and nothing else.
            let restamped = |got: &[PageOrigin]| {
                got[0].issue_number != whole[0].issue_number || got[0].issue_date != whole[0].issue_date
            };
            assert!(
                world.audit_pdf(&changed).is_ok_and(|got| restamped(&got)) || world.audit_pdf(&changed).is_err(),
                "byte {at}"
            );
        }
        assert!(world.audit_pdf(&file[..file.len() - 1]).is_err());
        assert!(world.audit_pdf(&[&file[..], b"\n"].concat()).is_err());
    }
}

/// The content of somebody's certificate before and after a change of address.
fn moved(world: &World, no: usize, form: Form, scope: Scope) -> [Extract; 2] {
    let before = world.extract(no, form, scope).unwrap();
    world.register().amend_address(no, &world.another_address(no, 7).unwrap()).unwrap();
    [before, world.extract(no, form, scope).unwrap()]
}

#[test]
fn a_sheet_that_prints_as_a_whole_one_is_whole_however_it_was_read() {
    let world = World::new(WorldConfig::default());
    let people = world.samples("991015", true);
    let person = people[0].no;
    let head = |no| world.register().get(no).unwrap().person.head;
    let other = people.iter().map(|sample| sample.no).find(|no| head(*no) != head(person)).unwrap();
    let city = world.city(world.extract(person, Form::Tax, Scope::OnePerson).unwrap().city).unwrap();
    let print = |first: &Extract, second: &Extract| paper::render(&city.municipality, first, second, 0).unwrap();
    let [before, after] = moved(&world, person, Form::Tax, Scope::OnePerson);
    let halves = print(&before, &after);
    assert_eq!(halves.digest, print(&after, &after).digest);
    assert_eq!((halves.origins, halves.torn), (vec![(person, 2)], false));
    let mut foreign = print(&before, &world.extract(other, Form::Tax, Scope::OnePerson).unwrap());
    foreign.origins.sort_unstable();
    assert!(foreign.torn, "one person's name over another's address");
    assert_eq!(foreign.origins, [(person.min(other), 1), (person.max(other), 1)]);
}

#[tokio::test]
async fn content_that_comes_back_speaks_for_the_newest_version_that_prints_it() {
    let (world, running) = served(WorldConfig { service: ServiceTime::INSTANT, ..WorldConfig::default() }).await;
    let client = Client::new(running.issuer);
    let person = world.samples("991015", true).remove(0);
    let first_home = world.register().get(person.no).unwrap().address.clone();
    let session = client.open("K-0007", &person.card, "991015").await.unwrap().json();
    let mut printed = Vec::new();
    for home in [first_home.clone(), world.another_address(person.no, 7).unwrap(), first_home] {
        world.register().amend_address(person.no, &home).unwrap();
        let session = session["sessionId"].as_str().unwrap();
        let file = client.issue("r1", session, "K-0007", "tax", "self").await.unwrap().body;
        printed.push(world.audit_pdf(&file).unwrap().remove(0).residents);
    }
    assert_eq!(printed, [[(person.no, 2)], [(person.no, 3)], [(person.no, 4)]]);
}
