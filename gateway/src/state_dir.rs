//! The one state directory: who may open it, which layout it has, its keys, and how often it was started.
//!
//! Never repaired and never guessed: what is unreadable, newer or shared with others refuses to start.

mod durable;
mod keys;
mod pseudonym;
mod signing;

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sekisho_issuance::fence::Epoch;

pub(crate) use durable::replace as replace_durably;
pub use keys::{AdminKey, Keys, Pseudonym, RecordKey};
pub use pseudonym::PseudonymKeys;
pub use signing::{CheckpointKey, CheckpointPublic};

/// The layout that this build writes; it opens the one before too and brings it up to this one.
///
/// 2: segments of the records are chained to each other, records are checkpointed, and there is a key that signs. What was written in
/// layout 1 stays as it is.
pub const FORMAT: u32 = 2;

const VERSION_FILE: &str = "version";
const CHECKPOINT_KEY_FILE: &str = "checkpoint.key";
const KEYS_FILE: &str = "keys";
const PSEUDONYMS_FILE: &str = "pseudonyms";
const LOCK_FILE: &str = "lock";
const STARTS_FILE: &str = "starts";
const CLEAN_FILE: &str = "clean-shutdown";

/// Why the state directory was refused. Starting without it would forget latches and what was released.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// Another process holds it.
    #[error("{0}: another process is using this state directory; stop it first")]
    InUse(PathBuf),
    /// It belongs to another user.
    #[error("{path}: belongs to user {owner}, but this process is user {process}; run as its owner or `chown` it")]
    Owner {
        /// The directory.
        path: PathBuf,
        /// Who owns it.
        owner: u32,
        /// Who we are.
        process: u32,
    },
    /// Others may read or write it.
    #[error("{path}: mode is {mode:o}, which lets others in; `chmod 700` it")]
    Mode {
        /// The directory or file.
        path: PathBuf,
        /// The permission bits found.
        mode: u32,
    },
    /// It holds files but no version: not ours.
    #[error("{0}: is not empty and has no `version` file, so it is not a state directory; name an empty one")]
    NotOurs(PathBuf),
    /// Written by a newer build, or not readable.
    #[error("{path}: {what}; this build reads layout {FORMAT}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// A key or the start counter is gone although there were starts before: lanes and digests would silently change.
    #[error("{0}: is missing or damaged although this state directory was used before; restore it from the backup")]
    Lost(PathBuf),
    /// The operating system said no.
    #[error("{path}: {error}")]
    Io {
        /// What was touched.
        path: PathBuf,
        /// Its answer.
        error: io::Error,
    },
}

/// An address that was bound, published for commands, tests and the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// The kiosk side.
    Kiosk,
    /// Metrics and probes.
    Metrics,
    /// The admin API.
    Admin,
}

impl Listener {
    const fn file(self) -> &'static str {
        match self {
            Self::Kiosk => "listen.addr",
            Self::Metrics => "metrics.addr",
            Self::Admin => "admin.addr",
        }
    }
}

/// The opened, exclusively locked state directory. The lock lives as long as this value.
#[derive(Debug)]
pub struct StateDir {
    root: PathBuf,
    keys: Keys,
    admin_key: AdminKey,
    checkpoint_key: CheckpointKey,
    epoch: Epoch,
    clean_before: bool,
    _lock: File,
}

