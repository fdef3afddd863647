//! How an arrival ends: exactly one of these, always.

/// The outcomes that every arrival is counted under, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// A verified certificate left.
    Released,
    /// A verified answer to inquire, amend, open, close or pass left.
    Answered,
    /// The backend's lawful no was passed on, rebuilt from our own template.
    Refused,
    /// The gate kept an answer in.
    Withheld,
    /// Turned away early, before anything was spent.
    Shed,
    /// Nobody waits any more.
    Expired,
    /// The request was wrong: malformed, undeclared, another's session.
    Rejected,
    /// The backend could not be asked, or we broke.
    Failed,
    /// Something may have happened at the backend that nobody can vouch for.
    Indeterminate,
    /// The kiosk hung up.
    Cancelled,
}

impl Outcome {
    /// Every outcome, in declaration order.
    pub const ALL: [Self; 10] = [
        Self::Released,
        Self::Answered,
        Self::Refused,
        Self::Withheld,
        Self::Shed,
        Self::Expired,
        Self::Rejected,
        Self::Failed,
        Self::Indeterminate,
        Self::Cancelled,
    ];

    /// The metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Withheld => "withheld",
            Self::Shed => "shed",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Indeterminate => "indeterminate",
            Self::Cancelled => "cancelled",
        }
    }
}
