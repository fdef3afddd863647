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

    /// The one that rested longest of those that this thread's runtime opened, else of all: another's wakes that other first.
    fn take_rested(&self, now: Instant) -> Option<Channel> {
        let here = super::home();
        let mut idle = self.lock();
        let rested = |c: &&Channel| now.saturating_duration_since(c.idle_since()) >= QUARANTINE;
        let own = idle.iter().take_while(rested).position(|channel| channel.home == here);
        let any = idle.front().as_ref().is_some_and(rested).then_some(0);
        idle.remove(own.or(any)?)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Address, BackendConfig};

    /// A clean channel to `listener` that has rested for `rest`, opened on this runtime.
    async fn rested(listener: &tokio::net::TcpListener, rest: Duration) -> (Channel, tokio::net::TcpStream) {
        let address = Address::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let config = BackendConfig::new(address);
        let deadline = clock::after(clock::now(), Duration::from_secs(5));
        let (channel, accepted) = tokio::join!(Channel::open(&config, deadline), listener.accept());
        let mut channel = channel.unwrap();
        channel.idle_since = clock::now() - rest;
        (channel, accepted.unwrap().0)
    }

    #[test]
    fn a_runtime_takes_its_own_channels_first_and_anothers_before_it_opens_one() {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (here, there) = (runtime(), runtime());
        let listener = here.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let second = Duration::from_secs(1);
        let (own, _own_end) = here.block_on(rested(&listener, second));
        let (mut fresh, _fresh_end) = here.block_on(rested(&listener, second));
        fresh.idle_since = clock::after(clock::now(), second * 60);
        let (other, _other_end) = there.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            rested(&listener, second * 2).await
        });
        let numbers = [own.number, other.number];
        let pool = Pool::new("backend".into());
        pool.lock().extend([other, own, fresh]);
        let taken: Vec<_> = [(); 3].map(|()| here.block_on(async { pool.take() }).map(|channel| channel.number)).into();
        assert_eq!(taken, [Some(numbers[0]), Some(numbers[1]), None], "and one in quarantine by nobody");
    }
}
