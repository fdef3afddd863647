//! The proxies that stand beside the gateway: nginx, HAProxy and Envoy, each started from a template of ours with its places filled.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cores::Visiting;
use super::process::{Process, StartError};

/// A kind of proxy to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// nginx, one worker.
    Nginx,
    /// HAProxy, one thread.
    Haproxy,
    /// Envoy, `--concurrency 1`.
    Envoy,
}

impl Peer {
    /// Every peer.
    pub const ALL: [Self; 3] = [Self::Nginx, Self::Haproxy, Self::Envoy];

    /// The name in the table, and of the program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
        }
    }

    /// What its configuration is called.
    pub fn file(self) -> &'static str {
        match self {
            Self::Nginx => "nginx.conf",
            Self::Haproxy => "haproxy.cfg",
            Self::Envoy => "envoy.yaml",
        }
    }

    /// The program, if it is installed: `given`, or found in `PATH` and the places Debian installs to.
    pub fn program(self, given: Option<&Path>) -> Option<PathBuf> {
        if let Some(given) = given {
            return given.exists().then(|| given.to_owned());
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
        places.map(|place| place.join(self.name())).find(|program| program.is_file())
    }

    /// Starts it in front of `backend` from `template`, with its files in `dir`, on that core if one is named; `more` are places besides
    /// its addresses.
    pub async fn start(
        self,
        program: &Path,
        template: &str,
        more: &[(String, String)],
        backend: SocketAddr,
        dir: &Path,
        core: Option<usize>,
    ) -> Result<(Process, SocketAddr), StartError> {
        let prepare =
            |what: std::io::Error| StartError::Prepare { name: self.name().to_owned(), what: what.to_string() };
        std::fs::create_dir_all(dir).map_err(prepare)?;
        let listen = free_address().map_err(prepare)?;
        let filled = filled(template, listen, backend, dir, more);
        let file = dir.join(self.file());
        std::fs::write(&file, filled).map_err(prepare)?;
        let file = file.display().to_string();
        let arguments: Vec<&str> = match self {
            Self::Nginx => vec!["-c", &file],
            Self::Haproxy => vec!["-db", "-f", &file],
            Self::Envoy => vec!["-c", &file, "--concurrency", "1", "--disable-hot-restart", "-l", "error"],
        };
        let log = dir.join(format!("{}.log", self.name()));
        let mut process = {
            let _there = Visiting::core(core);
            Process::start(self.name(), program, &arguments, &log)?
        };
        process.until_listening(listen, Duration::from_secs(20)).await?;
        Ok((process, listen))
    }
}

/// The template with its places filled; what `more` puts in may hold places of the addresses.
fn filled(template: &str, listen: SocketAddr, backend: SocketAddr, dir: &Path, more: &[(String, String)]) -> String {
    let addresses = [
        ("listen", listen.to_string()),
        ("backend", backend.to_string()),
        ("host", listen.ip().to_string()),
        ("port", listen.port().to_string()),
        ("backend_host", backend.ip().to_string()),
        ("backend_port", backend.port().to_string()),
        ("dir", dir.display().to_string()),
    ];
    let text = more.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value));
    addresses.iter().fold(text, |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

/// Peers cannot take port 0 and tell us which they got; the gap between this and their bind is only theirs to lose.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_filled_also_where_another_place_put_it() {
        let [listen, backend] = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let more = [("door".to_owned(), "at {port}".to_owned())];
        let text = filled("{listen} {backend} {door} {dir} {json}", listen, backend, Path::new("/d"), &more);
        assert_eq!(text, "127.0.0.1:1 127.0.0.1:2 at 1 /d {json}");
    }
}
