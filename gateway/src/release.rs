//! The release gate. Until it can judge, it keeps everything in.

use http::Response;
use sekisho_worker::owner::Attested;

use crate::body::Body;
use crate::bound::Bound;
use crate::outcome::Outcome;

/// What lets an answer leave.
#[derive(Debug, Default)]
pub struct Gate {}

/// Something verified against the request it answers.
pub struct Released<T>(T);

/// An answer that may leave.
pub struct Answered;

/// Why an answer stays in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withheld {
    /// A stable word.
    pub reason: &'static str,
}

/// What goes to the kiosk.
pub struct Outgoing {
    /// Head and body.
    pub response: Response<Body>,
    /// Under which it is counted.
    pub outcome: Outcome,
    /// Why.
    pub reason: &'static str,
}

impl Gate {
    /// Judges an answer.
    pub fn decide(&self, _bound: &Bound, attested: Attested) -> Result<Released<Answered>, Withheld> {
        attested.settlement.surprised("unchecked");
        Err(Withheld { reason: "unchecked" })
    }

    /// Makes the decision durable, then looks again.
    pub async fn commit(&self, released: Released<Answered>) -> Result<Outgoing, Withheld> {
        let Released(Answered) = released;
        Err(Withheld { reason: "unchecked" })
    }
}
