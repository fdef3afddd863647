//! An authority's reply: who it says the person is. Parsed strictly; a reply that is unclear is no reply.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::spec::OneOrMany;
use super::{LookupReply, Person, SpecError};
use crate::answer::{
    BodyPlace, Charset, Dialect, ElementId, Form, Format, Found, Pointer, Tree, Xml, XmlPath, form, multipart,
    plain_text, tree, xml,
};
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
    /// What replies are written in.
    #[serde(skip)]
    dialect: Dialect,
}

/// `{ json = "/name" }`, `{ xml = "//j:Person/j:Name" }` or `{ form = "name" }`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenPlace")]
pub struct LookupField {
    place: BodyPlace,
}

/// `people = { json = "/household", shared = ["address"] }`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenPeople")]
pub struct PeopleSpec {
    /// The array, or the elements.
    place: BodyPlace,
    /// Fields relative to each element; absent = the same pointers as for the person asked for.
    fields: Option<BTreeMap<String, LookupField>>,
    /// Attributes that everybody has in common with the person asked for.
    shared: Vec<String>,
}

/// `{ json = "/seal/status", equals = "active" }`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "WrittenRequirement")]
pub struct Requirement {
    /// Where it stands.
    place: BodyPlace,
    /// What must stand there.
    equals: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPlace {
    json: Option<String>,
    xml: Option<String>,
    form: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPeople {
    json: Option<String>,
    xml: Option<String>,
    #[serde(default)]
    fields: Option<BTreeMap<String, LookupField>>,
    #[serde(default)]
    shared: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRequirement {
    json: Option<String>,
    xml: Option<String>,
    form: Option<String>,
    equals: Value,
}

impl WrittenPlace {
    fn read(self) -> Result<BodyPlace, String> {
        match (self.json, self.xml, self.form) {
            (Some(json), None, None) => Pointer::parse(&json).map(BodyPlace::Json).map_err(|error| error.to_string()),
            (None, Some(xml), None) => XmlPath::parse(&xml).map(BodyPlace::Xml).map_err(|error| error.to_string()),
            (None, None, Some(form)) => Ok(BodyPlace::Form(form)),
            _ => Err("must name exactly one place: `json`, `xml` or `form`".to_owned()),
        }
    }
}

impl TryFrom<WrittenPlace> for LookupField {
    type Error = String;
    fn try_from(written: WrittenPlace) -> Result<Self, String> {
        written.read().map(|place| Self { place })
    }
}

impl TryFrom<WrittenPeople> for PeopleSpec {
    type Error = String;
    fn try_from(WrittenPeople { json, xml, fields, shared }: WrittenPeople) -> Result<Self, String> {
        Ok(Self { place: WrittenPlace { json, xml, form: None }.read()?, fields, shared })
    }
}

impl TryFrom<WrittenRequirement> for Requirement {
    type Error = String;
    fn try_from(WrittenRequirement { json, xml, form, equals }: WrittenRequirement) -> Result<Self, String> {
        Ok(Self { place: WrittenPlace { json, xml, form }.read()?, equals })
    }
}

/// One value of a reply, in whatever the reply is written.
#[derive(Clone, Copy)]
enum At<'r, 't> {
    Json(&'r Tree<'t>),
    Xml(&'r Xml, ElementId),
    Form(&'r Form),
}

impl<'r> At<'r, '_> {
    fn find(self, place: &BodyPlace) -> Found<'r> {
        match (self, place) {
            (Self::Json(tree), BodyPlace::Json(pointer)) => match pointer.find(tree) {
                None | Some(Tree::Null) => Found::Nothing,
                Some(found) => found.plain_text().map_or(Found::NotPlain, Found::Plain),
            },
            (Self::Xml(xml, from), BodyPlace::Xml(path)) => xml.find(path, from),
            (Self::Form(form), BodyPlace::Form(name)) => form.find(name),
            _ => Found::Nothing,
        }
    }

    fn equals(self, place: &BodyPlace, value: &Value) -> bool {
        match (self, place) {
            (Self::Json(tree), BodyPlace::Json(pointer)) => pointer.find(tree).is_some_and(|found| *found == *value),
            _ => plain_text(value).is_some_and(|wanted| self.find(place).plain().is_some_and(|found| found == wanted)),
        }
    }

    fn list(self, place: &BodyPlace) -> Result<Vec<Self>, &'static str> {
        match (self, place) {
            (Self::Json(tree), BodyPlace::Json(pointer)) => match pointer.find(tree) {
                None | Some(Tree::Null) => Ok(Vec::new()),
                Some(Tree::List(elements)) => Ok(elements.iter().map(At::Json).collect()),
                Some(_) => Err("lookup_people_not_a_list"),
            },
            (Self::Xml(xml, from), BodyPlace::Xml(path)) => {
                Ok(xml.elements(path, from).into_iter().map(|id| At::Xml(xml, id)).collect())
            }
            _ => Ok(Vec::new()),
        }
    }
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

    /// Says which dialect replies are written in: every place must be one of it. JSON in UTF-8 unless this is called.
    pub fn speak(&mut self, dialect: &Dialect) -> Result<(), Vec<SpecError>> {
        let mut errors = Vec::new();
        self.dialect = dialect.clone();
        let own = self
            .id
            .iter_mut()
            .map(|field| ("id", field))
            .chain(self.version.iter_mut().map(|field| ("version", field)));
        let attributes = self.attributes.iter_mut().map(|(name, field)| (name.as_str(), field));
        for (name, field) in own.chain(attributes) {
            understand(dialect, name, &mut field.place, false, &mut errors);
        }
        if let Some(people) = &mut self.people {
            understand(dialect, "people", &mut people.place, false, &mut errors);
            if dialect.format == Format::Xml && people.fields.is_none() {
                errors.push(SpecError {
                    key: "people".to_owned(),
                    message: "does not say where the fields of each element stand".to_owned(),
                    suggestion: "fields = { id = { xml = \"j:Number\" }, name = { xml = \"j:Name\" } }".to_owned(),
                });
            }
            for (name, field) in people.fields.iter_mut().flatten() {
                let below = dialect.format == Format::Xml;
                understand(dialect, &format!("people.fields.{name}"), &mut field.place, below, &mut errors);
            }
        }
        let requirements = match &mut self.require {
            None => &mut [],
            Some(OneOrMany::One(one)) => std::slice::from_mut(one),
            Some(OneOrMany::Many(many)) => many.as_mut_slice(),
        };
        for requirement in requirements {
            understand(dialect, "require", &mut requirement.place, false, &mut errors);
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Reads a reply's body. The reason is a stable word, safe for labels and logs.
    pub fn parse(&self, body: &[u8]) -> Result<LookupReply, &'static str> {
        self.parse_said(body, None)
    }

    /// The same, with what its sender says of its content: a charset there must be the dialect's.
    pub fn parse_said(&self, body: &[u8], content_type: Option<&str>) -> Result<LookupReply, &'static str> {
        let (charset, format) = (self.dialect.charset, self.dialect.format);
        if content_type.is_some_and(|said| !charset.fits_content_type(said)) {
            return Err("charset_conflict");
        }
        match format {
            Format::Json if charset == Charset::Utf8 => self.read(At::Json(&tree(body)?)),
            Format::Json => self.read(At::Json(&tree(charset.decode(body)?.as_bytes())?)),
            Format::Xml => {
                let xml = xml(body, charset)?;
                self.read(At::Xml(&xml, xml.root()))
            }
            Format::Form => self.read(At::Form(&form(body, charset)?)),
            Format::Multipart => self.read(At::Form(&multipart(body, content_type.unwrap_or_default(), charset)?)),
        }
    }

    fn read(&self, body: At<'_, '_>) -> Result<LookupReply, &'static str> {
        let requirements = self.require.as_ref().map_or(&[][..], OneOrMany::as_slice);
        if !requirements.iter().all(|r| body.equals(&r.place, &r.equals)) {
            return Err(LOOKUP_REQUIREMENT_NOT_MET);
        }
        let asked = person(body, self.id.as_ref(), self.version.as_ref(), &self.attributes)?;
        if self.id.is_some() && asked.id.is_none() {
            return Err("lookup_without_id");
        }
        let version = asked.version.clone();
        let mut people = vec![asked];
        if let Some(spec) = &self.people {
            self.others(body, spec, &mut people)?;
        }
        Ok(LookupReply { people, version })
    }

    fn others(&self, body: At<'_, '_>, spec: &PeopleSpec, people: &mut Vec<Person>) -> Result<(), &'static str> {
        let elements = body.list(&spec.place)?;
        if elements.len() > MAX_PEOPLE {
            return Err("lookup_too_many_people");
        }
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

/// Gives one place its meaning in `dialect`, or says why it has none.
fn understand(dialect: &Dialect, key: &str, place: &mut BodyPlace, below: bool, errors: &mut Vec<SpecError>) {
    let mut wrong = |message: String, suggestion: &str| {
        errors.push(SpecError { key: key.to_owned(), message, suggestion: suggestion.to_owned() });
    };
    match dialect.place(place.format(), place.as_str()) {
        Ok(BodyPlace::Xml(path)) if path.is_relative() != below => match below {
            true => wrong(
                "looks through the whole reply for each person".to_owned(),
                "xml = \"j:Name\", from the element on",
            ),
            false => wrong("does not say where to begin".to_owned(), "xml = \"//j:Person/j:Name\""),
        },
        Ok(understood) => *place = understood,
        Err(why) => wrong(why, "write the place in the lookup's dialect, and its prefixes in `namespaces`"),
    }
}

/// Whether two descriptions of one person agree where both say something.
fn agree(one: &Person, other: &Person) -> bool {
    let same = |(name, value): (&String, &String)| one.fields.get(name).is_none_or(|known| known == value);
    let versions = one.version.as_ref().zip(other.version.as_ref());
    other.fields.iter().all(same) && versions.is_none_or(|(a, b)| a == b)
}

fn person(
    value: At<'_, '_>,
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

fn text(value: At<'_, '_>, field: &LookupField) -> Result<Option<String>, &'static str> {
    match value.find(&field.place) {
        Found::Nothing => Ok(None),
        Found::Plain(text) => Ok(Some(text.into_owned())),
        Found::NotPlain => Err("lookup_field_not_plain"),
        Found::Several => Err("lookup_place_ambiguous"),
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

    const INQUIRY: &str = r#"{"id":{"xml":"//j:Person/j:Number"},"name":{"xml":"//j:Person/j:Name"},"version":{"xml":"//j:Person/@version"},
        "people":{"xml":"//j:Household/j:Member","fields":{"id":{"xml":"j:Number"},"name":{"xml":"j:Name"}}},
        "require":{"xml":"//j:Person/j:Status","equals":1}}"#;

    fn soap(charset: Charset) -> Dialect {
        let namespaces = BTreeMap::from([("j".to_owned(), "urn:example:juki:1".to_owned())]);
        Dialect { charset, format: Format::Xml, namespaces }
    }

    fn inquiry(inside: &str) -> Result<LookupReply, &'static str> {
        let mut fields = fields(INQUIRY);
        fields.speak(&soap(Charset::ShiftJis)).unwrap();
        let text = format!("<r xmlns='urn:example:juki:1'>{inside}</r>");
        fields.parse_said(&Charset::ShiftJis.encode(&text).unwrap(), Some("text/xml; charset=Shift_JIS"))
    }

    const PERSON: &str = "<Person version='7'><Number>1001</Number><Name>表 太郎</Name><Status>1</Status></Person>";

    #[test]
    fn a_soap_reply_in_shift_jis_says_the_same_as_a_json_one() {
        let members = "<Household><Member><Number>1001</Number><Name>表 太郎</Name></Member>\
                       <Member><Number>1002</Number><Name>表 花子</Name></Member></Household>";
        let reply = inquiry(&format!("{PERSON}{members}")).unwrap();
        assert_eq!(reply.version.as_deref(), Some("7"));
        let people: Vec<_> =
            reply.people.iter().map(|p| (p.id.as_ref().unwrap().expose(), &*p.fields["name"])).collect();
        assert_eq!(people, [("1001", "表 太郎"), ("1002", "表 花子")]);
    }

    #[test]
    fn an_unclear_soap_reply_is_no_reply() {
        let reason = |inside: &str| inquiry(inside).err().unwrap();
        assert_eq!(reason(&format!("{PERSON}{PERSON}")), "lookup_requirement_not_met", "which of two, nobody can say");
        let number_twice = PERSON.replace("<Number>", "<Number>1002</Number><Number>");
        assert_eq!(reason(&number_twice), "lookup_place_ambiguous");
        assert_eq!(reason(&PERSON.replace("<Status>1", "<Status>2")), "lookup_requirement_not_met");
        assert_eq!(reason(&PERSON.replace("1001", "<b>1001</b>")), "lookup_field_not_plain");
        assert_eq!(
            reason(&format!("{PERSON}<Household><Member><Name>x</Name></Member></Household>")),
            "lookup_person_without_id"
        );
    }

    #[test]
    fn a_reply_in_another_charset_than_declared_is_no_reply() {
        let mut fields = fields(INQUIRY);
        fields.speak(&soap(Charset::ShiftJis)).unwrap();
        let body = Charset::ShiftJis.encode(&format!("<r xmlns='urn:example:juki:1'>{PERSON}</r>")).unwrap();
        assert!(fields.parse(&body).is_ok());
        assert_eq!(fields.parse_said(&body, Some("text/xml; charset=UTF-8")).err(), Some("charset_conflict"));
    }

    #[test]
    fn a_place_of_another_dialect_is_a_mistake() {
        let keys = |text: &str, dialect: &Dialect| -> Vec<String> {
            fields(text).speak(dialect).unwrap_err().into_iter().map(|error| error.key).collect()
        };
        assert_eq!(keys(r#"{"id":{"json":"/id"},"name":{"xml":"//k:Name"}}"#, &soap(Charset::Utf8)), ["id", "name"]);
        assert_eq!(
            keys(r#"{"name":{"xml":"j:Name"},"people":{"xml":"//j:M"}}"#, &soap(Charset::Utf8)),
            ["name", "people"]
        );
        assert_eq!(keys(r#"{"name":{"form":"name"}}"#, &Dialect::default()), ["name"]);
        assert!(serde_json::from_str::<LookupFields>(r#"{"name":{"json":"/a","xml":"//a"}}"#).is_err());
    }
}
