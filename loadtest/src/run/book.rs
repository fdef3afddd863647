//! The book of a run: on a thread of its own, counts what visits report and has the auditor judge every document a moment later.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use super::figures::{Figures, Under, holds};
use super::ground::Stop;
use super::heard::Heard;
use super::person::Left;
use super::residents::text_of;
use super::series::{Second, Seconds, Series};
use super::verdict::Stopped;
use crate::auditor::{Asked, Auditor, Claim, Harm, TextAuditor};
use crate::cluster::Town;
use crate::plan::{Outcome, Plan};

/// Nothing is judged before it is so old: acknowledgements and log entries of that moment have arrived by then.
const SETTLED_AFTER: Duration = Duration::from_secs(1);
/// The notes are fetched so often instead of being waited for: waking somebody on another core costs whoever wrote one more than the note.
const READS_EVERY: Duration = Duration::from_millis(5);
/// Log entries older than that concern nobody any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(120);
/// More would be the same again.
const MOST_EXAMPLES: usize = 12;

/// What was handed out, to be judged.
#[derive(Debug)]
pub(super) enum Evidence {
    /// A document.
    Paper { session: String, form: &'static str, residents: BTreeSet<String>, bytes: bytes::Bytes },
    /// An answer about a record.
    Told { resident: String, claim: Claim },
    /// A change that was acknowledged for somebody else's record.
    Misapplied,
}

/// One exchange.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) under: Under,
    /// What was said with a no.
    pub(super) reason: String,
    /// When the step should have begun.
    pub(super) intended: Instant,
    pub(super) sent: Instant,
    pub(super) done: Instant,
    pub(super) request_id: Option<String>,
    pub(super) evidence: Option<Evidence>,
}

/// What the book is told.
#[derive(Debug)]
pub(super) enum Note {
    /// A session was begun so much later than intended.
    Start { stage: usize, at: Duration, error: Duration },
    /// No kiosk was free.
    Dropped { stage: usize, at: Duration },
    /// An exchange is over.
    Answer(Box<Answer>),
    /// A session is over.
    Left { stage: usize, city: usize, kind: usize, left: Left, at: Instant },
    /// A version of a record was acknowledged.
    Known { resident: String, version: u64, at: Instant },
    /// Nothing more will come.
    Over,
}

/// What is written in it at the end.
pub(super) struct Closed {
    pub(super) figures: Figures,
    pub(super) seconds: Seconds,
    /// The first harms, with their evidence in the world's own ids.
    pub(super) examples: Vec<String>,
}

/// What the book looks at besides its notes.
pub(super) struct Around {
    pub(super) plan: Arc<Plan>,
    pub(super) town: Option<Arc<Town>>,
    /// Judges papers that the simulated town did not write.
    pub(super) by_text: TextAuditor,
    pub(super) began: Instant,
    pub(super) in_flight: Arc<AtomicU64>,
    pub(super) stop: Stop,
    /// Whether what is counted is added to what others count.
    pub(super) is_part: bool,
    /// Is told of every answer.
    pub(super) heard: Box<dyn FnMut(&Heard) + Send>,
}

/// Keeps the book until it is over; `show` is called once a second, with that second and the sums so far.
pub(super) fn keep(around: Around, notes: Receiver<Note>, mut show: impl FnMut(&Second, &Second, &Figures)) -> Closed {
    let mut book = Book::new(around);
    let mut shown = 0;
    loop {
        let over = match notes.try_recv() {
            Ok(Note::Over) | Err(TryRecvError::Disconnected) => true,
            Ok(note) => {
                book.write(note);
                false
            }
            Err(TryRecvError::Empty) => {
                std::thread::sleep(READS_EVERY);
                false
            }
        };
        let elapsed = book.around.began.elapsed();
        if elapsed.as_secs() > shown {
            shown = elapsed.as_secs();
            book.read_logs();
            book.judge(false);
            let in_flight = book.around.in_flight.load(Ordering::Relaxed);
            if let Some(second) = book.series.close(elapsed, in_flight).cloned() {
                show(&second, book.series.totals(), &book.figures);
            }
            book.give_up(elapsed);
        }
        if over {
            break;
        }
    }
    // Whatever was acknowledged at the end is in the logs by then.
    let plan = &book.around.plan;
    if !(plan.alongside.is_empty() && plan.faults.is_empty()) {
        std::thread::sleep(SETTLED_AFTER);
    }
    book.read_logs();
    book.judge(true);
    Closed { figures: book.figures, seconds: book.series.finish(), examples: book.examples }
}

struct Book {
    around: Around,
    figures: Figures,
    series: Series,
    auditor: Auditor,
    waiting: VecDeque<Box<Answer>>,
    /// When the last look at the record for a request began.
    probes: HashMap<String, Instant>,
    examples: Vec<String>,
    number: Arc<AtomicU64>,
}

