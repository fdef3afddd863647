//! The binding: a sealed keyed digest of who asked for what, which must come back with the answer unchanged.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::context::RequestContext;
use crate::request::Facts;

/// The key of one process life; random, in memory only.
pub struct BindingKey([u8; 32]);

impl BindingKey {
    /// From 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// HMAC-SHA-256 (RFC 2104) over request, route, nonce and every fact, each part length-prefixed.
#[derive(Clone, Copy)]
pub struct Binding([u8; 32]);

impl Binding {
    /// Seals `facts` of `context` on `route`.
    pub fn seal(key: &BindingKey, context: &RequestContext, route: &str, facts: &Facts, nonce: u128) -> Self {
        // HMAC takes a key of any length, so this cannot fail for 32 bytes.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key.0) else { return Self([0; 32]) };
        let mut part = |bytes: &[u8]| {
            mac.update(&(bytes.len() as u64).to_be_bytes());
            mac.update(bytes);
        };
        part(&context.id().as_u128().to_be_bytes());
        part(&nonce.to_be_bytes());
        part(route.as_bytes());
        part(facts.kiosk.as_ref().map_or(&[][..], |k| k.as_str().as_bytes()));
        part(facts.session.as_ref().map_or(&[][..], |s| s.expose().as_bytes()));
        part(facts.card.as_ref().map_or(&[][..], |c| c.expose().as_bytes()));
        part(facts.municipality.as_ref().map_or(&[][..], |m| m.as_str().as_bytes()));
        part(facts.kind.map_or(&[][..], |k| k.name().as_bytes()));
        part(facts.applicant.as_ref().map_or(&[][..], |r| r.expose().as_bytes()));
        part(facts.idempotency_key.as_ref().map_or(&[][..], |k| k.expose().as_bytes()));
        part(&(facts.residents.len() as u64).to_be_bytes());
        for resident in &facts.residents {
            part(resident.expose().as_bytes());
        }
        for (item, value) in &facts.selection {
            part(item.as_bytes());
            part(value.as_bytes());
        }
        Self(mac.finalize().into_bytes().into())
    }

    /// Compares in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// The digest, for the wire between gateway and worker and for records.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Binding(<sealed>)")
    }
}
