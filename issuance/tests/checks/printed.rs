//! What else the paper prints, and whether it is current.

use std::str::FromStr;

use sekisho_issuance::answer::Body;
use sekisho_issuance::checks::{CheckPlan, Content, LookupContext, PlanContext};
use sekisho_issuance::request::Operation;
use sekisho_issuance::verdict::CheckName;

use crate::scene::*;

#[track_caller]
fn says(check: CheckName, checks: &str, sheets: Vec<Sheet>, expected: &str) {
    assert_eq!(asked(&[taro()]).says(&plan(&(checks.to_owned() + CHECKS)), check, sheets), expected);
}

fn good() -> Vec<Sheet> {
    certificate(&[&[taro()]])
}

/// The certificate with one line's text replaced.
fn with(from: &str, to: &str) -> Vec<Sheet> {
    let mut sheets = good();
    for run in sheets.iter_mut().flat_map(|s| &mut s.lines).flat_map(|l| &mut l.runs) {
        run.text = run.text.replace(from, to);
    }
    sheets
}

#[test]
fn the_kind_is_the_title_of_the_first_page_and_no_other_title_stands_anywhere() {
    let title = "住　民　票　の　写　し";
    says(CheckName::Kind, "", good(), "match");
    says(CheckName::Kind, "", with(title, "印鑑登録証明書"), "mismatch kind@1");
    says(CheckName::Kind, "", with(title, "証明書"), "unverifiable kind_missing");
    says(CheckName::Kind, "", with(title, "住民票の写しの請求について"), "unverifiable kind_missing");
    let mut mixed = certificate(&[&[taro()], &[taro()]]);
    mixed[1].lines[0].runs[0].text = "戸籍の附票の写し".to_owned();
    says(CheckName::Kind, "", mixed, "mismatch kind@2");
    let own = "[kind]\nline = '^住民票（謄本）$'\n";
    says(CheckName::Kind, own, with(title, "住 民 票（謄 本）"), "match");
    says(CheckName::Kind, own, good(), "unverifiable kind_missing");
}

#[test]
fn every_page_says_which_of_how_many_it_is() {
    says(CheckName::Pages, "", certificate(&[&[taro()], &[taro()], &[taro()]]), "match");
    says(CheckName::Pages, "", with("1／1", "1／2"), "mismatch pages@1");
    says(CheckName::Pages, "", with("1／1", "2／1"), "mismatch pages@1");
    says(CheckName::Pages, "", with("1／1", "表紙"), "unverifiable page_mark_missing");
    let mut swapped = certificate(&[&[taro()], &[taro()]]);
    swapped.swap(0, 1);
    says(CheckName::Pages, "", swapped, "mismatch pages@1");
    let own = "[pages]\nline = '^第(\\d+)頁（全(\\d+)頁）$'\n";
    says(CheckName::Pages, own, with("1／1", "第１頁（全１頁）"), "match");
    says(CheckName::Pages, "", with("1／1", "１ ／ １"), "match");
}

#[test]
fn a_foreign_mayor_is_a_mismatch() {
    says(CheckName::Municipality, "", good(), "match");
    says(CheckName::Municipality, "", with("見本市長", "隣町長"), "mismatch municipality@1");
    says(CheckName::Municipality, "", with("見本市長", "市役所"), "unverifiable value_missing");
    let mut scene = asked(&[taro()]);
    scene.municipality_name = None;
    let said = scene.says(&plan(CHECKS), CheckName::Municipality, good());
    assert_eq!(said, "unverifiable municipality_name_unknown");
}

#[test]
fn the_date_of_issue_is_today_in_japan_across_midnight_too() {
    says(CheckName::IssuedOn, "", good(), "match");
    says(CheckName::IssuedOn, "", with("１１月２２日", "１１月２１日"), "mismatch issued_on@1");
    says(CheckName::IssuedOn, "", with("１１月２２日", "１１月３１日"), "unverifiable issued_on_not_understood");
    says(CheckName::IssuedOn, "", with("発行日", "交付日"), "unverifiable issued_on_missing");
    let on = |sent: &str, received: &str, synchronized: bool| {
        let mut scene = asked(&[taro()]);
        scene.sent_at = sent.parse().unwrap();
        scene.received_at = received.parse().unwrap();
        scene.clock_synchronized = synchronized;
        scene.says(&plan(CHECKS), CheckName::IssuedOn, good())
    };
    assert_eq!(on("2026-11-21T23:59:59+09:00", "2026-11-22T00:00:01+09:00", true), "match");
    assert_eq!(on("2026-11-22T23:59:59+09:00", "2026-11-23T00:00:01+09:00", true), "match");
    assert_eq!(on("2026-11-21T14:59:00Z", "2026-11-21T14:59:59Z", true), "mismatch issued_on@1");
    assert_eq!(on("2026-11-21T15:00:00Z", "2026-11-21T15:00:01Z", true), "match");
    assert_eq!(on("2026-11-22T10:00:00Z", "2026-11-22T10:00:01Z", false), "unverifiable clock_unsynchronized");
}