impl Book {
    fn new(around: Around) -> Self {
        Self {
            figures: Figures::new(&around.plan),
            series: if around.is_part { Series::keeping() } else { Series::default() },
            around,
            auditor: Auditor::default(),
            waiting: VecDeque::new(),
            probes: HashMap::new(),
            examples: Vec::new(),
            number: Arc::default(),
        }
    }

    fn since(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.around.began)
    }

    fn write(&mut self, note: Note) {
        match note {
            Note::Start { stage, at, error } => {
                self.series.offered(at);
                if let Some(starts) = self.figures.starts.get_mut(stage) {
                    starts.begun += 1;
                    starts.error.record(error);
                }
            }
            Note::Dropped { stage, at } => {
                self.series.offered(at);
                if let Some(starts) = self.figures.starts.get_mut(stage) {
                    starts.dropped += 1;
                }
            }
            Note::Answer(answer) => self.answer(answer),
            Note::Left { stage, city, kind, left, at } => {
                self.figures.sessions.entry((stage, city, kind)).or_default().count(left);
                if left != Left::Abandoned {
                    let good = matches!(left, Left::Served | Left::Refused);
                    self.series.ended(self.since(at), good);
                }
            }
            Note::Known { resident, version, at } => {
                self.figures.changes += 1;
                self.auditor.known.note(&resident, version, at);
            }
            Note::Over => {}
        }
    }

    fn answer(&mut self, answer: Box<Answer>) {
        let (under, latency) = (answer.under, answer.done.saturating_duration_since(answer.intended));
        let at = self.since(answer.done);
        self.series.answered(at, under.outcome, latency);
        let socket = answer.done.saturating_duration_since(answer.sent);
        (self.around.heard)(&Heard { at, step: under.step, city: under.city, outcome: under.outcome, latency, socket });
        let answers = self.figures.answers.entry(under).or_default();
        answers.count += 1;
        answers.latency.record(latency);
        answers.socket.record(socket);
        if !matches!(under.outcome, Outcome::Released | Outcome::Answered) {
            *self.figures.reasons.entry((under.outcome, answer.reason.clone())).or_default() += 1;
        }
        if under.outcome == Outcome::Shed {
            *self.figures.sheds.entry((under.rank, answer.reason.clone())).or_default() += 1;
        }
        if answer.evidence.is_some() {
            self.waiting.push_back(answer);
        }
    }

    fn read_logs(&mut self) {
        let Some(town) = &self.around.town else { return };
        let logs = town.take_logs();
        for (resident, version, at) in logs.shown {
            self.auditor.known.note(&resident, version, at);
        }
        for (request, began) in logs.probes {
            let last = self.probes.entry(request).or_insert(began);
            *last = began.max(*last);
        }
        self.probes.retain(|_, began| began.elapsed() < FORGOTTEN_AFTER);
    }

    fn judge(&mut self, all: bool) {
        while let Some(answer) = self.waiting.pop_front() {
            if !all && answer.done.elapsed() < SETTLED_AFTER {
                self.waiting.push_front(answer);
                return;
            }
            let harm = self.rule(&answer);
            self.figures.judged += 1;
            if let Some((harm, about)) = harm {
                *self.figures.harms.entry((answer.under.stage, harm)).or_default() += 1;
                if self.examples.len() < MOST_EXAMPLES {
                    let request = answer.request_id.as_deref().unwrap_or("-");
                    let at = self.since(answer.done);
                    self.examples.push(format!("{} at {:.1?}, request {request}: {about}", harm.name(), at));
                }
                self.around.stop.because(Stopped::Harm);
            }
        }
    }

    /// The harm, if any, and what it was about.
    fn rule(&mut self, answer: &Answer) -> Option<(Harm, String)> {
        let probe = answer.request_id.as_ref().and_then(|id| self.probes.get(id)).copied().unwrap_or(answer.sent);
        match answer.evidence.as_ref()? {
            Evidence::Misapplied => Some((Harm::WrongPerson, "a change of somebody else's record".to_owned())),
            Evidence::Told { resident, claim } => {
                let harm = self.auditor.judge_claim(resident, answer.sent, claim).err()?;
                Some((harm, format!("asked about {resident}, told {} v{}", claim.resident, claim.version)))
            }
            Evidence::Paper { session, form, residents, bytes } => {
                let Some(town) = &self.around.town else {
                    let resident = residents.first()?;
                    let content = *blake3::hash(bytes).as_bytes();
                    let Some(ruling) = self.around.by_text.judge(resident, &text_of(bytes), content) else {
                        self.figures.unreadable += 1;
                        return None;
                    };
                    return Some((ruling.err()?, format!("{form} of {resident}, by its text")));
                };
                let asked = Asked {
                    number: self.number.fetch_add(1, Ordering::Relaxed),
                    replay_key: format!("{session} {form}"),
                    residents: residents.clone(),
                    kind: (*form).to_owned(),
                    last_probe: probe,
                };
                let paper = town.read(bytes);
                let harm = self.auditor.judge_paper(&asked, &paper).err()?;
                let sheets = paper.shown.iter().flat_map(|shown| &shown.sheets).flat_map(|sheet| &sheet.people);
                let shown: Vec<String> = sheets
                    .map(|(who, version)| format!("{who} v{version} (known v{})", self.auditor.known.floor(who, probe)))
                    .collect();
                let residents: Vec<&str> = residents.iter().map(String::as_str).collect();
                Some((harm, format!("{form} of {} shows {}", residents.join(" "), shown.join(", "))))
            }
        }
    }

    fn give_up(&mut self, elapsed: Duration) {
        let Some(abort) = &self.around.plan.thresholds.abort else { return };
        let holds = elapsed >= abort.after
            && self.figures.measure(&abort.when).is_some_and(|measured| holds(&abort.when, measured));
        if holds {
            self.around.stop.because(Stopped::Aborted(abort.when.to_string()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::threshold::{Rank, Step};

    fn book() -> Book {
        let text = "name = \"t\"\nwhy = \"t\"\n[[stage]]\nname = \"a\"\nrate = \"1/s\"\nfor = \"1s\"\n\
                    [thresholds]\nabort = { when = \"shed > 50%\", after = \"10s\" }\n";
        Book::new(Around {
            plan: Arc::new(crate::plan::parse(text).unwrap()),
            town: None,
            by_text: TextAuditor::default(),
            began: Instant::now(),
            in_flight: Arc::default(),
            stop: Stop::default(),
            is_part: false,
            heard: Box::new(|_| {}),
        })
    }

    fn answer(book: &Book, outcome: Outcome, evidence: Option<Evidence>) -> Box<Answer> {
        let under = Under { stage: 0, step: Step::Issue, rank: Rank::Started, city: 0, kind: Some(0), outcome };
        let intended = book.around.began;
        let (sent, done) = (intended + Duration::from_millis(1000), intended + Duration::from_millis(1200));
        Box::new(Answer { under, reason: String::new(), intended, sent, done, request_id: None, evidence })
    }

    #[test]
    fn a_late_generator_does_not_make_its_target_look_fast() {
        let mut book = book();
        book.write(Note::Answer(answer(&book, Outcome::Released, None)));
        let all = book.figures.select(|_| true);
        let ms = |times: &super::super::times::Times| times.max().unwrap().as_secs_f64() * 1e3;
        assert!((1199.0..1202.0).contains(&ms(&all.latency)), "from when it should have been asked");
        assert!((199.0..201.0).contains(&ms(&all.socket)), "from when it was asked");
    }

    #[test]
    fn a_harm_stops_the_run_and_so_does_the_abort_rule_but_not_too_early() {
        let mut harmed = book();
        harmed.write(Note::Answer(answer(&harmed, Outcome::Answered, Some(Evidence::Misapplied))));
        harmed.judge(true);
        assert_eq!((harmed.around.stop.why(), harmed.figures.harmful()), (Some(Stopped::Harm), 1));
        assert_eq!(harmed.examples.len(), 1);

        let mut shedding = book();
        shedding.write(Note::Answer(answer(&shedding, Outcome::Shed, None)));
        shedding.give_up(Duration::from_secs(9));
        assert_eq!(shedding.around.stop.why(), None);
        shedding.give_up(Duration::from_secs(10));
        assert_eq!(shedding.around.stop.why(), Some(Stopped::Aborted("shed > 50%".into())));
    }

    #[test]
    fn nothing_is_judged_before_the_worlds_logs_of_that_moment_are_read() {
        let mut book = book();
        let claim = Claim { resident: "a".into(), version: 1 };
        let told = Evidence::Told { resident: "a".into(), claim };
        let fresh = Answer { done: Instant::now(), ..*answer(&book, Outcome::Answered, Some(told)) };
        let sent = fresh.sent;
        book.write(Note::Answer(Box::new(fresh)));
        book.judge(false);
        assert_eq!(book.figures.judged, 0);
        // Acknowledged before it was asked, heard of after it was answered.
        book.write(Note::Known { resident: "a".into(), version: 2, at: sent - Duration::from_millis(1) });
        book.judge(true);
        assert_eq!(book.figures.harm(Harm::Stale), 1);
    }
}
