//! Mistakes in a `checks` table: each is reported, with what to write instead.

use sekisho_issuance::checks::{CheckPlan, ChecksSpec, LookupContext, PlanContext, SpecError};
use sekisho_issuance::request::Operation;
use sekisho_issuance::verdict::CheckName;

use crate::scene::*;

fn mistakes(checks: &str) -> Vec<SpecError> {
    compile(checks, LOOKUP, |_| {}).err().unwrap_or_default()
}

#[track_caller]
fn mistake(checks: &str, key: &str, suggestion: &str) {
    let found = mistakes(checks);
    let hit = found.iter().any(|e| e.key == key && e.suggestion.contains(suggestion));
    assert!(hit, "{found:#?}");
}

#[track_caller]
fn only_mistake(checks: &str, key: &str, suggestion: &str) {
    assert_eq!(mistakes(checks).len(), 1, "{:#?}", mistakes(checks));
    mistake(checks, key, suggestion);
}

#[test]
fn the_worked_example_compiles_and_says_what_is_on() {
    let text = r#"
        echo      = { header = "X-Request-Id" }
        shape     = { status = [200], media_type = "application/pdf", size = ["2KiB", "2MiB"] }
        pages     = { line = '^(\d+)／(\d+)$' }
        issued_on = { after = "発行日" }
        version   = { probe = "resident" }
        unique    = { window = "48h" }
    "#;
    let plan = plan(&(text.to_owned() + CHECKS));
    let names: Vec<_> = plan.names().into_iter().map(CheckName::name).collect();
    let all = ["shape", "echo", "identity", "kind", "municipality", "pages", "version", "issued_on", "unique"];
    assert_eq!(names, all);
    assert_eq!(plan.lookup(), Some("resident"));
    assert!(plan.needs_after() && plan.echoed());
    assert_eq!(plan.unique().unwrap().window.as_secs(), 48 * 3600);
    assert_eq!(plan.open_causes(), [(CheckName::IssueNumber, &["R1", "R2", "R4"][..])]);
    assert!(plan.warnings().is_empty(), "{:?}", plan.warnings());
}

#[test]
fn checks_are_on_unless_false_and_what_is_off_leaves_causes_open() {
    let off = "kind = false\npages = false\nissued_on = false\nunique = false\nversion = false\nmunicipality = false\n";
    let plan = plan(&(off.to_owned() + CHECKS));
    let open: Vec<_> = plan.open_causes().into_iter().map(|(check, causes)| (check.name(), causes.to_vec())).collect();
    for (check, cause) in [("kind", "R1"), ("pages", "R6"), ("issued_on", "R4"), ("unique", "R2"), ("version", "R3")] {
        assert!(open.iter().any(|(name, causes)| *name == check && causes.contains(&cause)), "{check} {open:?}");
    }
    assert_eq!(plan.names().len(), 2);
}

