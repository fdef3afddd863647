//! The machinery of one municipality's installation: what renders, assembles, prints and collects certificates.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde::Serialize;
use tokio::sync::Notify;

use super::assembly::Assembly;
use super::chronicle::Asked;
use super::held;
use super::paper::{Extract, Form, PageImage};
use super::pipes::Pipes;
use super::print_slots::PrintSlots;
use super::resident::{PersonNo, Record};
use super::service::Server;
use super::shared_answers::SharedAnswers;
use super::spool::{Names, Spool};
use super::work_table::WorkTable;

/// How many jobs of one municipality can be printing.
const PRINT_SLOTS: usize = 64;

/// A finished certificate on its way out, and the call that it was made for.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) file: bytes::Bytes,
    pub(super) made_for: Arc<Asked>,
}

/// A sheet and the call that it was printed for.
#[derive(Debug, Clone)]
pub(super) struct Sheet {
    pub(super) image: Arc<PageImage>,
    pub(super) made_for: Arc<Asked>,
}

/// An error notice of the national hub, and how it was closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// Microseconds since the world began.
    pub at_us: u64,
    /// The resident whose printing raised it.
    pub resident: String,
    /// The request that was being printed.
    pub request: String,
    /// Why somebody closed it.
    pub closed: Option<&'static str>,
}

type CacheKey = (PersonNo, Form, usize);
/// The sheets, and exactly what they were made from.
type Rendered = (Arc<Extract>, Vec<Arc<PageImage>>);

/// Everything shared between the jobs of a municipality.
pub(super) struct Machine {
    pub(super) server: Server,
    pub(super) work_table: WorkTable,
    pub(super) updates: Updates,
    pub(super) print_slots: PrintSlots<Arc<Image>>,
    pub(super) assembly: Assembly<Sheet>,
    pub(super) spool: Spool<Arc<Image>>,
    /// Names for the whole site.
    pub(super) site_names: Names,
    /// Names as each of two hosts gives them out by itself.
    pub(super) host_names: [Names; 2],
    balancer: AtomicUsize,
    pub(super) pipes: Pipes,
    pub(super) shared_answers: SharedAnswers,
    /// The issuing server's copy of the seal register, where a sync message was lost: the record as it was.
    lagging: Mutex<HashMap<PersonNo, Arc<Record>>>,
    rendered: Mutex<HashMap<CacheKey, Rendered>>,
    notices: Mutex<Vec<Notice>>,
}

impl Machine {
    pub(super) fn new() -> Self {
        Self {
            server: Server::default(),
            work_table: WorkTable::default(),
            updates: Updates::default(),
            print_slots: PrintSlots::new(PRINT_SLOTS),
            assembly: Assembly::default(),
            spool: Spool::default(),
            site_names: Names::default(),
            host_names: Default::default(),
            balancer: AtomicUsize::new(0),
            pipes: Pipes::default(),
            shared_answers: SharedAnswers::default(),
            lagging: Mutex::default(),
            rendered: Mutex::default(),
            notices: Mutex::default(),
        }
    }

    /// The host that the site's balancer gives the next job to.
    pub(super) fn next_host(&self) -> usize {
        self.balancer.fetch_add(1, Ordering::Relaxed) % 2
    }

    /// The seal register's sync: a message that arrives brings the copy up to date, a lost one leaves it as it was.
    pub(super) fn sync(&self, before: Arc<Record>, lost: bool) {
        let mut lagging = held(&self.lagging);
        if lost {
            lagging.entry(before.person.no).or_insert(before);
        } else {
            lagging.remove(&before.person.no);
        }
    }

    /// The issuing server's copy of a record where it is behind.
    pub(super) fn lagging(&self, no: PersonNo) -> Option<Arc<Record>> {
        held(&self.lagging).get(&no).cloned()
    }

    /// Finished sheets of exactly this content.
    pub(super) fn rendered(&self, key: CacheKey, extract: &Extract) -> Option<Vec<Arc<PageImage>>> {
        held(&self.rendered).get(&key).filter(|(of, _)| **of == *extract).map(|(_, sheets)| sheets.clone())
    }

    pub(super) fn keep_rendered(&self, key: CacheKey, extract: Arc<Extract>, sheets: Vec<Arc<PageImage>>) {
        held(&self.rendered).insert(key, (extract, sheets));
    }

    pub(super) fn notices(&self) -> std::sync::MutexGuard<'_, Vec<Notice>> {
        held(&self.notices)
    }

    /// Takes away what broken machinery left behind.
    pub(super) fn repair(&self) {
        held(&self.lagging).clear();
        self.pipes.clear();
        self.assembly.clear();
    }
}

/// The lock that an update holds on the municipality's records while it is applied.
#[derive(Debug, Default)]
pub(super) struct Updates {
    applying: AtomicUsize,
    over: Notify,
}

/// An update being applied.
pub(super) struct Applying<'a>(&'a Updates);

impl Drop for Applying<'_> {
    fn drop(&mut self) {
        self.0.applying.fetch_sub(1, Ordering::SeqCst);
        self.0.over.notify_waiters();
    }
}

impl Updates {
    pub(super) fn begin(&self) -> Applying<'_> {
        self.applying.fetch_add(1, Ordering::SeqCst);
        Applying(self)
    }

    pub(super) fn locked(&self) -> bool {
        self.applying.load(Ordering::SeqCst) > 0
    }

    /// Waits until no update is being applied: what a render has to do.
    pub(super) async fn wait(&self) {
        while self.locked() {
            let over = self.over.notified();
            if !self.locked() {
                return;
            }
            over.await;
        }
    }
}
