//! Municipalities that do not exist: codes starting 99 with fitting check digits, and the product each one runs.

use serde::Serialize;

/// Which producer's habits a municipality's paper has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PaperStyle {
    /// Embedded TrueType subset with ToUnicode, compressed; PDF 1.7.
    Embedded,
    /// Unembedded font with the predefined map 90ms-RKSJ-H; plain streams; PDF 1.4.
    ShiftJis,
    /// Unembedded font with UniJIS-UCS2-H; object stream and cross-reference stream; PDF 1.5.
    Ucs2,
}

impl PaperStyle {
    /// Every style.
    pub const ALL: [Self; 3] = [Self::Embedded, Self::ShiftJis, Self::Ucs2];
}

/// One municipality of the simulated world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Municipality {
    /// Six digits with a fitting check digit.
    pub code: String,
    /// 見本市
    pub name: String,
    /// The mayor's name on the certifying line.
    pub mayor: String,
    /// How its product prints.
    pub style: PaperStyle,
}

const NAMES: [(&str, &str); 6] = [
    ("見本市", "関守　一郎"),
    ("手本市", "門田　和子"),
    ("例示市", "木戸　正人"),
    ("仮名市", "柵原　美里"),
    ("架空市", "番場　清"),
    ("模型市", "口木　幸子"),
];

impl Municipality {
    /// How many can be made.
    pub const MOST: usize = NAMES.len();

    /// The `n`th one, counted from 0; the style goes round.
    pub fn nth(n: usize) -> Option<Self> {
        let (name, mayor) = NAMES.get(n)?;
        let style = *PaperStyle::ALL.get(n % PaperStyle::ALL.len())?;
        Some(Self { code: code(n)?, name: (*name).to_owned(), mayor: (*mayor).to_owned(), style })
    }
}

/// 全国地方公共団体コード number `n` of the reserved ones: 99100, 99101, ... and the check digit.
fn code(n: usize) -> Option<String> {
    let body = format!("{:05}", 99_100 + n);
    let sum: u32 = body.chars().zip([6, 5, 4, 3, 2]).map(|(c, weight)| c.to_digit(10).unwrap_or(0) * weight).sum();
    (n < 900).then(|| format!("{body}{}", (11 - sum % 11) % 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_reserved_ones_with_fitting_check_digits() {
        let codes: Vec<_> = (0..Municipality::MOST).map(|n| Municipality::nth(n).unwrap().code).collect();
        assert_eq!(codes[..3], ["991007", "991015", "991023"]);
        for code in codes {
            assert!(sekisho_issuance_code_fits(&code), "{code}");
        }
    }

    /// Written again on purpose: weights 6,5,4,3,2.
    fn sekisho_issuance_code_fits(code: &str) -> bool {
        let d: Vec<u32> = code.chars().map(|c| c.to_digit(10).unwrap()).collect();
        let sum = 6 * d[0] + 5 * d[1] + 4 * d[2] + 3 * d[3] + 2 * d[4];
        code.starts_with("99") && (11 - sum % 11) % 10 == d[5]
    }
}