#[test]
fn a_printed_time_before_the_attempt_is_an_earlier_jobs() {
    let checks = "[issued_at]\nafter = \"発行日\"\nbackend_skew = \"5s\"\n[issued_on]\nline = '^発行日 (.+日)'\n";
    let at = |printed: &str| {
        let sheets = with("令和８年１１月２２日", printed);
        asked(&[taro()]).says(&plan(&(checks.to_owned() + CHECKS)), CheckName::IssuedAt, sheets)
    };
    assert_eq!(at("令和８年１１月２２日 １０時００分０１秒"), "match");
    assert_eq!(at("令和８年１１月２２日　１０時００分"), "match");
    assert_eq!(at("2026-11-22T10:00:02"), "match");
    assert_eq!(at("2026-11-22T01:00:02Z"), "match");
    assert_eq!(at("令和８年１１月２２日 ９時５９分５８秒"), "match");
    assert_eq!(at("令和８年１１月２２日 ９時５９分５０秒"), "mismatch issued_at@1");
    assert_eq!(at("令和８年１１月２２日 ９時５８分"), "mismatch issued_at@1");
    assert_eq!(at("令和８年１１月２２日 １１時"), "mismatch issued_at@1");
    assert_eq!(at("令和８年１１月２２日 ２５時"), "unverifiable issued_at_not_understood");
}

#[test]
fn the_record_must_not_change_meanwhile() {
    let version = |before: Option<&str>, after: Option<&str>| {
        let mut scene = asked(&[taro()]);
        scene.before = before.map(|v| reply(&[taro()], v));
        scene.after = after.map(|v| reply(&[taro()], v));
        scene.says(&plan(CHECKS), CheckName::Version, good())
    };
    assert_eq!(version(Some("7"), Some("7")), "match");
    assert_eq!(version(Some("7"), Some("8")), "mismatch version");
    assert_eq!(version(Some("7"), None), "unverifiable probe_unanswered");
    assert_eq!(version(None, Some("7")), "unverifiable probe_unanswered");
    let mut scene = asked(&[taro()]);
    scene.after = Some(reply(&[jiro()], "7"));
    assert_eq!(scene.says(&plan(CHECKS), CheckName::Version, good()), "unverifiable lookup_names_another");
    scene.after = Some(reply(&[taro()], "7"));
    scene.after.as_mut().unwrap().version = None;
    assert_eq!(scene.says(&plan(CHECKS), CheckName::Version, good()), "unverifiable probe_without_version");
}

#[test]
fn another_members_change_meanwhile_is_seen_although_the_applicants_version_stands() {
    let mut moved = hanako();
    moved.address = "見本県見本市別町９－９".into();
    let both = [taro(), hanako()];
    let mut scene = asked(&both);
    scene.after = Some(reply(&[taro(), moved.clone()], "7"));
    let paper = || certificate(&[&[taro(), hanako()]]);
    assert_eq!(scene.says(&plan(CHECKS), CheckName::Version, paper()), "unverifiable people_changed_meanwhile");
    // A certificate that does not speak of that member is still right.
    let mut alone = asked(&[taro()]);
    alone.before = Some(reply(&both, "7"));
    alone.after = Some(reply(&[taro(), moved], "7"));
    assert_eq!(alone.says(&plan(CHECKS), CheckName::Version, good()), "match");
}

#[test]
fn an_answer_older_than_the_last_known_amend_is_refused() {
    let checks = "[as_of]\nheader = \"X-Version\"\nwatermark = \"amend\"\n";
    let as_of = |printed: Option<&str>, watermark: Option<&str>| {
        let mut scene = asked(&[taro()]);
        scene.reached.amended =
            watermark.map(|v| (scene.facts.residents[0].clone(), v.to_owned())).into_iter().collect();
        scene.headers.extend(printed.map(|v| ("x-version".to_owned(), v.as_bytes().to_vec())));
        scene.says(&plan(&(checks.to_owned() + CHECKS)), CheckName::AsOf, good())
    };
    assert_eq!(as_of(Some("7"), None), "match");
    assert_eq!(as_of(Some("10"), Some("9")), "match");
    assert_eq!(as_of(Some("9"), Some("10")), "mismatch as_of");
    assert_eq!(as_of(Some("6"), None), "mismatch as_of", "the lookup says 7");
    assert_eq!(as_of(None, None), "unverifiable as_of_missing");
    assert_eq!(as_of(Some("latest"), None), "unverifiable as_of_not_understood");
    assert_eq!(as_of(Some("8"), Some("2026-11-22T00:00:00Z")), "unverifiable as_of_not_comparable");
}

