//! The judge of a soak: works through what was written down a moment ago, so that everything known by then is known.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::figures::Figures;
use crate::auditor::{Auditor, Tally};
use crate::cluster::Town;
use crate::incidents::{Ended, Entry, Field, Told};
use crate::legacy::chronicle::Work;

/// Nothing is judged before it is so old: acknowledgements and log entries of that moment have arrived by then.
const SETTLED_AFTER: Duration = Duration::from_secs(1);
/// Log entries older than that concern nobody any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// More would be the same again.
const MOST_EXAMPLES: usize = 12;

struct Judge {
    auditor: Auditor,
    papers: Tally,
    figures: Figures,
    /// Request ids that a fault touched, and when that was read.
    touched: HashMap<String, Instant>,
    /// Sessions that somebody else may have been given as well, and when that was read. The gateway ends them for everybody.
    sent_twice: HashMap<String, Instant>,
    /// When the last look at the record for a request began.
    probes: HashMap<String, Instant>,
    /// Executions for a certificate that are over and were not counted yet.
    produced: VecDeque<(Instant, String)>,
    waiting: VecDeque<Entry>,
}

/// Judges until `over`, and then what is left.
pub(super) async fn judge(field: Arc<Field>, over: Arc<AtomicBool>) -> Figures {
    let mut judge = Judge {
        auditor: Auditor::default(),
        papers: Tally::default(),
        figures: Figures::default(),
        touched: HashMap::new(),
        sent_twice: HashMap::new(),
        probes: HashMap::new(),
        produced: VecDeque::new(),
        waiting: VecDeque::new(),
    };
    let mut clock = tokio::time::interval(Duration::from_millis(200));
    loop {
        clock.tick().await;
        let last = over.load(Ordering::Relaxed);
        if last {
            tokio::time::sleep(SETTLED_AFTER).await;
        }
        judge.read(&field);
        judge.work(&field.town);
        if last && judge.waiting.is_empty() {
            judge.figures.judged(judge.papers);
            return judge.figures;
        }
    }
}

impl Judge {
    /// Takes over what was written since the last time. The books first, then the logs: whatever a book speaks of is in its log.
    fn read(&mut self, field: &Field) {
        let book = field.ledger.close();
        let now = Instant::now();
        let world = field.town.take_logs();
        for (resident, version, at) in book.known.into_iter().chain(world.shown) {
            self.auditor.known.note(&resident, version, at);
        }
        for (request, began) in world.probes {
            let last = self.probes.entry(request).or_insert(began);
            *last = began.max(*last);
        }
        self.touched.extend(world.touched.into_iter().map(|id| (id, now)));
        self.sent_twice.extend(world.sent_twice.into_iter().map(|id| (id, now)));
        let issued = world.executions.into_iter().filter(|execution| execution.work == Work::Issue);
        self.produced.extend(issued.map(|execution| (now, execution.request)));
        self.waiting.extend(book.entries);
        for told in book.told {
            self.told(&told);
        }
        self.touched.retain(|_, read| read.elapsed() < FORGOTTEN_AFTER);
        self.sent_twice.retain(|_, read| read.elapsed() < FORGOTTEN_AFTER);
        self.probes.retain(|_, began| began.elapsed() < FORGOTTEN_AFTER);
    }

    fn told(&mut self, told: &Told) {
        if self.auditor.judge_claim(&told.resident, told.sent, &told.claim).is_err() {
            *self.figures.ended.entry("wrong data".to_owned()).or_default() += 1;
        }
    }

    fn work(&mut self, town: &Town) {
        while let Some((read, request)) = self.produced.pop_front() {
            if read.elapsed() < SETTLED_AFTER {
                self.produced.push_front((read, request));
                break;
            }
            self.figures.correct_produced += u64::from(!self.touched.contains_key(&request));
        }
        while let Some(entry) = self.waiting.pop_front() {
            if entry.done.elapsed() < SETTLED_AFTER {
                self.waiting.push_front(entry);
                break;
            }
            self.one(town, &entry);
        }
    }

    fn one(&mut self, town: &Town, entry: &Entry) {
        self.figures.requests += 1;
        let probe = entry.request_id.as_ref().and_then(|id| self.probes.get(id)).copied().unwrap_or(entry.sent);
        let touched = entry.request_id.as_ref().is_some_and(|id| self.touched.contains_key(id));
        if let Some(paper) = &entry.paper {
            let ruling = self.auditor.judge_paper(&entry.asked(probe), paper);
            if let Err(harm) = ruling {
                let versions = paper.shown.iter().flat_map(|shown| &shown.sheets).flat_map(|sheet| &sheet.people);
                let versions: Vec<String> = versions
                    .map(|(who, version)| format!("{who} v{version} (known v{})", self.auditor.known.floor(who, probe)))
                    .collect();
                self.example(harm.name(), entry, &versions.join(", "));
            }
            self.papers.count(ruling);
            self.figures.correct_released += u64::from(!touched);
            return;
        }
        *self.figures.ended.entry(format!("{:?} {}", entry.ended, entry.reason)).or_default() += 1;
        self.figures.latch_refusals += u64::from(entry.ended == Ended::Suspended);
        let by_a_check = entry.ended == Ended::Withheld && !entry.reason.ends_with("latched");
        let sent_twice = entry.session.as_ref().is_some_and(|id| self.sent_twice.contains_key(id));
        let ended_for_all = sent_twice && entry.reason == "withheld/session_over";
        if by_a_check && !touched && !ended_for_all && !overtaken(town, entry) {
            let reasons = &mut self.figures.false_withhold_reasons;
            *reasons.entry(entry.reason.clone()).or_default() += 1;
            self.figures.false_withholds += 1;
            self.example("withheld", entry, &entry.reason);
        }
    }

    fn example(&mut self, what: &str, entry: &Entry, more: &str) {
        if self.figures.examples.len() < MOST_EXAMPLES {
            let Entry { request_id, session, form, residents, sent, done, .. } = entry;
            let (request, session) = (request_id.as_deref().unwrap_or("-"), session.as_deref().unwrap_or("-"));
            let took = done.duration_since(*sent);
            let who: Vec<&str> = residents.iter().map(String::as_str).collect();
            self.figures.examples.push(format!(
                "{what}: request {request} session {session} {} of {} in {took:?}: {more}",
                form.path(),
                who.join(" ")
            ));
        }
    }
}

/// A record that the paper speaks of changed while it was being made: then it was right to keep it in. The register says so, since
/// what was acknowledged to a kiosk was changed some time before.
fn overtaken(town: &Town, entry: &Entry) -> bool {
    entry.residents.iter().any(|resident| town.changed_between(resident, entry.sent, entry.done))
}
