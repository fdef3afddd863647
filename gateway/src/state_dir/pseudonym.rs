//! The keys that hide who somebody is in logs and records. They change with time; older ones stay while records of their time do.

use std::fmt;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::keys::{Pseudonym, check_mode, hex, random, unhex};
use super::{KEYS_FILE, StateDirError, durable};

#[derive(Clone, Zeroize, ZeroizeOnDrop)]
struct Key {
    /// `None`: since the first start.
    #[zeroize(skip)]
    since: Option<Timestamp>,
    bytes: [u8; 32],
}

/// All of them; the last is in use. Never the lane key, which cannot change.
#[derive(Clone)]
pub struct PseudonymKeys {
    path: PathBuf,
    keys: Arc<ArcSwap<Vec<Key>>>,
}

impl PseudonymKeys {
    /// `first` is the one that was made on the first start; `path` holds every one once there is a second.
    pub(super) fn load(path: &Path, first: [u8; 32]) -> Result<Self, StateDirError> {
        let keys = match fs::read_to_string(path) {
            Ok(text) => {
                check_mode(path)?;
                let read = Zeroizing::new(text).lines().map(read).collect::<Option<Vec<_>>>();
                read.filter(|keys| !keys.is_empty()).ok_or_else(|| StateDirError::Lost(path.to_owned()))?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => vec![Key { since: None, bytes: first }],
            Err(error) => return Err(StateDirError::Io { path: path.to_owned(), error }),
        };
        Ok(Self { path: path.to_owned(), keys: Arc::new(ArcSwap::from_pointee(keys)) })
    }

    /// The pseudonym of `text`; `domain` keeps a session and a resident of the same text apart.
    pub fn of(&self, domain: &'static str, text: &str) -> Pseudonym {
        let keys = self.keys.load();
        // There is always one.
        keys.last().map_or(Pseudonym(0), |key| key.of(domain, text))
    }

    /// The pseudonyms that `text` has or had.
    pub fn every(&self, domain: &'static str, text: &str) -> Vec<Pseudonym> {
        self.keys.load().iter().map(|key| key.of(domain, text)).collect()
    }

    /// Begins a new key where the one in use is older than `period`, and destroys those whose records are older than `keep`. Whether
    /// anything changed. `began` is when the records began, for a key that does not say since when it is used.
    pub fn turn(
        &self,
        now: Timestamp,
        began: Timestamp,
        period: Duration,
        keep: Duration,
    ) -> Result<bool, StateDirError> {
        let age = |at: Timestamp| Duration::try_from(now.duration_since(at)).unwrap_or_default();
        let mut keys = Vec::clone(&self.keys.load());
        let before = keys.len();
        // A key is needed until the records are gone that were written before its successor.
        let mut first_is_over = false;
        while keys.get(1).is_some_and(|next| next.since.is_some_and(|since| age(since) > keep)) {
            first_is_over |= keys.remove(0).since.is_none();
        }
        let due = keys.last().is_some_and(|key| age(key.since.unwrap_or(began)) > period);
        if due {
            let bytes = random().map_err(|error| StateDirError::Io { path: self.path.clone(), error })?;
            keys.push(Key { since: Some(now), bytes: *bytes });
        }
        if !due && keys.len() == before {
            return Ok(false);
        }
        let mut text = Zeroizing::new(String::new());
        for key in &keys {
            let since = key.since.map_or_else(|| "first".to_owned(), |since| since.to_string());
            let _ = writeln!(text, "{since} {}", &*hex(&key.bytes));
        }
        durable::replace(&self.path, text.as_bytes())
            .map_err(|error| StateDirError::Io { path: self.path.clone(), error })?;
        self.keys.store(Arc::new(keys));
        if first_is_over {
            forget_first(&self.path.with_file_name(KEYS_FILE))?;
        }
        Ok(true)
    }
}

/// The first key also stands where all keys were made; something else is put there.
fn forget_first(path: &Path) -> Result<(), StateDirError> {
    let io = |error| StateDirError::Io { path: path.to_owned(), error };
    let before = Zeroizing::new(fs::read_to_string(path).map_err(io)?);
    let mut after = Zeroizing::new(String::new());
    for line in before.lines() {
        if line.starts_with("pseudonym ") {
            let _ = writeln!(after, "pseudonym {}", &*hex(random().map_err(io)?.as_slice()));
        } else {
            let _ = writeln!(after, "{line}");
        }
    }
    durable::replace(path, after.as_bytes()).map_err(io)
}

fn read(line: &str) -> Option<Key> {
    let (since, key) = line.split_once(' ')?;
    let since = if since == "first" { None } else { Some(since.parse().ok()?) };
    Some(Key { since, bytes: unhex(key)? })
}

impl Key {
    fn of(&self, domain: &'static str, text: &str) -> Pseudonym {
        let mut hasher = blake3::Hasher::new_keyed(&self.bytes);
        hasher.update(domain.as_bytes());
        hasher.update(&[0]);
        hasher.update(text.as_bytes());
        let mut bits = [0; 8];
        hasher.finalize_xof().fill(&mut bits);
        Pseudonym(u64::from_be_bytes(bits))
    }
}

impl fmt::Debug for PseudonymKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymKeys(<redacted>)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn keys_change_with_time_and_older_ones_stay_while_their_records_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pseudonyms");
        let first_key = format!("pseudonym {}", "01".repeat(32));
        fs::write(dir.path().join("keys"), format!("lane 00\n{first_key}\nrecord 02\n")).unwrap();
        let keys = PseudonymKeys::load(&path, [1; 32]).unwrap();
        let at = |days: i64| Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(24 * days);
        let turn = |keys: &PseudonymKeys, days| keys.turn(at(days), at(0), 10 * DAY, 30 * DAY).unwrap();
        let first = keys.of("resident", "1");
        assert!(!turn(&keys, 9));
        assert!(turn(&keys, 11));
        let second = keys.of("resident", "1");
        assert_ne!(first, second);
        // A restart reads them all, whatever the first file says.
        let keys = PseudonymKeys::load(&path, [9; 32]).unwrap();
        assert_eq!(keys.every("resident", "1"), [first, second]);
        assert!(!turn(&keys, 12));
        assert!(turn(&keys, 22) && keys.every("resident", "1").len() == 3);
        assert!(turn(&keys, 42), "the first is destroyed: what it hid is gone since day 41");
        let made = fs::read_to_string(dir.path().join("keys")).unwrap();
        assert!(!made.contains(&first_key) && made.contains("lane 00") && made.contains("record 02"), "{made}");
        assert!(!keys.every("resident", "1").contains(&first) && keys.every("resident", "1").contains(&second));
        assert!(!format!("{keys:?}").contains('1'));
    }
}
