//! When two ways of writing the same text agree: compatibility forms do, different characters do not.

use unicode_normalization::UnicodeNormalization;

use super::glyph_text::GlyphText;

/// Equal after NFKC, apart from signs that character collections and fonts share one glyph for.
pub(super) fn same(a: &GlyphText, b: &GlyphText) -> bool {
    a == b || a.with(|a| b.with(|b| fold(a).eq(fold(b))))
}

/// As [`same`], white space and soft hyphens left out: how text was laid out does not matter.
pub(super) fn same_words(a: &str, b: &str) -> bool {
    let visible = |c: &char| !c.is_whitespace() && *c != '\u{ad}' && !('\u{200b}'..='\u{200d}').contains(c);
    fold(a).filter(visible).eq(fold(b).filter(visible))
}

fn fold(text: &str) -> impl Iterator<Item = char> + '_ {
    text.nfkc().map(|c| match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2500}' | '\u{ad}' => '-',
        '\u{301c}' | '\u{223c}' => '~',
        '\u{2018}' | '\u{2019}' | '\u{2032}' => '\'',
        '\u{201c}' | '\u{201d}' | '\u{2033}' => '"',
        '\u{2225}' => '\u{2016}',
        '\u{a5}' => '\\',
        '\u{203e}' | '\u{af}' => '\u{304}',
        '\u{22ef}' => '.',
        '\u{3bc}' => '\u{b5}',
        '\u{2206}' => '\u{394}',
        '\u{2126}' => '\u{3a9}',
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_agree_and_characters_differ() {
        for (a, b) in [("ﬁ", "fi"), ("Ａ", "A"), ("−", "－"), ("〜", "～"), ("⾒", "見")] {
            assert!(same(&a.into(), &b.into()), "{a} {b}");
        }
        for (a, b) in [("髙", "高"), ("斎", "斉"), ("1", "l"), ("ハ", "バ")] {
            assert!(!same(&a.into(), &b.into()), "{a} {b}");
        }
        assert!(same_words("見本　太郎", "見本 太郎"));
    }
}
