//! Any bytes end in an XML document or a reason, and in a lookup's reply or a reason. The first byte names the charset.

#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sekisho_fuzz::bounded;
use sekisho_issuance::answer::{Body, Charset, Dialect, Format, Found, xml};
use sekisho_issuance::checks::LookupFields;

static DIALECTS: LazyLock<Vec<(Dialect, LookupFields)>> = LazyLock::new(|| {
    let dialect = |charset| {
        let namespaces = [("s", "http://schemas.xmlsoap.org/soap/envelope/"), ("j", "urn:example:juki:1")];
        let namespaces = BTreeMap::from(namespaces.map(|(prefix, uri)| (prefix.to_owned(), uri.to_owned())));
        let dialect = Dialect { charset, format: Format::Xml, namespaces };
        let fields = serde_json::json!({
            "id": {"xml": "//j:Person/j:Number"}, "name": {"xml": "//j:Person/j:Name"}, "version": {"xml": "//j:Person/@version"},
            "people": {"xml": "//j:Member", "shared": ["name"], "fields": {"id": {"xml": "j:Number"}}},
            "require": [{"xml": "//j:Status", "equals": "1"}],
        });
        let mut fields: LookupFields = serde_json::from_value(fields).unwrap_or_default();
        assert!(fields.speak(&dialect).is_ok());
        (dialect, fields)
    };
    Charset::ALL.map(dialect).into()
});

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    bounded(|| {
        let Some((dialect, fields)) = DIALECTS.get(usize::from(*first) % DIALECTS.len()) else { return };
        let read = xml(bytes, dialect.charset);
        if let (Ok(body), Ok(place)) = (read.map(Body::Xml), dialect.place(Format::Xml, "//j:Person/@version")) {
            if let Found::Plain(text) = body.find(&place) {
                assert!(
                    !text.contains(['\n', '\r', '\t']) || bytes.contains(&b'&'),
                    "an attribute's value is of one line"
                );
            }
        }
        if let Ok(reply) = fields.parse_said(bytes, None) {
            assert!(reply.people.iter().all(|person| person.id.is_some()));
        }
    });
});
