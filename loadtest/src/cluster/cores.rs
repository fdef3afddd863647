//! Which of the machine's cores what runs on. Says so, and never fails a run: where nothing can be pinned everything may run anywhere.

use std::fmt;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::precedence::Precedence;

/// Enough that whoever counts is never before whoever begins, and still gets a third of what is left.
const GIVES_WAY: i32 = 5;

/// Who may run where; `None`: on any core of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cores {
    /// The generator: whoever begins sessions and hears their answers.
    pub generator: Option<usize>,
    /// What is measured.
    pub measured: Option<usize>,
    /// Whether there are more than these two.
    pub spare: bool,
    /// What the generator's threads may do on theirs.
    pub precedence: Precedence,
}

impl Cores {
    /// A core each for generator and measured, the first and the second of those that this process may use, if it may use two.
    pub fn apart() -> Self {
        let cores = Self::among(&usable());
        let precedence = cores.generator.map_or(Precedence::Usual, |_| Precedence::obtainable());
        Self { precedence, ..cores }
    }

    fn among(usable: &[usize]) -> Self {
        match usable {
            [first, second, others @ ..] => Self {
                generator: Some(*first),
                measured: Some(*second),
                spare: !others.is_empty(),
                precedence: Precedence::Usual,
            },
            _ => Self::default(),
        }
    }

    /// Keeps the calling thread off the generator's core, and off that of what is measured where there are others.
    pub fn leave_the_generator_alone(&self) {
        let taken = [self.generator, self.measured.filter(|_| self.spare)];
        let others: Vec<usize> = usable().into_iter().filter(|core| !taken.contains(&Some(*core))).collect();
        if self.generator.is_some() && !others.is_empty() {
            let mut set = CpuSet::new();
            others.into_iter().for_each(|core| set.set(core));
            // Refused, everything runs as it did; the start error tells.
            let _ = sched_setaffinity(None, &set);
        }
    }

    /// Keeps the calling thread, and what it starts from now on, on cores that are nobody's; on any where there are none, since a backend that
    /// shared only the core of what is measured would be measured with it. To be called before anything is started.
    pub fn stand_aside(&self) {
        if self.spare {
            self.leave_the_generator_alone();
        }
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.generator, self.measured) {
            (Some(generator), Some(measured)) => {
                let precedence = self.precedence;
                let others =
                    if self.spare { "all else to others" } else { "the auditor beside it, all else to either" };
                write!(
                    f,
                    "generator pinned to core {generator} (kept awake), {precedence}; what is measured to core {measured}, {others}",
                )
            }
            _ => f.write_str("nothing pinned: generator and what is measured share cores"),
        }
    }
}

/// The cores that this process may use.
fn usable() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(None) else { return Vec::new() };
    (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()
}

/// Keeps the calling thread, and what it starts from now on, on that core.
pub fn stay_on(core: Option<usize>) {
    if let Some(core) = core {
        let mut set = CpuSet::new();
        set.set(core);
        // Refused, everything runs as it did; the start error tells.
        let _ = sched_setaffinity(None, &set);
    }
}

/// The calling thread gives way to the others where a core is shared; it loses nothing where none is.
pub fn give_way() {
    // Refused, it does not.
    let _ = rustix::process::nice(GIVES_WAY);
}

/// Keeps the calling thread on a core until it is dropped, so that a child that is started meanwhile stays there.
#[derive(Debug)]
pub struct Visiting(Option<CpuSet>);

impl Visiting {
    /// Goes there; nowhere else if there is no such core.
    pub fn core(core: Option<usize>) -> Self {
        let before = core.and_then(|_| sched_getaffinity(None).ok());
        stay_on(core);
        Self(before)
    }
}

impl Drop for Visiting {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = sched_setaffinity(None, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_core_is_nobodys_own() {
        assert_eq!(Cores::among(&[3]), Cores::default());
        assert_eq!(
            Cores::among(&[2, 3, 5]),
            Cores { generator: Some(2), measured: Some(3), spare: true, ..Cores::default() }
        );
    }

    #[test]
    fn whoever_counts_leaves_the_generator_alone() {
        let cores = Cores::apart();
        let Some(generators) = cores.generator else { return };
        let started = move || {
            cores.leave_the_generator_alone();
            std::thread::spawn(usable).join().unwrap()
        };
        let inherited = std::thread::spawn(started).join().unwrap();
        assert!(!inherited.is_empty() && !inherited.contains(&generators), "{inherited:?}");
        assert!(usable().contains(&generators), "only whoever asks stays away");
    }

    #[test]
    fn a_thread_comes_back_from_its_visit() {
        let before = usable();
        let Some(last) = before.last().copied() else { return };
        {
            let _visiting = Visiting::core(Some(last));
            assert_eq!(usable(), [last]);
            let child =
                std::process::Command::new("sh").args(["-c", "grep Cpus_allowed_list /proc/self/status"]).output();
            let said = String::from_utf8(child.unwrap().stdout).unwrap();
            assert!(said.trim().ends_with(&format!("\t{last}")), "a child stays where it was started: {said}");
        }
        assert_eq!(usable(), before);
    }
}
