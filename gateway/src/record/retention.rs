//! Retention: whole segments are removed once everything in them was kept for as long as it must be. What remains says so.

use std::fs;
use std::time::Duration;

use jiff::Timestamp;

use super::{Dropped, Record, Records, RecordsError, lock, segments};

/// How often old segments, evidence and keys are looked for.
pub const TIDY_EVERY: Duration = Duration::from_secs(3600);

impl Records {
    /// Removes every segment whose last record is older than `keep`, that a snapshot speaks for and that is not in use. Blocks; how many.
    ///
    /// A clock that jumped ahead removes nothing for as long as the segment in use is of before: somebody has a day to notice.
    pub fn drop_old(&self, keep: Duration) -> Result<usize, RecordsError> {
        let turning = &*self.turning;
        let now = turning.clock.now();
        let older = |at: Timestamp| Duration::try_from(now.duration_since(at)).is_ok_and(|age| age > keep);
        if older(*lock(&turning.began)) {
            tracing::warn!(
                "no old records are removed: by this clock even the segment in use is older than they are kept"
            );
            return Ok(0);
        }
        let (through, in_use) = (*lock(&turning.through), self.log.place().segment);
        let mut dropped = 0;
        for number in segments::list(&turning.dir)? {
            if number > through || number >= in_use || !self.is_durable() {
                break;
            }
            let (mut until, mut strange) = (None, false);
            let report = segments::read(&turning.dir, number, |entry| match serde_json::from_slice::<Record>(entry) {
                Ok(record) => until = until.max(Some(record.at())),
                Err(_) => strange = true,
            })?;
            if strange || until.is_some_and(|until| !older(until)) {
                break;
            }
            let record = Dropped { at: now, segment: number, head: report.head, records: report.entries, until };
            // Said first, durably: whoever verifies later learns that it was not cut off.
            if wait(self.append(&Record::Dropped(record))).is_err() {
                break;
            }
            let path = segments::path(&turning.dir, number);
            fs::remove_file(&path).map_err(|error| RecordsError::Io { path, error })?;
            dropped += 1;
        }
        if dropped > 0 {
            tracing::info!(segments = dropped, "old records were removed: their time was over");
        }
        Ok(dropped)
    }

    /// When the oldest record that is kept was written.
    pub fn began(&self) -> Option<Timestamp> {
        let dir = &self.turning.dir;
        let first = *segments::list(dir).ok()?.first()?;
        let mut began = None;
        segments::read(dir, first, |entry| {
            if began.is_none() {
                began = serde_json::from_slice::<Record>(entry).ok().map(|record| record.at());
            }
        })
        .ok()?;
        began
    }
}

/// On a thread of its own, apart from any runtime's.
fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::task::Waker::from(std::sync::Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
            std::task::Poll::Ready(result) => return result,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}
