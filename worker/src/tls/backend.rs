//! TLS towards a backend: whom we believe it to be, and what we show it.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;

use super::{Files, Live, TlsError, provider};

/// What is in force towards one backend.
pub(crate) struct InForce {
    pub(crate) config: Arc<ClientConfig>,
    until: Option<Timestamp>,
}

/// `[backends.NAME] tls`.
pub struct BackendTls {
    name: ServerName<'static>,
    live: Live<InForce>,
}

impl BackendTls {
    /// Reads `files`; the backend must show an identity for `name`, from one of the trusted authorities.
    pub fn open(name: &str, files: Files) -> Result<Self, TlsError> {
        let unfit = |_| TlsError::Refused(format!("`{name}` is neither a DNS name nor an address"));
        let name = ServerName::try_from(name.to_owned()).map_err(unfit)?;
        Ok(Self { name, live: Live::open(files, make)? })
    }

    /// The files, and whether they are in force.
    pub fn refresh(&self) -> super::Refreshed {
        self.live.refresh()
    }

    /// Why the files are not in force as they are, if so.
    pub fn broken(&self) -> Option<String> {
        self.live.broken()
    }

    /// When what we show ends; `None` where we show nothing.
    pub fn until(&self) -> Option<Timestamp> {
        self.live.get().until
    }

    pub(crate) fn name(&self) -> ServerName<'static> {
        self.name.clone()
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        self.live.get().config.clone()
    }
}

impl PartialEq for BackendTls {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.live.files()) == (&other.name, other.live.files())
    }
}

impl Eq for BackendTls {}

impl std::fmt::Debug for BackendTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackendTls").field("name", &self.name).field("files", self.live.files()).finish_non_exhaustive()
    }
}

fn make(files: &Files) -> Result<InForce, TlsError> {
    let material = files.read(crate::clock::wall())?;
    let trusted = material.trusted.ok_or_else(|| TlsError::Refused("nobody is trusted".to_owned()))?;
    let refused = |error: rustls::Error| TlsError::Refused(error.to_string());
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(refused)?
        .with_root_certificates(trusted);
    let mut config = match material.identity {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(refused)?,
        None => builder.with_no_client_auth(),
    };
    // One request on one connection at a time: HTTP/2 is never spoken here.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(InForce { config: Arc::new(config), until: material.until })
}
