//! What sessions that were let in will still ask for: the steps that sessions are seen to take, less those that this one has taken.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::pace::Pace;
use super::share::{Flow, Shares};
use crate::numbered::Numbered;
use crate::standing::{WORKS, Work};

/// The weight of one step among all.
const GAIN: f64 = 1.0 / 32.0;
/// The least weight of one session: what sessions ask for changes slowly, and who walks away is seen later than who is done.
const LEAST_GAIN: f64 = 1.0 / 256.0;
/// As many sessions as the first guess is worth.
const FIRST_GUESS_WEIGHS: f64 = 16.0;
/// Until somebody was seen to think.
const FIRST_THOUGHT_S: f64 = 1.0;
/// Whoever is silent for longer than people are seen to think is not counted on, but never sooner.
const LEAST_SILENCE: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Session {
    flow: Flow,
    done: [u16; WORKS],
    /// What is counted for it in its municipality's account, in thousandths of a step.
    counted: [i64; WORKS],
    thought: f64,
    since: Instant,
    under_way: usize,
    /// Rises with each step, so that an older silence does not end a newer one.
    turn: u64,
    kept: bool,
    /// Whether it has taught what sessions ask for.
    taught: bool,
}

/// The sessions of one backend, and what is known of sessions.
#[derive(Debug)]
pub(super) struct Promises {
    open: Numbered<u64, Session>,
    silent: VecDeque<(Instant, u64, u64)>,
    next: u64,
    /// Steps after its opening that a session takes, on average.
    steps: [f64; WORKS],
    taught: f64,
    /// Between an answer and the next step.
    thought: Pace,
    /// How long people have thought since the opening when they ask for a second of a slot: its parts, smoothed.
    span: (f64, f64),
    counted: usize,
}

impl Default for Promises {
    fn default() -> Self {
        let mut steps = [0.0; WORKS];
        steps[0] = 1.0;
        Self {
            open: Numbered::default(),
            silent: VecDeque::new(),
            next: 1,
            steps,
            taught: FIRST_GUESS_WEIGHS,
            thought: Pace::guess(FIRST_THOUGHT_S),
            span: (0.0, 0.0),
            counted: 0,
        }
    }
}

impl Promises {
    /// What a session asks for after its opening, in seconds of a slot.
    pub(super) fn each(&self, paces: &[Pace; WORKS]) -> f64 {
        self.steps.iter().zip(paces).map(|(steps, pace)| steps * pace.mean()).sum()
    }

    /// How long after its opening a session asks for that, in seconds.
    pub(super) fn span(&self) -> f64 {
        let (part, whole) = self.span;
        if whole > 0.0 { part / whole } else { FIRST_THOUGHT_S }
    }

    /// Sessions that think, and are counted on.
    pub(super) fn thinking(&self) -> usize {
        self.counted
    }

    /// A session is being opened: it is promised all that sessions ask for.
    pub(super) fn open(&mut self, flow: Flow, shares: &mut Shares, now: Instant) -> u64 {
        let number = self.next;
        self.next += 1;
        let session = Session {
            flow,
            done: [0; WORKS],
            counted: [0; WORKS],
            thought: 0.0,
            since: now,
            under_way: 1,
            turn: 0,
            kept: false,
            taught: false,
        };
        self.open.insert(number, session);
        shares.account(flow, now).present += 1;
        self.count(number, shares);
        number
    }

    /// It was opened: from now on its end teaches what sessions ask for.
    pub(super) fn keep(&mut self, number: u64) {
        if let Some(session) = self.open.get_mut(&number) {
            session.kept = true;
        }
    }

    /// It asks for a step.
    pub(super) fn step_begins(&mut self, number: u64, work: Work, pace: &Pace, shares: &mut Shares, now: Instant) {
        let Some(session) = self.open.get_mut(&number) else { return };
        if session.under_way == 0 {
            let thought = now.saturating_duration_since(session.since);
            session.thought += thought.as_secs_f64();
            self.thought.learn(thought, 4);
        }
        session.under_way += 1;
        session.turn += 1;
        if let Some(done) = session.done.get_mut(work.index()) {
            *done = done.saturating_add(1);
        }
        let (part, whole) = &mut self.span;
        *part += GAIN * (pace.mean() * session.thought - *part);
        *whole += GAIN * (pace.mean() - *whole);
        self.count(number, shares);
    }

    /// The step is over.
    pub(super) fn step_ends(&mut self, number: u64, now: Instant) {
        let Some(session) = self.open.get_mut(&number) else { return };
        session.under_way = session.under_way.saturating_sub(1);
        if session.under_way > 0 {
            return;
        }
        session.since = now;
        let silence = (2.0 * self.thought.mean() + 6.0 * self.thought.deviation()).min(3600.0);
        let until = now + Duration::from_secs_f64(silence).max(LEAST_SILENCE);
        self.silent.push_back((until, number, session.turn));
    }

    /// It is over, or never came to be.
    pub(super) fn end(&mut self, number: u64, shares: &mut Shares) {
        self.uncount(number, shares);
        self.teach(number);
        let Some(session) = self.open.remove(&number) else { return };
        if let Some(account) = shares.known(session.flow) {
            account.present = account.present.saturating_sub(1);
        }
    }

    /// Whoever was silent for too long is not counted on any more; they are still welcome.
    pub(super) fn expire(&mut self, shares: &mut Shares, now: Instant) {
        while let Some((until, number, turn)) = self.silent.front().copied() {
            if until > now {
                break;
            }
            self.silent.pop_front();
            if self.open.get(&number).is_some_and(|session| session.turn == turn && session.under_way == 0) {
                self.uncount(number, shares);
                self.teach(number);
            }
        }
    }

    /// What this session asked for, once: by its end, or when it has been silent for too long.
    fn teach(&mut self, number: u64) {
        let Some(session) = self.open.get_mut(&number).filter(|session| session.kept && !session.taught) else {
            return;
        };
        session.taught = true;
        self.taught += 1.0;
        let gain = (1.0 / self.taught).max(LEAST_GAIN);
        for (steps, done) in self.steps.iter_mut().zip(session.done) {
            *steps += gain * (f64::from(done) - *steps);
        }
    }

    fn count(&mut self, number: u64, shares: &mut Shares) {
        self.uncount(number, shares);
        let Some(session) = self.open.get_mut(&number) else { return };
        for ((counted, steps), done) in session.counted.iter_mut().zip(self.steps).zip(session.done) {
            *counted = ((steps - f64::from(done)).max(0.0) * 1000.0) as i64;
        }
        if session.counted != [0; WORKS] {
            self.counted += 1;
        }
        if let Some(account) = shares.known(session.flow) {
            account.promised.iter_mut().zip(session.counted).for_each(|(sum, own)| *sum += own);
        }
    }

    fn uncount(&mut self, number: u64, shares: &mut Shares) {
        let Some(session) = self.open.get_mut(&number) else { return };
        if session.counted != [0; WORKS] {
            self.counted = self.counted.saturating_sub(1);
        }
        let counted = std::mem::take(&mut session.counted);
        if let Some(account) = shares.known(session.flow) {
            account.promised.iter_mut().zip(counted).for_each(|(sum, own)| *sum -= own);
        }
    }
}
