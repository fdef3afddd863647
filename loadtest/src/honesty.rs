//! Whether the generator itself is to be believed: loaded against a target that does nothing, each on a core of its own. Says how late
//! sessions were begun; judges no gateway.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};

use crate::cluster::{Awake, Cores, Part, Process, Visiting, stay_on};
use crate::plan::{self, Plan};
use crate::run::{Report, Stopped, Summary, Times, run};

const TARGET: &str = include_str!("../peers/null/nginx.conf");
const PLAN: &str = include_str!("../peers/null/plan.toml");
const RESIDENTS: &str = include_str!("../peers/null/residents.csv");
/// Where the target of those files listens, and where it keeps its own.
const LISTENS: &str = "127.0.0.1:18099";
const KEEPS: &str = "/tmp/sekisho-null";
/// All but one in a thousand sessions must begin so late at most.
const MOST_MS: f64 = 1.0;
/// So long the machine itself is looked at before each run.
const LOOKS_FOR: Duration = Duration::from_secs(3);

/// How it is to be done.
#[derive(Debug, Clone)]
pub struct HonestyPlan {
    /// This binary.
    pub program: PathBuf,
    /// How often; the median counts.
    pub runs: usize,
    /// Sessions begun per second.
    pub rate: f64,
    /// How long is counted of each.
    pub counted: Duration,
    /// Who runs where.
    pub cores: Cores,
}

/// One run's figures.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Punctuality {
    /// Sessions begun.
    pub begun: u64,
    /// Half were begun later than this after their time, in milliseconds.
    pub p50_ms: f64,
    /// One in a thousand was.
    pub p999_ms: f64,
    /// The latest.
    pub max_ms: f64,
    /// Starts for which no kiosk was free.
    pub dropped: u64,
    /// Sessions that the target did not answer as it must.
    pub lost: u64,
    /// How late a thread was just before, on the same core and as precedent, that only slept until it was due.
    pub machine: Summary,
}

/// What came of all.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The row.
    pub text: String,
    /// Whether it holds.
    pub held: bool,
}

/// A target that does nothing, which ends with this value.
struct Nothing {
    _process: Process,
    address: SocketAddr,
}

impl Nothing {
    async fn start(dir: &Path, core: Option<usize>) -> anyhow::Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
        let program = places.map(|place| place.join("nginx")).find(|program| program.is_file());
        let program = program.context("nginx is not installed (Debian: apt-get install nginx-light)")?;
        // It cannot take port 0 and tell which it got.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let file = dir.join("nginx.conf");
        std::fs::write(&file, aimed(TARGET, address, &dir.join("null")))?;
        let mut process = {
            let _there = Visiting::core(core);
            Process::start("nginx", &program, &["-c", &file.display().to_string()], &dir.join("nginx.log"))?
        };
        process.until_listening(address, Duration::from_secs(20)).await?;
        Ok(Self { _process: process, address })
    }
}

/// The text with the target where it is.
fn aimed(text: &str, address: SocketAddr, keeps: &Path) -> String {
    text.replace(LISTENS, &address.to_string()).replace(KEEPS, &keeps.display().to_string())
}

/// The plan of `loadtest/peers/null`, at that target, rate and length.
fn the_plan(address: SocketAddr, rate: f64, counted: Duration) -> anyhow::Result<Plan> {
    let text = aimed(PLAN, address, Path::new("")).replace("\"2000/s\"", &format!("\"{rate}/s\""));
    let text = text.replace("\"20s\"", &format!("\"{}ms\"", counted.as_millis()));
    plan::parse(&text).map_err(|mistakes| anyhow!("{mistakes:?}"))
}

/// Carries it out; `tell` hears of each run. Interrupted, it gives the runs until then.
pub async fn honesty(of: &HonestyPlan, mut tell: impl FnMut(&Punctuality)) -> anyhow::Result<Vec<Punctuality>> {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("residents.csv"), RESIDENTS)?;
    let nothing = Nothing::start(dir.path(), of.cores.measured).await?;
    let mut all = Vec::new();
    for _ in 0..of.runs {
        let (rate, cores) = (of.rate, of.cores);
        let machine = tokio::task::spawn_blocking(move || asleep(rate, cores)).await??;
        let plan = the_plan(nothing.address, of.rate, of.counted)?;
        let report = run(plan, of.program.clone(), dir.path().to_owned(), of.cores, |_| {}).await?;
        if report.stopped == Some(Stopped::Interrupted) {
            break;
        }
        let one = Punctuality { machine, ..punctuality(&report).context("the plan has no judged stage")? };
        tell(&one);
        all.push(one);
    }
    Ok(all)
}

