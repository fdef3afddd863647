//! TLS towards kiosks: what we show, whom we accept, and what a kiosk's TLS identity says. Speaks no HTTP.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use sekisho_worker::tls::{Files, Identity, Live, Refreshed, TlsError, provider};

/// What of a kiosk's TLS identity names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientField {
    /// Its one alternative name that is a URI.
    SanUri,
    /// Its one alternative name that is a DNS name, in lower case.
    SanDns,
    /// The one common name of its subject.
    SubjectCn,
    /// SHA-256 of the whole, in lower case hexadecimal digits.
    Sha256,
}

impl ClientField {
    /// Every one, by its name in configuration files.
    pub const ALL: [(&'static str, Self); 4] = [
        ("san_uri", Self::SanUri),
        ("san_dns", Self::SanDns),
        ("subject_cn", Self::SubjectCn),
        ("sha256", Self::Sha256),
    ];
}

/// A field that has several values, so that none of them names its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Several;

/// Who is at the other end of a connection, as a trusted authority has signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer(Identity);

impl Peer {
    /// `None` where the identity cannot be read.
    pub fn read(der: &[u8]) -> Option<Self> {
        Identity::read(der).map(Self)
    }

    /// What a canary would show: it says `said` and nothing else, and no authority has signed it. Never of a connection.
    pub(crate) fn of_canary(said: &[(ClientField, &str)]) -> Self {
        let all = |wanted| said.iter().filter(move |(field, _)| *field == wanted).map(|(_, text)| (*text).to_owned());
        Self(Identity {
            san_uri: all(ClientField::SanUri).collect(),
            san_dns: all(ClientField::SanDns).collect(),
            subject_cn: all(ClientField::SubjectCn).collect(),
            sha256: all(ClientField::Sha256).next().unwrap_or_default(),
            from: Timestamp::UNIX_EPOCH,
            until: Timestamp::UNIX_EPOCH,
        })
    }

    /// The one value of `field`; `Ok(None)` = it has none, none where it has none.
    pub fn says(&self, field: ClientField) -> Result<Option<Cow<'_, str>>, Several> {
        let several = match field {
            ClientField::SanUri => &self.0.san_uri,
            ClientField::SanDns => &self.0.san_dns,
            ClientField::SubjectCn => &self.0.subject_cn,
            ClientField::Sha256 => return Ok(Some(Cow::Borrowed(&self.0.sha256))),
        };
        match several.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(Cow::Borrowed(one))),
            _ => Err(Several),
        }
    }
}

/// What is in force for connections from now on.
struct InForce {
    config: Arc<ServerConfig>,
    until: Option<Timestamp>,
}

/// `[server] tls`.
pub struct ServerTls {
    live: Live<InForce>,
    /// A handshake that takes longer is cut.
    pub handshake_timeout: Duration,
    /// Handshakes at once; one more is closed at once and counted.
    pub max_handshakes: usize,
}

impl ServerTls {
    /// Reads `files`. With trusted authorities a kiosk without an identity of theirs is turned away.
    pub fn open(files: Files, handshake_timeout: Duration, max_handshakes: usize) -> Result<Self, TlsError> {
        Ok(Self { live: Live::open(files, make)?, handshake_timeout, max_handshakes })
    }

    /// What the next connection is served with.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.live.get().config.clone()
    }

    /// Looks at the files again.
    pub fn refresh(&self) -> Refreshed {
        self.live.refresh()
    }

    /// Why the files are not in force as they are, if so.
    pub fn broken(&self) -> Option<String> {
        self.live.broken()
    }

    /// When what we show ends.
    pub fn until(&self) -> Option<Timestamp> {
        self.live.get().until
    }

    /// Whether kiosks must show who they are.
    pub fn asks_clients(&self) -> bool {
        self.live.files().trusted.is_some()
    }
}

impl PartialEq for ServerTls {
    fn eq(&self, other: &Self) -> bool {
        let of = |tls: &Self| (tls.live.files().clone(), tls.handshake_timeout, tls.max_handshakes);
        of(self) == of(other)
    }
}

impl Eq for ServerTls {}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerTls").field("files", self.live.files()).finish_non_exhaustive()
    }
}

fn make(files: &Files) -> Result<InForce, TlsError> {
    let refused = |error: rustls::Error| TlsError::Refused(error.to_string());
    let material = files.read(Timestamp::now())?;
    let (chain, key) = material.identity.ok_or_else(|| TlsError::Refused("there is no identity to show".to_owned()))?;
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().map_err(refused)?;
    let builder = match material.trusted {
        Some(trusted) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(trusted, provider()).build();
            let verifier = verifier.map_err(|error| TlsError::Refused(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(refused)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Who resumes a session is not asked again who they are: an identity that ended would live on in it.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(InForce { config: Arc::new(config), until: material.until })
}
