//! What really happened in the simulated world: faults, executions, overlaps. For the auditor; the gateway never sees it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use dashmap::DashMap;
use serde::Serialize;
use tokio::sync::watch;

use super::fault::Fault;
use super::held;
use super::paper::Form;
use super::resident::PersonNo;

/// One call as the backend knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `X-Request-Id`, or one that the backend made up.
    pub request: String,
    /// The backend's session, if the call had one.
    pub session: String,
    /// The terminal that called.
    pub terminal: String,
    /// Index of the municipality.
    pub city: usize,
    /// Whom the call is about.
    pub person: PersonNo,
}

/// Why a firing is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The fault's window opened for this call. By itself that may harm nobody.
    Trigger,
    /// The machinery gave this call something that is not its own (`partner` says whose).
    Harm,
}

/// One end of a mix-up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Party {
    /// Request id as the backend knows it; empty where no call was involved.
    pub request: String,
    /// Session at the backend.
    pub session: String,
    /// Terminal.
    pub terminal: String,
    /// The person, by id; empty where none is known.
    pub resident: String,
}

/// One entry of the fault log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Firing {
    /// Microseconds since the world began.
    pub at_us: u64,
    /// Which fault, by name.
    pub fault: &'static str,
    /// Window or harm.
    pub role: Role,
    /// Municipality code.
    pub city: String,
    /// URL segment of the form, for certificates.
    pub form: Option<&'static str>,
    /// Whom it happened to.
    pub victim: Party,
    /// Whose data it was.
    pub partner: Option<Party>,
}

/// What an execution did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// A certificate.
    Issue,
    /// A read.
    Inquire,
    /// A change.
    Amend,
}

/// One execution: from the request being read to the work being really over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Execution {
    /// Who it was about, everybody printed included.
    pub people: Vec<PersonNo>,
    /// Request id.
    pub request: String,
    /// What.
    pub work: Work,
    /// Microseconds since the world began.
    pub start_us: u64,
    /// Microseconds since the world began.
    pub end_us: u64,
}

/// Two executions for one person at the same time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Overlap {
    /// The person.
    pub person: PersonNo,
    /// The request that was being executed.
    pub earlier: String,
    /// The request that came in addition.
    pub later: String,
    /// When the later one began.
    pub at_us: u64,
}

/// The system of record showed a version of somebody's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Request id of the reading call; empty where it had none.
    pub request: String,
    /// Whose record.
    pub person: PersonNo,
    /// Which version.
    pub version: u64,
    /// When.
    pub at: std::time::Instant,
}

/// How often a fault's window opened, and how often it did harm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Windows.
    pub triggers: u64,
    /// Harms.
    pub harms: u64,
}

/// The most entries kept of each log; older ones stay, newer ones are only counted.
const MOST_ENTRIES: usize = 4_000_000;

/// The logs.
#[derive(Debug)]
pub struct Chronicle {
    began: std::time::Instant,
    counts: Vec<(AtomicU64, AtomicU64)>,
    firings: Mutex<Vec<Firing>>,
    executions: Mutex<Vec<Execution>>,
    overlaps: Mutex<Vec<Overlap>>,
    readings: Mutex<Vec<Reading>>,
    under_way: DashMap<PersonNo, Vec<String>>,
    happened: watch::Sender<()>,
}

impl Chronicle {
    pub(super) fn new() -> Self {
        Self {
            began: std::time::Instant::now(),
            counts: Fault::ALL.iter().map(|_| Default::default()).collect(),
            firings: Mutex::default(),
            executions: Mutex::default(),
            overlaps: Mutex::default(),
            readings: Mutex::default(),
            under_way: DashMap::new(),
            happened: watch::Sender::new(()),
        }
    }

    /// Told whenever a call came in a session, and whenever an execution is over: who waits for either looks again then.
    pub fn happened(&self) -> watch::Receiver<()> {
        self.happened.subscribe()
    }

    pub(super) fn tell(&self) {
        self.happened.send_replace(());
    }

    /// Microseconds since the world began.
    pub fn now_us(&self) -> u64 {
        self.since_beginning(std::time::Instant::now())
    }

