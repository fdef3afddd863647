//! The job table of the asynchronous dialect: accepted, worked on, and kept until somebody fetches what came out.
//!
//! Right: every job has a number of its own. Wrong (kawasaki): the add-on names its jobs by the second, so that two of one second are
//! one row of the table, and whichever is finished last is what both of them fetch.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::chronicle::Asked;
use super::fault::Fault;
use super::form::{Step, about_job};
use super::front::{self, Answer};
use super::held;
use super::paper::{Form, jst_date};
use super::wire::Request;
use super::world::{City, World};

/// Rows kept before the table is cleared out.
const MOST_JOBS: usize = 8192;

/// One row: who was accepted under this number last, and what came out of it last.
struct Job {
    asked: Arc<Asked>,
    form: Form,
    output: Option<Answer>,
}

/// The table.
#[derive(Default)]
pub(super) struct Jobs {
    rows: Mutex<HashMap<String, Job>>,
    accepted: AtomicU64,
}

/// Answers one step of a job; `request` is the call that the form stands for.
pub(super) fn answer(world: &Arc<World>, request: &Request, step: &Step) -> Answer {
    let echo = front::echo(world, request);
    match step {
        Step::Status(id) => world.jobs.status(&echo, id),
        Step::Output(id) => world.jobs.output(&echo, id),
        Step::Plain | Step::Accept => accept(world, request, &echo),
    }
}

/// Says whose job it is and does it afterwards. What forbids it at first sight is said at once.
fn accept(world: &Arc<World>, request: &Request, echo: &str) -> Answer {
    let form = request.path.strip_prefix("/certificates/").and_then(Form::from_path);
    let Some(form) = form else { return Answer::error(404, echo, "NO_SUCH_KIND", "") };
    let (asked, city) = match front::session(world, request, echo) {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    let refusal = world.register().get(asked.person).and_then(|record| record.person.state.refusal());
    if let Some(code) = refusal.filter(|code| matches!(*code, "MOVED_OUT" | "DECEASED")) {
        return Answer { form: Some(form), ..Answer::error(409, echo, code, &world.id_of(asked.person)).of(&asked) };
    }
    let asked = Arc::new(asked);
    let id = world.jobs.enter(world, city, form, &asked);
    let (doing, call, number) = (Arc::clone(world), request.named(echo), id.clone());
    // Nobody hangs up on a job.
    tokio::spawn(async move {
        if let Some(output) = front::answer(&doing, &call, None).await {
            doing.jobs.put(&number, output);
        }
    });
    Answer { form: Some(form), ..about_job(echo, &id, None).of(&asked) }
}

impl Jobs {
    /// A row for the job, and its number.
    fn enter(&self, world: &World, city: &City, form: Form, asked: &Arc<Asked>) -> String {
        let by_second = form == Form::FamilyRegister && city.switches.on(Fault::KawasakiSameSecond);
        let now = world.now();
        let id = if by_second {
            format!("{}-{}", city.municipality.code, now.strftime("%Y%m%d%H%M%S"))
        } else {
            let number = self.accepted.fetch_add(1, Ordering::Relaxed) + 1;
            format!("{}-{}-{number:06}", city.municipality.code, jst_date(now).strftime("%Y%m%d"))
        };
        let mut rows = held(&self.rows);
        if rows.len() >= MOST_JOBS {
            rows.retain(|_, job| job.output.is_none());
        }
        if let Some(before) = rows.get(&id).filter(|before| before.asked != *asked) {
            // Two jobs in one row: each may be given what is the other's.
            world.harmed(city, Fault::KawasakiSameSecond, Some(form), asked, world.party(&before.asked));
        }
        rows.insert(id.clone(), Job { asked: Arc::clone(asked), form, output: None });
        id
    }

    /// What came out, over whatever lay there.
    fn put(&self, id: &str, output: Answer) {
        if let Some(job) = held(&self.rows).get_mut(id) {
            job.output = Some(output);
        }
    }

    fn status(&self, echo: &str, id: &str) -> Answer {
        let rows = held(&self.rows);
        let Some(job) = rows.get(id) else { return Answer::error(404, echo, "NO_SUCH_JOB", "") };
        let answer = match &job.output {
            None => about_job(echo, id, Some("1")),
            // Papers and what is said instead of them are fetched; a job that failed, or a no of the second look, is told here.
            Some(output) if matches!(output.status, 200 | 409) => about_job(echo, id, Some("2")),
            Some(output) => output.about_failed_job(echo, id),
        };
        Answer { form: Some(job.form), asked: Some(Arc::clone(&job.asked)), ..answer }
    }

    fn output(&self, echo: &str, id: &str) -> Answer {
        match held(&self.rows).get(id).and_then(|job| job.output.clone()) {
            Some(output) => Answer { job: Some(id.to_owned()), ..output },
            None => Answer::error(404, echo, "NO_OUTPUT", ""),
        }
    }
}
