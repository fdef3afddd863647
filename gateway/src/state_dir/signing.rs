//! The key that signs checkpoints of the records. Its public half is printed, recorded and exported; the other never leaves.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use super::keys::{check_mode, hex, random, unhex};
use super::{StateDirError, durable};

/// Signs.
#[derive(Clone)]
pub struct CheckpointKey(SigningKey);

/// Who signed: 64 hexadecimal digits where it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointPublic(VerifyingKey);

impl CheckpointKey {
    /// Reads `path`, or makes it: a lost one costs nothing but that older checkpoints need `--key` to be verified.
    pub(super) fn load(path: &Path) -> Result<Self, StateDirError> {
        let io = |error| StateDirError::Io { path: path.to_owned(), error };
        let text = match fs::read_to_string(path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let text = hex(random().map_err(io)?.as_slice());
                durable::replace(path, text.as_bytes()).map_err(io)?;
                text
            }
            Err(error) => return Err(io(error)),
        };
        check_mode(path)?;
        let key = unhex(text.trim()).map(Zeroizing::new);
        let key = key.ok_or_else(|| StateDirError::Format { path: path.to_owned(), what: "is no key".to_owned() })?;
        Ok(Self::new(&key))
    }

    /// From 32 random bytes.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(bytes))
    }

    /// Who it signs as.
    pub fn public(&self) -> CheckpointPublic {
        CheckpointPublic(self.0.verifying_key())
    }

    /// Signs `message`.
    pub fn sign(&self, message: &[u8]) -> String {
        hex(&self.0.sign(message).to_bytes()).to_string()
    }
}

impl CheckpointPublic {
    /// From 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        VerifyingKey::from_bytes(&unhex(text.trim())?).ok().map(Self)
    }

    /// Whether it signed `message` so; a signature that could also be another message's is none.
    pub fn signed(&self, message: &[u8], signature: &str) -> bool {
        let half = |range| signature.get(range).and_then(unhex);
        let (Some(first), Some(second), 128) = (half(0..64), half(64..128), signature.len()) else { return false };
        let signature = Signature::from_components(first, second);
        self.0.verify_strict(message, &signature).is_ok()
    }
}

impl fmt::Display for CheckpointPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(self.0.as_bytes()))
    }
}

impl fmt::Debug for CheckpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CheckpointKey(<redacted>)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_that_signed_is_believed_and_only_for_what_it_signed() {
        let (key, other) = (CheckpointKey::new(&[1; 32]), CheckpointKey::new(&[2; 32]));
        let signature = key.sign(b"head");
        let read = CheckpointPublic::parse(&key.public().to_string()).unwrap();
        assert_eq!(read, key.public());
        assert!(read.signed(b"head", &signature));
        assert!(!read.signed(b"heap", &signature) && !other.public().signed(b"head", &signature));
        assert!(!read.signed(b"head", &signature[..126]) && !read.signed(b"head", "zz"));
        assert!(!format!("{key:?}").contains("01"));
    }
}