    /// Microseconds from the world's beginning to that instant.
    pub fn since_beginning(&self, at: std::time::Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.began).as_micros()).unwrap_or(u64::MAX)
    }

    pub(super) fn log(
        &self,
        fault: Fault,
        role: Role,
        city: &str,
        form: Option<Form>,
        victim: Party,
        partner: Option<Party>,
    ) {
        if let Some((triggers, harms)) = self.counts.get(fault as usize) {
            let count = if role == Role::Trigger { triggers } else { harms };
            count.fetch_add(1, Ordering::Relaxed);
        }
        let firing = Firing {
            at_us: self.now_us(),
            fault: fault.name(),
            role,
            city: city.to_owned(),
            form: form.map(Form::path),
            victim,
            partner,
        };
        let mut firings = held(&self.firings);
        if firings.len() < MOST_ENTRIES {
            firings.push(firing);
        }
    }

    /// The fault log so far.
    pub fn firings(&self) -> Vec<Firing> {
        held(&self.firings).clone()
    }

    /// The fault log since the last call; long runs take it in pieces.
    pub fn take_firings(&self) -> Vec<Firing> {
        std::mem::take(&mut *held(&self.firings))
    }

    /// How often each fault fired and harmed.
    pub fn counts(&self) -> Vec<(Fault, Count)> {
        let read = |(triggers, harms): &(AtomicU64, AtomicU64)| Count {
            triggers: triggers.load(Ordering::Relaxed),
            harms: harms.load(Ordering::Relaxed),
        };
        Fault::ALL.iter().copied().zip(self.counts.iter().map(read)).collect()
    }

    /// Executions that are over.
    pub fn executions(&self) -> Vec<Execution> {
        held(&self.executions).clone()
    }

    /// Executions that are over, since the last call.
    pub fn take_executions(&self) -> Vec<Execution> {
        std::mem::take(&mut *held(&self.executions))
    }

    pub(super) fn showed(&self, request: &str, person: PersonNo, version: u64) {
        let mut readings = held(&self.readings);
        if readings.len() < MOST_ENTRIES {
            readings.push(Reading { request: request.to_owned(), person, version, at: std::time::Instant::now() });
        }
    }

    /// What the system of record showed, since the last call.
    pub fn take_readings(&self) -> Vec<Reading> {
        std::mem::take(&mut *held(&self.readings))
    }

    /// Every time two executions for one person met.
    pub fn overlaps(&self) -> Vec<Overlap> {
        held(&self.overlaps).clone()
    }

    /// How many people something is being executed for at this moment.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Notes that work begins; it is over when the returned value is dropped.
    pub(super) fn begin(self: &Arc<Self>, work: Work, people: Vec<PersonNo>, request: &str) -> Executing {
        let start_us = self.now_us();
        for person in &people {
            let mut running = self.under_way.entry(*person).or_default();
            if let Some(earlier) = running.last() {
                let overlap =
                    Overlap { person: *person, earlier: earlier.clone(), later: request.to_owned(), at_us: start_us };
                held(&self.overlaps).push(overlap);
            }
            running.push(request.to_owned());
        }
        let execution = Execution { people, request: request.to_owned(), work, start_us, end_us: 0 };
        Executing { chronicle: Arc::clone(self), execution: Some(execution) }
    }
}

/// Work under way; dropping it ends the execution's interval.
#[derive(Debug)]
pub(super) struct Executing {
    chronicle: Arc<Chronicle>,
    execution: Option<Execution>,
}

impl Drop for Executing {
    fn drop(&mut self) {
        let Some(mut execution) = self.execution.take() else { return };
        for person in &execution.people {
            self.chronicle.under_way.remove_if_mut(person, |_, running| {
                if let Some(at) = running.iter().position(|request| *request == execution.request) {
                    running.remove(at);
                }
                running.is_empty()
            });
        }
        execution.end_us = self.chronicle.now_us();
        let mut executions = held(&self.chronicle.executions);
        if executions.len() < MOST_ENTRIES {
            executions.push(execution);
        }
        drop(executions);
        self.chronicle.tell();
    }
}
