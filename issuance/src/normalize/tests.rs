//! Each accepted variation, together with the pair of people that it must still tell apart.

use super::*;
use crate::checks::spec::FieldKind;

#[track_caller]
fn compare(kind: FieldKind, expected: &str, found: &str) -> Compared {
    Expected::new(kind, expected, None).compare(&Found::new(kind, found))
}

#[track_caller]
fn same(kind: FieldKind, expected: &str, found: &str) {
    assert_eq!(compare(kind, expected, found), Compared::Equal, "{expected} {found}");
    assert_eq!(compare(kind, found, expected), Compared::Equal, "{found} {expected}");
}

#[track_caller]
fn apart(kind: FieldKind, one: &str, other: &str) {
    assert_eq!(compare(kind, one, other), Compared::Differs, "{one} {other}");
    assert_eq!(compare(kind, other, one), Compared::Differs, "{other} {one}");
}

use FieldKind::{Address, Date, Id, Kana, Name, Text};

#[test]
fn width_is_equal_but_letters_are_not() {
    same(Name, "ＳＭＩＴＨ　ＪＯＨＮ", "SMITH JOHN");
    apart(Name, "SMITH JOHN", "SMITH JOAN");
    apart(Name, "Smith John", "SMITH JOHN");
    same(Kana, "ﾔﾏﾀﾞ ﾀﾛｳ", "ヤマダ　タロウ");
    apart(Kana, "ヤマダ", "ヤマタ");
    apart(Kana, "ハナ", "パナ");
}

#[test]
fn white_space_is_equal_but_words_of_a_foreign_name_are_not() {
    same(Name, "山田　太郎", "山田太郎");
    same(Name, " 山 田 太 郎 ", "山田\u{a0}太郎");
    apart(Name, "山田太郎", "山田次郎");
    same(Name, "AN  NA", "AN　NA");
    apart(Name, "AN NA", "ANNA");
}

#[test]
fn compatibility_forms_are_equal_but_other_kanji_are_not() {
    same(Name, "\u{fa19}田", "神田");
    same(Name, "石\u{fa10}", "石塚");
    apart(Name, "石塚", "石墳");
}

#[test]
fn variation_selectors_are_equal_but_base_characters_are_not() {
    same(Name, "葛\u{e0100}西", "葛西");
    same(Name, "渡辺\u{fe00}", "渡辺");
    same(Name, "渡邉\u{e0101}", "渡邉\u{e010a}");
    apart(Name, "渡邉\u{e0101}", "渡邊\u{e0101}");
    apart(Name, "葛\u{e0100}西", "萬\u{e0100}西");
}

#[test]
fn table_variants_are_equal_but_names_that_merely_look_alike_are_not() {
    for (variant, plain) in
        [("髙橋", "高橋"), ("山﨑", "山崎"), ("𠮷田", "吉田"), ("濵田", "濱田"), ("德川", "徳川"), ("広瀨", "広瀬")]
    {
        same(Name, variant, plain);
    }
    for (one, other) in [
        ("斎藤", "斉藤"),
        ("齋藤", "齊藤"),
        ("斎藤", "齋藤"),
        ("渡辺", "渡邊"),
        ("渡邊", "渡邉"),
        ("渡辺", "渡部"),
        ("浜田", "濱田"),
        ("沢田", "澤田"),
        ("広田", "廣田"),
        ("山崎", "山嵜"),
        ("山崎", "山埼"),
        ("中島", "中嶋"),
        ("高橋", "亮橋"),
        ("吉田", "古田"),
        ("太田", "大田"),
        ("伊東", "伊藤"),
    ] {
        apart(Name, one, other);
    }
}

#[test]
fn readings_fold_kana_but_names_do_not() {
    same(Kana, "やまだ たろう", "ヤマダ タロウ");
    apart(Kana, "ユウコ", "ユーコ");
    apart(Kana, "キョウコ", "キヨウコ");
    apart(Kana, "ナツコ", "ナッコ");
    same(Kana, "ヨ-コ", "ヨーコ");
    same(Kana, "みすゞ", "ミスヾ");
    apart(Name, "山田みどり", "山田ミドリ");
}

