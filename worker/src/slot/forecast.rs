//! Whether somebody can be let in: what is ahead of them in their own order, against the time they have. Says no at once, with one reason.

use std::time::{Duration, Instant};

use sekisho_issuance::request::Operation;

use super::share::Flow;
use super::state::{MAX_WAITING, State};
use crate::standing::{Rank, Refusal, Standing, Work};

/// The share of their time that whoever begins something may spend waiting; the rest is for what nobody foresaw.
const NEW_WAITS: f64 = 0.75;
/// The same for whoever asks again, and for what nobody stands waiting for.
const RETRY_WAITS: f64 = 0.5;
/// Changes and the gateway's own questions.
const AMEND_WAITS: f64 = 0.95;
/// A session is let in where all that sessions let in before it will ask for is done within this share of its time: they come when
/// they come, and a municipality that is absent now may take its share back meanwhile.
const SESSION_WAITS: f64 = 0.2;
/// The same by what really waits, however it came to be.
const BACKLOG_WAITS: f64 = 0.5;
/// How much faster than planned sessions are let in while places are free.
const CATCH_UP: f64 = 3.0;
/// Bounds of the advice when to come back.
const LEAST_RETRY_AFTER_S: f64 = 1.0;
const MOST_RETRY_AFTER_S: f64 = 30.0;

/// What is asked of a backend's owner before anything is spent on a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    pub(super) standing: Standing,
    pub(super) operation: Operation,
    pub(super) deadline: Instant,
    /// Its session, where one was let in at this backend.
    pub(super) session: Option<u64>,
    /// Whether it is a step of a session, counted or not.
    pub(super) started: bool,
}

/// A yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its number from now on.
    pub(super) ticket: u64,
    /// The session that it opens.
    pub(super) opens: Option<u64>,
}

impl State {
    /// Decides, and counts whoever is let in.
    pub(super) fn ask(&mut self, question: &Question, now: Instant) -> Result<Entry, Refusal> {
        let Question { standing, operation, deadline, session, started } = question;
        self.promises.expire(&mut self.shares, now);
        let (flow, work) = (Flow::of(standing), Work::Of(*operation));
        let opens = *operation == Operation::Open;
        if self.entries.len() >= MAX_WAITING + self.limit.now() && !started {
            return Err(Refusal { reason: "memory", retry_after: Duration::from_secs(5) });
        }
        self.shares.account(flow, now).share = standing.share;
        let time = deadline.saturating_duration_since(now).as_secs_f64();
        // A suspended backend says so itself.
        if !started && !self.stopped {
            self.test(flow, standing, work, opens, time, now)?;
        }
        if let Some(number) = session {
            let pace = *self.pace(work);
            self.promises.step_begins(*number, work, &pace, &mut self.shares, now);
        }
        let opened = opens.then(|| self.promises.open(flow, &mut self.shares, now));
        if opens {
            let each = self.promises.each(&self.paces);
            self.shares.account(flow, now).pacing.0 += each;
        }
        let order = if opens { Rank::Started.min(standing.rank) } else { standing.rank };
        Ok(Entry { ticket: self.expect(standing, order, work, *deadline, now), opens: opened })
    }

    fn test(
        &mut self,
        flow: Flow,
        standing: &Standing,
        work: Work,
        opens: bool,
        time: f64,
        now: Instant,
    ) -> Result<(), Refusal> {
        let limit = self.limit.now();
        let slots = limit.saturating_sub(self.resting).max(1) as f64;
        let rate = self.shares.slots_for(flow, standing.share, slots, &self.paces, now).max(0.01);
        let pace = *self.pace(work);
        let (service, margin) = (pace.mean(), 2.0 * pace.deviation() + 2.0 * self.preparing.mean());
        let residual = self.residual(now) * rate / slots;
        let (each, span) = (self.promises.each(&self.paces), self.promises.span());
        let calm = self.placed + self.on_the_way + self.resting < limit;
        let Some(account) = self.shares.known(flow) else { return Ok(()) };
        let thinking = account.thinking(&self.paces);
        let all = account.ahead_of(Rank::Batch) + residual;
        // Sessions let in, as far as the share has not had the time for them.
        let (pacing, at) = account.pacing;
        let passed = now.saturating_duration_since(at).as_secs_f64() * rate * if calm { CATCH_UP } else { 1.0 };
        account.pacing = ((pacing - passed).max(0.0), now);
        let pacing = account.pacing.0;

        // Whoever finds a free place may try, whatever was learned: else nothing could be learned any more.
        let here = self.entries.len().saturating_sub(self.judged);
        if here + self.promises.thinking() + self.resting < limit {
            return Ok(());
        }
        let order = if opens { Rank::Started.min(standing.rank) } else { standing.rank };
        let Some(account) = self.shares.known(flow) else { return Ok(()) };
        let ahead = account.ahead_of(order) + residual;
        // Steps of started sessions will still come before whoever ranks below them.
        let overtaken = if order > Rank::Started { (thinking / span.max(0.05)).min(0.9 * rate) } else { 0.0 };
        let wait = ahead / (rate - overtaken);
        let may_wait = match standing.rank {
            Rank::Control | Rank::Amend => AMEND_WAITS,
            Rank::Started | Rank::New => NEW_WAITS,
            Rank::Retry | Rank::Batch => RETRY_WAITS,
        };
        let no = |wait: f64, reason| {
            let seconds = wait.clamp(LEAST_RETRY_AFTER_S, MOST_RETRY_AFTER_S);
            Err(Refusal { reason, retry_after: Duration::from_secs_f64(seconds) })
        };
        if wait + service > time {
            return no(wait, "no_time_left");
        }
        if wait + service + margin > time * may_wait {
            return no(wait, "backend_busy");
        }
        if !opens {
            return Ok(());
        }
        let half = if standing.rank > Rank::New { 0.5 } else { 1.0 };
        let paced = (pacing + each) / rate;
        let backlog = (all + (thinking - span * rate).max(0.0) + each) / rate;
        if paced > time * SESSION_WAITS * half || backlog > time * BACKLOG_WAITS * half {
            return no(paced.max(backlog), "backend_busy");
        }
        Ok(())
    }
}