fn punctuality(report: &Report) -> Option<Punctuality> {
    let stage = report.stages.last()?;
    let error = stage.start_error;
    Some(Punctuality {
        begun: stage.begun,
        p50_ms: error.p50,
        p999_ms: error.p999,
        max_ms: error.max,
        dropped: report.stages.iter().map(|stage| stage.dropped).sum(),
        lost: report.stages.iter().map(|stage| stage.lost).sum(),
        machine: Summary::default(),
    })
}

/// How late a thread in the pacer's place comes that does nothing but sleep: what nobody's generator could better on this machine.
fn asleep(rate: f64, cores: Cores) -> anyhow::Result<Summary> {
    let _awake = Awake::keep(cores);
    let sleeps = move || {
        stay_on(cores.generator);
        cores.precedence.take(Part::Pacer);
        let (began, mut late) = (Instant::now(), Times::default());
        for n in 0..(rate * LOOKS_FOR.as_secs_f64()) as u64 {
            let due = began + Duration::from_secs_f64(n as f64 / rate);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            late.record(due.elapsed());
        }
        late.summary()
    };
    let thread = std::thread::Builder::new().name("sleeper".to_owned()).spawn(sleeps)?;
    thread.join().map_err(|_| anyhow!("the thread that looked at the machine broke"))
}

/// The row of all runs.
pub fn row(rate: f64, all: &[Punctuality]) -> Row {
    let mut p999: Vec<f64> = all.iter().map(|one| one.p999_ms).collect();
    p999.sort_by(f64::total_cmp);
    let Some(median) = p999.get(p999.len() / 2).copied() else {
        return Row { text: "FAIL no run was complete".to_owned(), held: false };
    };
    let (dropped, lost) = (all.iter().map(|one| one.dropped).sum::<u64>(), all.iter().map(|one| one.lost).sum::<u64>());
    let held = median <= MOST_MS && dropped == 0 && lost == 0;
    let each: Vec<String> = p999.iter().map(|ms| format!("{ms:.2}")).collect();
    let mut machine: Vec<f64> = all.iter().map(|one| one.machine.p999).collect();
    machine.sort_by(f64::total_cmp);
    let machines = machine.get(machine.len() / 2).copied().unwrap_or_default();
    let text = format!(
        "{} generator at {rate} starts/s against a null target: start error p99.9 at most {MOST_MS} ms, median of {}   {median:.2} ms ({}), {dropped} \
         dropped, {lost} not answered; a thread that only sleeps: p99.9 {machines:.2} ms",
        if held { "PASS" } else { "FAIL" },
        all.len(),
        each.join(", "),
    );
    Row { text, held }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_of(p999_ms: f64) -> Punctuality {
        Punctuality { begun: 40_000, p999_ms, ..Punctuality::default() }
    }

    #[test]
    fn the_median_of_the_runs_decides_and_nobody_may_be_left_out() {
        let runs = [5.0, 0.4, 0.9, 0.3, 7.0].map(run_of);
        assert!(row(2000.0, &runs).held, "{:?}", row(2000.0, &runs));
        assert!(!row(2000.0, &[5.0, 0.4, 1.1, 0.3, 7.0].map(run_of)).held);
        assert!(!row(2000.0, &[Punctuality { dropped: 1, ..run_of(0.1) }]).held);
        assert!(!row(2000.0, &[Punctuality { lost: 1, ..run_of(0.1) }]).held);
        assert!(!row(2000.0, &[]).held);
    }

    #[test]
    fn the_machine_is_looked_at_as_often_as_the_generator_begins_and_does_not_decide() {
        let machine = asleep(500.0, Cores::default()).unwrap();
        assert_eq!(machine.count, 1500);
        assert!(machine.p50 > 0.0 && machine.max >= machine.p999);
        let late = Punctuality { machine: Summary { p999: 9.0, ..machine }, ..run_of(0.4) };
        let row = row(2000.0, &[late]);
        assert!(row.held && row.text.ends_with("only sleeps: p99.9 9.00 ms"), "{row:?}");
    }

    #[test]
    fn the_plan_is_the_one_in_the_repository_aimed_at_the_target() {
        let address = SocketAddr::from(([127, 0, 0, 1], 7));
        let plan = the_plan(address, 1500.0, Duration::from_secs(4)).unwrap();
        assert_eq!(plan.target.url.as_ref().map(ToString::to_string), Some("http://127.0.0.1:7".to_owned()));
        assert_eq!(plan.stages.last().unwrap().curve.arrivals().round(), 6000.0);
        let text = aimed(TARGET, address, Path::new("/d/null"));
        assert!(text.contains("listen 127.0.0.1:7 ") && !text.contains("/tmp/"), "{text}");
    }
}