#[test]
fn hyphens_are_equal_but_their_absence_is_not() {
    for hyphen in ["-", "‐", "‑", "–", "—", "―", "−", "－", "ー", "ｰ"] {
        same(Address, "見本市本町1-2-3", &format!("見本市本町１{hyphen}２{hyphen}３"));
    }
    apart(Address, "見本市本町1-2-3", "見本市本町12-3");
    apart(Address, "見本市本町1-2-3", "見本市本町1-23");
    apart(Address, "見本市本町1-2-3", "見本市本町1-2-8");
    apart(Address, "メゾンスター1", "メゾンスタ-1");
    same(Name, "アン‐マリー", "アン－マリー");
    apart(Name, "アン-マリー", "アンマリー");
}

#[test]
fn the_number_of_a_block_is_equal_but_towns_are_not() {
    same(Address, "見本市本町一丁目２番３号", "見本市本町1丁目2番3号");
    same(Address, "見本市本町十一丁目", "見本市本町１１丁目");
    same(Address, "見本市本町二十丁目", "見本市本町20丁目");
    apart(Address, "見本市本町一丁目", "見本市本町二丁目");
    apart(Address, "見本市本町十一丁目", "見本市本町一丁目");
    apart(Address, "見本市一番町1", "見本市1番町1");
    apart(Address, "見本市三条一丁目", "見本市二条一丁目");
    apart(Address, "見本市本町二三丁目", "見本市本町23丁目");
    apart(Address, "見本市本町1丁目2番3号", "見本市本町1-2-3");
    apart(Address, "見本市本町1-2-3 101", "見本市本町1-2-3101");
    same(Address, "見本市本町 1-2-3　メゾン 101", "見本市本町1-2-3メゾン101");
}

#[test]
fn a_date_is_a_day_whatever_its_spelling() {
    same(Date, "1980-03-12", "昭和５５年３月１２日");
    apart(Date, "1980-03-12", "昭和５５年３月１３日");
    apart(Date, "1980-03-12", "平成１２年３月１２日");
    assert_eq!(compare(Date, "1980-03-12", "不詳"), Compared::NotUnderstood);
    assert_eq!(compare(Date, "不詳", "不　詳"), Compared::Equal);
}

#[test]
fn sexes_are_read_in_any_usual_form() {
    same(FieldKind::Sex, "male", "男");
    same(FieldKind::Sex, "2", "女性");
    apart(FieldKind::Sex, "M", "女");
    assert_eq!(compare(FieldKind::Sex, "男", "空欄"), Compared::NotUnderstood);
}

#[test]
fn ids_are_never_normalized() {
    same(Id, "00123", "00123");
    for other in ["123", "０0123", "00123 4", "0012३", "00123-"] {
        apart(Id, "00123", other);
    }
}

#[test]
fn a_declared_cut_is_equal_but_another_name_of_that_length_is_not() {
    let long = "ＭＯＨＡＭＭＥＤ　ＡＢＤＵＬＬＡＨ　ＩＢＮ　ＲＡＳＨＩＤ";
    let cut = |found: &str| Expected::new(Name, long, Some(20)).compare(&Found::new(Name, found));
    assert_eq!(cut("MOHAMMED ABDULLAH IB"), Compared::Equal);
    assert_eq!(cut("MOHAMMED ABDULLAH IBN RASHID"), Compared::Equal);
    assert_eq!(cut("MOHAMMED ABDULLAH IA"), Compared::Differs);
    assert_eq!(cut("MOHAMMED ABDULLAH I"), Compared::Differs);
    assert_eq!(cut("MOHAMMED ABDULLAH IBN"), Compared::Differs);
    let short = Expected::new(Name, "山田太郎", Some(20));
    assert_eq!(short.compare(&Found::new(Name, "山田太")), Compared::Differs);
    let none = Expected::new(Name, long, None);
    assert_eq!(none.compare(&Found::new(Name, "MOHAMMED ABDULLAH IB")), Compared::Differs);
}

