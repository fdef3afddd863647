//! What was made of files, and is made again when they change. What is broken is said and changes nothing.

use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;

use super::{Files, TlsError};

/// What came of looking at the files again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    /// They are as they were.
    Same,
    /// What they hold is in force for connections from now on.
    Replaced,
    /// They cannot be used; what was in force stays.
    Broken,
}

/// How a file looked: enough to see that it was replaced or rewritten.
type Stamp = Option<(SystemTime, u64, u64)>;

struct Seen {
    stamps: Vec<Stamp>,
    broken: Option<String>,
}

type Make<T> = Box<dyn Fn(&Files) -> Result<T, TlsError> + Send + Sync>;

/// A `T` made of files. Whoever took one before a change keeps it.
pub struct Live<T> {
    files: Files,
    make: Make<T>,
    now: ArcSwap<T>,
    seen: Mutex<Seen>,
}

impl<T> Live<T> {
    /// Makes the first one.
    pub fn open(
        files: Files,
        make: impl Fn(&Files) -> Result<T, TlsError> + Send + Sync + 'static,
    ) -> Result<Self, TlsError> {
        // Before they are read, so that what changes meanwhile is seen the next time.
        let seen = Mutex::new(Seen { stamps: stamps(&files), broken: None });
        let now = ArcSwap::from_pointee(make(&files)?);
        Ok(Self { files, make: Box::new(make), now, seen })
    }

    /// The one in force.
    pub fn get(&self) -> Arc<T> {
        self.now.load_full()
    }

    /// Where it is made of.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Why the files are not in force as they are, if so.
    pub fn broken(&self) -> Option<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).broken.clone()
    }

    /// Looks whether a file changed, and if so puts what they hold in force, or keeps what is.
    pub fn refresh(&self) -> Refreshed {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = stamps(&self.files);
        // What is broken may heal without a change: a file may become readable, or an identity begin to hold.
        if stamps == seen.stamps && seen.broken.is_none() {
            return Refreshed::Same;
        }
        seen.stamps = stamps;
        match (self.make)(&self.files) {
            Ok(made) => {
                self.now.store(Arc::new(made));
                seen.broken = None;
                tracing::info!("TLS files taken over");
                Refreshed::Replaced
            }
            Err(error) => {
                let error = error.to_string();
                if seen.broken.as_ref() != Some(&error) {
                    tracing::error!(%error, "TLS files not taken over; what was read before stays in force");
                }
                seen.broken = Some(error);
                Refreshed::Broken
            }
        }
    }
}

fn stamps(files: &Files) -> Vec<Stamp> {
    let stamp = |path| {
        let about = std::fs::metadata(path).ok()?;
        Some((about.modified().ok()?, about.len(), about.ino()))
    };
    files.paths().map(stamp).collect()
}
