//! `tls` of `[server]` and of `[backends.NAME]`: which files say who we are and whom we trust.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sekisho_worker::tls::{BackendTls, Files};

use super::section::Section;
use super::source::Findings;
use crate::tls::ServerTls;

const SERVER_EXAMPLE: &str =
    "tls = { identity = \"kiosk-side.pem\", key_file = \"kiosk-side.key\", clients = \"centre-ca.pem\" }";
const BACKEND_EXAMPLE: &str = "tls = { servers = \"backend-ca.pem\" }";

/// The kiosk side.
pub(super) fn server(section: &mut Section<'_>, found: &mut Findings) -> Option<Arc<ServerTls>> {
    let mut table = section.section(found, "tls")?;
    let before = found.mistakes.len();
    let identity = identity(&mut table, found);
    let trusted = file(&mut table, "clients", "centre-ca.pem", found);
    let late = table.duration(found, "handshake_timeout", "5s").unwrap_or(Duration::from_secs(5));
    let max_handshakes = table.count(found, "max_handshakes", 1, 100_000).map_or(256, |c| c.value);
    let (place, key) = (table.span().clone(), table.path().to_owned());
    if identity.is_none() && found.mistakes.len() == before {
        found.mistake(&place, format!("{key}.identity"), "is missing", SERVER_EXAMPLE);
    }
    if !table.has("clients") {
        let why = "names no `clients`: whoever reaches this port may ask, and no kiosk is known by its TLS identity";
        found.note(&place, key.clone(), why, &[]);
    }
    table.finish(found);
    if found.mistakes.len() > before {
        return None;
    }
    match ServerTls::open(Files { identity, trusted }, late, max_handshakes) {
        Ok(tls) => Some(Arc::new(tls)),
        Err(error) => {
            found.mistake(&place, key, format!("cannot be used: {error}"), SERVER_EXAMPLE);
            None
        }
    }
}

/// Towards a backend at `host`, whose address asks for it or not.
pub(super) fn backend(
    section: &mut Section<'_>,
    host: Option<&str>,
    secure: bool,
    found: &mut Findings,
) -> Option<Arc<BackendTls>> {
    let Some(mut table) = section.section(found, "tls") else {
        if secure && !section.has("tls") {
            let (place, key) = (section.place("address"), section.key("tls"));
            found.mistake(&place, key, "is missing: an `https://` address does not say whom to trust", BACKEND_EXAMPLE);
        }
        return None;
    };
    let before = found.mistakes.len();
    let identity = identity(&mut table, found);
    let trusted = file(&mut table, "servers", "backend-ca.pem", found);
    let name = table.text(found, "server_name", "issuer.example").map(|placed| placed.value.to_owned());
    let (place, key) = (table.span().clone(), table.path().to_owned());
    if trusted.is_none() && found.mistakes.len() == before {
        found.mistake(&place, format!("{key}.servers"), "is missing: nobody would be trusted", BACKEND_EXAMPLE);
    }
    if !secure && host.is_some() {
        found.mistake(&place, key.clone(), "is only for an `https://` address", "address = \"https://10.1.2.30:8443\"");
    }
    table.finish(found);
    if found.mistakes.len() > before {
        return None;
    }
    let name = name.or_else(|| host.map(|host| host.trim_matches(['[', ']']).to_owned()))?;
    match BackendTls::open(&name, Files { identity, trusted }) {
        Ok(tls) => Some(Arc::new(tls)),
        Err(error) => {
            found.mistake(&place, key, format!("cannot be used: {error}"), BACKEND_EXAMPLE);
            None
        }
    }
}

fn identity(table: &mut Section<'_>, found: &mut Findings) -> Option<(PathBuf, PathBuf)> {
    let chain = file(table, "identity", "gateway.pem", found);
    let key = file(table, "key_file", "gateway.key", found);
    match (table.has("identity"), table.has("key_file")) {
        (true, false) => found.mistake(table.span(), table.key("key_file"), "is missing", "key_file = \"gateway.key\""),
        (false, true) => found.mistake(table.span(), table.key("identity"), "is missing", "identity = \"gateway.pem\""),
        _ => {}
    }
    if let Some(key) = &key
        && std::fs::metadata(key).is_ok_and(|about| about.permissions().mode() & 0o007 != 0)
    {
        let why = "can be read by every user of this machine: chmod 0600";
        found.note(&table.place("key_file"), table.key("key_file"), why, &[]);
    }
    chain.zip(key)
}

/// A file beside the configuration. It is read by whoever uses it, so that a key does not stay in memory here.
fn file(table: &mut Section<'_>, key: &'static str, example: &str, found: &mut Findings) -> Option<PathBuf> {
    let placed = table.text(found, key, example)?;
    let path = found.beside(placed.value);
    if path.is_none() {
        placed.wrong(found, "names a file, and only a configuration file can", "");
    }
    path
}
