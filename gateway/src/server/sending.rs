//! Notices a kiosk that does not take the answer it asked for. Never looks at what is sent.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

/// Nothing waits for the other side.
const NOTHING_WAITS: u64 = u64::MAX;

/// What one connection has to send: every answer that has begun, and the socket itself.
pub(super) struct Sending {
    since: Instant,
    watched: Mutex<Vec<Weak<AtomicU64>>>,
}

/// When one answer, or the socket, last moved: milliseconds since the connection was opened.
pub(super) struct Moved {
    since: Instant,
    at: Arc<AtomicU64>,
}

impl Sending {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { since: Instant::now(), watched: Mutex::default() })
    }

    fn watch(&self, at: u64) -> Moved {
        let at = Arc::new(AtomicU64::new(at));
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|other| other.strong_count() > 0);
        watched.push(Arc::downgrade(&at));
        Moved { since: self.since, at }
    }

    /// The socket: watched for as long as a write to it is held up.
    pub(super) fn socket(&self) -> Moved {
        self.watch(NOTHING_WAITS)
    }

    /// An answer: watched from its head to its last byte.
    pub(super) fn answer<B>(&self, body: B) -> Watched<B> {
        Watched { body, moved: self.watch(millis(self.since)) }
    }

    /// Resolves when something has not moved for `limit`.
    pub(super) async fn stalled(&self, limit: Duration) {
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1);
        loop {
            let idle = self.longest_idle_ms();
            if idle >= limit_ms {
                return;
            }
            tokio::time::sleep(Duration::from_millis(limit_ms - idle)).await;
        }
    }

    fn longest_idle_ms(&self) -> u64 {
        let now = millis(self.since);
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let moved = watched.iter().filter_map(Weak::upgrade).map(|at| at.load(Ordering::Relaxed)).min();
        moved.map_or(0, |moved| now.saturating_sub(moved))
    }
}

impl Moved {
    /// It has moved.
    pub(super) fn now(&self) {
        self.at.store(millis(self.since), Ordering::Relaxed);
    }

    /// A write is held up; the time of the first such call counts.
    pub(super) fn held_up(&self) {
        if self.at.load(Ordering::Relaxed) == NOTHING_WAITS {
            self.now();
        }
    }

    /// A write went on.
    pub(super) fn free(&self) {
        self.at.store(NOTHING_WAITS, Ordering::Relaxed);
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
}

/// An answer's body that says when it moves.
pub(super) struct Watched<B> {
    body: B,
    moved: Moved,
}

impl<B: HttpBody + Unpin> HttpBody for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.moved.now();
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    async fn stalls_after(sending: &Sending) -> Duration {
        let began = Instant::now();
        tokio::time::timeout(LIMIT * 100, sending.stalled(LIMIT)).await.expect("it never stalls");
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn one_answer_that_does_not_move_is_noticed_among_others_that_do() {
        let sending = Sending::new();
        let stuck = sending.answer(());
        let moving = sending.socket();
        tokio::time::advance(LIMIT / 2).await;
        moving.now();
        assert_eq!(stalls_after(&sending).await, LIMIT / 2);
        drop(stuck);
        moving.free();
        assert_eq!(sending.longest_idle_ms(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_counts_from_the_first_write_that_was_held_up() {
        let sending = Sending::new();
        let socket = sending.socket();
        tokio::time::advance(LIMIT * 3).await;
        socket.held_up();
        tokio::time::advance(LIMIT / 2).await;
        socket.held_up();
        assert_eq!(stalls_after(&sending).await, LIMIT / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_waits_for_its_backend_does_not_stall() {
        let sending = Sending::new();
        let socket = sending.socket();
        socket.held_up();
        socket.free();
        drop(sending.answer(()));
        assert!(tokio::time::timeout(LIMIT * 100, sending.stalled(LIMIT)).await.is_err());
    }

    #[test]
    fn answers_that_have_left_are_forgotten() {
        let sending = Sending::new();
        (0..1000).for_each(|_| drop(sending.answer(())));
        assert!(sending.watched.lock().unwrap().len() <= 1);
    }
}
