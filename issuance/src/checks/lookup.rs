//! An authority's reply: who it says the person is. Parsed strictly; a reply that is unclear is no reply.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::spec::OneOrMany;
use super::{LookupReply, Person};
use crate::answer::{Pointer, Tree, tree};
use crate::id::ResidentId;

/// Why a reply does not count that is clear, but not what its lookup requires.
pub const LOOKUP_REQUIREMENT_NOT_MET: &str = "lookup_requirement_not_met";

/// The most people one reply may describe.
const MAX_PEOPLE: usize = 64;

/// `[lookups.NAME.fields]`: how to read an authority's reply.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct LookupFields {
    /// The id that the reply answers for; without it the reply can vouch for nobody.
    pub id: Option<LookupField>,
    /// The record's version; of each of the `people` as well, where it stands at the same place in their elements (or under
    /// `version` in their own `fields`).
    pub version: Option<LookupField>,
    /// The others on the same sheet.
    pub people: Option<PeopleSpec>,
    /// What must hold for the reply to count (`{ json = "/seal/status", equals = "active" }`), one or several.
    pub require: Option<OneOrMany<Requirement>>,
    /// Attributes by field name.
    #[serde(flatten)]
    pub attributes: BTreeMap<String, LookupField>,
}

/// `{ json = "/name" }`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupField {
    /// Where it stands.
    pub json: Pointer,
}

/// `people = { json = "/household", shared = ["address"] }`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeopleSpec {
    /// The array.
    pub json: Pointer,
    /// Fields relative to each element; absent = the same pointers as for the person asked for.
    #[serde(default)]
    pub fields: Option<BTreeMap<String, LookupField>>,
    /// Attributes that everybody has in common with the person asked for.
    #[serde(default)]
    pub shared: Vec<String>,
}

/// `{ json = "/seal/status", equals = "active" }`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// Where it stands.
    pub json: Pointer,
    /// What must stand there.
    pub equals: Value,
}

impl LookupFields {
    /// Whether a reply describes this field of a person.
    pub fn has(&self, field: &str) -> bool {
        field == "id" && self.id.is_some() || self.attributes.contains_key(field)
    }

    /// Every field of a person that a reply describes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.id.iter().map(|_| "id").chain(self.attributes.keys().map(String::as_str))
    }

    /// Reads a reply's body. The reason is a stable word, safe for labels and logs.
    pub fn parse(&self, body: &[u8]) -> Result<LookupReply, &'static str> {
        let body = tree(body)?;
        let requirements = self.require.as_ref().map_or(&[][..], OneOrMany::as_slice);
        if !requirements.iter().all(|r| r.json.find(&body).is_some_and(|found| *found == r.equals)) {
            return Err(LOOKUP_REQUIREMENT_NOT_MET);
        }
        let asked = person(&body, self.id.as_ref(), self.version.as_ref(), &self.attributes)?;
        if self.id.is_some() && asked.id.is_none() {
            return Err("lookup_without_id");
        }
        let version = asked.version.clone();
        let mut people = vec![asked];
        if let Some(spec) = &self.people {
            self.others(&body, spec, &mut people)?;
        }
        Ok(LookupReply { people, version })
    }

    fn others(&self, body: &Tree<'_>, spec: &PeopleSpec, people: &mut Vec<Person>) -> Result<(), &'static str> {
        let elements = match spec.json.find(body) {
            None | Some(Tree::Null) => return Ok(()),
            Some(Tree::List(elements)) if elements.len() <= MAX_PEOPLE => elements,
            Some(Tree::List(_)) => return Err("lookup_too_many_people"),
            Some(_) => return Err("lookup_people_not_a_list"),
        };
        let own_fields = spec.fields.as_ref();
        let id = own_fields.map_or(self.id.as_ref(), |fields| fields.get("id"));
        let version = own_fields.map_or(self.version.as_ref(), |fields| fields.get("version"));
        let attributes = own_fields.unwrap_or(&self.attributes);
        for element in elements {
            let mut other = person(element, id, version, attributes)?;
            other.fields.remove("id");
            other.fields.remove("version");
            if other.id.is_none() {
                return Err("lookup_person_without_id");
            }
            if let Some(asked) = people.first() {
                for name in &spec.shared {
                    if let Some(value) = asked.fields.get(name) {
                        other.fields.entry(name.clone()).or_insert_with(|| value.clone());
                    }
                }
            }
            match people.iter().find(|known| known.id == other.id) {
                None => people.push(other),
                Some(known) if agree(known, &other) => {}
                Some(_) => return Err("lookup_contradicts_itself"),
            }
        }
        Ok(())
    }
}

