//! Sealed evidence of answers that named somebody else: who was asked about and who was seen, and the answer itself. This process can
//! make it and never read it; two persons open it elsewhere, so that victims can be named.

mod seal;

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use sekisho_issuance::id::RequestId;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use seal::{EvidenceKey, PersonKey, PersonSecret, SealError, open};

/// In the state directory.
pub const FOLDER: &str = "evidence";

/// What a record holds of sealed evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// To whom: the first person's public key.
    pub first: String,
    /// And the second's.
    pub second: String,
    /// Who was asked about and what was seen, sealed; base64.
    pub ids: String,
    /// The answer itself, where it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<SealedAnswer>,
}

/// A file that holds an answer, sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedAnswer {
    /// Its name in `evidence/`.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 of it, hexadecimal.
    pub digest: String,
}

/// A file that is still to be written.
pub struct Unwritten {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// Where sealed answers are kept, up to a bound.
#[derive(Debug, Default)]
pub struct EvidenceStore {
    folder: PathBuf,
    kept_bytes: AtomicU64,
}

/// What is asked for inside the seal, apart from the ids.
const ANSWER: &str = "answer";

/// What a seal is bound to.
fn about(request: RequestId, what: &str) -> String {
    format!("{request}/{what}")
}

impl EvidenceStore {
    /// The folder in the state directory `root`; made if it is not there.
    pub fn open(root: &Path) -> io::Result<Self> {
        let folder = root.join(FOLDER);
        match fs::DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let mut kept_bytes = 0;
        for entry in fs::read_dir(&folder)? {
            kept_bytes += entry?.metadata()?.len();
        }
        Ok(Self { folder, kept_bytes: AtomicU64::new(kept_bytes) })
    }

    /// Seals `ids`, and `answer` while no more than `limit_bytes` are kept. `None` where nothing could be sealed.
    pub fn seal(
        &self,
        key: &EvidenceKey,
        request: RequestId,
        ids: &[u8],
        answer: Option<&[u8]>,
        limit_bytes: u64,
    ) -> Option<(Sealed, Option<Unwritten>)> {
        let ids = STANDARD.encode(key.seal(&about(request, "ids"), ids)?);
        let sealed = answer.and_then(|answer| key.seal(&about(request, ANSWER), answer));
        let fits = |sealed: &Vec<u8>| {
            let bytes = sealed.len() as u64;
            let kept = self.kept_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
            if kept > limit_bytes {
                self.kept_bytes.fetch_sub(bytes, Ordering::Relaxed);
                tracing::error!(%request, "no room for the answer's evidence; only the ids are kept ([audit] evidence_limit)");
            }
            kept <= limit_bytes
        };
        let unwritten = sealed.filter(fits).map(|bytes| {
            let file = format!("{request}.sealed");
            let digest = blake3::hash(&bytes).to_hex().to_string();
            let answer = SealedAnswer { file: file.clone(), bytes: bytes.len() as u64, digest };
            (answer, Unwritten { path: self.folder.join(file), bytes })
        });
        let (answer, unwritten) = unwritten.unzip();
        Some((Sealed { first: key.first.to_string(), second: key.second.to_string(), ids, answer }, unwritten))
    }

    /// Removes what is older than `keep`; how many files. Their time stands in their names.
    pub fn forget(&self, now: Timestamp, keep: std::time::Duration) -> io::Result<usize> {
        let mut forgotten = 0;
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let made = name.to_str().and_then(|n| made_at(n.split('.').next().unwrap_or_default()));
            let age = made.and_then(|made| std::time::Duration::try_from(now.duration_since(made)).ok());
            if age.is_some_and(|age| age > keep) {
                let bytes = entry.metadata()?.len();
                fs::remove_file(entry.path())?;
                let _ = self
                    .kept_bytes
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |kept| Some(kept.saturating_sub(bytes)));
                forgotten += 1;
            }
        }
        Ok(forgotten)
    }
}

/// The moment inside a request id.
fn made_at(request: &str) -> Option<Timestamp> {
    let milliseconds = i64::try_from(RequestId::parse(request)?.as_u128() >> 80).ok()?;
    Timestamp::from_millisecond(milliseconds).ok()
}

impl Unwritten {
    /// Writes it durably. Blocks.
    pub fn write(self) -> io::Result<()> {
        crate::state_dir::replace_durably(&self.path, &self.bytes)
    }
}

impl Sealed {
    /// Opens the ids: JSON.
    pub fn open_ids(
        &self,
        first: &PersonSecret,
        second: &PersonSecret,
        request: RequestId,
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let sealed = STANDARD.decode(&self.ids).map_err(|_| SealError::Closed)?;
        open(first, second, &about(request, "ids"), &sealed)
    }
}

impl SealedAnswer {
    /// Opens the file in `folder`: the answer as it came.
    pub fn open(
        &self,
        folder: &Path,
        first: &PersonSecret,
        second: &PersonSecret,
        request: RequestId,
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        // The name is a record's word; it never leads anywhere else.
        let name = Path::new(&self.file).file_name().ok_or(SealError::Closed)?;
        let bytes = fs::read(folder.join(name))?;
        if blake3::hash(&bytes).to_hex().as_str() != self.digest {
            return Err(SealError::Closed);
        }
        open(first, second, &about(request, ANSWER), &bytes)
    }
}
