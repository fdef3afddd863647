//! A directory of recorded exchanges, each sealed as it is written. Whoever has the directory and not its key has nothing.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::{Zeroize, Zeroizing};

use crate::init::{MAX_EXCHANGES, Recorded, har};

/// What a file of exchanges begins with.
const MAGIC: &[u8] = b"sekisho capture 1\n";
/// A sealed exchange may be as long as this.
const MAX_SEALED_BYTES: u32 = 64 << 20;
/// How a file of exchanges ends.
const EXTENSION: &str = "capture";

/// The key of a directory. Zeroed on drop.
pub struct CaptureKey(Zeroizing<[u8; 32]>);

impl CaptureKey {
    /// A new one.
    pub fn new() -> Self {
        Self(Zeroizing::new(rand::random()))
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
        let fits = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let mut key = Zeroizing::new([0; 32]);
        for (n, byte) in key.iter_mut().enumerate() {
            *byte = digits(2 * n).filter(|_| fits)?;
        }
        Some(Self(key))
    }

    /// As hexadecimal digits, to be shown once or kept in a file.
    pub fn digits(&self) -> Zeroizing<String> {
        Zeroizing::new(blake3::Hash::from(*self.0).to_hex().to_string())
    }

    fn cipher(&self) -> io::Result<LessSafeKey> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &*self.0);
        key.map(LessSafeKey::new).map_err(|_| io::Error::other("the key cannot be used"))
    }
}

impl Default for CaptureKey {
    fn default() -> Self {
        Self::new()
    }
}

/// Appends exchanges to one new file.
pub struct Writer {
    file: File,
    cipher: LessSafeKey,
    number: u64,
}

impl Writer {
    /// Begins a file in `dir`, which is made for its owner alone, with the `consent` beside it.
    pub fn begin(dir: &Path, key: &CaptureKey, consent: &str, now: Timestamp, until: Timestamp) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let name = now.strftime("%Y%m%dT%H%M%S").to_string();
        let new = |extension: &str| {
            let path = dir.join(format!("{name}-{:08x}.{extension}", rand::random::<u32>()));
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
        };
        writeln!(new("consent")?, "{consent}\nfrom {now}\nuntil {until}")?;
        let mut file = new(EXTENSION)?;
        file.write_all(MAGIC)?;
        Ok(Self { file, cipher: key.cipher()?, number: 0 })
    }

    /// How many were written.
    pub fn written(&self) -> u64 {
        self.number
    }

    /// Seals and appends one.
    pub fn add(&mut self, exchange: &Recorded) -> io::Result<()> {
        let mut sealed = har::entry(exchange);
        let nonce: [u8; NONCE_LEN] = rand::random();
        let place = Aad::from(self.number.to_be_bytes());
        let done = self.cipher.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), place, &mut sealed);
        done.map_err(|_| io::Error::other("an exchange could not be sealed"))?;
        let length = u32::try_from(sealed.len()).ok().filter(|length| *length <= MAX_SEALED_BYTES);
        let length = length.ok_or_else(|| io::Error::other("an exchange is too long to be recorded"))?;
        let frame = [&length.to_be_bytes()[..], &nonce, &sealed].concat();
        self.file.write_all(&frame)?;
        self.number += 1;
        Ok(())
    }
}

/// Every exchange in `dir`, oldest file first. What was cut off at the end of a file is left out.
pub fn read(dir: &Path, key: &CaptureKey) -> io::Result<Vec<Recorded>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == EXTENSION));
    files.sort();
    let mut exchanges = Vec::new();
    for path in files {
        let about = |why: String| io::Error::other(format!("{}: {why}", path.display()));
        one(&path, key, &mut exchanges).map_err(|error| about(error.to_string()))?;
        if exchanges.len() > MAX_EXCHANGES {
            return Err(about(format!("more than {MAX_EXCHANGES} exchanges are in this directory")));
        }
    }
    Ok(exchanges)
}

fn one(path: &Path, key: &CaptureKey, exchanges: &mut Vec<Recorded>) -> io::Result<()> {
    let cipher = key.cipher()?;
    let mut file = io::BufReader::new(File::open(path)?);
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic)?;
    if magic != MAGIC {
        return Err(io::Error::other("is no file of recorded exchanges"));
    }
    for number in 0_u64.. {
        let (mut length, mut nonce) = ([0; 4], [0; NONCE_LEN]);
        if file.read_exact(&mut length).and_then(|()| file.read_exact(&mut nonce)).is_err() {
            break;
        }
        let length = u32::from_be_bytes(length);
        if length > MAX_SEALED_BYTES || exchanges.len() > MAX_EXCHANGES {
            return Err(io::Error::other("an exchange is longer, or more are recorded, than is ever written"));
        }
        let mut sealed = Vec::new();
        if (&mut file).take(u64::from(length)).read_to_end(&mut sealed)? < length as usize {
            break;
        }
        let opened =
            cipher.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(number.to_be_bytes()), &mut sealed);
        let opened = opened.map_err(|_| io::Error::other("does not open with this key, or was changed"))?;
        let exchange = har::read_entry(opened).map_err(io::Error::other);
        sealed.zeroize();
        exchanges.push(exchange?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn exchange(path: &str) -> Recorded {
        Recorded {
            server: "127.0.0.1:80".parse().unwrap(),
            tls: false,
            method: "POST".to_owned(),
            path: path.to_owned(),
            query: "a=b".to_owned(),
            headers: vec![("x-a".to_owned(), "1".to_owned())],
            body: vec![0x95, 0x5c],
            status: 200,
            answer_headers: Vec::new(),
            answer: b"secret".to_vec(),
        }
    }

    #[test]
    fn what_is_recorded_comes_back_with_its_key_alone_and_is_nobody_elses_to_read() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("captured");
        let key = CaptureKey::parse(&CaptureKey::new().digits()).unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let mut writer = Writer::begin(&dir, &key, "agreed", now, now).unwrap();
        writer.add(&exchange("/1")).unwrap();
        writer.add(&exchange("/2")).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let files: Vec<PathBuf> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!((mode(&dir), files.len()), (0o700, 2));
        assert!(files.iter().all(|file| mode(file) == 0o600));
        assert!(read(&dir, &key).unwrap() == [exchange("/1"), exchange("/2")]);
        assert!(read(&dir, &CaptureKey::new()).is_err());

        let path = files.iter().find(|file| file.extension().unwrap() == EXTENSION).unwrap();
        let bytes = std::fs::read(path).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"secret"));
        std::fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(read(&dir, &key).unwrap().len(), 1, "a torn tail is left out");
        let mut changed = bytes.clone();
        *changed.last_mut().unwrap() ^= 1;
        std::fs::write(path, changed).unwrap();
        assert!(read(&dir, &key).is_err());
    }

    #[test]
    fn only_sixty_four_digits_are_a_key() {
        for wrong in ["", "00", &"0".repeat(63), &"g".repeat(64), &"é".repeat(32)] {
            assert!(CaptureKey::parse(wrong).is_none(), "{wrong}");
        }
        assert!(CaptureKey::parse(&format!("{}\n", "0f".repeat(32))).is_some());
    }
}
