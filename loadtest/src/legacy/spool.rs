//! Output files: written under a name, collected by that name. Whoever writes last under a name wins.
//!
//! Right: names come from one list for the whole site and are not given out twice at a time. Wrong: named by the second (kawasaki),
//! or from a list that each host has for itself although the spool is shared (takamatsu).

use std::collections::HashMap;
use std::sync::Mutex;

use super::held;

/// Names that are not in use, with a lock around them. One for the site, or one a host.
#[derive(Debug, Default)]
pub(super) struct Names {
    inside: Mutex<(Vec<u32>, u32)>,
}

/// A name taken from a list; back on the list when dropped.
pub(super) struct Name<'a> {
    names: &'a Names,
    number: u32,
}

impl Name<'_> {
    pub(super) fn file(&self) -> String {
        format!("OUT{:04}.PDF", self.number)
    }
}

impl Drop for Name<'_> {
    fn drop(&mut self) {
        held(&self.names.inside).0.push(self.number);
    }
}

impl Names {
    pub(super) fn take(&self) -> Name<'_> {
        let mut inside = held(&self.inside);
        let number = inside.0.pop().unwrap_or_else(|| {
            inside.1 += 1;
            inside.1
        });
        Name { names: self, number }
    }
}

/// The shared directory.
#[derive(Debug)]
pub(super) struct Spool<T> {
    files: Mutex<HashMap<String, T>>,
}

impl<T> Default for Spool<T> {
    fn default() -> Self {
        Self { files: Mutex::default() }
    }
}

/// Files kept before old ones are cleared out; names by the second would otherwise pile up.
const MOST_FILES: usize = 4096;

impl<T: Clone> Spool<T> {
    pub(super) fn write(&self, name: &str, file: T) {
        let mut files = held(&self.files);
        if files.len() >= MOST_FILES {
            files.clear();
        }
        files.insert(name.to_owned(), file);
    }

    pub(super) fn read(&self, name: &str) -> Option<T> {
        held(&self.files).get(name).cloned()
    }
}
