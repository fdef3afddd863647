//! Under which keys something was begun lately, so that a client that asks again after a restart begins nothing twice. Digests only.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::Found;
use crate::clock;

/// How long a key is remembered over a restart, by the wall clock: longer than a session usually lives.
pub const KEPT_FOR: Duration = Duration::from_secs(3600);
/// More are not remembered, and so not begun: about 80 MiB.
const MAX_KEYS: usize = 1 << 20;

/// Key digests with the second in which each was used last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Begun {
    seconds: HashMap<u128, i64>,
    /// In the order in which they came.
    order: VecDeque<(i64, u128)>,
}

impl Begun {
    /// Remembers `digest`; `false` where there is no room.
    pub(crate) fn hold(&mut self, digest: u128, at_s: i64) -> bool {
        self.forget(at_s);
        if self.seconds.len() >= MAX_KEYS && !self.seconds.contains_key(&digest) {
            return false;
        }
        if self.seconds.insert(digest, at_s) != Some(at_s) {
            self.order.push_back((at_s, digest));
        }
        true
    }

    /// Whether something was begun under `digest`.
    pub(crate) fn holds(&self, digest: u128, now_s: i64) -> bool {
        self.seconds.get(&digest).is_some_and(|at_s| !is_past(*at_s, now_s))
    }

    /// Forgets what is past.
    pub(crate) fn forget(&mut self, now_s: i64) {
        while let Some((at_s, digest)) = self.order.front().copied().filter(|(at_s, _)| is_past(*at_s, now_s)) {
            self.order.pop_front();
            // Used again later, it stands further back once more.
            if self.seconds.get(&digest) == Some(&at_s) {
                self.seconds.remove(&digest);
            }
        }
    }

    /// Each with its second, the oldest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u128, i64)> {
        let last = |(at_s, digest): &&(i64, u128)| self.seconds.get(digest) == Some(at_s);
        self.order.iter().filter(last).map(|(at_s, digest)| (*digest, *at_s))
    }
}

/// What is known of the keys of earlier lives of the process.
pub(crate) struct Before {
    keys: Begun,
    /// They could not be read: until then it may be any key.
    unknown_until: Option<Instant>,
}

impl Before {
    /// As the journal was found.
    pub(crate) fn new(found: &Found, longest_max_run: Duration) -> Self {
        let unknown_until = found.unreadable.as_ref().map(|_| clock::after(clock::now(), longest_max_run));
        Self { keys: found.keys.clone(), unknown_until }
    }

    /// Whether something may have been begun under `digest`.
    pub(crate) fn holds(&self, digest: u128) -> bool {
        self.unknown_until.is_some_and(|until| clock::now() < until)
            || self.keys.holds(digest, clock::wall().as_second())
    }
}

fn is_past(at_s: i64, now_s: i64) -> bool {
    now_s.saturating_sub(at_s) >= KEPT_FOR.as_secs() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    #[test]
    fn a_key_is_remembered_for_an_hour_after_its_last_use() {
        let mut keys = Begun::default();
        assert!(keys.hold(1, 0) && keys.hold(2, 10) && keys.hold(1, 20));
        assert_eq!(keys.all().collect::<Vec<_>>(), [(2, 10), (1, 20)]);
        assert!(keys.holds(1, 20 + HOUR - 1) && !keys.holds(1, 20 + HOUR));
        keys.forget(10 + HOUR);
        assert_eq!(keys.all().collect::<Vec<_>>(), [(1, 20)]);
        assert!(keys.hold(3, 20 + HOUR), "room is made by what is past");
        assert_eq!(keys.all().collect::<Vec<_>>(), [(3, 20 + HOUR)]);
    }
}