impl StateDir {
    /// Opens or creates it. Each successful call counts one start, which is the epoch of embedded mode.
    pub fn open(root: &Path) -> Result<Self, StateDirError> {
        create(root)?;
        let lock = lock(root)?;
        check_owner(root, &lock)?;
        let found = check_version(root)?;
        let starts = next_start(root, found == Found::Nothing)?;
        let first = starts == 1;
        let keys = Keys::load(&root.join(KEYS_FILE), false)?;
        let admin_key = AdminKey::load(&root.join("admin.key"))?;
        let checkpoint_key = CheckpointKey::load(&root.join(CHECKPOINT_KEY_FILE))?;
        if found == Found::Before {
            // Last, so that a start that dies before can be repeated; the build before refuses from here on.
            write_version(root)?;
            tracing::warn!(layout = FORMAT, "the state directory was brought up to this build's layout");
        }
        for listener in [Listener::Kiosk, Listener::Metrics, Listener::Admin] {
            remove(&root.join(listener.file()))?;
        }
        let clean_before = root.join(CLEAN_FILE).exists() || first;
        remove(&root.join(CLEAN_FILE))?;
        durable::sync_dir(root).map_err(|error| StateDirError::Io { path: root.to_owned(), error })?;
        let epoch = Epoch(starts);
        Ok(Self { root: root.to_owned(), keys, admin_key, checkpoint_key, epoch, clean_before, _lock: lock })
    }

    /// A path inside it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Its root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The keys made on the first start.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// What an operator's command must present.
    pub fn admin_key(&self) -> &AdminKey {
        &self.admin_key
    }

    /// What signs checkpoints.
    pub fn checkpoint_key(&self) -> &CheckpointKey {
        &self.checkpoint_key
    }

    /// The number of this start.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether the process before said goodbye (true on the very first start). Otherwise its intents still bind us.
    pub fn was_clean(&self) -> bool {
        self.clean_before
    }

    /// Publishes the address a listener was bound to, so that port 0 works.
    pub fn publish(&self, listener: Listener, address: SocketAddr) -> Result<(), StateDirError> {
        let path = self.root.join(listener.file());
        durable::replace(&path, address.to_string().as_bytes()).map_err(|error| StateDirError::Io { path, error })
    }

    /// Says goodbye: call only after every operation in flight ended and every journal was closed.
    pub fn mark_clean(self) -> Result<(), StateDirError> {
        let path = self.root.join(CLEAN_FILE);
        durable::replace(&path, b"").map_err(|error| StateDirError::Io { path, error })
    }
}

/// Who signs the checkpoints of `root`, for commands; makes nothing.
pub fn checkpoint_public(root: &Path) -> Result<CheckpointPublic, StateDirError> {
    let path = root.join(CHECKPOINT_KEY_FILE);
    let there = fs::metadata(&path).map_err(|error| StateDirError::Io { path: path.clone(), error });
    there.and_then(|_| CheckpointKey::load(&path)).map(|key| key.public())
}

/// Every key of pseudonyms that `root` keeps, for commands; makes nothing.
pub fn pseudonym_keys(root: &Path) -> Result<PseudonymKeys, StateDirError> {
    Keys::load(&root.join(KEYS_FILE), false).map(|keys| keys.pseudonym)
}

/// The address that the process using `root` published. For commands; opens nothing and locks nothing.
pub fn published(root: &Path, listener: Listener) -> Result<SocketAddr, StateDirError> {
    let path = root.join(listener.file());
    let text = fs::read_to_string(&path).map_err(|error| StateDirError::Io { path: path.clone(), error })?;
    text.trim().parse().map_err(|_| StateDirError::Format { path, what: "does not hold an address".to_owned() })
}

fn create(root: &Path) -> Result<(), StateDirError> {
    let io = |error| StateDirError::Io { path: root.to_owned(), error };
    match DirBuilder::new().mode(0o700).create(root) {
        Ok(()) => root.parent().map_or(Ok(()), |parent| {
            durable::sync_dir(if parent.as_os_str().is_empty() { Path::new(".") } else { parent }).map_err(io)
        }),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mode = fs::metadata(root).map_err(io)?.permissions().mode() & 0o777;
            if mode & 0o077 == 0 { Ok(()) } else { Err(StateDirError::Mode { path: root.to_owned(), mode }) }
        }
        Err(error) => Err(io(error)),
    }
}

