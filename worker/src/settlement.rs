//! What the gateway is handed with an answer, and must give back: dropped unjudged, it counts as a surprise.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::assignment::{Answer, Attestation, JobReport};
use crate::backend::Backend;
use crate::channel::{Channel, burn};
use crate::hold::{self, Probe};
use crate::intent::IntentGuard;
use crate::lane::LaneGuard;
use crate::metric::Burn;
use crate::owner::Active;
use crate::slot::SlotGuard;

/// How long each stage took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// Waiting for the lanes.
    pub lane: Duration,
    /// The lookup before.
    pub before: Duration,
    /// Waiting for a slot and a connection.
    pub channel: Duration,
    /// Making the intent durable.
    pub intent: Duration,
    /// First byte out to last byte in.
    pub backend: Duration,
    /// The probe after.
    pub after: Duration,
}

/// An answer with what was observed about it. The lanes stay taken until the settlement is given back.
#[derive(Debug)]
pub struct Attested {
    /// Whose answer, and its digest.
    pub attestation: Attestation,
    /// As it arrived; of a job, the reply that ended it.
    pub answer: Answer,
    /// How far the job came, where a document is fetched.
    pub job: Option<JobReport>,
    /// The lookup before, where it was asked for and answered.
    pub before: Option<Answer>,
    /// The probe after, where it was asked for and answered.
    pub after: Option<Answer>,
    /// The probe after was not made: before the deadline no time was left for one.
    pub out_of_time: bool,
    /// How long each stage took.
    pub times: StageTimes,
    /// To be given back.
    pub settlement: Settlement,
}

/// A channel whose reply has not been judged yet.
pub(crate) struct Unjudged {
    pub(crate) backend: Arc<Backend>,
    pub(crate) channel: Channel,
}

/// Holds lanes, slot and channels of one answer until it is judged.
pub struct Settlement {
    held: Option<Held>,
}

/// In the order in which a surprise must give them up: never a lane before its channel.
pub(crate) struct Held {
    pub(crate) channels: Vec<Unjudged>,
    pub(crate) backend: Arc<Backend>,
    pub(crate) slot: Option<SlotGuard>,
    pub(crate) intent: Option<IntentGuard>,
    pub(crate) lanes: Option<LaneGuard>,
    /// Asked after an `amend` whose end is not known.
    pub(crate) probe: Option<Probe>,
    pub(crate) active: Option<Active>,
    /// A reply that was framed badly is a surprise, whatever the checks say.
    pub(crate) framing_surprise: bool,
}

impl Settlement {
    pub(crate) fn new(held: Held) -> Self {
        Self { held: Some(held) }
    }

    /// Holds nothing: for tests and measurements of what judges answers.
    pub fn of_nothing() -> Self {
        Self { held: None }
    }

    /// Channels still to be judged.
    pub(crate) fn channels(&mut self) -> Option<&mut Vec<Unjudged>> {
        self.held.as_mut().map(|held| &mut held.channels)
    }

    /// A call under the same slot ended in doubt: the slot rests whatever the checks say.
    pub(crate) fn rest_slot(&mut self) {
        if let Some(held) = &mut self.held {
            held.slot = None;
        }
    }

    pub(crate) fn of_lookup(backend: Arc<Backend>, channel: Option<Channel>) -> Self {
        let channels = channel.map(|channel| Unjudged { backend: Arc::clone(&backend), channel });
        Self::new(Held {
            channels: channels.into_iter().collect(),
            backend,
            slot: None,
            intent: None,
            lanes: None,
            probe: None,
            active: None,
            framing_surprise: false,
        })
    }

    /// The checks passed: the lanes are free now, and the channels may serve other calls where their rules allow it.
    pub fn passed(mut self) {
        let Some(held) = self.held.take() else { return };
        if held.framing_surprise {
            return held.surprised(None);
        }
        for Unjudged { backend, channel } in held.channels {
            let keep = backend.config().max_in_flight.saturating_mul(8).clamp(32, 512);
            backend.pool.put(channel, keep);
        }
        if let Some(slot) = held.slot {
            slot.settle();
        }
        if let Some(intent) = held.intent {
            intent.over();
        }
        if let Some(lanes) = held.lanes {
            lanes.settle();
        }
    }

    /// A later step went wrong, and was counted where it did: as a surprise, without a word.
    pub(crate) fn abandoned(mut self) {
        if let Some(held) = self.held.take() {
            held.surprised(None);
        }
    }

    /// A check failed: the channels are burned, the slot rests, the lanes stay held until `max_run` after the call began.
    pub fn surprised(mut self, reason: &'static str) {
        if let Some(held) = self.held.take() {
            tracing::warn!(backend = %held.backend.name, reason, "an answer was not what was asked for; its channel is burned");
            held.surprised(Some(Burn::Surprised));
        }
    }
}

impl Held {
    /// The backend has answered: its place may be another's while the answer is judged.
    pub(crate) fn answered(&self) {
        if let Some(slot) = &self.slot {
            slot.answered();
        }
    }

    /// `None` where the burn was counted already.
    pub(crate) fn surprised(self, reason: Option<Burn>) {
        if let Some(reason) = reason {
            burn(&self.backend.name, reason);
        }
        drop(self.channels);
        drop(self.slot);
        if let Some(lanes) = self.lanes {
            hold::until_over(lanes, self.intent, self.probe);
        }
        drop(self.active);
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            held.surprised(Some(Burn::Unjudged));
        }
    }
}

impl fmt::Debug for Settlement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.held.is_some() { "Settlement(held)" } else { "Settlement(given back)" })
    }
}
