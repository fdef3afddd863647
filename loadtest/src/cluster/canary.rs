//! A canary of the gateway on a simulated town's own people, in the words of the town's dialect.

use crate::cluster::Town;
use crate::dialect::Dialect;
use crate::legacy::Form;
use crate::soap;

/// What the issuing route and the two around it want to hear in each dialect.
fn steps(dialect: Dialect, kind: &str) -> (String, Option<String>, String) {
    match dialect {
        Dialect::Json => {
            let open = r#"{"terminal":"{kiosk}","cardSerial":"{card}","cityCode":"{municipality}"}"#;
            (open.to_owned(), None, r#"{"scope":"self","copies":"1"}"#.to_owned())
        }
        Dialect::Soap => {
            let message =
                |header: String, body: String| String::from_utf8_lossy(&soap::envelope(&header, &body)).into_owned();
            let terminal = soap::element("Terminal", "{kiosk}");
            let opened = terminal.clone() + &soap::element("Seq", "{session}");
            let open = soap::element("CardNo", "{card}") + &soap::element("City", "{municipality}");
            let issue = soap::element("Kind", kind) + &soap::element("Scope", "self") + &soap::element("Copies", "1");
            (
                message(terminal, format!("<j:Open>{open}</j:Open>")),
                Some(message(opened.clone(), "<j:Close></j:Close>".to_owned())),
                message(opened, format!("<j:Issue>{issue}</j:Issue>")),
            )
        }
        Dialect::Form => (
            "terminal={kiosk}&card={card}&city={municipality}".to_owned(),
            Some("terminal={kiosk}&session={session}".to_owned()),
            format!("terminal={{kiosk}}&session={{session}}&kind={kind}&scope=self&copies=1"),
        ),
    }
}

/// Adds `[canaries.one]` on the route of `form` to what protects `town`; its people live in the first municipality.
pub fn sing(configuration: &mut toml::Table, town: &Town, form: Form, every: &str) {
    let (route, kind) = match form {
        Form::Tax => ("tax", "04"),
        _ => ("family_register", "05"),
    };
    let (open, close, issue) = steps(town.dialect(), kind);
    let people: Vec<toml::Value> = town
        .can_ask_for(0, form)
        .into_iter()
        .filter(|person| town.head(*person) == *person)
        .take(2)
        .enumerate()
        .map(|(n, person)| {
            let said = [("kiosk", format!("CANARY-{n}")), ("card", town.card(person).to_owned())];
            toml::Table::from_iter(said.map(|(name, value)| (name.to_owned(), value.into()))).into()
        })
        .collect();
    let step = |route: &str, body: Option<String>| {
        let body = body.map(|body| ("body".to_owned(), body.into()));
        toml::Value::from(toml::Table::from_iter([("route".to_owned(), route.into())].into_iter().chain(body)))
    };
    let facts = toml::Table::from_iter([("municipality".to_owned(), town.code(0).into())]);
    let one = toml::Table::from_iter([
        ("route".to_owned(), route.into()),
        ("every".to_owned(), every.into()),
        ("facts".to_owned(), facts.into()),
        ("people".to_owned(), people.into()),
        ("body".to_owned(), issue.into()),
        ("open".to_owned(), step("session_open", Some(open))),
        ("close".to_owned(), step("session_close", close)),
    ]);
    configuration.insert("canaries".to_owned(), toml::Table::from_iter([("one".to_owned(), one.into())]).into());
}
