//! What the record feed of a municipality has reached: where a route checks against the feed, nothing older is shown.

use std::cmp::Ordering;

use sekisho_issuance::checks::order_of_versions;
use sekisho_issuance::id::MunicipalityCode;

use super::journal::Entry;
use super::store::Brackets;
use crate::durable_log::NotDurable;

/// Longest mark of a feed.
const MAX_MARK_BYTES: usize = 64;

/// Why a feed's mark was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// It is neither a whole number nor a time.
    #[error("`as_of` must be a whole number or a time (`2026-11-22T10:00:00+09:00`), {MAX_MARK_BYTES} bytes at most")]
    NotAMark,
    /// It goes back, or cannot be compared with the one before.
    #[error("the feed has reached {0} already, and a mark only goes on")]
    NotLater(String),
    /// It could not be made durable.
    #[error("the mark could not be made durable; it holds until a restart")]
    NotDurable,
}

impl Brackets {
    /// The feed of `municipality` has reached `as_of`; durable when this comes back.
    pub async fn feed(&self, municipality: MunicipalityCode, as_of: &str) -> Result<(), FeedError> {
        let as_of = as_of.trim();
        if as_of.len() > MAX_MARK_BYTES || order_of_versions(as_of, as_of).is_none() {
            return Err(FeedError::NotAMark);
        }
        let at = self.clock.now();
        let durable = {
            let mut state = self.lock();
            if let Some((known, _)) = state.feeds.get(&municipality)
                && !order_of_versions(as_of, known).is_some_and(Ordering::is_ge)
            {
                return Err(FeedError::NotLater(known.clone()));
            }
            // Known at once: whoever tells it has the newer records already.
            state.feeds.insert(municipality, (as_of.to_owned(), at));
            let entry = Entry::Fed { municipality, as_of: as_of.to_owned(), at };
            entry.to_bytes().map(|entry| self.log.append(&entry))
        };
        match durable {
            Some(durable) => durable.await.map_err(|NotDurable| FeedError::NotDurable),
            None => Err(FeedError::NotDurable),
        }
    }

    /// What the feed of `municipality` has reached, if it ever said so.
    pub fn fed(&self, municipality: MunicipalityCode) -> Option<String> {
        self.lock().feeds.get(&municipality).map(|(as_of, _)| as_of.clone())
    }
}
