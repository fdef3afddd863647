//! Answers on their way from verdict to first byte: their lanes are free already, so a bracket that opens lets them leave first.
//!
//! For courtesy only: what comes too late is kept in by [`super::Brackets::keep_in`], whatever is counted here.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Answers under way, numbered as they came, so that whoever waits for those of now does not wait for those that follow.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    live: Mutex<Live>,
    gone: Notify,
}

#[derive(Debug, Default)]
struct Live {
    next: u64,
    numbers: BTreeSet<u64>,
}

/// One answer under way.
#[derive(Debug)]
pub struct UnderWay {
    leaving: Arc<Leaving>,
    number: u64,
}

impl Leaving {
    pub(super) fn enter(self: &Arc<Self>) -> UnderWay {
        let mut live = self.lock();
        let number = live.next;
        live.next += 1;
        live.numbers.insert(number);
        drop(live);
        UnderWay { leaving: self.clone(), number }
    }

    /// Waits until everything that is under way now has left or was kept in.
    pub(super) async fn all_gone(&self) {
        let bound = self.lock().next;
        loop {
            let gone = self.gone.notified();
            if self.lock().numbers.first().is_none_or(|oldest| *oldest >= bound) {
                return;
            }
            gone.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut live = self.leaving.lock();
        let was_oldest = live.numbers.first() == Some(&self.number);
        live.numbers.remove(&self.number);
        drop(live);
        if was_oldest {
            self.leaving.gone.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn each_who_waits_waits_for_those_before_and_for_nobody_after() {
        let leaving = Arc::new(Leaving::default());
        let (first, second) = (leaving.enter(), leaving.enter());
        let mut one = Box::pin(leaving.all_gone());
        assert!(one.as_mut().now_or_never().is_none());
        let third = leaving.enter();
        let mut two = Box::pin(leaving.all_gone());
        assert!(two.as_mut().now_or_never().is_none());
        drop(first);
        assert!(one.as_mut().now_or_never().is_none(), "the second is still under way");
        drop(second);
        assert!(one.as_mut().now_or_never().is_some(), "the third came later");
        assert!(two.as_mut().now_or_never().is_none());
        drop(third);
        assert!(two.now_or_never().is_some());
    }
}
