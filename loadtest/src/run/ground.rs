//! What every visit of a run shares: the people, the kiosks, the book, and the wish to stop.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::book::Note;
use super::people::People;
use super::share::Share;
use super::verdict::Stopped;
use crate::cluster::Town;
use crate::dialect::Dialect;
use crate::kiosk::{Kiosk, Patience};
use crate::plan::Plan;

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The wish to end the run early. The first reason stays.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop {
    wished: CancellationToken,
    why: Arc<Mutex<Option<Stopped>>>,
}

impl Stop {
    pub(super) fn because(&self, why: Stopped) {
        held(&self.why).get_or_insert(why);
        self.wished.cancel();
    }

    pub(super) fn is_wished(&self) -> bool {
        self.wished.is_cancelled()
    }

    pub(super) async fn wished(&self) {
        self.wished.cancelled().await;
    }

    pub(super) fn why(&self) -> Option<Stopped> {
        held(&self.why).clone()
    }
}

/// The devices: taken by a session, given back after it.
pub(super) struct Kiosks {
    target: SocketAddr,
    patience: Patience,
    dialect: Dialect,
    most: u64,
    made: AtomicU64,
    idle: Mutex<Vec<Kiosk>>,
}

/// However many a plan needs: each holds a connection.
const MOST_KIOSKS: u64 = 60_000;

impl Kiosks {
    pub(super) fn new(target: SocketAddr, patience: Patience, dialect: Dialect, most: Option<usize>) -> Self {
        let most = most.map_or(MOST_KIOSKS, |most| most as u64);
        Self { target, patience, dialect, most, made: AtomicU64::new(0), idle: Mutex::new(Vec::new()) }
    }

    /// Those of this process alone, where several make a run together.
    fn shared(self, share: Share) -> Self {
        let (first, last) = share.part_of(self.most);
        Self { made: AtomicU64::new(first), most: last, ..self }
    }

    /// One that nobody stands at.
    pub(super) fn take(&self) -> Option<Kiosk> {
        if let Some(kiosk) = held(&self.idle).pop() {
            return Some(kiosk);
        }
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        if number >= self.most {
            self.made.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Kiosk::new(format!("K{number:05}"), self.target, self.patience).speaking(self.dialect))
    }

    pub(super) fn give_back(&self, kiosk: Kiosk) {
        held(&self.idle).push(kiosk);
    }
}

/// What every visit shares.
pub(super) struct Ground {
    pub(super) plan: Arc<Plan>,
    pub(super) people: People,
    pub(super) town: Option<Arc<Town>>,
    pub(super) kiosks: Kiosks,
    /// The terminals of those who change records.
    pub(super) terminals: Kiosks,
    pub(super) book: Sender<Note>,
    pub(super) began: Instant,
    pub(super) in_flight: Arc<AtomicU64>,
    /// Who stands at a kiosk, by session number.
    present: Mutex<HashMap<u64, usize>>,
    /// Which arrivals are made here.
    pub(super) share: Share,
    pub(super) stop: Stop,
    /// Where operators and batches speak to the gateway, and the key: where it is ours.
    pub(super) operators: Option<(SocketAddr, String)>,
}

impl Ground {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn new(
        plan: Arc<Plan>,
        people: People,
        town: Option<Arc<Town>>,
        target: SocketAddr,
        book: Sender<Note>,
        began: Instant,
        in_flight: Arc<AtomicU64>,
        stop: Stop,
        share: Share,
        operators: Option<(SocketAddr, String)>,
    ) -> Self {
        let patience = Patience(plan.behaviour.patience);
        let kiosks = Kiosks::new(target, patience, plan.dialect, plan.population.kiosks).shared(share);
        let terminals =
            Kiosks { made: AtomicU64::new(MOST_KIOSKS), ..Kiosks::new(target, patience, plan.dialect, None) };
        let terminals = Kiosks { most: 2 * MOST_KIOSKS, ..terminals };
        let present = Mutex::new(HashMap::new());
        Self { plan, people, town, kiosks, terminals, book, began, in_flight, present, share, stop, operators }
    }

    /// Writes into the book; after its end nobody reads it any more.
    pub(super) fn note(&self, note: Note) {
        let _ = self.book.send(note);
    }

    /// Somebody stands at a kiosk from now on.
    pub(super) fn comes(&self, number: u64, person: usize) {
        held(&self.present).insert(number, person);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// They left.
    pub(super) fn leaves(&self, number: u64) {
        held(&self.present).remove(&number);
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// One of those who stand at a kiosk, the `draw`th round the circle.
    pub(super) fn somebody_present(&self, draw: u64) -> Option<usize> {
        let present = held(&self.present);
        let count = present.len() as u64;
        (count > 0).then(|| present.values().nth(usize::try_from(draw % count).unwrap_or(0)).copied())?
    }
}
