//! Idle channels of one backend. A channel comes here only after its reply was checked and nothing stray followed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Channel, Idle, burn};
use crate::clock;
use crate::metric::Burn;

/// A channel rests this long before it is used again, so that a duplicate reply sent a little late is seen while it is idle.
const QUARANTINE: Duration = Duration::from_millis(5);
/// An idle channel older than this is closed rather than used: the backend is about to.
const MAX_IDLE: Duration = Duration::from_secs(10);

/// Idle channels, the one idle longest first.
pub(crate) struct Pool {
    backend: Arc<str>,
    idle: Mutex<VecDeque<Channel>>,
}

impl Pool {
    pub(crate) fn new(backend: Arc<str>) -> Self {
        Self { backend, idle: Mutex::new(VecDeque::new()) }
    }

    /// A channel that rested long enough and on which nothing came.
    pub(crate) fn take(&self) -> Option<Channel> {
        let now = clock::now();
        loop {
            let mut channel = self.take_rested(now)?;
            match channel.inspect() {
                Idle::Clean if now.saturating_duration_since(channel.idle_since()) < MAX_IDLE => return Some(channel),
                Idle::Clean | Idle::Closed => {}
                Idle::Stray => burn(&self.backend, Burn::StrayBytes),
            }
        }
    }

    fn take_rested(&self, now: Instant) -> Option<Channel> {
        let mut idle = self.lock();
        let rested = |c: &Channel| now.saturating_duration_since(c.idle_since()) >= QUARANTINE;
        if idle.front().is_some_and(rested) { idle.pop_front() } else { None }
    }

    /// Keeps `channel` for another call, unless `keep` are kept already. Whether anything came on it is asked when it is taken.
    pub(crate) fn put(&self, mut channel: Channel, keep: usize) {
        channel.idle_since = clock::now();
        let mut idle = self.lock();
        if idle.len() < keep {
            idle.push_back(channel);
        }
    }

    /// Closes every idle channel.
    pub(crate) fn clear(&self) {
        let closed = std::mem::take(&mut *self.lock());
        drop(closed);
    }

    pub(crate) fn idle(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Channel>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
