//! Reads chains, keys and trusted authorities from PEM files, and says when our own identity ends. Opens no connection.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{Identity, TlsError};

/// A longer file is refused unread.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Authorities in one file, and links of a chain.
const MAX_ENTRIES: usize = 64;

/// Where the material is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Our chain, our own first, and its key; absent = we show none.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The authorities whose identities we accept; absent = the other side shows none.
    pub trusted: Option<PathBuf>,
}

/// What was read.
pub struct Material {
    /// Our chain and its key.
    pub identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    /// Whom we trust.
    pub trusted: Option<Arc<RootCertStore>>,
    /// When the first link of our chain ends.
    pub until: Option<Timestamp>,
}

impl Files {
    /// Every file, for watching them.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let identity = self.identity.iter().flat_map(|(chain, key)| [chain, key]);
        identity.chain(&self.trusted).map(PathBuf::as_path)
    }

    /// Reads everything. Our own identity must hold at `now`.
    pub fn read(&self, now: Timestamp) -> Result<Material, TlsError> {
        let mut until = None;
        let mut identity = None;
        if let Some((chain_path, key_path)) = &self.identity {
            let chain = chain(chain_path)?;
            for link in &chain {
                let said = Identity::read(link).ok_or(unfit(chain_path, "holds an X.509 entry that cannot be read"))?;
                if !(said.from..=said.until).contains(&now) {
                    return Err(TlsError::NotNow { path: chain_path.clone(), from: said.from, until: said.until });
                }
                until = Some(until.map_or(said.until, |other: Timestamp| other.min(said.until)));
            }
            identity = Some((chain, key(key_path)?));
        }
        let trusted = self.trusted.as_deref().map(trusted).transpose()?;
        Ok(Material { identity, trusted, until })
    }
}

fn unfit(path: &Path, what: &'static str) -> TlsError {
    TlsError::Unfit { path: path.to_owned(), what }
}

fn bytes(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |error| TlsError::Unreadable { path: path.to_owned(), error };
    // A pipe would hold up whoever reads it.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(unfit(path, "is no plain file"));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_BYTES { Err(unfit(path, "is longer than 1 MiB")) } else { Ok(bytes) }
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes(path)?).take(MAX_ENTRIES + 1).collect();
    match chain {
        Ok(chain) if (1..=MAX_ENTRIES).contains(&chain.len()) => Ok(chain),
        Ok(chain) if chain.is_empty() => {
            Err(unfit(path, "holds no PEM entry of X.509 (`-----BEGIN CERTIFICATE-----`)"))
        }
        Ok(_) => Err(unfit(path, "holds more than 64 entries")),
        Err(_) => Err(unfit(path, "is not PEM")),
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let mut pem = bytes(path)?;
    let key = PrivateKeyDer::from_pem_slice(&pem);
    sekisho_issuance::certificate::wipe(&mut pem);
    key.map_err(|_| unfit(path, "holds no private key in PEM without a passphrase"))
}

fn trusted(path: &Path) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in chain(path)? {
        // One that is silently left out would be noticed only by those whom it vouches for.
        roots.add(authority).map_err(|_| unfit(path, "holds an entry that is no authority of X.509"))?;
    }
    Ok(Arc::new(roots))
}
