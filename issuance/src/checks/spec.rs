//! The `checks` table as it stands in a configuration file. Unknown keys are errors; meaning is judged by `compile`.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

pub use super::lookup::{LookupField, LookupFields, PeopleSpec, Requirement};

/// A check in a configuration: absent = on with its default where it has one, `false` = off, a table = on as written.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Switch<T> {
    /// Not mentioned (or `true`).
    #[default]
    Default,
    /// `false`.
    Off,
    /// Declared.
    On(T),
}

impl<T> Switch<T> {
    /// The declaration, if there is one.
    pub fn declared(&self) -> Option<&T> {
        match self {
            Self::On(spec) => Some(spec),
            _ => None,
        }
    }

    /// Whether `false` was written.
    pub fn is_off(&self) -> bool {
        matches!(self, Self::Off)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Switch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OnOff<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OnOff<T> {
            type Value = Switch<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`false` or a table")
            }
            fn visit_bool<E: Error>(self, on: bool) -> Result<Switch<T>, E> {
                Ok(if on { Switch::Default } else { Switch::Off })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Switch<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Switch::On)
            }
        }
        deserializer.deserialize_any(OnOff(PhantomData))
    }
}

/// A size or a duration. A bare number is kept so that `compile` can say which unit to write.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Quantity {
    /// `"2KiB"`, `"24h"`.
    Text(String),
    /// `2048`: an error, with a suggestion.
    Bare(i64),
}

/// One value or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    /// One.
    One(T),
    /// Several.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// All of them.
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// `[routes.NAME.checks]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChecksSpec {
    /// Status, media type, magic, size; on by default.
    pub shape: Switch<ShapeSpec>,
    /// Our request id, nonce or session comes back; no default, since not every backend echoes.
    pub echo: Switch<EchoSpec>,
    /// Who is on it; must be declared where the answer speaks of a resident.
    pub identity: Switch<IdentitySpec>,
    /// Which form it is; the Japanese title by default.
    pub kind: Switch<KindSpec>,
    /// Whose it is; the mayor's line by default where municipalities have names.
    pub municipality: Switch<MunicipalitySpec>,
    /// Optional items exactly as asked, by item; no default.
    pub selection: Switch<BTreeMap<String, SelectionItemSpec>>,
    /// Page n of m; `n／m` as a line of its own by default.
    pub pages: Switch<PagesSpec>,
    /// A number never seen before; no default.
    pub issue_number: Switch<IssueNumberSpec>,
    /// Not older than the last known amend; no default.
    pub as_of: Switch<AsOfSpec>,
    /// No change meanwhile; on by default where the lookup has a version.
    pub version: Switch<VersionSpec>,
    /// The date of issue is today; `発行日` by default.
    pub issued_on: Switch<IssuedOnSpec>,
    /// The time of issue is not before the attempt; no default.
    pub issued_at: Switch<IssuedAtSpec>,
    /// Never released for others before; on by default for documents.
    pub unique: Switch<UniqueSpec>,
    /// `currency = "unproven"`: nothing shows that the document is current, and we know it.
    pub currency: Option<Currency>,
}

impl ChecksSpec {
    /// The checks that were switched off by name, and `currency` where it is admitted to be unproven.
    pub fn switched_off(&self) -> impl Iterator<Item = &'static str> {
        [
            ("shape", self.shape.is_off()),
            ("echo", self.echo.is_off()),
            ("identity", self.identity.is_off()),
            ("kind", self.kind.is_off()),
            ("municipality", self.municipality.is_off()),
            ("selection", self.selection.is_off()),
            ("pages", self.pages.is_off()),
            ("issue_number", self.issue_number.is_off()),
            ("as_of", self.as_of.is_off()),
            ("version", self.version.is_off()),
            ("issued_on", self.issued_on.is_off()),
            ("issued_at", self.issued_at.is_off()),
            ("unique", self.unique.is_off()),
            ("currency", self.currency.is_some()),
        ]
        .into_iter()
        .filter_map(|(check, off)| off.then_some(check))
    }
}

/// What is admitted about currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Currency {
    /// Listed per tenant, and R7 stays open.
    Unproven,
}

