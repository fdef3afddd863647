//! What is said about an answer: whose, fetched by which attempt under which ownership, and its digest. Never a verdict.

use sekisho_issuance::binding::Binding;
use sekisho_issuance::fence::{Epoch, Fence};

use crate::assignment::{Answer, Attestation};

/// Attests `answer` as it arrived.
pub fn attest(binding: Binding, fence: Fence, epoch: Epoch, answer: &Answer) -> Attestation {
    Attestation { binding, fence, epoch, digest: *blake3::hash(answer.body.as_slice()).as_bytes() }
}
