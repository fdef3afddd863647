//! From when on a version of a record was public: an amend was acknowledged, or the system of record showed it.

use std::collections::HashMap;
use std::time::Instant;

/// Version history per resident, as the outside could know it.
#[derive(Debug, Default)]
pub struct Known {
    versions: HashMap<String, Vec<(Instant, u64)>>,
}

impl Known {
    /// `version` of `resident` was acknowledged or shown at `at`. Order of calls does not matter.
    pub fn note(&mut self, resident: &str, version: u64, at: Instant) {
        if !self.versions.contains_key(resident) {
            self.versions.insert(resident.to_owned(), Vec::new());
        }
        if let Some(history) = self.versions.get_mut(resident) {
            // A reading that repeats what was known earlier adds nothing; most are like that.
            if !history.iter().any(|(earlier, known)| *known >= version && *earlier <= at) {
                history.push((at, version));
            }
        }
    }

    /// The newest version that was known before `at`.
    pub fn floor(&self, resident: &str, at: Instant) -> u64 {
        let history = self.versions.get(resident).map(Vec::as_slice).unwrap_or_default();
        history.iter().filter(|(known_at, _)| *known_at < at).map(|(_, version)| *version).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_version_binds_only_what_begins_after_it_was_known() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut known = Known::default();
        known.note("a", 3, after(30));
        known.note("a", 2, after(10));
        known.note("a", 2, after(40));
        assert_eq!([0, 10, 11, 30, 31, 50].map(|ms| known.floor("a", after(ms))), [0, 0, 2, 2, 3, 3]);
        assert_eq!(known.floor("b", after(50)), 0);
    }
}
