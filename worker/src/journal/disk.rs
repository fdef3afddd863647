//! What a journal asks of a disk. A seam, so that tests can hold back a sync, fail it, or forget what was not synced.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// One file open for appending.
pub trait Storage: Send {
    /// Writes all of `bytes` at `offset`; durable only after [`Storage::sync`].
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes durable what was written. After an error nothing is known of it, and it is never called again.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file to `length` and makes that durable too.
    fn finish(&mut self, length: u64) -> io::Result<()>;
}

/// Where files are.
pub trait Disk: Send + Sync {
    /// Makes the file at `path` hold `bytes`, whole or not at all, in the place of whatever is there.
    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<Box<dyn Storage>>;

    /// Opens a file that is there.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Storage>>;
}

/// The machine's own files.
#[derive(Debug, Clone, Copy, Default)]
pub struct Files;

impl Disk for Files {
    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<Box<dyn Storage>> {
        let beside = path.with_extension("new");
        let mut file = File::options().read(true).write(true).create(true).truncate(true).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()?;
        Ok(Box::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Storage>> {
        Ok(Box::new(File::options().read(true).write(true).open(path)?))
    }
}

impl Storage for File {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn finish(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.sync_all()
    }
}
