//! The asynchronous dialect: a certificate is a job, a no may come at any of its steps, and what is wrong with its table is really wrong.

use std::time::Duration;

use super::super::resident::PersonNo;
use super::super::{Fault, FaultPlan, Running, Sample, World, WorldConfig};
use super::client::{Client, Reply};
use super::served;
use crate::form::{Fields, read};

struct Desk<'w> {
    world: &'w World,
    client: Client,
}

impl<'w> Desk<'w> {
    fn new(world: &'w World, running: &Running) -> Self {
        Self { world, client: Client::new(running.issuer) }
    }

    async fn ask(&self, cgi: &str, fields: &[(&str, &str)]) -> Reply {
        let text = Fields::of(fields.iter().copied()).write();
        let headers = [("X-Request-Id", "r-1")];
        let text = String::from_utf8(text.to_vec()).unwrap();
        self.client.send("POST", &format!("/cgi-bin/{cgi}.cgi"), &headers, &text).await.unwrap()
    }

    async fn told(&self, cgi: &str, fields: &[(&str, &str)]) -> Fields {
        let reply = self.ask(cgi, fields).await;
        assert_eq!((reply.status, reply.header("x-request-id")), (200, Some("r-1")));
        read(&reply.body)
    }

    async fn accept(&self, who: &Sample, terminal: &str, kind: &str) -> Fields {
        let opened = self.told("open", &[("terminal", terminal), ("card", &who.card), ("city", &who.city)]).await;
        assert_eq!((opened.say("result"), opened.say("number")), ("00", &*who.resident));
        let session = opened.say("session");
        self.told("issue", &[("terminal", terminal), ("session", session), ("kind", kind), ("scope", "self")]).await
    }

    async fn ended(&self, job: &str) -> Fields {
        for _ in 0..500 {
            let status = self.told("status", &[("job", job)]).await;
            assert_eq!(status.say("job"), job);
            if status.say("state") != "1" {
                return status;
            }
            tokio::task::yield_now().await;
        }
        panic!("never done");
    }

    async fn paper(&self, job: &str) -> Vec<PersonNo> {
        assert_eq!(self.ended(job).await.say("state"), "2");
        let reply = self.ask("output", &[("job", job)]).await;
        assert_eq!((reply.header("content-type"), reply.header("x-job")), (Some("application/pdf"), Some(job)));
        let pages = self.world.audit_pdf(&reply.body).unwrap();
        pages[0].residents.iter().map(|(no, _)| *no).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_accepted_asked_for_and_fetched() {
    let (world, running) = served(WorldConfig::default()).await;
    let desk = Desk::new(&world, &running);
    let people = world.samples("991007", true);
    let mut jobs = Vec::new();
    for (n, who) in people.iter().take(3).enumerate() {
        let accepted = desk.accept(who, &format!("K{n}"), "05").await;
        assert!(!jobs.contains(&accepted.say("job").to_owned()), "two jobs of one number");
        jobs.push(accepted.say("job").to_owned());
    }
    for (who, job) in people.iter().zip(&jobs) {
        assert_eq!(desk.paper(job).await, [who.no]);
        assert_eq!(desk.paper(job).await, [who.no], "it lies there");
    }
    let none = desk.told("status", &[("job", "991007-1")]).await;
    assert_eq!((none.say("result"), none.say("code")), ("90", "NO_SUCH_JOB"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lawful_no_comes_at_the_step_that_finds_it() {
    let (world, running) = served(WorldConfig { residents_each: 900, ..WorldConfig::default() }).await;
    let desk = Desk::new(&world, &running);
    let everybody = world.samples("991007", false);
    let of = |code: &str| everybody.iter().find(|s| s.refusal == Some(code)).unwrap();
    let moved = desk.accept(of("MOVED_OUT"), "K1", "01").await;
    let said = (moved.say("result"), moved.say("code"), moved.say("number"), moved.say("job"));
    assert_eq!(said, ("10", "MOVED_OUT", &*of("MOVED_OUT").resident, ""));
    let protected = desk.accept(of("PROTECTED"), "K2", "01").await;
    let status = desk.ended(protected.say("job")).await;
    let said = (status.say("result"), status.say("state"), status.say("code"), status.say("number"));
    assert_eq!(said, ("10", "9", "PROTECTED", &*of("PROTECTED").resident));
    let unsealed = everybody.iter().find(|s| s.refusal.is_none() && !s.seal).unwrap();
    let accepted = desk.accept(unsealed, "K3", "02").await;
    assert_eq!(desk.ended(accepted.say("job")).await.say("state"), "2");
    let output = desk.told("output", &[("job", accepted.say("job"))]).await;
    assert_eq!((output.say("code"), output.say("number")), ("NOT_REGISTERED", &*unsealed.resident));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_jobs_of_one_second_are_one_row_and_one_of_them_is_handed_the_others_paper() {
    let faults = FaultPlan::in_city(Fault::KawasakiSameSecond, "991007", 1.0);
    let clock = Some("2026-11-22T12:00:00+09:00".parse().unwrap());
    let (world, running) = served(WorldConfig { faults, clock, ..WorldConfig::default() }).await;
    let desk = Desk::new(&world, &running);
    let people = world.samples("991007", true);
    let (one, other) = (desk.accept(&people[0], "K1", "05").await, desk.accept(&people[1], "K2", "05").await);
    assert_eq!(one.say("job"), other.say("job"));
    let (first, second) = (desk.paper(one.say("job")).await, desk.paper(other.say("job")).await);
    assert!(first != [people[0].no] || second != [people[1].no], "{first:?} {second:?}");
    // Another form has numbers of its own.
    let (third, fourth) = (desk.accept(&people[0], "K1", "01").await, desk.accept(&people[1], "K2", "01").await);
    assert_ne!(third.say("job"), fourth.say("job"));
    tokio::time::timeout(Duration::from_secs(5), desk.paper(third.say("job"))).await.unwrap();
}
