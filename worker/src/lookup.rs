//! A call that reads: before and after an attempt, for an authority, for a version. Cancelled freely; never leaves a lane held.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use crate::assignment::{Answer, Call, NotBegun, Unanswered};
use crate::backend::{Backend, BackendConfig};
use crate::channel::exchange::{Failed, Prepared, exchange};
use crate::channel::{Channel, burn};
use crate::clock;
use crate::metric::Burn;
use crate::owner::Owner;
use crate::standing::Standing;

/// An answer, and its channel where it may be used again once judged.
pub(crate) struct Found {
    pub(crate) answer: Answer,
    pub(crate) backend: Arc<Backend>,
    pub(crate) channel: Option<Channel>,
}

/// Asks `call`. With `shares_slot` the caller's slot on the same backend covers it, so that the two cannot wait for each other.
pub(crate) async fn run(
    owner: &Arc<Owner>,
    call: &Call,
    standing: &Standing,
    deadline: Instant,
    shares_slot: bool,
) -> Result<Found, Unanswered> {
    let until = deadline.min(clock::after(clock::now(), call.timeout));
    let backend = owner.backend(&call.backend).ok_or(NotBegun::Unreachable)?;
    let config = backend.config();
    let mut prepared = Prepared::new(call, &config).ok_or(NotBegun::Unreachable)?;
    let mut slot = match shares_slot {
        true => None,
        false => Some(backend.slots.acquire_whole(&Standing { ticket: None, ..*standing }, None, until).await?),
    };
    let channel = connect(&backend, &config, call, &mut prepared, until).await?;
    if clock::now() >= until {
        return Err(NotBegun::Expired.into());
    }
    backend.check()?;
    if let Some(slot) = &mut slot {
        slot.begin();
    }
    let flight = Flight { backend: &backend, landed: false };
    let exchange = exchange(channel, prepared, Arc::clone(&config), Arc::new(AtomicBool::new(false)));
    let result = tokio::time::timeout_at(until.into(), exchange).await;
    let reason = match result {
        Ok(Ok(replied)) => {
            flight.landed();
            if let Some(surprise) = replied.surprise {
                burn(&backend.name, surprise);
            } else if let Some(slot) = slot {
                slot.settle();
            }
            return Ok(Found { answer: replied.answer, backend, channel: replied.channel });
        }
        Ok(Err(Failed { sent: false, .. })) => {
            flight.landed();
            if let Some(slot) = slot {
                slot.settle();
            }
            return Err(NotBegun::Unreachable.into());
        }
        Ok(Err(Failed { reason, .. })) => reason,
        Err(_) => Burn::Timeout,
    };
    flight.landed();
    burn(&backend.name, reason);
    Err(Unanswered::Indeterminate(reason.label()))
}

/// A channel for one call: an idle one that was proven clean where the rules allow it, else a new one.
pub(crate) async fn connect(
    backend: &Backend,
    config: &BackendConfig,
    call: &Call,
    prepared: &mut Prepared,
    deadline: Instant,
) -> Result<Channel, NotBegun> {
    if call.echoed && !config.hazards.fresh_connections {
        if let Some(channel) = backend.pool.take() {
            return Ok(channel);
        }
    } else {
        prepared.last_on_connection();
    }
    metrics::counter!(crate::metric::CHANNEL_OPENS, "backend" => Arc::clone(&backend.name)).increment(1);
    Box::pin(Channel::open(config, deadline)).await.map_err(|error| {
        tracing::debug!(backend = %backend.name, %error, "no connection");
        NotBegun::Unreachable
    })
}

/// Counts the channel that a cancelled call takes with it.
pub(crate) struct Flight<'a> {
    pub(crate) backend: &'a Backend,
    pub(crate) landed: bool,
}

impl Flight<'_> {
    pub(crate) fn landed(mut self) {
        self.landed = true;
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if !self.landed {
            burn(&self.backend.name, Burn::Cancelled);
        }
    }
}
