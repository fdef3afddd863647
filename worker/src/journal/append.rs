//! Waiting for an entry to be durable, in a task or on a thread of one's own. Takes nothing back when it is dropped.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::{JournalError, Position, Shared};

/// Resolves when its entry is durable.
#[must_use = "an entry is durable only when this resolves"]
pub struct Append {
    shared: Arc<Shared>,
    accepted: Result<Position, JournalError>,
}

impl Append {
    pub(super) fn new(shared: Arc<Shared>, accepted: Result<Position, JournalError>) -> Self {
        Self { shared, accepted }
    }

    /// Blocks this thread until the entry is durable; for code that runs outside any runtime.
    pub fn wait(self) -> Result<Position, JournalError> {
        struct Unpark(std::thread::Thread);
        impl std::task::Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut this = std::pin::pin!(self);
        loop {
            match this.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(result) => return result,
                Poll::Pending => std::thread::park(),
            }
        }
    }
}

impl Future for Append {
    type Output = Result<Position, JournalError>;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let position = match self.accepted {
            Ok(position) => position,
            Err(error) => return Poll::Ready(Err(error)),
        };
        let mut state = self.shared.lock();
        if state.durable >= position.0 {
            return Poll::Ready(Ok(position));
        }
        if state.poisoned {
            return Poll::Ready(Err(JournalError::Poisoned));
        }
        match state.wakers.iter_mut().find(|(number, waker)| *number == position.0 && waker.will_wake(cx.waker())) {
            Some(_) => {}
            None => state.wakers.push((position.0, cx.waker().clone())),
        }
        Poll::Pending
    }
}
