//! The people and the backend of a simulated day, acted out event by event.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::fmt;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sekisho_issuance::id::MunicipalityCode;
use sekisho_issuance::request::Operation;

use super::super::forecast::Question;
use super::super::state::{Entered, State};
use super::day::{Day, SHORT_S};
use crate::standing::{Rank, Standing, Work};

const CODES: [&str; 6] = ["991007", "991015", "991023", "991031", "991040", "991058"];
/// Proof and lane; connecting and the intent; judging.
const BIND_S: f64 = 0.003;
const PREPARE_S: f64 = 0.005;
const JUDGE_S: f64 = 0.002;
const SETTLE_S: f64 = 1.0;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Happens {
    Comes { city: usize },
    Asks { person: usize },
    Binds { person: usize, turn: u32 },
    Prepared { number: u64 },
    Answers { number: u64 },
    Judged { number: u64 },
    GivesUp { number: u64 },
    TimesOut { number: u64 },
    Rested,
    LosesPatience { person: usize, turn: u32 },
}

struct Person {
    city: usize,
    came: f64,
    step: usize,
    tries: u32,
    turn: u32,
    session: Option<u64>,
    walks_away: bool,
    asked_before: bool,
}

struct Running {
    person: usize,
    turn: u32,
    operation: Operation,
    deadline: Instant,
    session: Option<u64>,
    opens: bool,
    judging: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// By city and second of arrival: came, served.
    sessions: BTreeMap<(usize, u32), (u32, u32)>,
    finished: BTreeMap<u32, u32>,
    let_in: u64,
    in_time: u64,
    steps: u64,
    steps_ok: u64,
    refused: BTreeMap<&'static str, u64>,
    longest_wait: f64,
}

impl Figures {
    pub(super) fn sum(&self, from: u32, to: u32, city: Option<usize>) -> (f64, f64) {
        let of =
            self.sessions.iter().filter(|((c, s), _)| (from..to).contains(s) && city.is_none_or(|city| city == *c));
        of.fold((0.0, 0.0), |(came, served), (_, (c, s))| (came + f64::from(*c), served + f64::from(*s)))
    }

    /// Sessions that came then and were served.
    pub(super) fn served(&self, from: u32, to: u32) -> f64 {
        self.sum(from, to, None).1
    }

    pub(super) fn share_served(&self, from: u32, to: u32) -> f64 {
        let (came, served) = self.sum(from, to, None);
        served / came
    }

    pub(super) fn city_served(&self, city: usize, from: u32, to: u32) -> f64 {
        let (came, served) = self.sum(from, to, Some(city));
        served / came
    }

    /// Papers handed out then.
    pub(super) fn finished(&self, from: u32, to: u32) -> f64 {
        self.finished.range(from..to).map(|(_, n)| f64::from(*n)).sum()
    }

    pub(super) fn started_ok(&self) -> f64 {
        self.steps_ok as f64 / self.steps.max(1) as f64
    }

    pub(super) fn admitted_ok(&self) -> f64 {
        self.in_time as f64 / self.let_in.max(1) as f64
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { let_in, in_time, steps, steps_ok, refused, longest_wait, .. } = self;
        writeln!(
            f,
            "let in {let_in}, in time {in_time}; steps {steps}, good {steps_ok}; noes {refused:?}; longest {longest_wait:.2} s"
        )?;
        let papers: Vec<String> = self.finished.values().map(u32::to_string).collect();
        writeln!(f, "papers by second: {}", papers.join(" "))
    }
}

pub(super) struct Town<'d> {
    day: &'d Day,
    rng: StdRng,
    start: Instant,
    now: f64,
    state: State,
    events: BinaryHeap<Reverse<(u64, u64)>>,
    what: HashMap<u64, Happens>,
    sequence: u64,
    people: Vec<Person>,
    running: HashMap<u64, Running>,
    expected: HashMap<(usize, u32), (u64, Running)>,
    /// When a kiosk was last told to wait.
    figures: Figures,
}

impl<'d> Town<'d> {
    pub(super) fn new(seed: u64, day: &'d Day) -> Self {
        let start = Instant::now();
        let mut town = Self {
            day,
            rng: StdRng::seed_from_u64(seed),
            start,
            now: 0.0,
            state: State::new(day.limit, None, start),
            events: BinaryHeap::new(),
            what: HashMap::new(),
            sequence: 0,
            people: Vec::new(),
            running: HashMap::new(),
            expected: HashMap::new(),
            figures: Figures::default(),
        };
        for city in 0..day.cities.len() {
            for second in 0..day.seconds {
                let rate = day.rate_of(city, second);
                let mut at = f64::from(second);
                loop {
                    at += -(1.0 - town.rng.random::<f64>()).ln() / rate.max(1e-9);
                    if at >= f64::from(second + 1) {
                        break;
                    }
                    town.at(at, Happens::Comes { city });
                }
            }
        }
        town
    }

