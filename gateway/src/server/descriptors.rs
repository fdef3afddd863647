//! How many connections fit into the files that this process may have open, so that backends, scrapes and records always
//! find one. Never opens any.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// For records, latches, listeners, scrapes, operators, the runtime's own.
const OWN_FILES: usize = 64;
/// A backend's call may be on a new connection while its old one is still being closed.
const FILES_A_BACKEND_CALL: usize = 2;

/// The limit of open files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptors {
    files: usize,
}

impl Descriptors {
    /// This process's limit, raised as far as it may be raised without rights.
    pub fn raised() -> Self {
        let limit = getrlimit(Resource::Nofile);
        // Refused only where somebody forbids it; then the lower one holds.
        let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).is_ok();
        let files = if raised { limit.maximum } else { limit.current };
        Self { files: files.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX) }
    }

    /// Kiosk connections at once: what the configuration allows, or fewer if the rest could no longer be served.
    pub fn connections(self, config: &Config) -> usize {
        let calls: usize = config.backends.values().map(|backend| backend.max_in_flight).sum();
        let rest = calls.saturating_mul(FILES_A_BACKEND_CALL).saturating_add(OWN_FILES);
        config.listeners.server.max_connections.min(self.files.saturating_sub(rest))
    }

    /// Says it where the configuration cannot be kept.
    pub fn say(self, config: &Config) {
        let (wanted, fit) = (config.listeners.server.max_connections, self.connections(config));
        if fit < wanted {
            tracing::warn!(
                open_files = self.files,
                connections = fit,
                "server.max_connections = {wanted} does not fit into the limit of open files: raise it (LimitNOFILE=, ulimit -n)"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kiosks_leave_enough_files_for_backends_and_records() {
        let text = include_str!("../../../loadtest/demo/gateway.toml");
        let config = crate::config::parse(text).unwrap();
        // Two backends with 32 calls each.
        let rest = 2 * (32 + 32) + OWN_FILES;
        let connections = |files| Descriptors { files }.connections(&config);
        assert_eq!(connections(rest + 100), 100);
        assert_eq!(connections(usize::MAX), config.listeners.server.max_connections);
        assert_eq!(connections(rest - 1), 0);
    }
}
