//! The ways in which the simulated backend and its kiosks can write. What they say is the same.

use std::fmt;
use std::str::FromStr;

/// One way of writing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// JSON in UTF-8; the certificate is the answer.
    #[default]
    Json,
    /// SOAP in Shift_JIS; the certificate is base64 inside the answer.
    Soap,
    /// Forms in EUC-JP; a certificate is a job: accepted, asked for, and fetched as PDF.
    Form,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 3] = [Self::Json, Self::Soap, Self::Form];

    /// The word on command lines and in plans.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Soap => "soap",
            Self::Form => "form",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dialect {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|d| d.name() == text)
            .ok_or_else(|| format!("`{text}` is not spoken; one of: {}", known()))
    }
}
