//! Sealing to two people: to the first, and what comes out to the second, each by RFC 9180 (X25519, HKDF-SHA256, ChaCha20-Poly1305).
//! Whoever has one of the two keys learns nothing but the length.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal};
use zeroize::Zeroizing;

type Public = <X25519HkdfSha256 as Kem>::PublicKey;
type Private = <X25519HkdfSha256 as Kem>::PrivateKey;
type Encapped = <X25519HkdfSha256 as Kem>::EncappedKey;

/// Bytes before the ciphertext of one layer.
const ENCAPPED_BYTES: usize = 32;
const PUBLIC: &str = "sekisho-evidence-public-1:";
const PRIVATE: &str = "sekisho-evidence-PRIVATE-1:";
/// What each layer is for, so that neither can be taken for the other.
const LAYERS: [&[u8]; 2] = [b"sekisho evidence 1, first person", b"sekisho evidence 1, second person"];

/// Why a key or a sealed thing is none.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The text of a public key.
    #[error("is no public key of `audit keygen` ({PUBLIC}...)")]
    Public,
    /// A key file.
    #[error("holds no key of `audit keygen`")]
    Private,
    /// Neither key opens it, or it was changed.
    #[error(
        "does not open with these two keys: one is another's, they are in the wrong order, or what is sealed was changed"
    )]
    Closed,
    /// The system.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// One person's public half.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonKey(Public);

impl PersonKey {
    /// Reads what `audit keygen` printed.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let encoded = text.trim().strip_prefix(PUBLIC).ok_or(SealError::Public)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| SealError::Public)?;
        Public::from_bytes(&bytes).map(Self).map_err(|_| SealError::Public)
    }
}

impl fmt::Display for PersonKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}{}", URL_SAFE_NO_PAD.encode(self.0.to_bytes()))
    }
}

impl fmt::Debug for PersonKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One person's key. It is made and used away from the gateway.
pub struct PersonSecret(Private);

impl PersonSecret {
    /// Makes a key and writes it into a new file, for its owner alone; what is to be configured of it.
    pub fn make(path: &Path) -> Result<PersonKey, SealError> {
        let (private, public) = X25519HkdfSha256::gen_keypair();
        let bytes = Zeroizing::new(private.to_bytes().to_vec());
        let text = Zeroizing::new(format!("{PRIVATE}{}\n", URL_SAFE_NO_PAD.encode(&*bytes)));
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(PersonKey(public))
    }

    /// Reads such a file.
    pub fn read(path: &Path) -> Result<Self, SealError> {
        let text = Zeroizing::new(fs::read_to_string(path)?);
        let encoded = text.trim().strip_prefix(PRIVATE).ok_or(SealError::Private)?;
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(encoded).map_err(|_| SealError::Private)?);
        Private::from_bytes(&bytes).map(Self).map_err(|_| SealError::Private)
    }
}

/// Two persons' public halves: both must open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceKey {
    /// The inner layer.
    pub first: PersonKey,
    /// The outer layer.
    pub second: PersonKey,
}

impl EvidenceKey {
    /// Seals `plain`; `about` says of what it is evidence, and it opens for nothing else.
    pub fn seal(&self, about: &str, plain: &[u8]) -> Option<Vec<u8>> {
        let inner = layer(&self.first, LAYERS[0], about, plain)?;
        layer(&self.second, LAYERS[1], about, &inner)
    }
}

/// Opens what [`EvidenceKey::seal`] sealed about `about`.
pub fn open(
    first: &PersonSecret,
    second: &PersonSecret,
    about: &str,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let inner = peel(second, LAYERS[1], about, sealed)?;
    peel(first, LAYERS[0], about, &inner)
}

fn layer(to: &PersonKey, info: &[u8], about: &str, plain: &[u8]) -> Option<Vec<u8>> {
    let sealed = single_shot_seal::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &to.0,
        info,
        plain,
        about.as_bytes(),
    );
    let (encapped, ciphertext) = sealed.ok()?;
    let mut out = encapped.to_bytes().to_vec();
    out.extend_from_slice(&ciphertext);
    Some(out)
}

fn peel(key: &PersonSecret, info: &[u8], about: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let (encapped, ciphertext) = sealed.split_at_checked(ENCAPPED_BYTES).ok_or(SealError::Closed)?;
    let encapped = Encapped::from_bytes(encapped).map_err(|_| SealError::Closed)?;
    single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &key.0,
        &encapped,
        info,
        ciphertext,
        about.as_bytes(),
    )
    .map(Zeroizing::new)
    .map_err(|_| SealError::Closed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_with_both_keys_in_their_order_for_its_own_request_and_never_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let key =
            EvidenceKey { first: PersonSecret::make(&at("a")).unwrap(), second: PersonSecret::make(&at("b")).unwrap() };
        PersonSecret::make(&at("c")).unwrap();
        let again = EvidenceKey {
            first: PersonKey::parse(&key.first.to_string()).unwrap(),
            second: PersonKey::parse(&key.second.to_string()).unwrap(),
        };
        assert_eq!(again, key);
        let sealed = key.seal("request 1", "山田太郎".as_bytes()).unwrap();
        let opens = |first: &str, second: &str, about: &str, sealed: &[u8]| {
            let key = |name| PersonSecret::read(&at(name)).unwrap();
            open(&key(first), &key(second), about, sealed).ok().map(|plain| plain.to_vec())
        };
        assert_eq!(opens("a", "b", "request 1", &sealed).unwrap(), "山田太郎".as_bytes());
        for (first, second, about) in [
            ("b", "a", "request 1"),
            ("a", "a", "request 1"),
            ("b", "b", "request 1"),
            ("a", "c", "request 1"),
            ("a", "b", "request 2"),
        ] {
            assert_eq!(opens(first, second, about, &sealed), None, "{first} {second} {about}");
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(opens("a", "b", "request 1", &changed), None, "byte {at}");
        }
        assert!(PersonSecret::make(&at("a")).is_err(), "a key is never written over");
        assert!(PersonKey::parse(&fs::read_to_string(at("a")).unwrap()).is_err(), "a private key is not configured");
    }
}
