//! The manual of the configuration and its JSON Schema, made from the keys that the readers ask for. Reads no user's file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::source::{Asked, Findings};

/// Every table once, so that every reader is asked; what stands in it does not matter.
const EVERY_TABLE: &str = include_str!("reference.toml");

/// Where a key's words come from: the doc comment of the field of the same name.
const SOURCES: [(&str, &str, &str); 6] = [
    ("server", "Server", include_str!("listeners.rs")),
    ("sessions", "SessionLimits", include_str!("listeners.rs")),
    ("ledger", "LedgerLimits", include_str!("../ledger/table.rs")),
    ("backends.name", "Backend", include_str!("backends.rs")),
    ("backends.name.hazards", "Backend", include_str!("backends.rs")),
    ("routes.name", "Route", include_str!("../route.rs")),
];

/// Words for keys that no field is named after: path, English.
const WORDS: &str = include_str!("reference.txt");

/// Tables that may be written in one word, too.
const IN_ONE_WORD: [&str; 2] = ["routes.name.authority", "tenants.991007.hours"];

fn asked() -> Vec<Asked> {
    let mut found = Findings::new(EVERY_TABLE, None);
    found.asked = Some(Vec::new());
    let _ = super::parse_into(EVERY_TABLE, &mut found);
    let mut keys: Vec<Asked> = Vec::new();
    for key in found.asked.unwrap_or_default() {
        if keys.iter().all(|known| known.path != key.path) {
            keys.push(key);
        }
    }
    keys
}

/// The doc comment of `field` in `structure`.
fn doc(source: &str, structure: &str, field: &str) -> Option<String> {
    let body = source.split(&format!("pub struct {structure} {{")).nth(1)?.split("\n}").next()?;
    let before = body.split(&format!("pub {field}:")).next().filter(|before| before.len() < body.len())?;
    let lines: Vec<&str> = before.lines().rev().skip(1).map_while(|line| line.trim().strip_prefix("/// ")).collect();
    (!lines.is_empty()).then(|| lines.into_iter().rev().collect::<Vec<_>>().join(" "))
}

/// Whether words for `known` are about `path`; `*` stands for one part.
fn fits(known: &str, path: &str) -> bool {
    let (known, path): (Vec<&str>, Vec<&str>) = (known.split('.').collect(), path.split('.').collect());
    known.len() == path.len() && known.iter().zip(path).all(|(known, part)| *known == "*" || *known == part)
}

/// What a key is for; `None` where nobody wrote it down.
fn about(path: &str) -> Option<String> {
    let mut words = WORDS.lines().filter_map(|line| line.split_once(": "));
    if let Some((_, words)) = words.find(|(key, _)| fits(key, path)) {
        return Some(words.to_owned());
    }
    let (table, field) = path.rsplit_once('.').unwrap_or(("", path));
    SOURCES
        .iter()
        .filter(|(known, ..)| *known == table)
        .find_map(|(_, structure, source)| doc(source, structure, field))
}

/// The path as people write it.
fn shown(path: &str) -> String {
    let name = |part| if part == "name" { "NAME" } else { part };
    // A key may be called `name` too: that is the last part of its path.
    let (table, key) = path.rsplit_once('.').unwrap_or(("", path));
    let table: Vec<&str> = table.split('.').filter(|part| !part.is_empty()).map(name).collect();
    let key =
        if ["backends", "lookups", "routes", "problems", "dialects", "canaries"].contains(&table.join(".").as_str()) {
            "NAME"
        } else {
            key
        };
    table.into_iter().chain([key]).collect::<Vec<_>>().join(".").replace("991007", "CODE")
}

/// The configuration reference.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Configuration reference\n\nMade from the readers of `gateway/src/config` and their doc comments (`UPDATE_EXPECT=1 cargo test -p sekisho-gateway reference`). \
         Unknown keys are errors; durations and\nsizes carry their unit. `NAME` is a name of yours, `CODE` a municipality's six digits.\n\n| key | is | example | for |\n|---|---|---|---|\n",
    );
    for key in asked() {
        let example =
            if key.example.is_empty() { String::new() } else { format!("`{}`", key.example.replace('|', "\\|")) };
        let about = about(&key.path).unwrap_or_default().replace('|', "\\|");
        let _ = writeln!(text, "| `{}` | {} | {example} | {about} |", shown(&key.path), key.expected);
    }
    text
}

/// One level of the schema.
#[derive(Default)]
struct Node {
    below: BTreeMap<String, Node>,
    key: Option<Asked>,
}

