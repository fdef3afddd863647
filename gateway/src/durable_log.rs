//! What the gate asks of a journal: an entry is durable when the future resolves, and never otherwise.
//!
//! A seam, so that tests can hold back or fail the sync that a release waits for.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sekisho_worker::journal::{Journal, Place};

/// The entry could not be made durable; nothing that depends on it may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("could not be made durable")]
pub struct NotDurable;

/// Resolves when an entry is durable.
pub type Durable = Pin<Box<dyn Future<Output = Result<(), NotDurable>> + Send>>;

/// Append-only.
pub trait Log: Send + Sync {
    /// Queues `entry` now, in order with every other append.
    fn append(&self, entry: &[u8]) -> Durable;

    /// Queues `entry` to be written soon; nobody waits.
    fn append_lazy(&self, entry: &[u8]) -> Result<(), NotDurable>;

    /// Age of the oldest entry that is not durable yet.
    fn unsynced_for(&self) -> Duration;

    /// Whether nothing is accepted any more.
    fn is_poisoned(&self) -> bool;

    /// How far it is durable.
    fn place(&self) -> Place;

    /// Begins the next segment soon, whatever the size of this one.
    fn turn(&self);

    /// Writes what is queued and closes.
    fn close(&self);
}

impl Log for Journal {
    fn append(&self, entry: &[u8]) -> Durable {
        let append = Self::append(self, entry);
        Box::pin(async move { append.await.map(|_| ()).map_err(|_| NotDurable) })
    }

    fn append_lazy(&self, entry: &[u8]) -> Result<(), NotDurable> {
        Self::append_lazy(self, entry).map(|_| ()).map_err(|_| NotDurable)
    }

    fn unsynced_for(&self) -> Duration {
        Self::unsynced_for(self)
    }

    fn is_poisoned(&self) -> bool {
        Self::is_poisoned(self)
    }

    fn place(&self) -> Place {
        Self::place(self)
    }

    fn turn(&self) {
        Self::turn(self);
    }

    fn close(&self) {
        Self::close(self);
    }
}

impl<T: Log + ?Sized> Log for Arc<T> {
    fn append(&self, entry: &[u8]) -> Durable {
        (**self).append(entry)
    }

    fn append_lazy(&self, entry: &[u8]) -> Result<(), NotDurable> {
        (**self).append_lazy(entry)
    }

    fn unsynced_for(&self) -> Duration {
        (**self).unsynced_for()
    }

    fn is_poisoned(&self) -> bool {
        (**self).is_poisoned()
    }

    fn place(&self) -> Place {
        (**self).place()
    }

    fn turn(&self) {
        (**self).turn();
    }

    fn close(&self) {
        (**self).close();
    }
}

/// A log whose disk does what a test says.
#[cfg(test)]
pub(crate) mod scripted {
    use std::sync::Mutex;

    use tokio::sync::watch;

    use super::*;

    /// What the disk does.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Disk {
        Good,
        /// Syncs do not come back yet.
        Slow,
        /// The next sync fails, and all after it.
        Broken,
    }

    pub(crate) struct Scripted {
        pub(crate) entries: Mutex<Vec<Vec<u8>>>,
        disk: watch::Sender<Disk>,
    }

    impl Scripted {
        pub(crate) fn new() -> Arc<Self> {
            Arc::new(Self { entries: Mutex::default(), disk: watch::Sender::new(Disk::Good) })
        }

        pub(crate) fn disk(&self, disk: Disk) {
            self.disk.send_replace(disk);
        }

        pub(crate) fn texts(&self) -> Vec<String> {
            self.entries.lock().unwrap().iter().map(|e| String::from_utf8(e.clone()).unwrap()).collect()
        }
    }

    impl Log for Scripted {
        fn append(&self, entry: &[u8]) -> Durable {
            self.entries.lock().unwrap().push(entry.to_vec());
            let mut disk = self.disk.subscribe();
            Box::pin(async move {
                let now = disk.wait_for(|d| *d != Disk::Slow).await.map(|d| *d).unwrap_or(Disk::Broken);
                if now == Disk::Good { Ok(()) } else { Err(NotDurable) }
            })
        }

        fn append_lazy(&self, entry: &[u8]) -> Result<(), NotDurable> {
            if self.is_poisoned() {
                return Err(NotDurable);
            }
            self.entries.lock().unwrap().push(entry.to_vec());
            Ok(())
        }

        fn unsynced_for(&self) -> Duration {
            Duration::ZERO
        }

        fn is_poisoned(&self) -> bool {
            *self.disk.borrow() == Disk::Broken
        }

        fn place(&self) -> Place {
            Place::default()
        }

        fn turn(&self) {}

        fn close(&self) {}
    }
}