/// Whether two descriptions of one person agree where both say something.
fn agree(one: &Person, other: &Person) -> bool {
    let same = |(name, value): (&String, &String)| one.fields.get(name).is_none_or(|known| known == value);
    let versions = one.version.as_ref().zip(other.version.as_ref());
    other.fields.iter().all(same) && versions.is_none_or(|(a, b)| a == b)
}

fn person(
    value: &Tree<'_>,
    id: Option<&LookupField>,
    version: Option<&LookupField>,
    attributes: &BTreeMap<String, LookupField>,
) -> Result<Person, &'static str> {
    let id = id.map(|field| text(value, field)).transpose()?.flatten();
    let id = id.map(|id| ResidentId::new(&id).map_err(|_| "lookup_id_malformed")).transpose()?;
    let version = version.map(|field| text(value, field)).transpose()?.flatten();
    let mut fields = BTreeMap::new();
    for (name, field) in attributes {
        if let Some(text) = text(value, field)? {
            fields.insert(name.clone(), text);
        }
    }
    Ok(Person { id, version, fields })
}

fn text(value: &Tree<'_>, field: &LookupField) -> Result<Option<String>, &'static str> {
    match field.json.find(value) {
        None | Some(Tree::Null) => Ok(None),
        Some(found) => found.plain_text().map(|t| Some(t.into_owned())).ok_or("lookup_field_not_plain"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> LookupFields {
        serde_json::from_str(text).unwrap()
    }

    const RESIDENT: &str = r#"{"id":{"json":"/id"},"name":{"json":"/name"},"address":{"json":"/address"},
        "version":{"json":"/version"},"people":{"json":"/household","fields":{"id":{"json":"/id"},"name":{"json":"/name"}},
        "shared":["address"]},"require":{"json":"/status","equals":"active"}}"#;

    #[test]
    fn a_household_shares_its_address_and_lists_the_asked_person_once() {
        let reply = fields(RESIDENT)
            .parse(
                r#"{"id":"1","name":"山田太郎","address":"見本市1","version":7,"status":"active",
                "household":[{"id":"1","name":"山田太郎"},{"id":"2","name":"山田花子"}]}"#
                    .as_bytes(),
            )
            .unwrap();
        assert_eq!(reply.people.len(), 2);
        assert_eq!(reply.version.as_deref(), Some("7"));
        let other = &reply.people[1];
        assert_eq!(other.id.as_ref().unwrap().expose(), "2");
        assert_eq!(other.fields["address"], "見本市1");
        assert_eq!(other.fields["name"], "山田花子");
    }

    #[test]
    fn an_unclear_reply_is_no_reply() {
        let reason = |body: &str| fields(RESIDENT).parse(body.as_bytes()).err().unwrap();
        assert_eq!(reason(r#"{"name":"x","status":"active"}"#), "lookup_without_id");
        assert_eq!(reason(r#"{"id":"1","status":"revoked"}"#), "lookup_requirement_not_met");
        assert_eq!(reason(r#"{"id":"1","id":"2","status":"active"}"#), "json_duplicate_key");
        assert_eq!(reason(r#"{"id":["1"],"status":"active"}"#), "lookup_field_not_plain");
        assert_eq!(reason(r#"{"id":1.5,"status":"active"}"#), "lookup_field_not_plain");
        assert_eq!(reason(r#"{"id":"1","status":"active","household":{}}"#), "lookup_people_not_a_list");
        assert_eq!(reason(r#"{"id":"1","status":"active","household":[{"name":"x"}]}"#), "lookup_person_without_id");
        let twice = r#"{"id":"1","name":"a","status":"active","household":[{"id":"1","name":"b"}]}"#;
        assert_eq!(reason(twice), "lookup_contradicts_itself");
    }
}
