//! Compiling `identity`: whether what is compared can prove who somebody is.

use super::Compiler;
use crate::checks::context::AnswerKind;
use crate::checks::identity::{Field, FieldSet, Identity};
use crate::checks::place::Place;
use crate::checks::spec::{FieldKind, FieldSpec, IdentitySpec, LookupFields, Switch};
use crate::checks::suggest;
use crate::normalize::GaijiTable;
use crate::request::Operation;

const MOST_FIELDS: usize = 32;
const MOST_LINES: u32 = 20;

impl Compiler<'_> {
    /// The compiled check, and whether it compares every field that its lookup describes.
    pub(super) fn identity(&mut self) -> (Option<Identity>, bool) {
        let declared = match &self.spec.identity {
            Switch::On(declared) => declared,
            Switch::Off => {
                let echoes = self.spec.echo.declared().is_some();
                let amends = self.context.operation == Operation::Amend && echoes;
                if cfg!(feature = "weakened") && !amends {
                    self.nothing_else_off();
                } else if !amends {
                    let message = "whose answer it is would not be checked";
                    let suggestion =
                        "declare identity.fields and identity.enough; while you find out which, use mode = \"observe\"";
                    self.wrong("identity", message, suggestion);
                }
                return (None, false);
            }
            Switch::Default => {
                let like = match self.context.answer {
                    AnswerKind::Document => {
                        "[checks.identity] with = \"resident\", enough = [[\"name\", \"birth_date\", \"address\"]], and where each field is printed (`read` shows it)"
                    }
                    _ => "[checks.identity] enough = [[\"id\"]], fields = { id = { json = \"/id\" } }",
                };
                self.wrong("identity", "it is missing, and has no default", like);
                return (None, false);
            }
        };
        let lookup = match &declared.with {
            None => None,
            Some(name) => match self.context.lookups.get(name.as_str()) {
                Some(lookup) => Some(lookup.fields),
                None => {
                    self.no_lookup("identity.with", name);
                    return (None, false);
                }
            },
        };
        if let (Some(name), Some(lookup)) = (&declared.with, lookup)
            && lookup.id.is_none()
        {
            let message = format!("a reply of `{name}` does not say for whom it answers, so it proves nothing");
            self.wrong("identity.with", message, format!("add id = {{ json = \"/id\" }} to [lookups.{name}.fields]"));
        }
        if declared.fields.is_empty() {
            let like = "name = { after = \"氏名\" }";
            self.wrong("identity.fields", "no field says where a person stands", like);
        } else if declared.fields.len() > MOST_FIELDS {
            self.wrong("identity.fields", format!("more than {MOST_FIELDS} fields"), "drop what proves nothing");
        }
        let fields: Vec<Field> = declared
            .fields
            .iter()
            .take(MOST_FIELDS)
            .filter_map(|(name, field)| self.field(name, field, declared, lookup))
            .collect();
        // With a broken field, what follows would only repeat its mistake.
        let whole = fields.len() == declared.fields.len();
        let enough = self.enough(declared, &fields, whole);
        let bit = |name: &str| fields.iter().position(|field| field.name == name);
        let anchor = declared.enough.first().and_then(|set| set.first()).and_then(|name| bit(name)).unwrap_or(0);
        let complete = lookup.and_then(|lookup| {
            let attributes = lookup.attributes.keys().map(|name| bit(name));
            attributes.map(|at| at.map(|at| 1 << at)).sum::<Option<FieldSet>>().filter(|set| *set != 0)
        });
        let identity =
            Identity { with: declared.with.clone(), fields, enough, anchor, complete: complete.unwrap_or(0) };
        (Some(identity), complete.is_some())
    }

    /// Even the weakened build lets an answer go only on what all its other checks say.
    fn nothing_else_off(&mut self) {
        // Where the comparison was also what proved currency, that goes with it.
        let goes_along = ["identity", "currency"];
        let off = self.spec.switched_off().filter(|check| !goes_along.contains(check)).collect::<Vec<_>>();
        if !off.is_empty() {
            let message = format!("without it nothing else may be off, and this is: {}", off.join(", "));
            self.wrong("identity", message, "switch off one check at a time");
        }
    }

    fn field(
        &mut self,
        name: &str,
        spec: &FieldSpec,
        identity: &IdentitySpec,
        lookup: Option<&LookupFields>,
    ) -> Option<Field> {
        let key = format!("identity.fields.{name}");
        let usual = usual_kind(name);
        let kind = spec.r#as.or(usual).unwrap_or(FieldKind::Text);
        if kind == FieldKind::Id && usual.is_some_and(|usual| usual != FieldKind::Id) {
            self.wrong(&format!("{key}.as"), format!("a `{name}` is no id: two people may share it"), "remove `as`");
        }
        let is_id = match lookup {
            None => kind == FieldKind::Id,
            Some(_) => name == "id",
        };
        match lookup {
            None if !is_id => {
                let message = format!("the request holds no `{name}` to compare with");
                let lookups = suggest::instead(name, self.context.lookups.keys().copied());
                self.wrong(&key, message, format!("name a lookup in identity.with ({lookups})"));
            }
            Some(lookup) if !is_id && !lookup.has(name) => {
                let with = identity.with.as_deref().unwrap_or_default();
                let known = suggest::instead(name, lookup.names().collect::<Vec<_>>());
                self.wrong(&key, format!("the lookup `{with}` says nothing of `{name}`"), known);
            }
            _ => {}
        }
        let mut place = self.place(&key, &spec.place())?;
        match (&mut place, spec.lines) {
            (_, Some(0)) => self.wrong(&format!("{key}.lines"), "a value takes at least one line", "write 1 or more"),
            (Place::After { lines, .. }, Some(declared)) => *lines = declared.min(MOST_LINES),
            (_, Some(_)) => self.wrong(&format!("{key}.lines"), "`lines` belongs to `after`", "remove it"),
            (_, None) => {}
        }
        if spec.prefix == Some(0) {
            self.wrong(
                &format!("{key}.prefix"),
                "nothing of the value would be left",
                "write the form's length, like 30",
            );
        } else if spec.prefix.is_some()
            && !matches!(kind, FieldKind::Name | FieldKind::Kana | FieldKind::Address | FieldKind::Text)
        {
            self.wrong(&format!("{key}.prefix"), "only a text can be cut", "remove it");
        }
        Some(Field {
            name: name.to_owned(),
            kind,
            place,
            prefix: spec.prefix,
            gaiji: spec.gaiji.as_deref().and_then(|file| self.gaiji(&key, file)),
            is_id,
        })
    }

    fn gaiji(&mut self, key: &str, file: &str) -> Option<GaijiTable> {
        let key = format!("{key}.gaiji");
        let Some(text) = self.context.gaiji.get(file) else {
            self.wrong(&key, format!("the table \"{file}\" was not found"), "put it beside the configuration file");
            return None;
        };
        match GaijiTable::parse(text) {
            Ok(table) => Some(table),
            Err(error) => {
                self.wrong(&key, format!("\"{file}\" {error}"), "write one line for each code: `E001 9AD9`");
                None
            }
        }
    }

    fn enough(&mut self, identity: &IdentitySpec, fields: &[Field], whole: bool) -> Vec<FieldSet> {
        if identity.enough.is_empty() {
            let like = "enough = [[\"name\", \"birth_date\", \"address\"]]";
            self.wrong("identity.enough", "nothing says which fields together are proof", like);
        }
        let mut sets = Vec::new();
        for (index, names) in identity.enough.iter().enumerate() {
            let key = format!("identity.enough.{index}");
            let mut set: FieldSet = 0;
            let mut known = true;
            for name in names {
                let Some(at) = fields.iter().position(|field| field.name == *name) else {
                    known = false;
                    if !identity.fields.contains_key(name) {
                        let known = suggest::instead(name, identity.fields.keys().map(String::as_str));
                        self.wrong(&key, format!("there is no field `{name}`"), known);
                    }
                    continue;
                };
                let in_head = fields.get(at).is_some_and(|f| matches!(f.place, Place::Answer(_)));
                if in_head && self.context.answer == AnswerKind::Document {
                    let message = format!("`{name}` does not stand on the paper, so it says nothing about each page");
                    self.wrong(&key, message, "leave it out of this set; it is compared all the same");
                }
                set |= 1 << at;
            }
            if known && whole && !sufficient(fields, set, identity.with.is_some()) {
                let message = "two people may share all of these";
                let suggestion = match identity.with {
                    Some(_) => "use an exact id, or at least name, birth_date and address together",
                    None => "use an exact id, or compare name, birth_date and address with a lookup",
                };
                self.wrong(&key, message, suggestion);
            }
            sets.push(set);
        }
        sets
    }
}

/// An exact id; or name, birth date and address together, where an authority's reply says that they are this id's.
fn sufficient(fields: &[Field], set: FieldSet, with_lookup: bool) -> bool {
    let within = |wanted: &dyn Fn(&Field) -> bool| {
        fields.iter().enumerate().any(|(at, field)| set & (1 << at) != 0 && wanted(field))
    };
    let exact = within(&|field| field.kind == FieldKind::Id);
    let tuple = within(&|field| field.kind == FieldKind::Name)
        && within(&|field| field.name == "birth_date")
        && within(&|field| field.kind == FieldKind::Address);
    exact || with_lookup && tuple
}

/// How a field is compared, by its usual name.
fn usual_kind(name: &str) -> Option<FieldKind> {
    Some(match name {
        "id" | "resident" | "resident_id" => FieldKind::Id,
        "name" => FieldKind::Name,
        "kana" => FieldKind::Kana,
        "sex" => FieldKind::Sex,
        "address" | "domicile" => FieldKind::Address,
        name if name == "birth" || name.ends_with("_date") || name.ends_with("_on") => FieldKind::Date,
        _ => return None,
    })
}
