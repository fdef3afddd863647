//! A tray: things are put in, and whoever has waited longest gets the next one, whose ever it is.

use std::collections::VecDeque;
use std::sync::Mutex;

use tokio::sync::oneshot;

use super::held;

/// Hands things over in order of waiting. It knows nothing of owners; that is the point.
#[derive(Debug)]
pub(super) struct Tray<T> {
    inside: Mutex<Inside<T>>,
}

#[derive(Debug)]
struct Inside<T> {
    ready: VecDeque<T>,
    waiting: VecDeque<oneshot::Sender<T>>,
}

impl<T> Default for Tray<T> {
    fn default() -> Self {
        Self { inside: Mutex::new(Inside { ready: VecDeque::new(), waiting: VecDeque::new() }) }
    }
}

impl<T> Tray<T> {
    /// Gives it to who has waited longest, or lays it down.
    pub(super) fn put(&self, mut thing: T) {
        let mut inside = held(&self.inside);
        while let Some(waiting) = inside.waiting.pop_front() {
            match waiting.send(thing) {
                Ok(()) => return,
                Err(back) => thing = back,
            }
        }
        inside.ready.push_back(thing);
    }

    /// The next thing: lying there, or to come. `None` only when the tray is thrown away.
    pub(super) async fn next(&self) -> Option<T> {
        let coming = {
            let mut inside = held(&self.inside);
            if let Some(thing) = inside.ready.pop_front() {
                return Some(thing);
            }
            let (sender, coming) = oneshot::channel();
            inside.waiting.push_back(sender);
            coming
        };
        coming.await.ok()
    }

    /// Throws away what lies there.
    pub(super) fn clear(&self) {
        held(&self.inside).ready.clear();
    }
}
