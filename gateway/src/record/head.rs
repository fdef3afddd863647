//! Signed heads: who read the records up to here found this. Kept elsewhere, one tells whether anything before it was cut or changed.

use jiff::Timestamp;
use sekisho_worker::journal::Place;
use serde::{Deserialize, Serialize};

use crate::state_dir::{CheckpointKey, CheckpointPublic};

/// Where the records were at a moment, signed by the node that wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedHead {
    /// The segment.
    pub segment: u64,
    /// Frames of it that were durable.
    pub frames: u64,
    /// The chain's head after them, hexadecimal.
    pub head: String,
    /// When.
    pub at: Timestamp,
    /// Whose signature it is: a public key, hexadecimal.
    pub key: String,
    /// Over all of the above but the key; Ed25519, hexadecimal.
    pub signature: String,
}

impl SignedHead {
    pub(super) fn sign(place: Place, at: Timestamp, key: &CheckpointKey) -> Self {
        let head = hex(&place.head);
        let signature = key.sign(&message(place.segment, place.frames, &head, at));
        Self { segment: place.segment, frames: place.frames, head, at, key: key.public().to_string(), signature }
    }

    /// Whether one of `keys` signed it.
    pub fn is_signed_by(&self, keys: &[CheckpointPublic]) -> bool {
        let message = message(self.segment, self.frames, &self.head, self.at);
        keys.iter().any(|key| key.to_string() == self.key && key.signed(&message, &self.signature))
    }
}

fn message(segment: u64, frames: u64, head: &str, at: Timestamp) -> Vec<u8> {
    format!("sekisho records head 1\n{segment}\n{frames}\n{head}\n{at}\n").into_bytes()
}

/// As chain values are written.
pub(super) fn hex(bytes: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
