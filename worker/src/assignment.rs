//! The seam between gateway and worker: what is handed over, and what comes back. In process today, a wire later.

mod fetch;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method};
use sekisho_issuance::binding::Binding;
use sekisho_issuance::certificate::DocumentBytes;
use sekisho_issuance::context::TraceParent;
use sekisho_issuance::fence::{Epoch, Fence};
use sekisho_issuance::id::RequestId;
use sekisho_issuance::request::Operation;
use sekisho_issuance::shard::LaneSet;

use crate::standing::Standing;
pub use fetch::{Fetch, JOB_MARK, JobCall, JobEnd, JobId, JobReport, MAX_JOB_ID_CHARS, Poll};

/// One exchange with a backend, fully rendered: no template is expanded below this line.
#[derive(Clone)]
pub struct Call {
    /// The backend's configured name.
    pub backend: Arc<str>,
    /// Method.
    pub method: Method,
    /// Path and query, already escaped.
    pub target: String,
    /// Headers, without hop-by-hop, host and length, which the channel writes.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// Longer answers are cut off and burned.
    pub max_response_bytes: usize,
    /// Its own bound; the assignment's deadline bounds it as well.
    pub timeout: Duration,
    /// Whether the reply proves by an echo that it belongs to this call; without it the connection is never reused.
    pub echoed: bool,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({} to {}, {} body bytes)", self.method, self.backend, self.body.len())
    }
}

/// A check made inside the lane, after the first lookup and before the backend hears anything.
pub type BeforeGuard = Arc<dyn Fn(&Answer) -> Result<(), &'static str> + Send + Sync>;

/// Request, binding and epoch, handed to the shard's owner.
#[derive(Clone)]
pub struct Assignment {
    /// Whose request.
    pub request: RequestId,
    /// What was sealed; comes back with the answer.
    pub binding: Binding,
    /// The ownership it was addressed to.
    pub epoch: Epoch,
    /// What the call does at the backend.
    pub operation: Operation,
    /// Its place among others that want the same backend.
    pub standing: Standing,
    /// The residents' lanes in the global order; empty only where the operation speaks of none.
    pub lanes: LaneSet,
    /// Work not begun by then is dropped; work begun runs on, and its answer is destroyed.
    pub deadline: Instant,
    /// How long a call may still have effect after nobody waits for it.
    pub max_run: Duration,
    /// The trace to pass on.
    pub trace: TraceParent,
    /// The lookup before, inside the lanes and the deadline; its failure does not stop the call unless `before_guard` says so.
    pub before: Option<Call>,
    /// Refuses to begin, for example when a household changed since the lanes were chosen.
    pub before_guard: Option<BeforeGuard>,
    /// The exchange itself.
    pub call: Call,
    /// The further steps where the call's answer only accepts a job.
    pub fetch: Option<Fetch>,
    /// The version probe after.
    pub after: Option<Call>,
    /// Digest of the key under which a client may ask again: durable with the intent, so that a restart does not forget it.
    pub key: Option<u128>,
}

/// A complete answer as it arrived.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Headers as received.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: DocumentBytes,
    /// Bytes beyond the declared end, or an informational response first: the channel is burned and `shape` will say no.
    pub framing_surprise: bool,
    /// Wall-clock times of first byte out and last byte in.
    pub sent_at: jiff::Timestamp,
    /// When the last byte came in.
    pub received_at: jiff::Timestamp,
}

/// What the worker observed, never a verdict.
#[derive(Debug, Clone, Copy)]
pub struct Attestation {
    /// As it was sealed.
    pub binding: Binding,
    /// The attempt that fetched the answer.
    pub fence: Fence,
    /// The ownership under which it ran.
    pub epoch: Epoch,
    /// BLAKE3 of the body.
    pub digest: [u8; 32],
}

/// Why nothing was begun: no byte reached the backend, so another attempt is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotBegun {
    /// The deadline passed while waiting.
    #[error("the deadline passed before it was begun")]
    Expired,
    /// The lane's queue is full.
    #[error("the resident's lane is full")]
    LaneFull,
    /// The wait for a lane ended.
    #[error("the resident's lane stayed taken")]
    LaneBusy,
    /// A change bracket kept the lane closed.
    #[error("the resident's record is being changed")]
    Bracketed,
    /// The backend's slots stayed taken, or rest after a surprise.
    #[error("the backend has no free slot")]
    BackendBusy,
    /// What is left of the deadline is less than a call takes.
    #[error("no time is left for a call")]
    NoTimeLeft,
    /// No connection to the backend.
    #[error("the backend cannot be reached")]
    Unreachable,
    /// The backend was suspended after an answer later than `max_run`.
    #[error("the backend is suspended")]
    BackendSuspended,
    /// The intent could not be made durable.
    #[error("the intent journal cannot be written")]
    IntentNotDurable,
    /// The `before_guard` refused, with its reason.
    #[error("refused inside the lane: {0}")]
    Guarded(&'static str),
    /// The epoch is not the owner's.
    #[error("addressed to another ownership")]
    WrongEpoch,
    /// The process is draining.
    #[error("draining")]
    Draining,
}

/// Why an assignment ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Nothing reached the backend.
    #[error(transparent)]
    NotBegun(#[from] NotBegun),
    /// The backend may have acted: time-out, reset, cut or unparsable answer. The word is stable and safe for labels.
    #[error("begun, without a usable answer: {0}")]
    Indeterminate(&'static str),
}
