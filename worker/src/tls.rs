//! TLS: who we are (a chain and its key) and whom we trust, read from files and read again while connections are open. Never
//! says who a resident is.

mod backend;
mod identity;
mod live;
mod material;

pub use backend::BackendTls;
pub use identity::Identity;
pub use live::{Live, Refreshed};
pub use material::{Files, Material};

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::CryptoProvider;

/// Why TLS material cannot be used. Names files, never what stands in a key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read.
    #[error("{}: cannot be read: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file that holds something else.
    #[error("{}: {what}", path.display())]
    Unfit {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Our own identity does not hold now.
    #[error("{}: holds from {from} to {until}, and not now", path.display())]
    NotNow {
        /// Which.
        path: PathBuf,
        /// From when.
        from: Timestamp,
        /// Until when.
        until: Timestamp,
    },
    /// Chain, key and authorities do not make a configuration.
    #[error("{0}")]
    Refused(String),
}

/// The one provider of cryptography in this process.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