#[test]
fn unknown_keys_are_refused() {
    for text in ["kinds = false", "[identity]\nwiht = \"x\"", "[pages]\nlines = '(a)(b)'", "shape = 1"] {
        assert!(toml::from_str::<ChecksSpec>(text).is_err(), "{text}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let text = r#"
        shape = { status = [206], size = [2048, "2MB"] }
        pages = { line = '^(\d+)$' }
        unique = { window = "24h" }
        issue_number = { after = "番号", line = "(.+)" }
    "#;
    let found = mistakes(&(text.to_owned() + CHECKS));
    let keys: Vec<_> = found.iter().map(|e| e.key.as_str()).collect();
    assert_eq!(keys, ["shape.status", "shape.size", "shape.size", "pages.line", "issue_number", "unique.window"]);
    assert!(found[1].suggestion.starts_with("write \"2048KiB\""), "{found:#?}");
    assert!(found[2].suggestion.starts_with("write \"2MiB\""));
}

#[test]
fn identity_must_be_sufficient() {
    let with = |enough: &str| {
        CHECKS.replace("enough = [[\"name\", \"birth_date\", \"sex\", \"address\"]]", &format!("enough = {enough}"))
    };
    only_mistake(&with("[[\"name\", \"birth_date\", \"sex\"]]"), "identity.enough.0", "an exact id");
    only_mistake(&with("[[\"name\", \"birth_date\", \"address\"], [\"sex\"]]"), "identity.enough.1", "an exact id");
    only_mistake(&with("[[\"nmae\", \"birth_date\", \"address\"]]"), "identity.enough.0", "did you mean `name`?");
    only_mistake(&with("[]"), "identity.enough", "enough = ");
    only_mistake(
        &(CHECKS.replace("name = { after = \"氏名\" }", "name = { after = \"氏名\", as = \"id\" }")),
        "identity.fields.name.as",
        "remove",
    );
    mistake("identity = false\ncurrency = \"unproven\"", "identity", "observe");
    mistake("", "identity", "enough");
}

#[test]
fn what_is_compared_must_have_something_to_compare_with() {
    let extra = CHECKS.to_owned() + "adress = { after = \"住所\" }\n";
    only_mistake(&extra, "identity.fields.adress", "did you mean `address`?");
    only_mistake(
        &CHECKS.replace("with = \"resident\"", "with = \"residents\"").to_owned(),
        "identity.with",
        "did you mean `resident`?",
    );
    let without = CHECKS.replace("with = \"resident\"", "");
    mistake(&without, "identity.fields.name", "name a lookup in identity.with");
    let no_id = compile(CHECKS, &LOOKUP.replace("id = { json = \"/id\" }", ""), |_| {}).err().unwrap();
    assert!(no_id.iter().any(|e| e.key == "identity.with" && e.suggestion.contains("id = ")), "{no_id:#?}");
}

#[test]
fn an_amend_that_tells_no_version_is_refused() {
    let identity = "[identity]\nenough = [[\"id\"]]\nfields = { id = { json = \"/id\" } }";
    let compiled = |checks: &str| {
        let fields = lookup_fields(LOOKUP);
        let mut context = PlanContext::new(Operation::Amend);
        context.lookups.insert("resident", LookupContext { fields: &fields, independent: true });
        CheckPlan::compile(&toml::from_str(&format!("{checks}\n{identity}")).unwrap(), &context)
    };
    for silent in ["", "currency = \"unproven\""] {
        let found = compiled(silent).err().unwrap();
        assert!(found.len() == 1 && found[0].key == "as_of" && found[0].suggestion.contains("/version"), "{found:#?}");
    }
    assert!(compiled("as_of = { json = \"/version\" }").is_ok());
    assert!(compiled("version = { probe = \"resident\" }").is_ok());
}

#[test]
fn a_route_without_any_proof_of_currency_is_refused_unless_it_says_so() {
    let partial = CHECKS.replace("sex = { after = \"性別\" }", "").replace("\"sex\", ", "");
    only_mistake(&partial, "currency", "unproven");
    let plan = plan(&("currency = \"unproven\"\n".to_owned() + &partial));
    assert!(plan.currency_unproven());
    assert!(plan.open_causes().contains(&(CheckName::AsOf, &["R7"][..])));
    assert!(mistakes(&("as_of = { header = \"X-As-Of\" }\n".to_owned() + &partial)).is_empty());
}

#[test]
fn places_fit_the_answer_and_expressions_have_their_groups() {
    let name = |place: &str| CHECKS.replace("name = { after = \"氏名\" }", &format!("name = {place}"));
    mistake(&name("{ json = \"/name\" }"), "identity.fields.name.json", "after");
    mistake(&name("{}"), "identity.fields.name", "after");
    mistake(&name("{ line = '^氏名.*$' }"), "identity.fields.name.line", "parentheses");
    mistake(&name("{ line = '^氏名 (.*' }"), "identity.fields.name.line", "regex");
    mistake(&name("{ line = '(.*)' }"), "identity.fields.name.line", "anchor");
    mistake(&name("{ after = \"　\" }"), "identity.fields.name.after", "氏名");
    mistake(&name("{ box_mm = [10, 10, 0, 5] }"), "identity.fields.name.box_mm", "width");
    mistake(&name("{ header = \"X Name\" }"), "identity.fields.name.header", "X-Request-Id");
    mistake(&name("{ header = \"X-Name\" }"), "identity.enough.0", "leave it out");
    mistake(&name("{ after = \"氏名\", lines = 0 }"), "identity.fields.name.lines", "1 or more");
    mistake(&name("{ after = \"氏名\", gaiji = \"x.gaiji\" }"), "identity.fields.name.gaiji", "beside");
    mistake(&format!("version = {{ probe = \"residnet\" }}\n{CHECKS}"), "version.probe", "did you mean `resident`?");
    mistake(&format!("[selection.copy]\nafter = \"x\"\n{CHECKS}"), "selection.copy", "none is declared");
    mistake(&format!("echo = {{ json = \"/id\" }}\n{CHECKS}"), "echo.json", "header");
}

#[test]
fn routes_that_speak_of_nobody_check_form_and_echo_only() {
    let compile = |text: &str| {
        let spec: ChecksSpec = toml::from_str(text).unwrap();
        CheckPlan::compile(&spec, &PlanContext::new(Operation::Open))
    };
    let plan = compile("echo = { json = \"/requestId\" }").unwrap_or_else(|e| panic!("{e:#?}"));
    assert_eq!(plan.names(), [CheckName::Shape, CheckName::Echo]);
    let errors = compile("unique = { strict = true }\nshape = { media_type = \"application/pdf\" }").err().unwrap();
    assert_eq!(errors.iter().map(|e| e.key.as_str()).collect::<Vec<_>>(), ["unique", "shape.media_type"]);
}

#[test]
fn an_amend_may_be_vouched_for_by_its_echo_alone() {
    let fields = lookup_fields(LOOKUP);
    let compile = |text: &str| {
        let spec: ChecksSpec = toml::from_str(text).unwrap();
        let mut context = PlanContext::new(Operation::Amend);
        context.lookups.insert("resident", LookupContext { fields: &fields, independent: true });
        CheckPlan::compile(&spec, &context)
    };
    assert!(compile("identity = false\nas_of = { json = \"/version\" }\necho = { json = \"/requestId\" }").is_ok());
    assert!(compile("identity = false").is_err());
    let by_id = "as_of = { json = \"/version\" }\n[identity]\nenough = [[\"resident_id\"]]\nfields = { resident_id = { json = \"/residentId\" } }";
    assert!(compile(by_id).is_ok());
}

#[test]
fn weak_points_are_warned_of() {
    let plan = compile(CHECKS, LOOKUP, |context| {
        context.fresh_connections = false;
        context.lookups.values_mut().for_each(|lookup| lookup.independent = false);
    });
    let plan = plan.unwrap_or_else(|e| panic!("{e:#?}"));
    assert_eq!(plan.warnings().len(), 2, "{:?}", plan.warnings());
}
