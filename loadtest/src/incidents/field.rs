//! Where a run takes place: the town, the kiosks in front of it, and the book that everything is written down in.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::ledger::{Ended, Entry, Ledger, Told, reason};
use crate::auditor::Claim;
use crate::cluster::Town;
use crate::kiosk::{Exchange, Kiosk, Opened, Patience, Said, Scope};
use crate::legacy::Form;
use crate::legacy::resident::PersonNo;
use crate::report::Step;

/// Somebody comes for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    /// Whose card is in the slot.
    pub person: PersonNo,
    /// What for.
    pub form: Form,
    /// For the whole household.
    pub household: bool,
    /// They look at their record first.
    pub looks_first: bool,
    /// When they came; `None`, when they asked.
    pub since: Option<Instant>,
    /// They walk away so long after asking, and the kiosk hangs up.
    pub walks_away: Option<Duration>,
}

/// Which kiosks: those of the incident, or everybody else's. A kiosk that is suspended for what it did stays out of the
/// other people's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Where the incident's people come.
    Scene,
    /// Where everybody else comes.
    Everyday,
}

/// The place of one run.
pub struct Field {
    /// The simulated town.
    pub town: Town,
    /// What was asked and got.
    pub ledger: Ledger,
    target: Mutex<SocketAddr>,
    patience: Patience,
    numbers: AtomicU64,
    terminals: AtomicU64,
    idle: [Mutex<Vec<Kiosk>>; 2],
    step: Step,
}

impl Field {
    /// Kiosks of this field speak to `target`.
    pub fn new(town: Town, target: SocketAddr, patience: Duration, step: Step) -> Arc<Self> {
        Arc::new(Self {
            town,
            ledger: Ledger::default(),
            target: Mutex::new(target),
            patience: Patience(patience),
            numbers: AtomicU64::new(0),
            terminals: AtomicU64::new(0),
            idle: Default::default(),
            step,
        })
    }

    /// From now on kiosks speak to another address.
    pub fn redirect(&self, target: SocketAddr) {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
    }

    /// A kiosk that nobody stands at; a new one if all are taken.
    pub fn free_kiosk(&self, side: Side) -> Kiosk {
        let target = *self.target.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut kiosk) = self.idle(side).pop() {
            kiosk.redirect(target);
            return kiosk;
        }
        let number = self.terminals.fetch_add(1, Ordering::Relaxed);
        Kiosk::new(format!("K{number:04}"), target, self.patience).speaking(self.town.dialect())
    }

    fn idle(&self, side: Side) -> MutexGuard<'_, Vec<Kiosk>> {
        let [scene, everyday] = &self.idle;
        let idle = if side == Side::Scene { scene } else { everyday };
        idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The person left.
    pub fn leave(&self, side: Side, kiosk: Kiosk) {
        self.idle(side).push(kiosk);
    }

    /// One whole visit: card in, ask, card out. Tells how the request for the certificate ended.
    pub async fn visit(&self, side: Side, visit: Visit) -> Ended {
        let visit = Visit { since: Some(Instant::now()), ..visit };
        let mut kiosk = self.free_kiosk(side);
        let ended = match self.open(&mut kiosk, visit).await {
            Ok(opened) => {
                if visit.looks_first {
                    self.inquire(&mut kiosk, &opened, visit.person).await;
                }
                let ended = self.issue(&mut kiosk, &opened, visit).await;
                kiosk.close(&opened.session).await;
                ended
            }
            Err(ended) => ended,
        };
        self.leave(side, kiosk);
        ended
    }

    /// Card in. A visit that ends here still counts as a request that was not served.
    pub async fn open(&self, kiosk: &mut Kiosk, visit: Visit) -> Result<Opened, Ended> {
        let (exchange, opened) = kiosk.open(self.town.card(visit.person), self.town.city_code(visit.person)).await;
        match opened {
            Some(opened) => Ok(opened),
            None => Err(self.write(visit, None, exchange)),
        }
    }

    /// Asks for the certificate and writes down what came.
    pub async fn issue(&self, kiosk: &mut Kiosk, opened: &Opened, visit: Visit) -> Ended {
        let scope = if visit.household { Scope::Household } else { Scope::Alone };
        let asked = Instant::now();
        let issue = kiosk.issue(&opened.session, visit.form.path(), scope);
        let exchange = match visit.walks_away {
            None => issue.await,
            Some(after) => match tokio::time::timeout(after, issue).await {
                Ok(exchange) => exchange,
                Err(_) => {
                    // The exchange was dropped, and its connection with it.
                    let entry = self.entry(visit, Some(opened), asked);
                    self.ledger.write(Entry { ended: Ended::Abandoned, ..entry });
                    return Ended::Abandoned;
                }
            },
        };
        self.write(visit, Some(opened), exchange)
    }

    /// Looks at the record and notes what was said about whom. Gives whether anything was.
    pub async fn inquire(&self, kiosk: &mut Kiosk, opened: &Opened, person: PersonNo) -> bool {
        let exchange = kiosk.inquire(&opened.session, &opened.resident).await;
        let Said::Data(data) = &exchange.said else { return false };
        if let Some(claim) = claim(data, "id") {
            self.ledger.told(Told { resident: self.town.id(person).to_owned(), sent: exchange.sent, claim });
        }
        true
    }

    /// Changes the address of whoever the session says it is about, and notes whose record it was. Gives whether it was acknowledged.
    pub async fn amend(&self, kiosk: &mut Kiosk, opened: &Opened, person: PersonNo, address: &str) -> bool {
        let key = format!("key-{}", self.numbers.fetch_add(1, Ordering::Relaxed));
        let exchange = kiosk.amend(&opened.session, &opened.resident, address, &key).await;
        let Said::Data(data) = &exchange.said else { return false };
        let Some(claim) = claim(data, "residentId") else { return false };
        if claim.resident != self.town.id(person) {
            self.ledger.misapplied();
        }
        self.ledger.known(&claim.resident, claim.version, exchange.done);
        true
    }

    fn write(&self, visit: Visit, opened: Option<&Opened>, exchange: Exchange) -> Ended {
        let ended = Ended::of(&exchange.said);
        let reason = reason(&exchange);
        let paper = match &exchange.said {
            Said::Paper(paper) => Some(self.town.read(&paper.bytes)),
            _ => None,
        };
        let entry = self.entry(visit, opened, exchange.sent);
        self.ledger.write(Entry {
            request_id: exchange.request_id,
            done: exchange.done,
            ended,
            reason,
            paper,
            ..entry
        });
        self.step.done();
        ended
    }

    fn entry(&self, visit: Visit, opened: Option<&Opened>, sent: Instant) -> Entry {
        let people = self.town.covered(visit.person, visit.form, visit.household);
        Entry {
            number: self.numbers.fetch_add(1, Ordering::Relaxed),
            session: opened.map(|opened| opened.session.clone()),
            request_id: None,
            city: self.town.city(visit.person),
            form: visit.form,
            since: visit.since.unwrap_or(sent),
            residents: people.into_iter().map(|person| self.town.id(person).to_owned()).collect::<BTreeSet<_>>(),
            sent,
            done: Instant::now(),
            ended: Ended::Failed,
            reason: String::new(),
            paper: None,
        }
    }
}

fn claim(data: &Value, id: &str) -> Option<Claim> {
    let version = data.get("version")?;
    let version = version.as_u64().or_else(|| version.as_str()?.parse().ok())?;
    Some(Claim { resident: data.get(id)?.as_str()?.to_owned(), version })
}
