//! A bracket between its first word and the moment at which its batch hears its number.

use std::sync::Arc;
use std::time::Instant;

use sekisho_issuance::shard::LaneId;

use super::store::Brackets;
use super::{Bracket, BracketId, Stage};

pub(super) type Reopen = Box<dyn FnOnce(BracketId, &[LaneId]) + Send + Sync>;

/// A bracket whose residents' operations are waited for. Dropped before it is open it is withdrawn: its batch never heard of it.
pub struct Opening {
    pub(super) brackets: Arc<Brackets>,
    pub(super) id: BracketId,
    pub(super) lanes: Vec<LaneId>,
    pub(super) withdraw: Option<Reopen>,
}

impl Opening {
    /// Its number.
    pub fn id(&self) -> BracketId {
        self.id
    }

    /// Its lanes, to be shut now; `reopen` opens them again if it is withdrawn.
    pub fn shut(&mut self, reopen: impl FnOnce(BracketId, &[LaneId]) + Send + Sync + 'static) -> &[LaneId] {
        self.withdraw = Some(Box::new(reopen));
        &self.lanes
    }

    /// Waits until every answer that passed its checks by now has left.
    pub async fn all_left(&self) {
        self.brackets.leaving.all_gone().await;
    }

    /// Nothing runs any more in its lanes: from now on nothing leaves for them either, and the batch may hear its number.
    pub fn opened(mut self) -> Option<Bracket> {
        let mut state = self.brackets.lock();
        let held = state.brackets.get_mut(&self.id)?;
        held.bracket.stage = Stage::Open;
        held.until = Some(Instant::now() + held.lease);
        let bracket = held.bracket.clone();
        drop(state);
        self.withdraw = None;
        tracing::warn!(bracket = %self.id, residents = self.lanes.len(), "a change bracket is open");
        Some(bracket)
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(reopen) = self.withdraw.take() {
            self.brackets.end(self.id, Stage::Withdrawn, None);
            reopen(self.id, &self.lanes);
        }
    }
}
