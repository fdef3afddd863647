//! Who is on the paper.

use sekisho_issuance::verdict::CheckName;

use crate::scene::*;

const SHEET: &str = "currency = \"unproven\"\n";

#[track_caller]
fn identity(people: &[Someone], sheets: Vec<Sheet>, expected: &str) {
    assert_eq!(asked(people).says(&plan(CHECKS), CheckName::Identity, sheets), expected);
}

fn sheet() -> Sheet {
    Sheet::default()
}

#[test]
fn the_right_paper_matches_on_every_check() {
    let findings = asked(&[taro()]).paper(&plan(CHECKS), certificate(&[&[taro()]]));
    assert!(findings.all_match(), "{:?}", findings.findings);
    assert_eq!(findings.findings.len(), plan(CHECKS).names().len() - 1, "all but `unique`, which needs a memory");
    assert_eq!(findings.content_digest, [7; 32]);
    assert!(findings.confirmed_mismatch().is_none());
}

#[test]
fn another_persons_paper_is_a_confirmed_mismatch_without_any_text_of_it() {
    let findings = asked(&[taro()]).paper(&plan(CHECKS), certificate(&[&[jiro()]]));
    assert_eq!(said(&findings, CheckName::Identity), "mismatch address@1");
    let confirmed = findings.confirmed_mismatch().unwrap();
    assert_eq!(confirmed.check, CheckName::Identity);
    let printed = serde_json::to_string(&findings.findings).unwrap() + &format!("{:?}", findings.findings);
    for secret in ["鈴木", "次郎", "港町", "2001", "髙橋", "高橋"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn tokushima_second_sheet_of_somebody_else_is_seen() {
    identity(&[taro()], certificate(&[&[taro()], &[jiro()], &[taro()]]), "mismatch address@2");
}

#[test]
fn a_sheet_that_names_nobody_is_not_vouched_for() {
    identity(&[taro()], certificate(&[&[taro()], &[]]), "unverifiable page_names_nobody");
}

#[test]
fn one_field_of_another_person_is_a_mismatch() {
    for (changed, expected) in [
        (Someone { name: "髙橋　太朗".into(), ..taro() }, "mismatch name@1"),
        (Someone { birth_printed: "昭和５５年３月１３日".into(), ..taro() }, "mismatch birth_date@1"),
        (Someone { sex: "女".into(), ..taro() }, "mismatch sex@1"),
        (Someone { address: "見本県見本市本町二丁目２番３号".into(), ..taro() }, "mismatch address@1"),
    ] {
        identity(&[taro()], certificate(&[&[changed]]), expected);
    }
}

#[test]
fn a_field_printed_twice_with_different_values_does_not_pass() {
    let twice = sheet().person(&taro()).row("氏名", "鈴木　次郎");
    identity(&[taro()], vec![twice], "mismatch name@1");
    let hidden_below = sheet().person(&taro()).person(&jiro());
    identity(&[taro()], vec![hidden_below], "mismatch address@1");
    let same = sheet().row("住所", &taro().address).person(&taro()).row("氏名", "高橋太郎");
    identity(&[taro()], vec![same], "match");
}

#[test]
fn a_household_must_be_complete_and_alone() {
    let both = [taro(), hanako()];
    identity(&both, certificate(&[&both]), "match");
    identity(&both, certificate(&[&[hanako(), taro()]]), "match");
    identity(&both, certificate(&[&[taro()], &[hanako()]]), "match");
    identity(&both, certificate(&[&[taro()]]), "mismatch people");
    identity(&both, certificate(&[&[taro(), taro()]]), "mismatch people");
    identity(&both, certificate(&[&[taro(), hanako(), jiro()]]), "mismatch address@1");
    identity(&[taro()], certificate(&[&both]), "mismatch birth_date@1");
}

#[test]
fn attributes_of_two_members_do_not_make_a_third_person() {
    let mixed = Someone { name: hanako().name, ..taro() };
    identity(&[taro(), hanako()], certificate(&[&[taro(), hanako(), mixed]]), "mismatch name@1");
    let torn = [Someone { name: hanako().name, ..taro() }, Someone { name: taro().name, ..hanako() }];
    identity(&[taro(), hanako()], certificate(&[&torn]), "mismatch name@1");
}

#[test]
fn twins_with_one_name_each_need_a_place_of_their_own() {
    // Equal in everything printed: two places must stand for two people.
    let one = someone("1", "山田　光", "2001-01-01", "平成１３年１月１日", "男", "見本市１");
    let other = Someone { id: "2".into(), ..one.clone() };
    identity(&[one.clone(), other.clone()], certificate(&[&[one.clone(), other.clone()]]), "match");
    identity(&[one.clone(), other], certificate(&[&[one]]), "mismatch people");
}

#[test]
fn a_heading_above_the_first_person_must_be_somebodys() {
    let both = [taro(), hanako()];
    let with_heading = |address: &str| vec![sheet().row("住所", address).person(&taro()).person(&hanako())];
    identity(&both, with_heading(&taro().address), "match");
    identity(&both, with_heading(&jiro().address), "mismatch address@1");
}

#[test]
fn what_is_printed_once_for_the_sheet_holds_for_everybody_on_it() {
    let only_heading = |address: &str| {
        let person = |sheet: Sheet, p: &Someone| {
            sheet.row("氏名", &p.name).row("生年月日", &p.birth_printed).row("性別", &p.sex)
        };
        vec![person(person(sheet().row("住所", address), &taro()), &hanako())]
    };
    identity(&[taro(), hanako()], only_heading(&taro().address), "match");
    identity(&[taro(), hanako()], only_heading(&jiro().address), "mismatch address@1");
}

#[test]
fn people_whose_fields_do_not_pair_up_are_not_told_apart() {
    let unpaired = sheet().person(&taro()).row("氏名", &hanako().name).row("性別", &hanako().sex);
    identity(&[taro(), hanako()], vec![unpaired], "unverifiable people_cannot_be_told_apart");
}

#[test]
fn labels_are_found_however_their_letters_are_spaced() {
    for label in ["氏名", "氏　名", "氏  名", "氏名：", "氏　　名 ："] {
        let page =
            sheet().row(label, &taro().name).row("生年月日", "S55.3.12").row("性別", "男").row("住所", &taro().address);
        identity(&[taro()], vec![page], "match");
    }
    let split = sheet()
        .line(&[("氏", 25.0), ("名", 45.0), ("髙橋", 60.0), ("太郎", 90.0)])
        .line(&[("性別　男　　生年月日：昭和55年3月12日", 25.0)])
        .line(&[("住所：見本県見本市本町一丁目２番３号", 25.0)]);
    identity(&[taro()], vec![split], "match");
    let not_a_label = sheet().person(&taro()).row("氏名カナ", "スズキ").row("旧氏名", "鈴木");
    identity(&[taro()], vec![not_a_label], "match");
}

#[test]
fn two_fields_on_one_line_do_not_run_into_each_other() {
    let line = sheet().line(&[("氏名", 25.0), ("髙橋　太郎", 45.0), ("性別", 100.0), ("男", 120.0)]).line(&[
        ("生年月日", 25.0),
        ("昭和55年3月12日", 45.0),
        ("住所", 100.0),
        (&taro().address, 115.0),
    ]);
    identity(&[taro()], vec![line], "match");
}

#[test]
fn a_value_below_its_label_is_read_in_its_own_column() {
    let table = |second: Option<&str>| {
        let head = [("氏名", 25.0), ("生年月日", 70.0), ("性別", 110.0), ("住所", 130.0)];
        let taro = taro();
        let values =
            [(taro.name.as_str(), 25.0), ("昭和55年3月12日", 70.0), ("男", 110.0), (taro.address.as_str(), 130.0)];
        let sheet = sheet().line(&head).line(&values);
        vec![match second {
            Some(name) => sheet.line(&[(name, 25.0), ("昭和50年7月7日", 70.0)]),
            None => sheet.gap(60.0).line(&[("備考", 25.0)]),
        }]
    };
    identity(&[taro()], table(None), "match");
    // A second person right below would otherwise go out unread.
    identity(&[taro()], table(Some("鈴木　次郎")), "unverifiable value_goes_on_below");
}

#[test]
fn a_declared_second_line_is_read_and_an_undeclared_one_is_not_equal() {
    let address = "address = { after = \"住所\" }";
    let two = CHECKS.replace(address, "address = { after = \"住所\", lines = 2 }");
    let page = |second: &str| {
        vec![
            sheet()
                .row("氏名", &taro().name)
                .row("生年月日", "S55.3.12")
                .row("性別", "男")
                .row("住所", "見本県見本市本町")
                .line(&[(second, 60.0)])
                .row("続柄", "世帯主"),
        ]
    };
    let says = |checks: &str, second: &str| asked(&[taro()]).says(&plan(checks), CheckName::Identity, page(second));
    assert_eq!(says(&two, "一丁目２番３号"), "match");
    assert_eq!(says(&two, "一丁目２番４号"), "mismatch address@1");
    assert_eq!(says(CHECKS, "一丁目２番３号"), "mismatch address@1");
    // One line of two: the next row of the form is no part of the address.
    identity(&[taro()], vec![sheet().person(&taro()).row("続柄", "世帯主")], "match");
    let one_line = asked(&[taro()]).says(&plan(&two), CheckName::Identity, certificate(&[&[taro()]]));
    assert_eq!(one_line, "match");
}

#[test]
fn expressions_and_boxes_point_at_fields_too() {
    let checks = CHECKS
        .replace("name = { after = \"氏名\" }", "name = { line = '^氏 名[:：]? (.+)$' }")
        .replace("address = { after = \"住所\" }", "address = { box_mm = [55, 20, 140, 18] }");
    let page = |name: &str, address: &str| {
        vec![
            sheet()
                .row("氏　名", name)
                .row("生年月日", "S55.3.12")
                .row("性別", "男")
                .line(&[("（住所）", 25.0), (address, 60.0)]),
        ]
    };
    let says = |sheets| asked(&[taro()]).says(&plan(&checks), CheckName::Identity, sheets);
    assert_eq!(says(page("髙橋　太郎", &taro().address)), "match");
    assert_eq!(says(page("鈴木　次郎", &taro().address)), "mismatch name@1");
    assert_eq!(says(page("髙橋　太郎", &jiro().address)), "mismatch address@1");
}

#[test]
fn a_hidden_glyph_is_unverifiable_unless_another_set_is_complete() {
    let two_sets = CHECKS.replace(
        "enough = [[\"name\", \"birth_date\", \"sex\", \"address\"]]",
        "enough = [[\"name\", \"birth_date\", \"sex\", \"address\"], [\"number\"]]",
    ) + "number = { after = \"番号\", as = \"id\" }\n";
    let lookup = LOOKUP.to_owned() + "number = { json = \"/id\" }\n";
    let gaiji = Someone { name: "\u{e001}橋　太郎".into(), ..taro() };
    let compiled = compile(&(SHEET.to_owned() + &two_sets), &lookup, |_| {}).unwrap_or_else(|e| panic!("{e:#?}"));
    let mut scene = asked(&[taro()]);
    for reply in [&mut scene.before, &mut scene.after] {
        let person = &mut reply.as_mut().unwrap().people[0];
        person.fields.insert("number".into(), "1001".into());
    }
    let page = |name: &str, number: &str| {
        vec![sheet().person(&Someone { name: name.into(), ..gaiji.clone() }).row("番号", number)]
    };
    assert_eq!(scene.says(&compiled, CheckName::Identity, page("\u{e001}橋　太郎", "1001")), "match");
    assert_eq!(scene.says(&compiled, CheckName::Identity, page("\u{e001}橋　太朗", "1001")), "mismatch name@1");
    assert_eq!(scene.says(&compiled, CheckName::Identity, page("\u{e001}橋　太郎", "1002")), "mismatch number@1");
    identity(&[taro()], certificate(&[&[gaiji]]), "unverifiable field_unreadable");
}

#[test]
fn where_comparison_proves_currency_no_field_may_be_left_out() {
    let two_sets = CHECKS.replace("enough = [[", "enough = [[\"name\", \"birth_date\", \"address\"], [");
    let page = sheet().row("氏名", &taro().name).row("生年月日", "S55.3.12").row("住所", &taro().address);
    let says = |checks: &str| asked(&[taro()]).says(&plan(checks), CheckName::Identity, vec![page.clone()]);
    assert_eq!(says(&two_sets), "unverifiable currency_incomplete");
    assert_eq!(says(&(SHEET.to_owned() + &two_sets)), "match");
}

#[test]
fn gaiji_tables_make_a_citys_own_glyphs_readable() {
    let checks = CHECKS.replace("name = { after = \"氏名\" }", "name = { after = \"氏名\", gaiji = \"991007.gaiji\" }");
    let compiled = compile(&checks, LOOKUP, |context| {
        context.gaiji.insert("991007.gaiji", "E001 9AD9\nE002 6A4B\n");
    });
    let compiled = compiled.unwrap_or_else(|e| panic!("{e:#?}"));
    let says = |name: &str| {
        let person = Someone { name: name.into(), ..taro() };
        asked(&[taro()]).says(&compiled, CheckName::Identity, certificate(&[&[person]]))
    };
    assert_eq!(says("\u{e001}\u{e002}　太郎"), "match");
    assert_eq!(says("\u{e002}\u{e001}　太郎"), "mismatch name@1");
    assert_eq!(says("\u{e001}\u{e003}　太郎"), "unverifiable field_unreadable");
}

#[test]
fn a_lookup_that_does_not_answer_for_the_person_asked_for_vouches_for_nobody() {
    let paper = || certificate(&[&[taro()]]);
    let mut scene = asked(&[taro()]);
    scene.before = None;
    assert_eq!(scene.says(&plan(CHECKS), CheckName::Identity, paper()), "unverifiable lookup_unanswered");
    scene.before = Some(reply(&[jiro()], "7"));
    assert_eq!(scene.says(&plan(CHECKS), CheckName::Identity, paper()), "unverifiable lookup_names_another");
    // Off by one, and the paper too: both agree on the wrong person.
    let findings = scene.paper(&plan(CHECKS), certificate(&[&[jiro()]]));
    assert_eq!(said(&findings, CheckName::Identity), "unverifiable lookup_names_another");
    let mut anonymous = reply(&[taro()], "7");
    anonymous.people[0].id = None;
    scene.before = Some(anonymous);
    assert_eq!(scene.says(&plan(CHECKS), CheckName::Identity, paper()), "unverifiable lookup_without_id");
    let mut household = asked(&[taro(), hanako()]);
    household.before = Some(reply(&[taro()], "7"));
    let both = certificate(&[&[taro(), hanako()]]);
    assert_eq!(household.says(&plan(CHECKS), CheckName::Identity, both), "unverifiable lookup_lacks_resident");
    let mut silent = asked(&[taro()]);
    silent.before.as_mut().unwrap().people[0].fields.remove("address");
    assert_eq!(silent.says(&plan(CHECKS), CheckName::Identity, paper()), "unverifiable lookup_lacks_field");
}

#[test]
fn a_mismatch_on_what_a_kiosk_alone_claims_is_not_confirmed() {
    let claimed =
        compile(CHECKS, LOOKUP, |context| context.resident_is_proven = false).unwrap_or_else(|e| panic!("{e:?}"));
    let findings = asked(&[taro()]).paper(&claimed, certificate(&[&[jiro()]]));
    assert_eq!(said(&findings, CheckName::Identity), "mismatch address@1");
    assert!(findings.confirmed_mismatch().is_none());
}

#[test]
fn an_unreadable_document_is_unverifiable_for_its_own_reason() {
    use sekisho_issuance::checks::Content;
    let scene = asked(&[taro()]);
    let findings = plan(CHECKS).judge(&scene.evidence(), Content::Unreadable("encrypted"));
    for check in [CheckName::Identity, CheckName::Kind, CheckName::Pages, CheckName::IssuedOn, CheckName::Municipality]
    {
        assert_eq!(said(&findings, check), "unverifiable encrypted");
    }
    assert_eq!(said(&findings, CheckName::Shape), "match");
    assert!(!findings.all_match());
}

#[test]
fn a_name_cut_by_the_form_does_not_tell_two_people_of_one_household_apart() {
    let cut = CHECKS.replace("name = { after = \"氏名\" }", "name = { after = \"氏名\", prefix = 6 }");
    assert_ne!(cut, CHECKS);
    let twin = |id: &str, name: &str| Someone { id: id.into(), name: name.into(), ..taro() };
    let (maria, mario) = (twin("3001", "フェルナンデスマリア"), twin("3002", "フェルナンデスマリオ"));
    let printed = |name: &str| certificate(&[&[Someone { name: name.into(), ..taro() }]]);
    let says = |household: &[Someone], printed: Vec<Sheet>| {
        let mut scene = asked(&household[..1]);
        (scene.before, scene.after) = (Some(reply(household, "7")), Some(reply(household, "7")));
        scene.says(&plan(&cut), CheckName::Identity, printed)
    };
    let both = [maria.clone(), mario.clone()];
    assert_eq!(says(&both, printed("フェルナンデ")), "unverifiable another_person_fits");
    assert_eq!(says(&both, printed("フェルナンデスマリア")), "match", "the whole name does");
    assert_eq!(says(&both[..1], printed("フェルナンデ")), "match", "the authority names nobody else");
    let sister = Someone { birth: "1982-03-12".into(), ..mario.clone() };
    assert_eq!(says(&[maria, sister], printed("フェルナンデ")), "match", "her birthday does");
    // Both were asked for, and both are there.
    let two = certificate(&[&[twin("", "フェルナンデ"), twin("", "フェルナンデ")]]);
    assert_eq!(asked(&both).says(&plan(&cut), CheckName::Identity, two), "match");
}

/// A change behind the gateway while its document is made: what the paper shows is the resident's own newer state.
#[test]
fn a_record_that_changed_meanwhile_is_withheld_and_nobody_elses() {
    let compiled = plan(CHECKS);
    let moved = Someone { address: "見本県見本市新町四丁目５番６号".into(), ..taro() };
    let mut scene = asked(&[taro()]);
    let judged = |scene: &Scene, person: &Someone| {
        let findings = scene.paper(&compiled, certificate(&[std::slice::from_ref(person)]));
        assert!(!findings.all_match(), "withheld in any case");
        let confirmed = findings.confirmed_mismatch().is_some();
        (said(&findings, CheckName::Identity), confirmed)
    };
    assert_eq!(judged(&scene, &moved), ("mismatch address@1".to_owned(), true), "nothing changed");
    for version in ["7", "8"] {
        scene.after = Some(reply(std::slice::from_ref(&moved), version));
        assert_eq!(judged(&scene, &moved), ("unverifiable changed_meanwhile".to_owned(), false), "{version}");
    }
    // Neither what was nor what is: somebody else, also while the record changes.
    assert_eq!(judged(&scene, &jiro()), ("mismatch address@1".to_owned(), true));
    let mixed = Someone { name: jiro().name, ..moved };
    assert_eq!(judged(&scene, &mixed), ("mismatch address@1".to_owned(), true));
}
