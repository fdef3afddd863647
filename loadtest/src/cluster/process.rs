//! One child process: its start, its end, and the CPU time it used.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

/// Linux counts process times in these (`sysconf(_SC_CLK_TCK)` is 100 on every architecture that we run on).
const TICKS_PER_SECOND: u64 = 100;

/// A child did not come up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It could not be spawned at all.
    #[error("cannot start {name}: {source}")]
    Spawn {
        /// Which.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// It ended before it was ready.
    #[error("{name} ended before it was ready ({status}); its last words:\n{last_words}")]
    Ended {
        /// Which.
        name: String,
        /// How.
        status: String,
        /// The end of its log.
        last_words: String,
    },
    /// It ran, but did not get ready in time.
    #[error("{name} was not ready within {waited:?}; its last words:\n{last_words}")]
    NotReady {
        /// Which.
        name: String,
        /// How long we waited.
        waited: Duration,
        /// The end of its log.
        last_words: String,
    },
    /// Something around it could not be prepared.
    #[error("{name}: {what}")]
    Prepare {
        /// Which.
        name: String,
        /// What failed.
        what: String,
    },
}

/// A child that dies with this value.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` with `arguments`; both output streams go to the end of `log`.
    pub fn start(name: &str, program: &Path, arguments: &[&str], log: &Path) -> Result<Self, StartError> {
        Self::start_with(name, program, arguments, &[], log)
    }

    /// Starts it with variables added to its environment.
    pub fn start_with(
        name: &str,
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
        log: &Path,
    ) -> Result<Self, StartError> {
        let failed = |source| StartError::Spawn { name: name.to_owned(), source };
        let out = std::fs::File::options().create(true).append(true).open(log).map_err(failed)?;
        let err = out.try_clone().map_err(failed)?;
        let child = Command::new(program)
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// What it is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits until `ready` says something, the child ends, or `patience` is over.
    pub async fn until<T>(
        &mut self,
        patience: Duration,
        mut ready: impl AsyncFnMut() -> Option<T>,
    ) -> Result<T, StartError> {
        let started = tokio::time::Instant::now();
        loop {
            if let Some(found) = ready().await {
                return Ok(found);
            }
            let name = self.name.clone();
            if let Some(status) = self.ended() {
                return Err(StartError::Ended { name, status: status.to_string(), last_words: last_words(&self.log) });
            }
            if started.elapsed() > patience {
                return Err(StartError::NotReady { name, waited: patience, last_words: last_words(&self.log) });
            }
            // Another process gives no event to wait for.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until somebody answers on `address`.
    pub async fn until_listening(&mut self, address: SocketAddr, patience: Duration) -> Result<(), StartError> {
        self.until(patience, async || tokio::net::TcpStream::connect(address).await.ok().map(drop)).await
    }

    /// `kill -9`, and waits until it is gone.
    pub async fn kill(&mut self) -> std::io::Result<()> {
        self.child.kill().await
    }

    /// SIGTERM, then waits at most `patience` before SIGKILL. Tells whether it ended by itself.
    pub async fn terminate(&mut self, patience: Duration) -> std::io::Result<bool> {
        if let Some(pid) = self.pid() {
            // The standard library only knows SIGKILL.
            Command::new("kill").args(["-TERM", &pid.to_string()]).status().await?;
        }
        match tokio::time::timeout(patience, self.child.wait()).await {
            Ok(status) => status.map(|_| true),
            Err(_) => self.kill().await.map(|()| false),
        }
    }

    /// User and system time used so far by it and its living children.
    pub fn cpu(&self) -> Duration {
        self.pid().map_or(Duration::ZERO, cpu_of_tree)
    }
}

/// User and system time used so far by the process `root` and its living descendants.
pub fn cpu_of_tree(root: u32) -> Duration {
    let mut parents: HashMap<u32, (u32, u64)> = HashMap::new();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        if let Some(found) = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok().as_deref().and_then(parse_stat) {
            parents.insert(pid, found);
        }
    }
    let below_root = |pid: u32| {
        let chain = std::iter::successors(Some(pid), |p| parents.get(p).map(|(parent, _)| *parent));
        chain.take(64).any(|p| p == root)
    };
    let of_process = |(pid, (_, ticks)): (&u32, &(u32, u64))| {
        on_cpu(*pid).unwrap_or(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
    };
    parents.iter().filter(|(pid, _)| below_root(**pid)).map(of_process).sum()
}

/// The time that the living threads of a process were on a CPU, to the nanosecond; `None` where the kernel keeps no such count.
fn on_cpu(pid: u32) -> Option<Duration> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let spent = threads.filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_ascii_whitespace().next()?.parse().ok().map(Duration::from_nanos)
    });
    let spent: Duration = spent.sum();
    (!spent.is_zero()).then_some(spent)
}

/// Parent and ticks from `/proc/PID/stat` (proc(5): fields 4, 14, 15; the command in field 2 may hold anything).
fn parse_stat(stat: &str) -> Option<(u32, u64)> {
    let after_command = stat.rsplit_once(')')?.1;
    let mut fields = after_command.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let user: u64 = fields.nth(9)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((parent, user + system))
}

/// The last lines of a log, for messages.
fn last_words(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(12)).map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let stat = "42 (a) b (c) S 7 42 42 0 -1 4194304 100 0 0 0 13 4 0 0 20 0 1 0 1 1 1";
        assert_eq!(parse_stat(stat), Some((7, 17)));
    }

    #[tokio::test]
    async fn a_killed_child_is_gone() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut child = Process::start("sleep", Path::new("sleep"), &["600"], log.path()).unwrap();
        assert!(child.ended().is_none());
        child.kill().await.unwrap();
        assert!(child.ended().is_some());
    }

    #[tokio::test]
    async fn a_terminated_child_may_end_by_itself() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut child = Process::start("sleep", Path::new("sleep"), &["600"], log.path()).unwrap();
        assert!(child.terminate(Duration::from_secs(10)).await.unwrap());
    }
}
