//! Proposes a configuration from recorded exchanges: where facts stand, whom to ask, what can be checked, with the evidence for each.
//! Guesses by which values come again where; decides nothing that a person must decide, and marks it.

mod checks;
mod fetch;
mod flow;
pub mod har;
mod jobs;
mod lookups;
mod paper;
mod presence;
mod read;
mod write;

use http::uri::Authority;

pub use write::Proposal;

/// One recorded request with its answer. Personal data, hence no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Which server was asked, with its port.
    pub server: Authority,
    /// Whether TLS was spoken with it.
    pub tls: bool,
    /// The method.
    pub method: String,
    /// The path, as it was sent.
    pub path: String,
    /// The query, as it was sent.
    pub query: String,
    /// Headers of the request.
    pub headers: Vec<(String, String)>,
    /// Body of the request.
    pub body: Vec<u8>,
    /// The answer's status.
    pub status: u16,
    /// Headers of the answer.
    pub answer_headers: Vec<(String, String)>,
    /// Body of the answer.
    pub answer: Vec<u8>,
}

/// Exchanges beyond this are not looked at.
pub const MAX_EXCHANGES: usize = 2_000;

/// Proposes a configuration. Never panics on any exchanges; what it cannot know is marked in the text.
pub fn propose(exchanges: &[Recorded]) -> Proposal {
    let seen = read::read(exchanges.get(..MAX_EXCHANGES).unwrap_or(exchanges));
    let town = flow::follow(&seen);
    write::write(&seen, &town)
}

#[cfg(test)]
mod tests;
