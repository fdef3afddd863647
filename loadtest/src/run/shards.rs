//! A run made by several generator processes: each begins its share of the arrivals at the same moments, and what they counted is added
//! up without loss. A process that dies is an error, never a smaller result.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use tokio::process::{Child, Command};

use super::figures::Figures;
use super::part::{Ended, Part};
use super::series::Seconds;
use super::site::Tested;
use super::{Beginning, Ending, Gathered, Refused, Report, Share, conclude, gather};
use crate::cluster::Cores;
use crate::plan::Plan;

/// A process reads its people in so much time.
const STARTS_WITHIN: Duration = Duration::from_secs(5);

/// A generator process did not hand over what it counted.
#[derive(Debug, thiserror::Error)]
#[error("generator process {nth} of {of}: {why}; without its part there is no result")]
pub struct ShardDied {
    nth: u64,
    of: u64,
    why: String,
}

/// One of the processes.
#[derive(Debug, Clone)]
pub struct Shard {
    /// Which.
    pub share: Share,
    /// When the run begins, in milliseconds of the wall clock since 1970.
    pub at_unix_ms: u64,
    /// Where it hands over what it counted.
    pub out: PathBuf,
}

/// Makes one share of a run and writes what it counted. The plan must name a target.
pub async fn run_shard(mut plan: Plan, program: PathBuf, base: PathBuf, shard: Shard) -> anyhow::Result<()> {
    // The parent compares the counters, once for all.
    plan.target.metrics = None;
    let plan = Arc::new(plan);
    let (mut tested, people) = Tested::start(&plan, &program, &base, Cores::default()).await?;
    let at = UNIX_EPOCH + Duration::from_millis(shard.at_unix_ms);
    let left = at.duration_since(SystemTime::now()).context("started too late to begin with the others")?;
    let beginning = Beginning { began: Instant::now() + left, share: shard.share };
    let gathered = gather(&plan, &mut tested, people, Ending::Drained, beginning, |_| {}, |_| {}).await?;
    let ended = Ended {
        seconds: gathered.seconds,
        examples: gathered.examples,
        stopped: gathered.stopped,
        drained: gathered.drained,
        lasted_seconds: gathered.lasted.as_secs_f64(),
    };
    let part = serde_json::to_vec(&Part::of(&gathered.figures, ended))?;
    // Whole or not at all.
    let unfinished = shard.out.with_extension("unfinished");
    std::fs::write(&unfinished, part).with_context(|| unfinished.display().to_string())?;
    std::fs::rename(&unfinished, &shard.out).with_context(|| shard.out.display().to_string())
}

/// Carries out the plan of `file` by so many processes of `program`; `target` is the command line's, if it names one.
pub async fn run_in_shards(
    plan: Plan,
    program: PathBuf,
    file: &Path,
    target: Option<&str>,
    shards: u64,
) -> anyhow::Result<Report> {
    if plan.target.url.is_none() {
        let why =
            "--shards needs a target of yours: the simulated backend and the judge of its papers live in one process";
        return Err(Refused(why.to_owned()).into());
    }
    let plan = Arc::new(plan);
    let base = file.parent().unwrap_or(Path::new("")).to_owned();
    let (tested, _) = Tested::start(&plan, &program, &base, Cores::default()).await?;
    let before = tested.counters().await?;
    let dir = tempfile::tempdir()?;
    let (started_at, at) = (jiff::Timestamp::now(), SystemTime::now() + STARTS_WITHIN);
    let at_unix_ms = u64::try_from(at.duration_since(UNIX_EPOCH)?.as_millis())?;
    let mut processes = Vec::new();
    for nth in 0..shards {
        let out = dir.path().join(format!("{nth}.json"));
        let mut command = Command::new(&program);
        command.arg("shard").arg(file).arg("--out").arg(&out).args(["--nth", &nth.to_string()]);
        command.args(["--of", &shards.to_string(), "--at", &at_unix_ms.to_string()]);
        command.args(target.iter().flat_map(|url| ["--target", url]));
        let child = command.stdin(Stdio::null()).kill_on_drop(true).spawn().context("cannot start a generator")?;
        processes.push((nth, out, child));
    }
    let mut gathered = Gathered {
        figures: Figures::new(&plan),
        seconds: Seconds::default(),
        examples: Vec::new(),
        stopped: None,
        drained: true,
        lasted: Duration::ZERO,
        started_at,
        gateway_cpu: None,
    };
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let mut told = false;
    while let Some((nth, out, mut child)) = processes.pop() {
        let status = loop {
            tokio::select! {
                status = child.wait() => break status?,
                _ = &mut interrupted, if !told => {
                    told = true;
                    interrupt(&child).await;
                    for (_, _, other) in &processes {
                        interrupt(other).await;
                    }
                }
            }
        };
        let died = |why: String| ShardDied { nth, of: shards, why };
        if !status.success() {
            return Err(died(format!("ended with {status}")).into());
        }
        let text = std::fs::read(&out).map_err(|error| died(error.to_string()))?;
        let part: Part = serde_json::from_slice(&text).map_err(|error| died(error.to_string()))?;
        part.add_to(&mut gathered.figures).ok_or_else(|| died("is of another build or plan".to_owned()))?;
        gathered.seconds.add(&part.seconds, &part.latencies);
        gathered.examples.extend(part.examples);
        gathered.stopped = gathered.stopped.or(part.stopped);
        gathered.drained &= part.drained;
        gathered.lasted = gathered.lasted.max(Duration::from_secs_f64(part.lasted_seconds));
    }
    conclude(tested, before, gathered).await
}

/// Ctrl-C, for whoever did not hear it from the terminal.
async fn interrupt(child: &Child) {
    if let Some(pid) = child.id() {
        // The standard library only knows SIGKILL; one that is gone needs none.
        let _ = Command::new("kill").args(["-INT", &pid.to_string()]).status().await;
    }
}