    fn at(&mut self, time: f64, what: Happens) {
        self.sequence += 1;
        self.events.push(Reverse(((time * 1e9) as u64, self.sequence)));
        self.what.insert(self.sequence, what);
    }

    fn instant(&self) -> Instant {
        self.start + Duration::from_secs_f64(self.now)
    }

    fn seconds(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.start).as_secs_f64()
    }

    fn lognormal(&mut self, middle: f64, sigma: f64) -> f64 {
        let (a, b): (f64, f64) = (1.0 - self.rng.random::<f64>(), self.rng.random());
        middle * (sigma * (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()).exp()
    }

    pub(super) fn run(mut self) -> Figures {
        while let Some(Reverse((at, sequence))) = self.events.pop() {
            self.now = at as f64 / 1e9;
            if self.now > f64::from(self.day.seconds) + 30.0 {
                break;
            }
            let Some(what) = self.what.remove(&sequence) else { continue };
            self.happens(what);
        }
        self.figures
    }

    fn happens(&mut self, what: Happens) {
        let now = self.instant();
        match what {
            Happens::Comes { city } => {
                let walks_away = self.rng.random_bool(self.day.abandon);
                let step = usize::from(!self.day.sessions);
                self.people.push(Person {
                    city,
                    came: self.now,
                    step,
                    tries: 0,
                    turn: 0,
                    session: None,
                    walks_away,
                    asked_before: false,
                });
                if !walks_away {
                    self.figures.sessions.entry((city, self.now as u32)).or_default().0 += 1;
                }
                self.asks(self.people.len() - 1);
            }
            Happens::Asks { person } => self.asks(person),
            Happens::Binds { person, turn } => self.binds(person, turn),
            Happens::Prepared { number } => {
                if self.running.contains_key(&number) && self.state.start(number, now) {
                    self.begins(number);
                }
                self.wake();
            }
            Happens::Answers { number } => {
                if let Some(running) = self.running.get_mut(&number) {
                    running.judging = true;
                    self.state.answered(number, now);
                    self.at(self.now + JUDGE_S, Happens::Judged { number });
                    self.wake();
                }
            }
            Happens::Judged { number } => {
                if let Some(running) = self.running.remove(&number) {
                    self.state.free(number, false, true, now);
                    self.ends(running, Ok(()));
                    self.wake();
                }
            }
            Happens::GivesUp { number } => {
                let waits = self
                    .state
                    .entries
                    .get(&number)
                    .is_some_and(|e| matches!(e.stage, super::super::state::Stage::Waiting { .. }));
                if waits && let Some(running) = self.running.remove(&number) {
                    self.state.free(number, false, true, now);
                    self.ends(running, Err("no_time_left"));
                    self.wake();
                }
            }
            Happens::TimesOut { number } => {
                if self.running.get(&number).is_some_and(|running| !running.judging)
                    && let Some(running) = self.running.remove(&number)
                {
                    if self.state.free(number, true, true, now) {
                        self.at(self.now + SETTLE_S, Happens::Rested);
                    }
                    self.ends(running, Err("expired"));
                    self.wake();
                }
            }
            Happens::Rested => {
                self.state.rested(now);
                self.wake();
            }
            Happens::LosesPatience { person, turn } => {
                if self.people[person].turn == turn {
                    self.people[person].turn += 1;
                    self.again(person, true);
                }
            }
        }
    }

    fn operation(&self, person: usize) -> Operation {
        match self.people[person].step {
            0 => Operation::Open,
            1 => Operation::Issue,
            _ => Operation::Close,
        }
    }

    fn standing(&self, person: usize) -> Standing {
        let Person { session, city, .. } = &self.people[person];
        let rank = if session.is_some() { Rank::Started } else { Rank::New };
        let municipality = Some(MunicipalityCode::new(CODES[*city]).unwrap());
        Standing { municipality, ..Standing::of(rank, self.instant()) }
    }

    fn asks(&mut self, person: usize) {
        let now = self.instant();
        let mut standing = self.standing(person);
        let (operation, session) = (self.operation(person), self.people[person].session);
        let started = session.is_some();
        if !started && self.people[person].asked_before {
            standing.rank = Rank::Retry;
        }
        let deadline = now + self.day.timeout;
        let question = Question { standing, operation, deadline, session, started };
        self.people[person].asked_before = true;
        match self.state.ask(&question, now) {
            Err(refusal) => {
                *self.figures.refused.entry(refusal.reason).or_default() += 1;
                self.again(person, false);
            }
            Ok(entry) => {
                self.figures.let_in += u64::from(!started);
                self.figures.steps += u64::from(started);
                self.people[person].turn += 1;
                let turn = self.people[person].turn;
                let session = session.or(entry.opens);
                let running = Running {
                    person,
                    turn,
                    operation,
                    deadline,
                    session,
                    opens: entry.opens.is_some(),
                    judging: false,
                };
                self.expected.insert((person, turn), (entry.ticket, running));
                self.at(self.now + BIND_S, Happens::Binds { person, turn });
                if let Some(patience) = self.day.patience {
                    self.at(self.now + patience, Happens::LosesPatience { person, turn });
                }
            }
        }
        self.wake();
    }

    fn binds(&mut self, person: usize, turn: u32) {
        let now = self.instant();
        let Some((ticket, running)) = self.expected.remove(&(person, turn)) else { return };
        let standing = Standing { ticket: Some(ticket), ..self.standing(person) };
        let work = Work::Of(running.operation);
        match self.state.enter(&standing, work, running.deadline, false, now) {
            Entered::Granted(number) => {
                self.at(self.seconds(running.deadline), Happens::TimesOut { number });
                self.running.insert(number, running);
                self.at(self.now + PREPARE_S, Happens::Prepared { number });
            }
            Entered::Waits(number, until) => {
                self.at(self.seconds(until), Happens::GivesUp { number });
                self.at(self.seconds(running.deadline), Happens::TimesOut { number });
                self.running.insert(number, running);
            }
            Entered::Refused(_) => self.ends(running, Err("no_time_left")),
        }
        self.wake();
    }

    fn wake(&mut self) {
        for (number, end) in self.state.take_wakes() {
            let placed = self
                .state
                .entries
                .get(&number)
                .is_some_and(|e| matches!(e.stage, super::super::state::Stage::Placed { .. }));
            match end {
                Ok(()) if placed => self.begins(number),
                Ok(()) => self.at(self.now + PREPARE_S, Happens::Prepared { number }),
                Err(_) => {
                    if let Some(running) = self.running.remove(&number) {
                        self.ends(running, Err("no_time_left"));
                    }
                }
            }
        }
    }

    fn begins(&mut self, number: u64) {
        let now = self.instant();
        let Some(operation) = self.running.get(&number).map(|running| running.operation) else { return };
        self.state.begin(number, now);
        let slower =
            self.day.slow.filter(|(from, to, _)| (*from..*to).contains(&self.now)).map_or(1.0, |(_, _, by)| by);
        let takes = match operation {
            Operation::Issue => self.lognormal(self.day.service, self.day.sigma) * slower,
            _ => SHORT_S,
        };
        let mut until = self.now + takes;
        if let Some((from, to)) = self.day.stall
            && self.now < to
            && until > from
        {
            until = until.max(to);
        }
        self.at(until, Happens::Answers { number });
    }

    fn ends(&mut self, running: Running, end: Result<(), &'static str>) {
        let now = self.instant();
        let Running { person, turn, operation, session, opens, deadline, .. } = running;
        if let Some(session) = session {
            match (opens, end) {
                (true, Ok(())) => self.state.promises.keep(session),
                (true, Err(_)) => self.state.promises.end(session, &mut self.state.shares),
                _ => {}
            }
            self.state.promises.step_ends(session, now);
        }
        if operation == Operation::Close
            && let Some(session) = session
        {
            self.state.promises.end(session, &mut self.state.shares);
        }
        if end.is_ok() && operation == Operation::Issue {
            *self.figures.finished.entry(self.now as u32).or_default() += 1;
        }
        match end {
            Ok(()) if opens || !self.day.sessions => self.figures.in_time += 1,
            Ok(()) => self.figures.steps_ok += 1,
            Err(why) => *self.figures.refused.entry(why).or_default() += 1,
        }
        self.figures.longest_wait = self.figures.longest_wait.max(self.now - self.seconds(deadline - self.day.timeout));
        if self.people[person].turn != turn {
            // They have gone on without it.
            return;
        }
        self.people[person].turn += 1;
        if end.is_err() {
            return self.again(person, false);
        }
        let think = self.lognormal(self.day.think.0, self.day.think.1);
        let who = &mut self.people[person];
        if operation == Operation::Issue {
            self.figures.sessions.entry((who.city, who.came as u32)).or_default().1 += 1;
        }
        if !self.day.sessions || operation == Operation::Close || who.walks_away {
            return;
        }
        who.session = session;
        who.step += 1;
        self.at(self.now + think, Happens::Asks { person });
    }

    /// Hears a no, or has waited enough.
    fn again(&mut self, person: usize, anew: bool) {
        let retries = self.day.retries;
        let pause = self.rng.random_range(0.2..1.0);
        let who = &mut self.people[person];
        if who.tries >= retries || who.step > 1 {
            return;
        }
        who.tries += 1;
        if anew {
            who.step = usize::from(!self.day.sessions);
            who.session = None;
        }
        self.at(self.now + pause, Happens::Asks { person });
    }
}