/// `shape = { status = [200], media_type = "application/pdf", size = ["2KiB", "2MiB"] }`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShapeSpec {
    /// Statuses of a good answer; never 1xx, 206, 3xx.
    pub status: Option<Vec<u16>>,
    /// One media type or several; parameters in the answer are ignored but for a charset on JSON, which must be UTF-8.
    pub media_type: Option<OneOrMany<String>>,
    /// Least and greatest size of the body.
    pub size: Option<[Quantity; 2]>,
}

/// `echo = { header = "X-Request-Id" }`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EchoSpec {
    /// In this header,
    pub header: Option<String>,
    /// at this pointer,
    pub json: Option<String>,
    /// at this path,
    pub xml: Option<String>,
    /// or in this field of a form
    pub form: Option<String>,
    /// stands this; the request id unless said otherwise.
    #[serde(default)]
    pub equals: Echoed,
}

/// `[routes.NAME.document]`: where the paper is inside the answer, and what else the answer may say.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DocumentSpec {
    /// At this JSON pointer,
    pub json: Option<String>,
    /// at this path,
    pub xml: Option<String>,
    /// or in this field of a form.
    pub form: Option<String>,
    /// How it is written there: `base64`.
    pub decode: String,
    /// What it is then: `application/pdf`.
    pub media_type: Option<String>,
    /// Least and greatest size of the document itself.
    pub size: Option<[Quantity; 2]>,
    /// What else may stand in the answer that no check reads.
    pub beside: Vec<BesideSpec>,
}

/// `{ xml = "//j:Result/j:Code", in = ["00"] }`: something that may stand beside the document, and what it may say.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BesideSpec {
    /// At this JSON pointer,
    pub json: Option<String>,
    /// at this path (every node that it matches),
    pub xml: Option<String>,
    /// or in this field of a form
    pub form: Option<String>,
    /// stands one of these,
    pub r#in: Vec<String>,
    /// or this fact of the request: `kiosk`, `session`, `municipality`, `resident`, `card` or an item of the selection,
    pub equals: Option<String>,
    /// or what this expression matches from end to end.
    pub matches: Option<String>,
}

/// What must come back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Echoed {
    /// The id that the gateway minted for this request.
    #[default]
    RequestId,
    /// The nonce of this attempt, as 32 lower-case hex digits.
    Nonce,
    /// The kiosk session. Weak: two answers to one session cannot be told apart by it.
    Session,
}

/// Where a value stands: exactly one of the seven.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlaceSpec {
    /// Right of this label, else below it.
    pub after: Option<String>,
    /// The one group of this regular expression, on a line of its own.
    pub line: Option<String>,
    /// In this box: x, y from the top left, width, height.
    pub box_mm: Option<[f32; 4]>,
    /// At this JSON pointer of the answer.
    pub json: Option<String>,
    /// At this path of the answer.
    pub xml: Option<String>,
    /// In this field of the answer.
    pub form: Option<String>,
    /// In this header of the answer.
    pub header: Option<String>,
}

/// Declares a table that has a place and keys of its own.
macro_rules! placed {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            /// Right of this label, else below it.
            pub after: Option<String>,
            /// The one group of this regular expression.
            pub line: Option<String>,
            /// In this box: x, y from the top left, width, height, in millimetres.
            pub box_mm: Option<[f32; 4]>,
            /// At this JSON pointer of the answer.
            pub json: Option<String>,
            /// At this path of an answer in XML: `//j:Result/@asOf`.
            pub xml: Option<String>,
            /// In this field of an answer that is a form.
            pub form: Option<String>,
            /// In this header of the answer.
            pub header: Option<String>,
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $name {
            /// Where the value stands.
            pub fn place(&self) -> PlaceSpec {
                PlaceSpec {
                    after: self.after.clone(),
                    line: self.line.clone(),
                    box_mm: self.box_mm,
                    json: self.json.clone(),
                    xml: self.xml.clone(),
                    form: self.form.clone(),
                    header: self.header.clone(),
                }
            }
        }
    };
}

