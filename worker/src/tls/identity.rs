//! What a TLS identity (an X.509 document) says of itself. Read only after rustls has verified it, or of our own files.

use std::fmt::Write as _;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The names and the time in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its alternative names that are URIs.
    pub san_uri: Vec<String>,
    /// Its alternative names that are DNS names.
    pub san_dns: Vec<String>,
    /// The common names of its subject.
    pub subject_cn: Vec<String>,
    /// SHA-256 of all of it, in lower case hexadecimal digits.
    pub sha256: String,
    /// From when it holds.
    pub from: Timestamp,
    /// Until when it holds.
    pub until: Timestamp,
}

impl Identity {
    /// Reads one from DER; `None` where it is none.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (rest, parsed) = X509Certificate::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let names = parsed.subject_alternative_name().ok()?;
        let (mut san_uri, mut san_dns) = (Vec::new(), Vec::new());
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            match name {
                GeneralName::URI(uri) => san_uri.push((*uri).to_owned()),
                GeneralName::DNSName(dns) => san_dns.push(dns.to_ascii_lowercase()),
                _ => {}
            }
        }
        // A name in a form that cannot be read is no name, and must not make another the only one.
        let subject_cn = parsed.subject().iter_common_name().map(|name| name.as_str().ok().map(str::to_owned));
        let subject_cn = subject_cn.collect::<Option<_>>()?;
        let at = |seconds| Timestamp::from_second(seconds).ok();
        Some(Self {
            san_uri,
            san_dns,
            subject_cn,
            sha256: hex(&Sha256::digest(der)),
            from: at(parsed.validity().not_before.timestamp())?,
            until: at(parsed.validity().not_after.timestamp())?,
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    #[test]
    fn names_are_read_by_their_kind() {
        let mut params = CertificateParams::new(vec!["K-1.Kiosks.Example".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::URI("urn:example:kiosk:K-1".try_into().unwrap()));
        params.distinguished_name.push(DnType::CommonName, "K-1");
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let read = Identity::read(made.der()).unwrap();
        assert_eq!(read.san_dns, ["k-1.kiosks.example"]);
        assert_eq!(read.san_uri, ["urn:example:kiosk:K-1"]);
        // rcgen puts a name of its own first.
        assert_eq!(read.subject_cn.last().map(String::as_str), Some("K-1"));
        assert_eq!(read.sha256.len(), 64);
        assert!(Identity::read(&[made.der().as_ref(), b"x"].concat()).is_none(), "nothing may follow");
    }

    proptest! {
        #[test]
        fn any_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = Identity::read(&bytes);
        }
    }
}
