//! After the backend accepted a job: its id made durable, its state asked for, its document fetched. Judges nothing, and takes
//! no second lane or slot: all of it is one issuance.

use std::sync::Arc;
use std::time::Duration;

use sekisho_issuance::fence::Fence;

use crate::assignment::{
    Answer, Assignment, Call, Fetch, JobCall, JobEnd, JobId, JobReport, NotBegun, Poll, Unanswered,
};
use crate::clock;
use crate::intent::jobs::Claimed;
use crate::lookup::{self, Found};
use crate::metric::Burn;
use crate::owner::Owner;
use crate::settlement::{Settlement, Unjudged};

/// The steps after `accepted`, whose answer is what there is to judge: the document's, or the reply that ended the job.
pub(super) async fn run(
    owner: &Arc<Owner>,
    a: &Assignment,
    fetch: &Fetch,
    fence: Fence,
    accepted: Answer,
    settlement: &mut Settlement,
) -> Result<(Answer, JobReport), Unanswered> {
    let Some(id) = accepted_job(fetch, &accepted) else {
        return Ok((accepted, JobReport { id: None, end: JobEnd::NotAccepted }));
    };
    // Durable before anybody is asked about it: whoever is given this id after a crash is told.
    let digest = digest(fetch.salt, &a.call.backend, &id);
    let not_durable = |_| Unanswered::Indeterminate("not_durable");
    let early = match owner.intents.claim_job(fence, digest).await.map_err(not_durable)? {
        Claimed::First => None,
        Claimed::Reused => Some(JobEnd::Reused),
        Claimed::Full => Some(JobEnd::NotRemembered),
    };
    if let Some(end) = early {
        return Ok((accepted, JobReport { id: Some(id), end }));
    }
    if let Some((answer, end)) = poll(owner, a, &fetch.poll, fence, &id).await? {
        return Ok((answer, JobReport { id: Some(id), end }));
    }
    let Found { mut answer, backend, channel } = fetched(owner, a, &fetch.document, &id).await?;
    if let Some(channels) = settlement.channels() {
        channels.extend(channel.map(|channel| Unjudged { backend, channel }));
    }
    // The document was made at some moment since the job was asked for.
    answer.sent_at = accepted.sent_at;
    Ok((answer, JobReport { id: Some(id), end: JobEnd::Fetched }))
}

/// The one id that the accept reply names.
fn accepted_job(fetch: &Fetch, answer: &Answer) -> Option<JobId> {
    if answer.framing_surprise || !fetch.accepted.contains(&answer.status) {
        return None;
    }
    let fields = answer.fields();
    let view = answer.view(&fields);
    let body = fetch.dialect.read(view.body, view.header("content-type")).ok();
    JobId::new(&fetch.job.find(&view, body.as_ref())?)
}

/// By which a job is remembered: what its id says is the backend's affair.
fn digest(salt: u128, backend: &str, id: &JobId) -> u128 {
    let mut hasher = blake3::Hasher::new_derive_key("sekisho 2026-11-22 job id");
    hasher.update(&salt.to_be_bytes()).update(&(backend.len() as u64).to_be_bytes()).update(backend.as_bytes());
    hasher.update(id.as_str().as_bytes());
    let mut first = [0; 16];
    hasher.finalize_xof().fill(&mut first);
    u128::from_be_bytes(first)
}

/// What one status reply says.
enum State {
    Done,
    Pending,
    Ended(JobEnd),
}