#[test]
fn optional_items_are_printed_exactly_as_asked() {
    let checks = "[selection.domicile]\nafter = \"本籍\"\nis = { yes = true, no = false }\n\
                  [selection.scope]\nafter = \"範囲\"\nis = { self = \"世帯の一部\", household = \"世帯の全部\" }\nunasked = \"世帯の一部\"\n";
    let compiled = compile(&(checks.to_owned() + CHECKS), LOOKUP, |context| {
        context.selection.extend(["domicile", "scope"]);
    });
    let compiled = compiled.unwrap_or_else(|e| panic!("{e:#?}"));
    let selected = |asked_for: &[(&str, &str)], printed: &[(&str, &str)]| {
        let mut scene = asked(&[taro()]);
        scene.facts.selection = asked_for.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut sheets = good();
        sheets[0] = printed.iter().fold(sheets[0].clone(), |sheet, (label, value)| sheet.row(label, value));
        scene.says(&compiled, CheckName::Selection, sheets)
    };
    let part = ("範囲", "世帯の一部");
    assert_eq!(selected(&[("domicile", "yes"), ("scope", "self")], &[part, ("本籍", "見本県")]), "match");
    assert_eq!(selected(&[("domicile", "no")], &[part]), "match");
    assert_eq!(selected(&[("domicile", "no")], &[part, ("本籍", "見本県")]), "mismatch selection.domicile@1");
    assert_eq!(selected(&[], &[part, ("本籍", "見本県")]), "mismatch selection.domicile@1", "unasked, so too much");
    assert_eq!(selected(&[("domicile", "yes")], &[part]), "unverifiable selected_item_missing");
    assert_eq!(selected(&[("scope", "household")], &[part]), "mismatch selection.scope@1");
    assert_eq!(selected(&[("domicile", "maybe")], &[part]), "unverifiable selection_value_undeclared");
}

#[test]
fn an_issue_number_is_handed_on_normalized_and_only_if_it_is_one() {
    let checks = "[issue_number]\nafter = \"発行番号\"\n";
    let number = |sheets: Vec<Sheet>| {
        let findings = asked(&[taro()]).paper(&plan(&(checks.to_owned() + CHECKS)), sheets);
        (findings.issue_number.clone(), said(&findings, CheckName::IssueNumber))
    };
    let page = |number: &str| good()[0].clone().row("発行番号", number);
    let (found, said) = number(vec![page("９９１００７－Ｋ０００１－00000123")]);
    assert_eq!((found.as_deref(), said.as_str()), (Some("991007-K0001-00000123"), "nothing"));
    assert_eq!(number(good()), (None, "unverifiable issue_number_missing".to_owned()));
    assert_eq!(number(vec![page("－")]), (None, "unverifiable issue_number_malformed".to_owned()));
    assert_eq!(number(vec![page("A-1"), page("A-2")]), (None, "mismatch issue_number@2".to_owned()));
}

#[test]
fn an_authority_that_has_not_heard_of_an_acknowledged_change_vouches_for_nothing() {
    let mut scene = asked(&[taro()]);
    for (mark, expected) in [("7", "match"), ("8", "unverifiable lookup_behind_amend")] {
        scene.reached.amended = vec![(scene.facts.residents[0].clone(), mark.to_owned())];
        assert_eq!(scene.says(&plan(CHECKS), CheckName::Version, certificate(&[&[taro()]])), expected);
    }
}

#[test]
fn no_members_document_is_older_than_that_members_own_acknowledged_change() {
    let both = [taro(), hanako()];
    let versions = |hanakos: Option<&str>| {
        let mut reply = reply(&both, "7");
        reply.people[1].version = hanakos.map(str::to_owned);
        Some(reply)
    };
    let says = |hanakos: Option<&str>, amended: Option<&str>, shown: Option<&str>| {
        let mut scene = asked(&both);
        (scene.before, scene.after) = (versions(hanakos), versions(hanakos));
        let hanako = scene.facts.residents.iter().find(|r| r.expose() == "1002").unwrap().clone();
        let mark = |version: Option<&str>| version.map(|v| (hanako.clone(), v.to_owned())).into_iter().collect();
        (scene.reached.amended, scene.reached.shown) = (mark(amended), mark(shown));
        scene.says(&plan(CHECKS), CheckName::Version, certificate(&[&both]))
    };
    assert_eq!(says(Some("3"), Some("3"), Some("2")), "match");
    assert_eq!(says(Some("2"), Some("3"), None), "unverifiable lookup_behind_amend");
    assert_eq!(says(None, Some("3"), None), "unverifiable member_version_unknown");
    assert_eq!(says(Some("v2"), Some("v3"), None), "unverifiable version_not_comparable");
    assert_eq!(says(Some("2"), None, Some("3")), "unverifiable lookup_behind_itself");
    assert_eq!(says(Some("v2"), None, Some("v3")), "match", "nothing is known of their order");
}

