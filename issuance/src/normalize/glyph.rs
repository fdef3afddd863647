//! Glyph variants of one character that systems print for one another.
//!
//! A pair is here only if (1) the variant is missing from JIS X 0208, so that systems limited to it print the plain form,
//! (2) both are the same character drawn differently, and (3) registers use the plain form in its place. 髙, 﨑 and 𠮷 are
//! the three that registry offices name most; 濵, 德 and 瀨 come from the IBM extension of Windows-31J like 髙 and 﨑. Code
//! points of the CJK compatibility block (神, 都, 塚) are made equal by NFKC already.
//!
//! Not here, since they are different names on paper: 斎 斉 齋 齊, 辺 邊 邉, 浜 濱, 沢 澤, 広 廣, 崎 嵜 碕 埼, 島 嶋 嶌.

/// The plain form of a glyph variant; every other character is itself.
pub(super) fn plain(c: char) -> char {
    match c {
        '髙' => '高',
        '\u{fa11}' => '崎',
        '\u{20bb7}' => '吉',
        '濵' => '濱',
        '德' => '徳',
        '瀨' => '瀬',
        c => c,
    }
}
