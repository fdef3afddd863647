//! The proxies that stand beside the gateway: nginx, HAProxy and Envoy, each as plain as its manual allows.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cluster::{Process, StartError};

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

    fn configuration(self) -> (&'static str, &'static str) {
        match self {
            Self::Nginx => ("nginx.conf", include_str!("../../peers/nginx.conf")),
            Self::Haproxy => ("haproxy.cfg", include_str!("../../peers/haproxy.cfg")),
            Self::Envoy => ("envoy.yaml", include_str!("../../peers/envoy.yaml")),
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

    /// Starts it in front of `backend`, with its files in `dir`.
    pub async fn start(
        self,
        program: &Path,
        backend: SocketAddr,
        dir: &Path,
    ) -> Result<(Process, SocketAddr), StartError> {
        let prepare =
            |what: std::io::Error| StartError::Prepare { name: self.name().to_owned(), what: what.to_string() };
        let listen = free_address().map_err(prepare)?;
        let (file, template) = self.configuration();
        let filled = [
            ("{listen}", listen.to_string()),
            ("{backend}", backend.to_string()),
            ("{host}", listen.ip().to_string()),
            ("{port}", listen.port().to_string()),
            ("{backend_host}", backend.ip().to_string()),
            ("{backend_port}", backend.port().to_string()),
            ("{dir}", dir.display().to_string()),
        ]
        .iter()
        .fold(template.to_owned(), |text, (name, value)| text.replace(name, value));
        let file = dir.join(file);
        std::fs::write(&file, filled).map_err(prepare)?;
        let file = file.display().to_string();
        let arguments: Vec<&str> = match self {
            Self::Nginx => vec!["-c", &file],
            Self::Haproxy => vec!["-db", "-f", &file],
            Self::Envoy => vec!["-c", &file, "--concurrency", "1", "--disable-hot-restart", "-l", "error"],
        };
        let mut process = Process::start(self.name(), program, &arguments, &dir.join(format!("{}.log", self.name())))?;
        process.until_listening(listen, Duration::from_secs(20)).await?;
        Ok((process, listen))
    }
}

/// Peers cannot take port 0 and tell us which they got; the gap between this and their bind is only theirs to lose.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_a_template_is_filled() {
        let names = ["listen", "backend", "host", "port", "backend_host", "backend_port", "dir"];
        for peer in Peer::ALL {
            let (file, template) = peer.configuration();
            let in_use = template.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<String>();
            assert!(names.iter().any(|name| in_use.contains(&format!("{{{name}}}"))), "{file} has no place to fill");
        }
    }
}
