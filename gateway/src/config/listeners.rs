//! `[server]`, `[metrics]`, `[admin]`, `[state]` and `[sessions]`: where we listen, and how much of anything we take.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::section::Section;
use super::source::Findings;
use crate::ledger::LedgerLimits;
use crate::tls::ServerTls;

/// `[server]`: the kiosk side. Every limit has its unit in its name and a policy when it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Where kiosks connect.
    pub listen: SocketAddr,
    /// Threads that serve kiosks; absent = one a core. A connection is served by one of them.
    pub threads: Option<usize>,
    /// Open connections; one more is closed at once and counted.
    pub max_connections: usize,
    /// Requests between arrival and the end of their reply; one more is shed.
    pub max_in_flight: usize,
    /// Header fields of one request; more is refused.
    pub max_headers: usize,
    /// Bytes of one request's head; more is refused.
    pub max_header_bytes: usize,
    /// From the first byte of a connection or request to the end of its head; later is closed.
    pub header_timeout: Duration,
    /// From the end of the head to the end of the body; later is refused.
    pub body_timeout: Duration,
    /// An answer of which the kiosk takes nothing for this long is cut, with its connection.
    pub send_timeout: Duration,
    /// How long a drain waits for what is in flight.
    pub drain: Duration,
    /// TLS; absent = what comes is read as it is.
    pub tls: Option<Arc<ServerTls>>,
}

/// `[sessions]`: how long a card presence lasts, and how many are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Without a request for this long, a session ends.
    pub idle: Duration,
    /// A session ends after this long whatever happens.
    pub absolute: Duration,
    /// Sessions open at once; a new one beyond is shed, never an open one forgotten.
    pub max: usize,
}

/// Everything about listeners and the state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listeners {
    /// The kiosk side.
    pub server: Server,
    /// `/metrics`, `/livez`, `/readyz`.
    pub metrics: Option<SocketAddr>,
    /// The admin API; loopback only.
    pub admin: Option<SocketAddr>,
    /// Latches, intents, records, keys.
    pub state_dir: PathBuf,
    /// Session limits.
    pub sessions: SessionLimits,
    /// Limits of what is kept for who asks again.
    pub ledger: LedgerLimits,
}

fn address(section: &mut Section<'_>, found: &mut Findings, example: &str) -> Option<SocketAddr> {
    let Some(text) = section.text(found, "listen", example) else {
        if !section.has("listen") {
            let (span, key) = (section.span().clone(), section.key("listen"));
            found.mistake(&span, key, "is missing", format!("listen = {example:?}"));
        }
        return None;
    };
    let parsed = text.value.parse().ok();
    if parsed.is_none() {
        text.wrong(found, "is not an address with a port", format!("listen = {example:?}"));
    }
    if cfg!(feature = "weakened") && parsed.is_some_and(|address: SocketAddr| !address.ip().is_loopback()) {
        text.wrong(found, "is beyond loopback, where a weakened build never listens", "listen = \"127.0.0.1:0\"");
    }
    parsed
}

pub(super) fn read(root: &mut Section<'_>, found: &mut Findings) -> Option<Listeners> {
    let server = match root.section(found, "server") {
        Some(section) => server(section, found),
        None => {
            let span = root.span().clone();
            found.mistake(&span, "server", "is missing", "[server]\nlisten = \"127.0.0.1:8443\"");
            None
        }
    };
    let metrics = root.section(found, "metrics").map(|mut section| {
        let listen = address(&mut section, found, "0.0.0.0:9641");
        let at = section.place("listen");
        section.finish(found);
        (listen, at)
    });
    let admin = root.section(found, "admin").map(|mut section| {
        let listen = address(&mut section, found, "127.0.0.1:9640");
        if listen.is_some_and(|l| !l.ip().is_loopback()) {
            let (span, key) = (section.place("listen"), section.key("listen"));
            found.mistake(&span, key, "must be a loopback address", "listen = \"127.0.0.1:9640\"");
        }
        let at = section.place("listen");
        section.finish(found);
        (listen, at)
    });
    let state_dir = match root.section(found, "state") {
        Some(mut section) => {
            let dir = section.text(found, "dir", "/var/lib/sekisho").map(|d| PathBuf::from(d.value));
            if dir.is_none() && !section.has("dir") {
                let span = section.span().clone();
                found.mistake(&span, "state.dir", "is missing", "dir = \"/var/lib/sekisho\"");
            }
            section.finish(found);
            dir
        }
        None => {
            let span = root.span().clone();
            found.mistake(&span, "state", "is missing", "[state]\ndir = \"/var/lib/sekisho\"");
            None
        }
    };
    let kiosks = server.as_ref().map(|server| server.listen);
    let (metrics, metrics_at) = metrics.unwrap_or_default();
    let (admin, admin_at) = admin.unwrap_or_default();
    for (key, at, one, other) in [
        ("metrics.listen", &metrics_at, metrics, kiosks),
        ("admin.listen", &admin_at, admin, kiosks),
        ("admin.listen", &admin_at, admin, metrics),
    ] {
        if let (Some(one), Some(other)) = (one, other)
            && collide(one, other)
        {
            let message = format!("is {one}, where another listener would stand already ({other})");
            found.mistake(at, key, message, "listen = \"127.0.0.1:9642\", or any port of its own");
        }
    }
    let sessions = sessions(root.section(found, "sessions"), found);
    let ledger = ledger(root.section(found, "ledger"), found);
    Some(Listeners { server: server?, metrics, admin, state_dir: state_dir?, sessions, ledger })
}

