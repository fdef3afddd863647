//! Whether this process still owns what it is about to write for. Embedded mode always does; a fleet's lease has an end.

use sekisho_issuance::fence::Epoch;

/// Ownership, asked as the last statement before each write.
pub trait Lease: Send + Sync {
    /// The ownership held now, or `None` when it is over or in doubt.
    fn held(&self) -> Option<Epoch>;
}

/// The one owner of embedded mode.
#[derive(Debug, Clone, Copy)]
pub struct Embedded(pub Epoch);

impl Lease for Embedded {
    fn held(&self) -> Option<Epoch> {
        Some(self.0)
    }
}