/// Asks until the job is done (`None`), or until a reply says that it will not be. A question that nobody answered is asked again:
/// it changes nothing.
async fn poll(
    owner: &Arc<Owner>,
    a: &Assignment,
    poll: &Poll,
    fence: Fence,
    id: &JobId,
) -> Result<Option<(Answer, JobEnd)>, Unanswered> {
    let call = about(&poll.call, id)?;
    for round in 0_u64.. {
        let next = clock::after(clock::now(), jittered(poll.every, fence, round));
        if next >= a.deadline {
            break;
        }
        clock::sleep_until(next).await;
        match lookup::run(owner, &call, &a.standing, a.deadline, shares_slot(a, &call)).await {
            Ok(found) => match state(poll, id, &found.answer) {
                State::Done => return Ok(None),
                State::Pending => {}
                State::Ended(end) => return Ok(Some((found.answer, end))),
            },
            Err(Unanswered::NotBegun(NotBegun::BackendSuspended)) => {
                return Err(gone(NotBegun::BackendSuspended.into()));
            }
            Err(_) => {}
        }
    }
    // Nobody waits any more, but the job may still come to its end: the lane stays held for it.
    clock::sleep_until(a.deadline).await;
    Err(Unanswered::Indeterminate(Burn::Timeout.label()))
}

fn state(poll: &Poll, id: &JobId, answer: &Answer) -> State {
    let fields = answer.fields();
    let view = answer.view(&fields);
    if answer.status != 200 || answer.framing_surprise {
        return State::Ended(JobEnd::NotDone);
    }
    let body = poll.dialect.read(view.body, view.header("content-type")).ok();
    if let Some(place) = &poll.job {
        match place.find(&view, body.as_ref()) {
            Some(named) if named == id.as_str() => {}
            Some(_) => return State::Ended(JobEnd::OtherJob),
            None => return State::Ended(JobEnd::NotDone),
        }
    }
    let Some(said) = poll.state.find(&view, body.as_ref()) else { return State::Ended(JobEnd::NotDone) };
    let among = |words: &[Arc<str>]| words.iter().any(|word| **word == *said);
    match () {
        () if among(&poll.done) => State::Done,
        () if among(&poll.pending) => State::Pending,
        () => State::Ended(JobEnd::NotDone),
    }
}

/// Asked for once: a backend may give a document out only once.
async fn fetched(owner: &Arc<Owner>, a: &Assignment, document: &JobCall, id: &JobId) -> Result<Found, Unanswered> {
    let call = about(document, id)?;
    lookup::run(owner, &call, &a.standing, a.deadline, shares_slot(a, &call)).await.map_err(gone)
}

fn about(call: &JobCall, id: &JobId) -> Result<Call, Unanswered> {
    call.about(id).ok_or(Unanswered::Indeterminate("unreachable"))
}

/// The job's own slot covers every step on its backend.
fn shares_slot(a: &Assignment, call: &Call) -> bool {
    call.backend == a.call.backend
}

/// Whatever a later step says of itself, the job was begun.
fn gone(error: Unanswered) -> Unanswered {
    match error {
        Unanswered::NotBegun(NotBegun::Expired) => Unanswered::Indeterminate(Burn::Timeout.label()),
        Unanswered::NotBegun(NotBegun::BackendSuspended) => Unanswered::Indeterminate("backend_suspended"),
        Unanswered::NotBegun(_) => Unanswered::Indeterminate("unreachable"),
        indeterminate => indeterminate,
    }
}

/// `every`, give or take a fifth: jobs that were accepted together are not asked for together.
fn jittered(every: Duration, fence: Fence, round: u64) -> Duration {
    let mut drawn = (fence.0 ^ round.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    drawn = (drawn ^ (drawn >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 54;
    // 0 to 1023, so that 800 to 1199 thousandths are left.
    every.mul_f64(0.8 + drawn as f64 * 0.4 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_near_the_interval_and_not_the_same_for_all() {
        let every = Duration::from_millis(1000);
        let pauses: Vec<_> = (0..1000).map(|n| jittered(every, Fence(n), n % 7)).collect();
        assert!(pauses.iter().all(|p| (800..1200).contains(&p.as_millis())));
        let (shortest, longest) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
        assert!(longest.saturating_sub(*shortest) > Duration::from_millis(300), "{shortest:?} to {longest:?}");
    }
}
