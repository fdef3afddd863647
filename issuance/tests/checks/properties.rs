//! What holds for any people and any bytes.

use proptest::prelude::*;
use sekisho_issuance::checks::{CheckPlan, ChecksSpec, Content, LookupContext, PlanContext};
use sekisho_issuance::request::Operation;
use sekisho_issuance::verdict::{CheckName, Verdict};

use crate::scene::*;

fn person() -> impl Strategy<Value = Someone> {
    let surname =
        prop::sample::select(vec!["髙橋", "高橋", "斎藤", "斉藤", "渡辺", "渡邊", "山﨑", "山崎", "𠮷田", "林"]);
    let given = prop::sample::select(vec!["太郎", "大郎", "花子", "光", "みどり", "ミドリ", "葛\u{e0100}子", "葛子"]);
    let address =
        prop::sample::select(vec!["見本市一丁目１", "見本市1丁目1", "見本市二丁目１", "見本市１－１", "見本市11"]);
    (1..40_i8, prop::bool::ANY, surname, given, address, prop::bool::ANY, 1000..1100_u32).prop_map(
        |(day, old, surname, given, address, male, id)| {
            let (year, era) = if old { (1980, "昭和55年") } else { (1989, "平成元年") };
            let day = day.rem_euclid(28) + 1;
            Someone {
                id: id.to_string(),
                name: format!("{surname}　{given}"),
                birth: format!("{year}-03-{day:02}"),
                birth_printed: format!("{era}3月{day}日"),
                sex: if male { "男" } else { "女" }.to_owned(),
                address: address.to_owned(),
            }
        },
    )
}

/// What a reader of the paper could tell two people apart by, written independently of the normalization under test.
fn printed(person: &Someone) -> [String; 4] {
    let plain = |text: &str| {
        let text = text.replace('髙', "高").replace('﨑', "崎").replace('𠮷', "吉").replace('\u{e0100}', "");
        let text = text.replace('１', "1").replace('－', "-").replace('　', "");
        text.replace("一丁目", "1丁目").replace("二丁目", "2丁目")
    };
    [plain(&person.name), person.birth.clone(), person.sex.clone(), plain(&person.address)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_persons_own_paper_always_passes(person in person()) {
        let findings = asked(std::slice::from_ref(&person)).paper(&plan(CHECKS), certificate(&[&[person]]));
        prop_assert!(findings.all_match(), "{:?}", findings.findings);
    }

    #[test]
    fn a_swapped_paper_never_passes(one in person(), other in person()) {
        prop_assume!(printed(&one) != printed(&other));
        let findings = asked(&[one]).paper(&plan(CHECKS), certificate(&[&[other]]));
        prop_assert!(!findings.all_match());
        let identity = findings.findings.iter().find(|f| f.check == CheckName::Identity).unwrap();
        let differs = matches!(identity.verdict, Verdict::Mismatch { .. });
        prop_assert!(differs, "{:?}", identity);
    }

    #[test]
    fn a_household_never_passes_with_one_page_or_person_swapped(
        people in prop::collection::vec(person(), 2..5), stranger in person(), at in 0..4_usize, paged in prop::bool::ANY,
    ) {
        let mut people = people;
        for (n, person) in people.iter_mut().enumerate() {
            person.id = (2000 + n).to_string();
            person.address = "見本市1丁目1".to_owned();
        }
        prop_assume!(people.iter().all(|p| printed(p) != printed(&stranger)));
        let scene = asked(&people);
        let mut printed = people.clone();
        let sheets = |people: &[Someone]| if paged {
            certificate(&people.chunks(1).collect::<Vec<_>>())
        } else {
            certificate(&[people])
        };
        let own = scene.paper(&plan(CHECKS), sheets(&printed));
        prop_assert!(own.all_match(), "{:?}", own.findings);
        let at = at % printed.len();
        printed[at] = stranger;
        prop_assert!(!scene.paper(&plan(CHECKS), sheets(&printed)).all_match());
    }

    #[test]
    fn no_layout_stops_a_run(cells in prop::collection::vec((".{0,12}", -10.0..220.0_f32), 0..40), labels in prop::collection::vec(0..6_usize, 0..40)) {
        let words = ["氏　名", "生年月日", "性別", "住所", "発行日", "：氏名"];
        let mut sheet = Sheet::default();
        for (index, (text, x)) in cells.iter().enumerate() {
            let label = labels.get(index).map_or("", |l| words[*l]);
            sheet = if index % 3 == 0 { sheet.line(&[(label, *x), (text, x + 20.0)]) } else { sheet.line(&[(text, *x)]) };
        }
        for people in [vec![taro()], vec![taro(), hanako()]] {
            let scene = asked(&people);
            let compiled = plan(CHECKS);
            let findings = scene.paper(&compiled, vec![sheet.clone()]);
            prop_assert!(!findings.all_match());
            compiled.explain(Content::Document(document(vec![sheet.clone()])), Some(&scene.evidence()));
        }
    }

    #[test]
    fn no_bytes_stop_a_run(body in prop::collection::vec(any::<u8>(), 0..600), json in prop::bool::ANY, status in 0..1000_u16) {
        let spec: ChecksSpec = toml::from_str("[identity]\nwith = \"resident\"\nenough = [[\"id\"]]\nfields = { id = { json = \"/id\" } }\ncurrency = \"unproven\"").unwrap_or_default();
        let spec = ChecksSpec { currency: Some(sekisho_issuance::checks::spec::Currency::Unproven), ..spec };
        let fields = lookup_fields(LOOKUP);
        let mut context = PlanContext::new(Operation::Inquire);
        context.lookups.insert("resident", LookupContext { fields: &fields, independent: true });
        let inquiry = CheckPlan::compile(&spec, &context);
        let mut scene = asked(&[taro()]);
        scene.status = status;
        scene.body = if json { [b"{\"id\":".as_slice(), &body, b"}"].concat() } else { [b"%PDF-".as_slice(), &body, b"%%EOF"].concat() };
        prop_assert!(!plan(CHECKS).run(&scene.evidence()).all_match());
        if let Ok(inquiry) = inquiry {
            inquiry.run(&scene.evidence());
        }
        let _ = lookup_fields(LOOKUP).parse(&scene.body);
    }

    #[test]
    fn no_json_stops_a_reply(text in "[{}\\[\\]\":,a-z0-9.\\\\ -]{0,200}") {
        let _ = sekisho_issuance::answer::json(text.as_bytes());
        let _ = lookup_fields(LOOKUP).parse(text.as_bytes());
    }
}