placed!(
    /// `municipality = { line = '^(.+[市区町村])長' }`: must equal the name in the municipality's file.
    MunicipalitySpec {}
);
placed!(
    /// `issue_number = { after = "発行番号" }`.
    IssueNumberSpec {}
);
placed!(
    /// `issued_on = { after = "発行日" }`.
    IssuedOnSpec {}
);
placed!(
    /// `issued_at = { after = "発行日時", backend_skew = "5s" }`.
    IssuedAtSpec {
        /// How far the backend's clock may be behind ours; `"2s"` by default.
        backend_skew: Option<Quantity>,
    }
);
placed!(
    /// `as_of = { json = "/version", watermark = "amend" }`.
    AsOfSpec {
        /// What it must reach.
        watermark: Watermark,
    }
);
placed!(
    /// `[checks.selection] scope = { after = "範囲", is = { self = "世帯一部", household = "世帯全員" } }`.
    SelectionItemSpec {
        /// What must be printed for each value that can be asked: a text, `true` (anything) or `false` (nothing).
        is: BTreeMap<String, Printed>,
        /// What must be printed when the item is not asked for; nothing by default.
        unasked: Option<Printed>,
    }
);
placed!(
    /// One field of a person on the answer.
    FieldSpec {
        /// Text lines that the value may take, the first included; 1 by default.
        lines: Option<u32>,
        /// The form cuts this value after so many characters.
        prefix: Option<u32>,
        /// The table from this city's private-use characters to Unicode, by file name.
        gaiji: Option<String>,
        /// How it is compared; from the field's name by default.
        r#as: Option<FieldKind>,
    }
);

/// What `as_of` counts. The gateway's own mark is compared wherever one is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Watermark {
    /// Versions of the record: the last amend that went through the gateway, and the lookup's version if it has one.
    #[default]
    Amend,
    /// Marks of a record feed; the lookup's version is counted otherwise and not compared.
    Feed,
    /// Versions of the record, and the lookup must name one.
    Lookup,
}

/// What a selection item prints.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Printed {
    /// `true`: something, `false`: nothing.
    Some(bool),
    /// This text.
    Text(String),
}

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldKind {
    /// A person's name: width, white space, variation selectors and a table of glyph variants are made equal.
    Name,
    /// A date in any usual Japanese or ISO form.
    Date,
    /// Any other text: width and white space are made equal.
    Text,
    /// Exactly as it stands.
    Id,
    /// 男 or 女 in any usual form.
    Sex,
    /// A reading: hiragana and katakana are made equal too.
    Kana,
    /// An address: hyphens between numbers and the number of a 丁目 are made equal too.
    Address,
}

/// `kind = { line = '^印鑑登録証明書$' }`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindSpec {
    /// Matches the title and nothing else.
    pub line: String,
}

/// `pages = { line = '^(\d+)／(\d+)$' }`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagesSpec {
    /// Two groups: this page and all pages.
    pub line: String,
}

/// `version = { probe = "resident" }`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionSpec {
    /// The lookup whose `version` must be equal before and after.
    pub probe: String,
}

/// `unique = { window = "48h", strict = true }`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UniqueSpec {
    /// How long a content is remembered; at least two service days.
    pub window: Option<Quantity>,
    /// Refuse also the same residents' content in another session.
    pub strict: bool,
}

/// `[routes.NAME.checks.identity]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentitySpec {
    /// Compare with this lookup; absent = with the request's own residents, by id.
    pub with: Option<String>,
    /// Any one set must match in full, and no read field may differ. The first field of the first set begins a person.
    #[serde(default)]
    pub enough: Vec<Vec<String>>,
    /// Every page; there is no other choice, the key documents it.
    #[serde(default)]
    pub pages: IdentityPages,
    /// Where each field stands.
    #[serde(default)]
    pub fields: BTreeMap<String, FieldSpec>,
}

/// Which pages must name somebody who was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdentityPages {
    /// Every one.
    #[default]
    Every,
}

impl ChecksSpec {
    /// The gaiji tables that `compile` needs in its context, by file name.
    pub fn gaiji_files(&self) -> impl Iterator<Item = &str> {
        let fields = self.identity.declared().into_iter().flat_map(|identity| identity.fields.values());
        fields.filter_map(|field| field.gaiji.as_deref())
    }
}
