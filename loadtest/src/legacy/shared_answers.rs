//! Collapsing: requests for the same URL and body while one is under way. Only used where the fault is on, as nobody needs it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::watch;

use super::front::Answer;
use super::held;

/// What two requests must have in common to be taken for the same one.
type Key = (String, Bytes);
type Coming = watch::Receiver<Option<Arc<Answer>>>;

/// Answers under way.
#[derive(Default)]
pub(super) struct SharedAnswers {
    under_way: Mutex<HashMap<Key, Coming>>,
}

/// The first request's duty to publish its answer.
pub(super) struct Leading<'a> {
    shared: &'a SharedAnswers,
    key: Key,
    publish: watch::Sender<Option<Arc<Answer>>>,
}

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        held(&self.shared.under_way).remove(&self.key);
    }
}

impl Leading<'_> {
    pub(super) fn publish(self, answer: &Answer) {
        let _ = self.publish.send(Some(Arc::new(answer.clone())));
    }
}

impl SharedAnswers {
    /// The answer that is under way for the same request, if any.
    pub(super) async fn join(&self, path: &str, body: &Bytes) -> Option<Arc<Answer>> {
        let mut coming = held(&self.under_way).get(&(path.to_owned(), body.clone())).cloned()?;
        coming.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// Becomes the one whose answer others may share, unless there is one.
    pub(super) fn lead(&self, path: &str, body: &Bytes) -> Option<Leading<'_>> {
        let key = (path.to_owned(), body.clone());
        let mut under_way = held(&self.under_way);
        if under_way.contains_key(&key) {
            return None;
        }
        let (publish, coming) = watch::channel(None);
        under_way.insert(key.clone(), coming);
        Some(Leading { shared: self, key, publish })
    }
}