/// Whether both cannot be listened on at once.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let same_ip = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && same_ip
}

fn server(mut section: Section<'_>, found: &mut Findings) -> Option<Server> {
    let listen = address(&mut section, found, "127.0.0.1:8443");
    let server = Server {
        listen: listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0))),
        threads: section.count(found, "threads", 1, 256).map(|c| c.value),
        max_connections: section.count(found, "max_connections", 1, 1_000_000).map_or(4096, |c| c.value),
        max_in_flight: section.count(found, "max_in_flight", 1, 1_000_000).map_or(1024, |c| c.value),
        max_headers: section.count(found, "max_headers", 8, 1000).map_or(64, |c| c.value),
        max_header_bytes: bounded(section.size(found, "max_header_bytes", "16KiB"), found, 8 << 10, 1 << 20)
            .unwrap_or(16 << 10),
        header_timeout: section.duration(found, "header_timeout", "10s").unwrap_or(Duration::from_secs(10)),
        body_timeout: section.duration(found, "body_timeout", "10s").unwrap_or(Duration::from_secs(10)),
        send_timeout: section.duration(found, "send_timeout", "30s").unwrap_or(Duration::from_secs(30)),
        drain: section.duration(found, "drain", "30s").unwrap_or(Duration::from_secs(30)),
        tls: super::tls::server(&mut section, found),
    };
    section.finish(found);
    listen.map(|_| server)
}

/// Refuses sizes outside `least..=most`.
pub(super) fn bounded(
    placed: Option<super::section::Placed<usize>>,
    found: &mut Findings,
    least: usize,
    most: usize,
) -> Option<usize> {
    let placed = placed?;
    if (least..=most).contains(&placed.value) {
        return Some(placed.value);
    }
    placed.wrong(found, format!("must lie between {least}B and {most}B"), format!("{least}B"));
    None
}

fn sessions(section: Option<Section<'_>>, found: &mut Findings) -> SessionLimits {
    let mut limits =
        SessionLimits { idle: Duration::from_secs(180), absolute: Duration::from_secs(1800), max: 100_000 };
    let Some(mut section) = section else { return limits };
    limits.idle = section.duration(found, "idle", "3m").unwrap_or(limits.idle);
    limits.absolute = section.duration(found, "absolute", "30m").unwrap_or(limits.absolute);
    limits.max = section.count(found, "max", 1, 10_000_000).map_or(limits.max, |c| c.value);
    if limits.idle > limits.absolute {
        let (span, key) = (section.place("idle"), section.key("idle"));
        found.mistake(&span, key, "is longer than `absolute`", "idle = \"3m\"");
    }
    section.finish(found);
    limits
}

fn ledger(section: Option<Section<'_>>, found: &mut Findings) -> LedgerLimits {
    let mut limits = LedgerLimits { keep: Duration::from_secs(600), max_keys: 200_000, max_bytes: 256 << 20 };
    let Some(mut section) = section else { return limits };
    limits.keep = section.duration(found, "keep", "10m").unwrap_or(limits.keep);
    limits.max_keys = section.count(found, "max_keys", 1, 10_000_000).map_or(limits.max_keys, |c| c.value);
    let max_bytes = section.size(found, "max_bytes", "256MiB");
    limits.max_bytes = bounded(max_bytes, found, 1, 64 << 30).unwrap_or(limits.max_bytes);
    section.finish(found);
    limits
}
