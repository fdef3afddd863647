//! Why a bracket was not opened or not closed.

use super::BracketId;

/// Why a bracket was not opened. Nothing is held up, and the batch must not begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// A name or a reason is required.
    #[error("`{0}` is required: a bracket is opened by somebody who says who they are and why")]
    Missing(&'static str),
    /// Nobody is named.
    #[error("`residents` names nobody")]
    Nobody,
    /// More than one bracket, or all of them, may hold.
    #[error("{0}; close others first, or change fewer residents at once")]
    TooMany(&'static str),
    /// What runs did not end in time.
    #[error(
        "operations in flight for these residents did not end within `wait`; nobody is held up any more, try again"
    )]
    StillRunning,
    /// The bracket could not be made durable.
    #[error("the bracket could not be made durable; nothing was opened")]
    NotDurable,
}

/// Why a bracket was not closed. It holds on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloseError {
    /// No such bracket.
    #[error("there is no bracket {0}")]
    Unknown(BracketId),
    /// It is over, or not yet open.
    #[error("bracket {0} is {1}")]
    NotOpen(BracketId, &'static str),
    /// What became of an unknown one is said by a person.
    #[error(
        "`{0}` is required: what became of an unknown bracket is said by a person, who says who they are and how they know"
    )]
    Missing(&'static str),
    /// The versions do not name exactly its residents, or are none.
    #[error("{0}")]
    Versions(String),
    /// The versions could not be made durable.
    #[error("the versions could not be made durable; the bracket holds on")]
    NotDurable,
}
