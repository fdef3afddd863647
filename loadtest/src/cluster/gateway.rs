//! The gateway under test, as a child process with its own configuration and state directory.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cores::Visiting;
use super::process::{Process, StartError};

/// How long a gateway may take to be ready; a debug build on a busy machine needs some of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a gateway is started from. Can be started again and again: a state directory has one life after the other.
#[derive(Debug, Clone)]
pub struct Site {
    program: PathBuf,
    dir: PathBuf,
    /// Variables for the gateway's process.
    pub environment: Vec<(String, String)>,
    /// The one core that it may run on.
    pub core: Option<usize>,
}

/// A running gateway.
pub struct Gateway {
    /// Its process.
    pub process: Process,
    /// Where kiosks reach it.
    pub kiosk_side: SocketAddr,
    /// Where `/metrics`, `/livez` and `/readyz` are.
    pub metrics: SocketAddr,
    /// Where operators reach it.
    pub admin: SocketAddr,
}

impl Site {
    /// Writes `configuration` into `dir`. `program` is this very binary, which carries the gateway as a subcommand.
    pub fn prepare(program: &Path, dir: &Path, configuration: &toml::Table) -> Result<Self, StartError> {
        let site = Self { program: program.to_owned(), dir: dir.to_owned(), environment: Vec::new(), core: None };
        std::fs::create_dir_all(dir).map_err(|error| prepare(error.to_string()))?;
        site.configure(configuration)?;
        Ok(site)
    }

    /// Replaces the configuration; read at the next start or SIGHUP.
    pub fn configure(&self, configuration: &toml::Table) -> Result<(), StartError> {
        let mut configuration = configuration.clone();
        let state = self.state().display().to_string();
        configuration.insert("state".to_owned(), toml::Table::from_iter([("dir".to_owned(), state.into())]).into());
        let text = toml::to_string(&configuration).map_err(|error| prepare(error.to_string()))?;
        std::fs::write(self.configuration(), text).map_err(|error| prepare(error.to_string()))
    }

    /// The configuration file.
    pub fn configuration(&self) -> PathBuf {
        self.dir.join("gateway.toml")
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// The gateway's log over all its lives.
    pub fn log(&self) -> PathBuf {
        self.dir.join("gateway.log")
    }

    /// Starts it and waits until it says that it is ready.
    pub async fn start(&self) -> Result<Gateway, StartError> {
        for listener in ["listen.addr", "metrics.addr", "admin.addr"] {
            // What a killed process left behind would lead us to nobody, or to a stranger.
            let _ = std::fs::remove_file(self.state().join(listener));
        }
        let file = self.configuration().display().to_string();
        let environment: Vec<(&str, &str)> =
            self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let arguments = ["gateway", "run", "--config", &file];
        let mut process = {
            let _there = Visiting::core(self.core);
            Process::start_with("gateway", &self.program, &arguments, &environment, &self.log())?
        };
        let state = self.state();
        let published =
            |listener: &str| std::fs::read_to_string(state.join(listener)).ok()?.trim().parse::<SocketAddr>().ok();
        let all = async || Some((published("listen.addr")?, published("metrics.addr")?, published("admin.addr")?));
        let (kiosk_side, metrics, admin) = process.until(PATIENCE, all).await?;
        process.until_listening(kiosk_side, PATIENCE).await?;
        Ok(Gateway { process, kiosk_side, metrics, admin })
    }

    /// The key that admin requests must carry.
    pub fn admin_key(&self) -> std::io::Result<String> {
        std::fs::read_to_string(self.state().join("admin.key")).map(|key| key.trim().to_owned())
    }
}

fn prepare(what: String) -> StartError {
    StartError::Prepare { name: "gateway".to_owned(), what }
}
