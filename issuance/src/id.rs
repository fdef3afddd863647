//! Identities. Those that name a person print as `<redacted>` and are zeroed on drop.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// An identity was malformed; the offending text is never repeated, since it may name a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text was empty.
    #[error("is empty")]
    Empty,
    /// The text was longer than [`MAX_ID_BYTES`].
    #[error("is longer than {MAX_ID_BYTES} bytes")]
    TooLong,
    /// The text held control characters.
    #[error("holds control characters")]
    Control,
    /// Not six ASCII digits.
    #[error("is not six ASCII digits")]
    NotSixDigits,
    /// The check digit does not fit.
    #[error("has a check digit that does not fit")]
    CheckDigit,
}

/// The longest identity accepted from outside.
pub const MAX_ID_BYTES: usize = 256;

fn bounded(text: &str) -> Result<&str, IdError> {
    match text {
        "" => Err(IdError::Empty),
        t if t.len() > MAX_ID_BYTES => Err(IdError::TooLong),
        t if t.chars().any(char::is_control) => Err(IdError::Control),
        t => Ok(t),
    }
}

/// Declares an identity that may name a person: redacted in `Debug`, no `Display`, zeroed on drop.
macro_rules! personal_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Accepts 1 to [`MAX_ID_BYTES`] bytes without control characters.
            pub fn new(text: &str) -> Result<Self, IdError> {
                bounded(text).map(|t| Self(t.to_owned()))
            }

            /// The raw value, for building backend requests and comparing; never for logs or labels.
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                self.0.zeroize();
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(<redacted>)"))
            }
        }
    };
}

personal_id!(
    /// The subject of a certificate, by the tenant's one lane id type.
    ResidentId
);
personal_id!(
    /// Digest or serial of the card that was presented.
    CardDigest
);
personal_id!(
    /// A kiosk's session: one card presence of one resident.
    SessionId
);
personal_id!(
    /// The client's idempotency key.
    IdempotencyKey
);

/// The device that asks. Configured and physical, so it may appear in logs (never as a metric label).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KioskId(Arc<str>);

impl KioskId {
    /// Accepts 1 to [`MAX_ID_BYTES`] bytes without control characters.
    pub fn new(text: &str) -> Result<Self, IdError> {
        bounded(text).map(|t| Self(t.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// 全国地方公共団体コード: five digits and a check digit (weights 6,5,4,3,2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MunicipalityCode([u8; 6]);

impl MunicipalityCode {
    /// Parses six ASCII digits whose check digit fits.
    pub fn new(text: &str) -> Result<Self, IdError> {
        let digits: [u8; 6] = text.as_bytes().try_into().map_err(|_| IdError::NotSixDigits)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(IdError::NotSixDigits);
        }
        let [a, b, c, d, e, check] = digits.map(|x| u32::from(x - b'0'));
        let sum = 6 * a + 5 * b + 4 * c + 3 * d + 2 * e;
        if (11 - sum % 11) % 10 == check { Ok(Self(digits)) } else { Err(IdError::CheckDigit) }
    }

    /// The six digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("000000")
    }

    /// Codes starting with 99 belong to no municipality: demonstrations and tests.
    pub fn is_reserved_for_tests(&self) -> bool {
        self.0.starts_with(b"99")
    }
}

impl fmt::Display for MunicipalityCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for MunicipalityCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MunicipalityCode({self})")
    }
}

impl TryFrom<String> for MunicipalityCode {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::new(&text)
    }
}

impl From<MunicipalityCode> for String {
    fn from(code: MunicipalityCode) -> Self {
        code.as_str().to_owned()
    }
}

