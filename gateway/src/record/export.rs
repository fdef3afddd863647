//! The exported head: a small file beside the records, and one wherever a store that forgets nothing picks it up.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use sekisho_worker::journal::Frame;

use super::SignedHead;
use super::head::hex;

/// The name of the file beside the segments.
pub const HEAD_FILE: &str = "head";
/// How often [`super::Records::export_head`] is due.
pub const EXPORT_EVERY: Duration = Duration::from_secs(1);

/// The head that was exported last, as far as this directory knows. What cannot be read is none: it is a copy, never the source.
pub(super) fn read(dir: &Path) -> Option<SignedHead> {
    serde_json::from_str(&fs::read_to_string(dir.join(HEAD_FILE)).ok()?).ok()
}

/// Puts `head` into `path`, whole or not at all. Never synced: one that is lost in a crash is only older.
pub(super) fn write(path: &Path, head: &SignedHead) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut text = serde_json::to_vec(head)?;
    text.push(b'\n');
    fs::File::create(&beside)?.write_all(&text)?;
    fs::rename(&beside, path)
}

impl SignedHead {
    /// Whether it was taken at this frame of segment `number`.
    pub(super) fn is_of(&self, number: u64, frame: &Frame<'_>) -> bool {
        self.segment == number && self.frames == frame.number && self.head == hex(frame.head)
    }
}