fn lock(root: &Path) -> Result<File, StateDirError> {
    let path = root.join(LOCK_FILE);
    // A foreign non-empty directory must stay untouched, so look before the lock file is made.
    if !path.exists() && !root.join(VERSION_FILE).exists() && !is_empty(root)? {
        return Err(StateDirError::NotOurs(root.to_owned()));
    }
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| StateDirError::Io { path: path.clone(), error })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StateDirError::InUse(root.to_owned())),
        Err(TryLockError::Error(error)) => Err(StateDirError::Io { path, error }),
    }
}

/// A file that this process makes carries its user id, which tells it without asking libc.
fn check_owner(root: &Path, lock: &File) -> Result<(), StateDirError> {
    let io = |error| StateDirError::Io { path: root.to_owned(), error };
    let probe = root.join("owner-probe");
    remove(&probe)?;
    let made = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&probe).map_err(io)?;
    let process = made.metadata().map_err(io)?.uid();
    remove(&probe)?;
    for owner in [fs::metadata(root).map_err(io)?.uid(), lock.metadata().map_err(io)?.uid()] {
        if owner != process {
            return Err(StateDirError::Owner { path: root.to_owned(), owner, process });
        }
    }
    Ok(())
}

/// What a directory held when it was opened.
#[derive(PartialEq, Eq)]
enum Found {
    /// It is new; the version file was just written.
    Nothing,
    /// The layout before this build's.
    Before,
    /// This build's layout.
    Ours,
}

fn write_version(root: &Path) -> Result<(), StateDirError> {
    let path = root.join(VERSION_FILE);
    durable::replace(&path, format!("sekisho-state {FORMAT}\n").as_bytes())
        .map_err(|error| StateDirError::Io { path, error })
}

fn check_version(root: &Path) -> Result<Found, StateDirError> {
    let path = root.join(VERSION_FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if !is_empty(root)? {
                return Err(StateDirError::NotOurs(root.to_owned()));
            }
            write_version(root)?;
            return Ok(Found::Nothing);
        }
        Err(error) => {
            return Err(StateDirError::Format { path, what: format!("cannot be read ({error})") });
        }
    };
    match text.strip_prefix("sekisho-state ").and_then(|n| n.trim_end().parse::<u32>().ok()) {
        Some(FORMAT) => Ok(Found::Ours),
        Some(before) if before + 1 == FORMAT => Ok(Found::Before),
        Some(other) => {
            Err(StateDirError::Format { path, what: format!("layout {other} was written by another build") })
        }
        None => Err(StateDirError::Format { path, what: "does not name a layout".to_owned() }),
    }
}

/// Counts this start, durably, before anything is done under it. Zero is written before the keys are made, one after.
fn next_start(root: &Path, fresh: bool) -> Result<u64, StateDirError> {
    let path = root.join(STARTS_FILE);
    let keys = root.join(KEYS_FILE);
    let write = |count: u64| {
        durable::replace(&path, format!("{count}\n").as_bytes())
            .map_err(|error| StateDirError::Io { path: path.clone(), error })
    };
    let before = match fs::read_to_string(&path) {
        Ok(text) => text.trim_end().parse::<u64>().map_err(|_| StateDirError::Lost(path.clone()))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound && (fresh || !keys.exists()) => {
            write(0)?;
            0
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(StateDirError::Lost(path)),
        Err(error) => return Err(StateDirError::Io { path, error }),
    };
    Keys::load(&keys, before == 0)?;
    write(before + 1)?;
    Ok(before + 1)
}

fn is_empty(root: &Path) -> Result<bool, StateDirError> {
    let io = |error| StateDirError::Io { path: root.to_owned(), error };
    for entry in fs::read_dir(root).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        // A half-written version file of a first start that died belongs to nobody else.
        if ![LOCK_FILE, "version.new", "owner-probe"].iter().any(|ours| name == *ours) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn remove(path: &Path) -> Result<(), StateDirError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StateDirError::Io { path: path.to_owned(), error })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