/// The check digit of the core rule (modulus 11): from its lowest digit on, the body is weighted 2, 3, 4, 5, 6, 7, 2, 3, ...;
/// a remainder of 0 or 1 gives 0, another gives 11 less it. `None` unless the body is all ASCII digits.
///
/// One random number in ten passes, so that a check digit finds slips of the hand and never proves who somebody is.
pub fn core_check_digit(body: &str) -> Option<u8> {
    if body.is_empty() || !body.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let weights = (2..=7).cycle();
    let sum: u32 = body.bytes().rev().zip(weights).map(|(b, weight)| u32::from(b - b'0') * weight).sum();
    u8::try_from(if sum % 11 <= 1 { 0 } else { 11 - sum % 11 }).ok()
}

/// Whether a 個人番号 is well formed: 11 digits and the check digit of the core rule.
pub fn is_individual_number(text: &str) -> bool {
    text.len() == 12 && core_rule_fits(text)
}

/// Whether a 住民票コード is well formed: 10 digits and the check digit of the core rule.
pub fn is_resident_code(text: &str) -> bool {
    text.len() == 11 && core_rule_fits(text)
}

fn core_rule_fits(text: &str) -> bool {
    let Some((body, digit)) = text.len().checked_sub(1).and_then(|last| text.split_at_checked(last)) else {
        return false;
    };
    core_check_digit(body).is_some_and(|check| digit.as_bytes() == [b'0' + check])
}

/// One request, for its whole life and in every log line, record and problem: 128 bits, UUIDv7, also the trace id's source.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u128);

impl RequestId {
    /// From the 128 bits of a UUIDv7 that the edge minted.
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// The 128 bits.
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// Reads the hyphenated lower-case form that `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let hex: String = text.split('-').collect();
        let canonical = text.len() == 36 && hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit());
        canonical.then(|| u128::from_str_radix(&hex, 16).ok().map(Self)).flatten()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = uuid::Uuid::encode_buffer();
        f.write_str(uuid::Uuid::from_u128(self.0).hyphenated().encode_lower(&mut text))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_sample_numbers_have_fitting_check_digits() {
        assert!(is_individual_number("123456789018"));
        for code in ["24727059608", "24846016224", "25208017643"] {
            assert!(is_resident_code(code), "{code}");
        }
    }

    #[test]
    fn every_single_digit_slip_in_the_sample_is_found() {
        for at in 0..12 {
            for digit in b'0'..=b'9' {
                let mut changed = *b"123456789018";
                changed[at] = digit;
                let changed = String::from_utf8(changed.to_vec()).unwrap();
                let fits = is_individual_number(&changed);
                assert_eq!(fits, changed == "123456789018", "{changed}");
            }
        }
    }

    #[test]
    fn what_is_no_number_has_no_check_digit() {
        for text in
            ["", "0", "12345678901", "1234567890180", "１２３４５６７８９０１８", "12345678901x", "12345678901８"]
        {
            assert!(!is_individual_number(text), "{text}");
            assert!(!is_resident_code(text), "{text}");
        }
        assert_eq!(core_check_digit(""), None);
    }

    #[test]
    fn municipality_codes_are_those_of_the_incidents() {
        for code in ["141003", "131211", "141305", "362018", "372013", "402206", "991007", "991015"] {
            assert!(MunicipalityCode::new(code).is_ok(), "{code}");
        }
        for code in ["141004", "14100", "1410030", "１４１００３", "14100x", ""] {
            assert!(MunicipalityCode::new(code).is_err(), "{code}");
        }
    }

    #[test]
    fn identities_of_people_never_print() {
        let resident = ResidentId::new("24727059608").unwrap();
        assert_eq!(format!("{resident:?}"), "ResidentId(<redacted>)");
        assert_eq!(ResidentId::new("a\u{7}").unwrap_err(), IdError::Control);
    }

    #[test]
    fn a_request_id_reads_back_what_it_writes() {
        let id = RequestId::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
        assert_eq!(RequestId::parse(&id.to_string()), Some(id));
        let mixed = RequestId::from_u128(0x0123_4567_89ab_7def_8fed_cba9_8765_4321);
        assert_eq!(mixed.to_string(), "01234567-89ab-7def-8fed-cba987654321");
        assert_eq!(RequestId::parse("01900000000070008000000000000001"), None);
    }
}