#[test]
fn an_unknown_glyph_hides_one_character_and_no_more() {
    for gaiji in ["\u{e000}", "\u{fffd}", "〓", "\u{f0001}"] {
        assert_eq!(compare(Name, "葛西花子", &format!("{gaiji}西花子")), Compared::Unreadable);
        assert_eq!(compare(Name, "葛西花子", &format!("{gaiji}西太郎")), Compared::Differs);
        assert_eq!(compare(Name, "葛西花子", &format!("{gaiji}花子")), Compared::Differs);
    }
    assert_eq!(compare(Name, "\u{e000}西花子", "葛西花子"), Compared::Unreadable);
    assert_eq!(compare(Name, "\u{e000}西花子", "\u{e000}西花子"), Compared::Unreadable);
    assert_eq!(compare(Date, "1980-03-12", "昭和〓年3月12日"), Compared::Unreadable);
}

#[test]
fn evidence_says_how_much_differs_and_never_what() {
    let expected = Expected::new(Name, "山田太郎", None);
    let evidence = expected.evidence("name", Some(2), &Found::new(Name, "山田タロー子"));
    assert_eq!((evidence.expected_chars, evidence.found_chars), (4, 6));
    assert_eq!(evidence.differs_in, "kanji+kana");
    let printed = format!("{evidence:?}{}", serde_json::to_string(&evidence).unwrap());
    assert!(!printed.contains('山') && !printed.contains('タ'), "{printed}");
}

#[test]
fn expressions_are_written_against_paper_and_matched_against_folded_lines() {
    assert_eq!(pattern(r"^(\d+)／(\d+)$"), r"^(\d+)\/(\d+)$");
    assert_eq!(pattern("^（注）　１．"), r"^\(注\) 1\.");
    assert_eq!(pattern("^印鑑登録証明書$"), "^印鑑登録証明書$");
    assert_eq!(line("　住　民\u{3000}\u{3000}票（写し）　"), "住 民 票(写し)");
    assert_eq!(squeeze("住　民　票"), "住民票");
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(text in any::<String>()) {
            for fold in [line, squeeze, name, super::super::text, kana, address] {
                let once = fold(&text);
                prop_assert_eq!(&fold(&once), &once);
            }
        }

        #[test]
        fn folding_twice_is_folding_once_for_japanese_text(text in "[ 　一二三四十丁目ぁ-ゞァ-ヾ゛゜ー‐－ｦ-ﾟ０-９a-z0-9髙﨑Å\u{3099}\u{fe00}\u{e0100}]{0,24}") {
            for fold in [line, squeeze, name, super::super::text, kana, address] {
                let once = fold(&text);
                prop_assert_eq!(&fold(&once), &once);
            }
        }

        #[test]
        fn the_quick_way_is_the_slow_way(text in "[ 　一-龠ぁ-ゖァ-ヾ、-】！-～a-z0-9\u{e0100}\u{e000}]{0,24}") {
            for space in [Space::Single, Space::Drop, Space::Words] {
                prop_assert_eq!(fold(&text, space), fold_slowly(&text, space));
            }
        }

        #[test]
        fn no_text_stops_a_comparison(a in any::<String>(), b in any::<String>(), prefix in proptest::option::of(0_u32..40)) {
            for kind in [Name, Date, Text, Id, FieldKind::Sex, Kana, Address] {
                let expected = Expected::new(kind, &a, prefix);
                let _ = expected.evidence("x", None, &Found::new(kind, &b));
                let itself = expected.compare(&Found::new(kind, &a));
                prop_assert!(matches!(itself, Compared::Equal | Compared::Unreadable));
            }
        }

        #[test]
        fn every_day_reads_back_from_iso(days in 0_i64..60_000) {
            let day = jiff::civil::date(1873, 1, 1).checked_add(jiff::Span::new().days(days)).unwrap();
            prop_assert_eq!(date(&day.to_string()), Some(day));
        }
    }
}