impl Node {
    fn schema(&self) -> Value {
        let about = self.key.as_ref().and_then(|key| about(&key.path)).unwrap_or_default();
        let kind = self.key.as_ref().map_or("a table", |key| key.expected.as_str());
        let mut schema = match kind {
            _ if kind.starts_with("a string") => json!({ "type": "string" }),
            _ if kind.starts_with("true or false") => json!({ "type": "boolean" }),
            _ if kind.starts_with("a whole number") => json!({ "type": "integer", "minimum": 0 }),
            _ if kind.starts_with("a duration") => json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$" }),
            _ if kind.starts_with("a size") => json!({ "type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB)$" }),
            _ if kind.starts_with("a list") => json!({ "type": "array" }),
            // Another crate's table, or one that may be written in one word.
            "a table" if self.below.is_empty() => json!({}),
            _ => json!({ "type": "object" }),
        };
        // A table may stand for a shorter way of writing it, and other crates' tables are described there.
        let named = |name: &str| ["name", "991007"].contains(&name) && kind == "a table of tables";
        if kind.starts_with("a table") && !self.below.is_empty() {
            let named_table = self.below.iter().find(|(name, _)| named(name)).map(|(_, node)| node.schema());
            let fixed: serde_json::Map<String, Value> = self
                .below
                .iter()
                .filter(|(name, _)| !named(name))
                .map(|(name, node)| (name.clone(), node.schema()))
                .collect();
            schema = match named_table {
                Some(table) => json!({ "type": "object", "properties": fixed, "additionalProperties": table }),
                None => json!({ "type": "object", "properties": fixed }),
            };
            let in_one_word = self.key.as_ref().is_some_and(|key| IN_ONE_WORD.contains(&key.path.as_str()));
            if let Some(of) = schema.get_mut("type").filter(|_| in_one_word) {
                *of = json!(["string", "object"]);
            }
        }
        if let Some(members) = schema.as_object_mut().filter(|_| !about.is_empty()) {
            members.insert("description".to_owned(), about.into());
        }
        schema
    }
}

/// JSON Schema (draft-07) of the configuration, for editors. `check` knows more.
pub fn schema() -> Value {
    let mut root = Node::default();
    for key in asked() {
        let mut node = &mut root;
        for part in key.path.split('.') {
            node = node.below.entry(part.to_owned()).or_default();
        }
        // Read in two ways: the table comes last and is kept, since the shorter way is refused nowhere else.
        node.key = Some(key);
    }
    let mut schema = root.schema();
    if let Some(members) = schema.as_object_mut() {
        members.insert("$schema".to_owned(), "http://json-schema.org/draft-07/schema#".into());
        members.insert("title".to_owned(), "sekisho-gateway".into());
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_step(path: &str, made: &str) {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&path, made).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), made, "run this test with UPDATE_EXPECT=1");
    }

    #[test]
    fn the_reference_and_the_schema_are_in_step_with_the_readers() {
        in_step("docs/configuration.md", &markdown());
        in_step("docs/gateway.schema.json", &(serde_json::to_string_pretty(&schema()).unwrap() + "\n"));
    }

    #[test]
    fn every_key_of_the_reference_says_what_it_is_for() {
        let silent: Vec<String> =
            asked().into_iter().filter(|key| about(&key.path).is_none()).map(|key| key.path).collect();
        assert!(silent.is_empty(), "no words for (reference.txt):\n{}", silent.join("\n"));
        let known: Vec<String> = asked().into_iter().map(|key| key.path).collect();
        let stale: Vec<&str> = WORDS
            .lines()
            .filter_map(|line| Some(line.split_once(": ")?.0))
            .filter(|key| !known.iter().any(|k| fits(key, k)))
            .collect();
        assert!(stale.is_empty(), "words for what no reader asks for: {stale:?}");
    }

    /// Every place at which `value` is not what `schema` says.
    fn wrong(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
        let kind = match value {
            Value::String(_) => "string",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "integer",
            Value::Array(_) => "array",
            _ => "object",
        };
        let types = schema.get("type");
        if types.is_some_and(|types| types != kind && !types.as_array().is_some_and(|all| all.contains(&kind.into()))) {
            found.push(format!("{at} is {kind}, not {}", types.unwrap()));
        }
        for (name, below) in value.as_object().into_iter().flatten() {
            let next = schema.pointer(&format!("/properties/{name}")).or(schema.get("additionalProperties"));
            if let Some(next) = next {
                wrong(next, below, &format!("{at}.{name}"), found);
            }
        }
    }

    #[test]
    fn an_editor_finds_nothing_wrong_in_a_configuration_that_check_accepts() {
        let one_word =
            "[tenants.991015]\nhours = { daily = \"06:30-23:00\" }\n[routes.x]\nauthority = \"trusted_source\"\n";
        let worked = [
            include_str!("../../../loadtest/demo/gateway.toml"),
            include_str!("../../../loadtest/demo/gateway-soap.toml"),
        ];
        for text in worked.into_iter().chain([one_word]) {
            let value = serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap();
            let mut found = Vec::new();
            wrong(&schema(), &value, "", &mut found);
            assert!(found.is_empty(), "{found:#?}");
        }
        let mut found = Vec::new();
        wrong(&schema(), &json!({ "server": { "threads": "two" } }), "", &mut found);
        assert_eq!(found.len(), 1, "it does find what is wrong");
    }

    /// Whatever the worked configurations say stands in the reference.
    #[test]
    fn the_worked_configurations_use_no_key_that_the_reference_lacks() {
        let known: Vec<String> = asked().into_iter().map(|key| shown(&key.path)).collect();
        for worked in [
            include_str!("../../../loadtest/demo/gateway.toml"),
            include_str!("../../../loadtest/demo/gateway-soap.toml"),
        ] {
            let table: toml::Table = worked.parse().unwrap();
            for (section, below) in &table {
                assert!(known.contains(section), "{section}");
                let named = ["backends", "lookups", "routes", "problems", "dialects"].contains(&section.as_str());
                for (_, entry) in below.as_table().into_iter().flatten().filter(|_| named) {
                    for key in entry.as_table().unwrap().keys() {
                        assert!(known.contains(&format!("{section}.NAME.{key}")), "{section}.NAME.{key}");
                    }
                }
            }
        }
    }
}
