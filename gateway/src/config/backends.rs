//! `[backends.NAME]` and its hazards: where a backend is, and what is known to be unsafe in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::uri::Authority;
use sekisho_worker::tls::BackendTls;

use super::section::Section;
use super::source::Findings;

/// One backend: one server, never a second active one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// Host and port.
    pub authority: Authority,
    /// How long connecting may take.
    pub connect: Duration,
    /// Requests at once: start and ceiling of the limit.
    pub max_in_flight: usize,
    /// What an answer should take at most: the limit is lowered while most take longer and that helps. Absent = never.
    pub objective: Option<Duration>,
    /// Starts are at least this far apart, for a backend that names its files by the tick.
    pub tick_spacing: Duration,
    /// The longest that it may still write after we gave up: how long a slot rests after a surprise.
    pub settle_after_timeout: Duration,
    /// Never use a connection twice.
    pub fresh_connections: bool,
    /// TLS, where the address begins with `https://`.
    pub tls: Option<Arc<BackendTls>>,
}

pub(super) fn read(root: &mut Section<'_>, found: &mut Findings) -> BTreeMap<Arc<str>, Backend> {
    let mut backends = BTreeMap::new();
    for (name, mut section) in root.named(found, "backends") {
        super::label(&name, found);
        let address = section.text(found, "address", "http://10.1.2.30:8080");
        if address.is_none() && !section.has("address") {
            let (span, key) = (section.span().clone(), section.key("address"));
            found.mistake(&span, key, "is missing", "address = \"http://10.1.2.30:8080\"");
        }
        let authority = address.and_then(|placed| {
            let authority = origin(placed.value);
            if authority.is_none() {
                let message = "must be `http://host:port` or `https://host:port` without a path";
                placed.wrong(found, message, "address = \"http://10.1.2.30:8080\"");
            }
            authority
        });
        let connect = section.duration(found, "connect", "1s").unwrap_or(Duration::from_secs(1));
        let max_in_flight = section.count(found, "max_in_flight", 1, 4096).map_or(8, |c| c.value);
        let objective = section.duration(found, "objective", "800ms").filter(|objective| !objective.is_zero());
        let mut hazards = section.section(found, "hazards");
        let mut backend = Backend {
            authority: Authority::from_static("unknown"),
            connect,
            max_in_flight,
            objective,
            tick_spacing: Duration::ZERO,
            settle_after_timeout: Duration::ZERO,
            fresh_connections: false,
            tls: None,
        };
        let (host, secure) = (authority.as_ref().map(|(at, _)| at.host()), authority.as_ref().is_some_and(|(_, s)| *s));
        backend.tls = super::tls::backend(&mut section, host, secure, found);
        if let Some(hazards) = hazards.as_mut() {
            backend.tick_spacing = hazards.duration(found, "tick_spacing", "1s").unwrap_or_default();
            backend.settle_after_timeout = hazards.duration(found, "settle_after_timeout", "30s").unwrap_or_default();
            backend.fresh_connections = hazards.flag(found, "fresh_connections").unwrap_or(false);
            if let Some(limit) = hazards.count(found, "max_in_flight", 1, 4096) {
                backend.max_in_flight = backend.max_in_flight.min(limit.value);
            }
        }
        if let Some(hazards) = hazards {
            hazards.finish(found);
        }
        section.finish(found);
        match authority {
            Some((authority, _)) => {
                backends.insert(name.value.into(), Backend { authority, ..backend });
            }
            None => {
                found.broken.insert(name.key);
            }
        }
    }
    backends
}

/// Host and port, and whether TLS is spoken there.
fn origin(text: &str) -> Option<(Authority, bool)> {
    let uri: http::Uri = text.parse().ok()?;
    let secure = uri.scheme_str() == Some("https");
    let plain = (secure || uri.scheme_str() == Some("http")) && matches!(uri.path(), "" | "/") && uri.query().is_none();
    let authority = uri.authority()?.clone();
    (plain && authority.port_u16().is_some() && !authority.as_str().contains('@')).then_some((authority, secure))
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn only_a_plain_origin_is_an_address() {
        assert!(origin("http://10.1.2.30:8080").is_some());
        assert_eq!(origin("https://10.1.2.30:8443").map(|(_, secure)| secure), Some(true));
        assert!(origin("http://issuer.example:8080/").is_some());
        for wrong in ["10.1.2.30:8080", "ftp://a:1", "http://a", "http://a:1/x", "http://a:1?x", "http://u@a:1", ""] {
            assert!(origin(wrong).is_none(), "{wrong}");
        }
    }
}