#[test]
fn a_printed_age_speaks_of_other_members_only_if_it_is_a_time() {
    let both = [taro(), hanako()];
    let says = |printed: &str, hanakos_mark: &str| {
        let mut scene = asked(&both);
        scene.reached.amended = vec![(scene.facts.residents[1].clone(), hanakos_mark.to_owned())];
        scene.reached.feed = Some(if printed == "7" { "7" } else { "2026-11-22T10:00:00Z" }.to_owned());
        scene.headers.push(("x-as-of".to_owned(), printed.as_bytes().to_vec()));
        let checks = format!("version = false\n[as_of]\nheader = \"X-As-Of\"\nwatermark = \"feed\"\n{CHECKS}");
        scene.says(&plan(&checks), CheckName::AsOf, certificate(&[&both]))
    };
    assert_eq!(says("7", "3"), "unverifiable member_version_unknown", "hers, not his");
    assert_eq!(says("2026-11-22T10:00:00Z", "2026-11-22T09:00:00Z"), "match");
    assert_eq!(says("2026-11-22T10:00:00Z", "2026-11-22T11:00:00Z"), "mismatch as_of");
}

/// A batch feed says how far the municipality's records are: whoever has not heard of it prints what was before.
#[test]
fn nothing_older_than_the_record_feed_passes_and_without_a_feed_nothing_does() {
    let says = |printed: &str, feed: Option<&str>| {
        let mut scene = asked(&[taro()]);
        scene.reached.feed = feed.map(str::to_owned);
        scene.headers.push(("x-as-of".to_owned(), printed.as_bytes().to_vec()));
        let checks = format!("version = false\n[as_of]\nheader = \"X-As-Of\"\nwatermark = \"feed\"\n{CHECKS}");
        scene.says(&plan(&checks), CheckName::AsOf, certificate(&[&[taro()]]))
    };
    assert_eq!(says("2026-11-22T10:00:00Z", None), "unverifiable feed_unknown");
    assert_eq!(says("2026-11-22T10:00:00Z", Some("2026-11-22T10:00:00Z")), "match");
    assert_eq!(says("2026-11-22T09:59:59Z", Some("2026-11-22T10:00:00Z")), "mismatch as_of");
    assert_eq!(says("41", Some("2026-11-22T10:00:00Z")), "unverifiable as_of_not_comparable");
}

#[test]
fn the_probe_after_an_amend_shows_the_version_that_it_made() {
    let fields = lookup_fields(LOOKUP);
    let says = |as_of: &str, body: &str, before: &str, after: &str, mark: Option<&str>| {
        let checks = format!(
            "version = {{ probe = \"resident\" }}\n{as_of}\n[identity]\nenough = [[\"id\"]]\nfields = {{ id = {{ json = \"/id\" }} }}"
        );
        let mut context = PlanContext::new(Operation::Amend);
        context.lookups.insert("resident", LookupContext { fields: &fields, independent: true });
        let plan = CheckPlan::compile(&toml::from_str(&checks).unwrap(), &context).unwrap_or_else(|e| panic!("{e:#?}"));
        let mut scene = asked(&[taro()]);
        (scene.before, scene.after) = (Some(reply(&[taro()], before)), Some(reply(&[taro()], after)));
        scene.reached.amended = mark.map(|v| (scene.facts.residents[0].clone(), v.to_owned())).into_iter().collect();
        let body = serde_json::Value::from_str(body).unwrap();
        said(&plan.judge(&scene.evidence(), Content::Data(Body::Json(body.into()))), CheckName::Version)
    };
    let silent = |before: &str, after: &str, mark| says("", r#"{"id":"1001"}"#, before, after, mark);
    assert_eq!(silent("7", "8", None), "match", "it changes by the amend itself");
    assert_eq!(silent("7", "8", Some("8")), "match");
    assert_eq!(silent("7", "7", None), "unverifiable amend_not_shown");
    assert_eq!(silent("8", "7", None), "mismatch version");
    assert_eq!(silent("v7", "v8", None), "unverifiable version_not_comparable");
    assert_eq!(silent("7", "8", Some("9")), "unverifiable lookup_behind_amend");
    let said = |body: &str, after: &str| says("as_of = { json = \"/version\" }", body, "7", after, None);
    assert_eq!(said(r#"{"id":"1001","version":"8"}"#, "8"), "match");
    assert_eq!(said(r#"{"id":"1001","version":"7"}"#, "7"), "match", "nothing had to be changed");
    assert_eq!(said(r#"{"id":"1001","version":"9"}"#, "8"), "unverifiable lookup_behind_amend");
    assert_eq!(said(r#"{"id":"1001","version":"x"}"#, "8"), "unverifiable version_not_comparable");
}
