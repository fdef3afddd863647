//! The request context: built once on arrival, frozen, gone with the response.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::id::RequestId;

/// W3C Trace Context `traceparent`, version 00 (<https://www.w3.org/TR/trace-context/>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// 128 bits, never zero.
    pub trace_id: u128,
    /// 64 bits, never zero.
    pub parent_id: u64,
    /// Bit 0 is `sampled`.
    pub flags: u8,
}

impl TraceParent {
    /// Reads `00-{32 hex}-{16 hex}-{2 hex}`; anything else, upper case included, is `None` and a new trace is begun.
    pub fn parse(text: &str) -> Option<Self> {
        let lower_hex = |s: &str| s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let mut parts = text.split('-');
        let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let shaped =
            version == "00" && trace.len() == 32 && parent.len() == 16 && flags.len() == 2 && parts.next().is_none();
        if !(shaped && lower_hex(trace) && lower_hex(parent) && lower_hex(flags)) {
            return None;
        }
        let parsed = Self {
            trace_id: u128::from_str_radix(trace, 16).ok()?,
            parent_id: u64::from_str_radix(parent, 16).ok()?,
            flags: u8::from_str_radix(flags, 16).ok()?,
        };
        (parsed.trace_id != 0 && parsed.parent_id != 0).then_some(parsed)
    }

    /// The header value to pass on.
    pub fn to_header(self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace_id, self.parent_id, self.flags)
    }
}

/// Who this request is, when it came and until when somebody waits for it. No setter exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestContext {
    id: RequestId,
    trace: TraceParent,
    arrived: Instant,
    arrived_at: Timestamp,
    deadline: Instant,
}

impl RequestContext {
    /// Freezes the identity and times of one arrival. `timeout` is arrival to release, all of it.
    pub fn freeze(
        id: RequestId,
        trace: TraceParent,
        arrived: Instant,
        arrived_at: Timestamp,
        timeout: Duration,
    ) -> Self {
        Self { id, trace, arrived, arrived_at, deadline: arrived + timeout }
    }

    /// The request id.
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// The trace it belongs to.
    pub fn trace(&self) -> TraceParent {
        self.trace
    }

    /// Monotonic arrival.
    pub fn arrived(&self) -> Instant {
        self.arrived
    }

    /// Wall-clock arrival.
    pub fn arrived_at(&self) -> Timestamp {
        self.arrived_at
    }

    /// When nobody waits any more.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }
}
