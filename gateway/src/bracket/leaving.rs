//! Answers on their way from verdict to first byte: their lanes are free already, so a bracket that opens lets them leave first.
//!
//! For courtesy only: what comes too late is kept in by [`super::Brackets::keep_in`], whatever is counted here.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Answers under way, counted in two turns, so that whoever waits for those of now does not wait for those that follow.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    turn: AtomicUsize,
    counts: [AtomicUsize; 2],
    gone: Notify,
}

/// One answer under way.
#[derive(Debug)]
pub struct UnderWay {
    leaving: Arc<Leaving>,
    odd: bool,
}

impl Leaving {
    pub(super) fn enter(self: &Arc<Self>) -> UnderWay {
        let odd = self.turn.load(Ordering::SeqCst) % 2 == 1;
        self.count(odd).fetch_add(1, Ordering::SeqCst);
        UnderWay { leaving: self.clone(), odd }
    }

    /// Waits until everything that is under way now has left or was kept in.
    pub(super) async fn all_gone(&self) {
        let odd = self.turn.fetch_add(1, Ordering::SeqCst) % 2 == 1;
        loop {
            let gone = self.gone.notified();
            if self.count(odd).load(Ordering::SeqCst) == 0 {
                return;
            }
            gone.await;
        }
    }

    fn count(&self, odd: bool) -> &AtomicUsize {
        let [even, other] = &self.counts;
        if odd { other } else { even }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.leaving.count(self.odd).fetch_sub(1, Ordering::SeqCst) == 1 {
            self.leaving.gone.notify_waiters();
        }
    }
}
