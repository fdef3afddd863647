//! How the kernel treats the threads of a generator that has a core of its own: before everybody else where the process may ask for that, and
//! on a core that does not halt meanwhile. Refused, everything runs as it did; what is measured is never touched.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::thread::set_current_timer_slack;
use thread_priority::unix::{NormalThreadSchedulePolicy, RealtimeThreadSchedulePolicy, ThreadSchedulePolicy};
use thread_priority::{ThreadPriority, ThreadPriorityValue, set_thread_priority_and_policy, thread_native_id};

use super::cores::{Cores, stay_on};

/// What is asked for where real time is refused.
const GOES_BEFORE: i32 = -10;
const FIFO: ThreadSchedulePolicy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
const IDLE: ThreadSchedulePolicy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);

/// How far the generator's threads go before others on their core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precedence {
    /// Not at all.
    #[default]
    Usual,
    /// By their nice value.
    Favoured,
    /// In real time (`SCHED_FIFO`).
    RealTime,
}

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Whoever says when; goes before the other.
    Pacer,
    /// Whoever asks and hears.
    Generator,
}

impl Precedence {
    /// The best that this process may have; found out on a thread that ends at once.
    pub fn obtainable() -> Self {
        let best = || [Self::RealTime, Self::Favoured].into_iter().find(|precedence| precedence.take(Part::Pacer));
        std::thread::spawn(best).join().ok().flatten().unwrap_or_default()
    }

    /// Gives it to the calling thread. False: refused, or there is nothing to give.
    pub fn take(self, part: Part) -> bool {
        if self == Self::Usual {
            return false;
        }
        // A time-out is not put off to save a wake-up; refused, it comes 50 microseconds later.
        let _ = set_current_timer_slack(NonZeroU64::new(1));
        match (self, part) {
            (Self::RealTime, Part::Pacer) => {
                let second =
                    ThreadPriorityValue::try_from(2).map_or(ThreadPriority::Min, ThreadPriority::Crossplatform);
                set_thread_priority_and_policy(thread_native_id(), second, FIFO).is_ok()
            }
            (Self::RealTime, Part::Generator) => {
                set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, FIFO).is_ok()
            }
            (_, _) => rustix::process::nice(GOES_BEFORE).is_ok(),
        }
    }
}

impl fmt::Display for Precedence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Usual => "with no precedence there (refused)",
            Self::Favoured => "before others there by its nice value (real time was refused)",
            Self::RealTime => "in real time there",
        })
    }
}

/// Keeps the generator's core from halting until it is dropped: a virtual machine's halted core may be woken milliseconds late. What runs
/// there for it yields to whatever else wants the core.
#[derive(Debug)]
pub struct Awake(Arc<AtomicBool>);

impl Awake {
    /// Where the generator has a core of its own; nothing otherwise.
    pub fn keep(cores: Cores) -> Option<Self> {
        let core = cores.generator?;
        let over = Arc::new(AtomicBool::new(false));
        let awake = Self(Arc::clone(&over));
        let spins = move || {
            stay_on(Some(core));
            // As an ordinary thread it would take what it is to keep ready.
            if set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, IDLE).is_ok() {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            }
        };
        // Without it the core halts, and the start error tells.
        std::thread::Builder::new().name("awake".to_owned()).spawn(spins).ok().map(|_| awake)
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// The scheduling policy of every thread of that name (proc(5), `stat`: field 41).
    fn policies(name: &str) -> Vec<String> {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let stats = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
        stats
            .filter(|stat| stat.contains(&format!("({name})")))
            .filter_map(|stat| stat.rsplit(')').next()?.split_whitespace().nth(38).map(str::to_owned))
            .collect()
    }

    fn until(what: &str, holds: impl Fn() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < Duration::from_secs(20), "{what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_keeps_a_core_awake_yields_to_everybody_and_ends_with_the_run() {
        let cores = Cores::apart();
        assert!(Awake::keep(Cores::default()).is_none(), "a core that is nobody's own is left alone");
        let Some(awake) = Awake::keep(cores) else { return };
        until("it runs as SCHED_IDLE", || policies("awake") == ["5"]);
        drop(awake);
        until("it ends", || policies("awake").is_empty());
    }

    #[test]
    fn what_is_said_to_be_obtainable_is_obtained_and_only_by_who_asks() {
        let best = Precedence::obtainable();
        let own = |precedence: Precedence, part| {
            let run = move || (precedence.take(part), policies("asks"));
            std::thread::Builder::new().name("asks".to_owned()).spawn(run).unwrap().join().unwrap()
        };
        assert_eq!(own(Precedence::Usual, Part::Pacer), (false, vec!["0".to_owned()]));
        let policy = if best == Precedence::RealTime { "1" } else { "0" };
        assert_eq!(own(best, Part::Generator), (best != Precedence::Usual, vec![policy.to_owned()]));
        assert_eq!(own(best, Part::Pacer), (best != Precedence::Usual, vec![policy.to_owned()]));
    }
}
