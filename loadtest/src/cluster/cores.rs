//! Which of the machine's cores what runs on. Says so, and never fails a run: where nothing can be pinned everything may run anywhere.

use std::fmt;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Enough that whoever counts is never before whoever begins, and still gets a third of what is left.
const GIVES_WAY: i32 = 5;

/// Who may run where; `None`: on any core of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cores {
    /// The generator: whoever begins sessions and hears their answers.
    pub generator: Option<usize>,
    /// What is measured.
    pub measured: Option<usize>,
}

impl Cores {
    /// A core each for generator and measured, the first and the second of those that this process may use, if it may use two.
    pub fn apart() -> Self {
        Self::among(&usable())
    }

    fn among(usable: &[usize]) -> Self {
        match usable {
            [first, second, ..] => Self { generator: Some(*first), measured: Some(*second) },
            _ => Self::default(),
        }
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.generator, self.measured) {
            (Some(generator), Some(measured)) => {
                write!(f, "generator pinned to core {generator}, what is measured to core {measured}, all else on any")
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
        assert_eq!(Cores::among(&[2, 3, 5]), Cores { generator: Some(2), measured: Some(3) });
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
