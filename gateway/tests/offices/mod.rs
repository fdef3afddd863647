//! Authorities that sign TLS identities for tests, and configurations of both ends that use them.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// An authority.
pub(crate) struct Office(CertifiedIssuer<'static, KeyPair>);

/// An identity with its key, as PEM.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Shown {
    fn der(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = CertificateDer::pem_slice_iter(self.chain.as_bytes()).map(Result::unwrap).collect();
        (chain, PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap())
    }

    /// As a server shows it.
    pub(crate) fn certified(&self) -> rustls::sign::CertifiedKey {
        let (chain, key) = self.der();
        rustls::sign::CertifiedKey::from_der(chain, key, &sekisho_worker::tls::provider()).unwrap()
    }
}

impl Office {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// An identity for one name: a URI if it begins with `urn:`, else DNS.
    pub(crate) fn issue(&self, name: &str) -> Shown {
        self.sign(name, |_| {})
    }

    /// One that has ended.
    pub(crate) fn ended(&self, name: &str) -> Shown {
        self.sign(name, |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1))
    }

    fn sign(&self, name: &str, edit: impl FnOnce(&mut CertificateParams)) -> Shown {
        let mut params = CertificateParams::default();
        params.subject_alt_names.push(match name.strip_prefix("urn:") {
            Some(_) => SanType::URI(name.try_into().unwrap()),
            None => SanType::DnsName(name.try_into().unwrap()),
        });
        edit(&mut params);
        let key = KeyPair::generate().unwrap();
        Shown { chain: params.signed_by(&key, &self.0).unwrap().pem(), key: key.serialize_pem() }
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        Arc::new(roots)
    }

    /// Somebody who trusts this authority and shows `identity`.
    pub(crate) fn client(&self, identity: Option<&Shown>) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(sekisho_worker::tls::provider());
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(self.roots());
        match identity.map(Shown::der) {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
            None => builder.with_no_client_auth(),
        }
    }

    /// A server that shows `identity` and asks for one of `clients`.
    pub(crate) fn server(&self, identity: &Shown, clients: &Self) -> ServerConfig {
        let provider = sekisho_worker::tls::provider();
        let verifier =
            rustls::server::WebPkiClientVerifier::builder_with_provider(clients.roots(), provider.clone()).build();
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let (chain, key) = identity.der();
        builder.with_client_cert_verifier(verifier.unwrap()).with_single_cert(chain, key).unwrap()
    }
}
