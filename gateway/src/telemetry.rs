//! Logs: JSON lines on stderr, one per request that came further than an early no; early noes are summed once a second.
//!
//! Never a resident, a session, a card or text of a document.

mod lines;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sekisho_issuance::id::RequestId;
use tracing_subscriber::EnvFilter;

use crate::outcome::Outcome;
use crate::registry::Stage;
use lines::Lines;
pub use lines::Writing;

/// How often sums of early noes are written.
pub const SHEDS_EVERY: Duration = Duration::from_secs(1);

/// Starts logging. `RUST_LOG` chooses what; a second call changes nothing. What is held writes the last lines when it is dropped.
#[must_use = "the last lines are written when it is dropped"]
pub fn install() -> Option<Writing> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let json = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(filter);
    // Whoever embeds the gateway may have installed a subscriber already.
    match Lines::to(std::io::stderr()) {
        Ok((lines, writing)) => json.with_writer(lines).try_init().is_ok().then_some(writing),
        Err(_) => {
            let _ = json.with_writer(std::io::stderr).try_init();
            None
        }
    }
}

/// How long each stage of one request took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stages([Duration; Stage::ALL.len()]);

impl Stages {
    /// Adds to a stage.
    pub fn add(&mut self, stage: Stage, spent: Duration) {
        if let Some(sum) = self.0.get_mut(stage as usize) {
            *sum += spent;
        }
    }

    fn micros(&self, stage: Stage) -> u64 {
        self.0.get(stage as usize).map_or(0, |spent| spent.as_micros() as u64)
    }
}

/// The one line of a request.
#[derive(Debug)]
pub struct RequestLine<'a> {
    /// Which.
    pub request: RequestId,
    /// The trace it belongs to.
    pub trace: u128,
    /// Where it went.
    pub route: &'a str,
    /// How it ended.
    pub outcome: Outcome,
    /// Why.
    pub reason: &'a str,
    /// What the kiosk was told.
    pub status: u16,
    /// Arrival to end.
    pub took: Duration,
    /// By stage, where it got so far.
    pub stages: Option<&'a Stages>,
}

/// Early noes by route and reason.
type Sums = BTreeMap<(Box<str>, Box<str>), u64>;

/// Sums early noes and writes all other requests.
#[derive(Debug, Default)]
pub struct RequestLog {
    sheds: Mutex<Sums>,
}

/// Pairs of route and reason that are summed apart; the rest is summed together.
const MAX_SUMS: usize = 1_000;

impl RequestLog {
    /// Writes the line, or adds to the sum.
    pub fn write(&self, line: &RequestLine<'_>) {
        if line.outcome == Outcome::Shed {
            let mut sheds = self.sheds.lock().unwrap_or_else(PoisonError::into_inner);
            let key = match sheds.len() < MAX_SUMS {
                true => (line.route.into(), line.reason.into()),
                false => ("other".into(), "other".into()),
            };
            *sheds.entry(key).or_default() += 1;
            return;
        }
        let stages = line.stages.copied().unwrap_or_default();
        tracing::info!(
            target: "sekisho::request",
            request = %line.request,
            trace = format_args!("{:032x}", line.trace),
            route = line.route,
            outcome = line.outcome.name(),
            reason = line.reason,
            status = line.status,
            total_us = line.took.as_micros() as u64,
            lane_us = stages.micros(Stage::Lane),
            channel_us = stages.micros(Stage::Channel),
            lookup_us = stages.micros(Stage::Lookup),
            backend_us = stages.micros(Stage::Backend),
            verify_us = stages.micros(Stage::Verify),
            release_us = stages.micros(Stage::Release),
            "request"
        );
    }

    /// Writes and forgets the sums; to be called every [`SHEDS_EVERY`].
    pub fn flush(&self) {
        let sheds = std::mem::take(&mut *self.sheds.lock().unwrap_or_else(PoisonError::into_inner));
        for ((route, reason), count) in sheds {
            tracing::info!(target: "sekisho::request", %route, outcome = "shed", %reason, count, "requests turned away");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn line(outcome: Outcome) -> RequestLine<'static> {
        RequestLine {
            request: RequestId::from_u128(7),
            trace: 1,
            route: "tax",
            outcome,
            reason: "verified",
            status: 200,
            took: Duration::from_millis(5),
            stages: None,
        }
    }

    #[test]
    fn one_json_line_per_request_and_one_per_second_of_sheds() {
        let lines = Lines::default();
        let into = lines.clone();
        let subscriber =
            tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || into.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            let log = RequestLog::default();
            log.write(&line(Outcome::Released));
            (0..5).for_each(|_| log.write(&line(Outcome::Shed)));
            log.flush();
            log.flush();
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!((&lines[0]["outcome"], &lines[0]["total_us"]), (&"released".into(), &5000.into()));
        assert_eq!((&lines[1]["outcome"], &lines[1]["count"]), (&"shed".into(), &5.into()));
    }
}
