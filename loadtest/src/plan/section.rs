//! A cursor over one TOML table that remembers which keys were asked for, so that whatever is left over is reported as unknown.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::quantity;
use super::source::{Findings, did_you_mean};

/// One value with its place.
#[derive(Debug, Clone)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
    pub(super) field: String,
}

impl<T> Placed<T> {
    pub(super) fn wrong(&self, found: &mut Findings<'_>, message: impl Into<String>, suggestion: impl Into<String>) {
        found.mistake(self.span.start, self.field.clone(), message, suggestion);
    }
}

fn with_article(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {kind}")
}

/// One table, the keys that were asked for, and where it stands.
pub(super) struct Section<'a> {
    table: &'a DeTable<'a>,
    path: String,
    span: Range<usize>,
    asked: Vec<&'static str>,
}

type Value<'a> = &'a Spanned<DeValue<'a>>;

impl<'a> Section<'a> {
    pub(super) fn new(table: &'a DeTable<'a>, path: String, span: Range<usize>) -> Self {
        Self { table, path, span, asked: Vec::new() }
    }

    pub(super) fn field(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Where `key` stands, or where this table begins.
    pub(super) fn place(&self, key: &str) -> usize {
        self.table.iter().find(|(k, _)| k.get_ref() == key).map_or(self.span.start, |(k, _)| k.span().start)
    }

    pub(super) fn missing(&self, found: &mut Findings<'_>, key: &str, suggestion: &str) {
        if !self.has(key) {
            found.mistake(self.span.start, self.field(key), "is missing", suggestion);
        }
    }

    pub(super) fn any(&mut self, key: &'static str) -> Option<Placed<Value<'a>>> {
        self.asked.push(key);
        let value = self.table.get(key)?;
        Some(Placed { value, span: value.span(), field: self.field(key) })
    }

    fn typed<T>(
        &mut self,
        found: &mut Findings<'_>,
        key: &'static str,
        expected: &str,
        example: &str,
        read: impl FnOnce(&'a DeValue<'a>) -> Option<T>,
    ) -> Option<Placed<T>> {
        let Placed { value, span, field } = self.any(key)?;
        match read(value.get_ref()) {
            Some(value) => Some(Placed { value, span, field }),
            None => {
                let is = with_article(value.get_ref().type_str());
                found.mistake(
                    span.start,
                    field,
                    format!("must be {expected}, but is {is}"),
                    format!("{key} = {example}"),
                );
                None
            }
        }
    }

    pub(super) fn text(
        &mut self,
        found: &mut Findings<'_>,
        key: &'static str,
        example: &str,
    ) -> Option<Placed<&'a str>> {
        self.typed(found, key, "a string", &format!("{example:?}"), DeValue::as_str)
    }

    pub(super) fn flag(&mut self, found: &mut Findings<'_>, key: &'static str) -> Option<bool> {
        self.typed(found, key, "true or false", "false", DeValue::as_bool).map(|placed| placed.value)
    }

    /// A string that `read` understands.
    pub(super) fn quantity<T>(
        &mut self,
        found: &mut Findings<'_>,
        key: &'static str,
        expected: &str,
        example: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<Placed<T>> {
        let quoted = format!("{example:?}");
        let placed = self.typed(found, key, expected, &quoted, DeValue::as_str)?;
        match read(placed.value) {
            Some(value) => Some(Placed { value, span: placed.span, field: placed.field }),
            None => {
                placed.wrong(
                    found,
                    format!("must be {expected}, but is `{}`", placed.value),
                    format!("{key} = {quoted}"),
                );
                None
            }
        }
    }

    pub(super) fn duration(
        &mut self,
        found: &mut Findings<'_>,
        key: &'static str,
        example: &str,
    ) -> Option<Placed<std::time::Duration>> {
        self.quantity(found, key, "a duration with its unit (us, ms, s, m, h) in quotes", example, quantity::duration)
    }

    pub(super) fn rate(&mut self, found: &mut Findings<'_>, key: &'static str, example: &str) -> Option<Placed<f64>> {
        self.quantity(found, key, "a rate such as \"40/s\" or \"30/m\"", example, quantity::rate)
    }

    /// A number from 0 to 1, or a percentage in quotes.
    pub(super) fn share(&mut self, found: &mut Findings<'_>, key: &'static str) -> Option<Placed<f64>> {
        let (expected, example) = ("a share such as 0.03 or \"3%\"", "0.03");
        let placed = self.typed(found, key, expected, example, |value| match value {
            DeValue::String(text) => Some(quantity::share(text).unwrap_or(f64::NAN)),
            other => number(other),
        })?;
        if (0.0..=1.0).contains(&placed.value) {
            return Some(placed);
        }
        placed.wrong(found, format!("must be {expected}"), format!("{key} = {example}"));
        None
    }

    pub(super) fn number(
        &mut self,
        found: &mut Findings<'_>,
        key: &'static str,
        least: f64,
        most: f64,
    ) -> Option<Placed<f64>> {
        let placed = self.typed(found, key, "a number", &least.to_string(), number)?;
        if (least..=most).contains(&placed.value) {
            return Some(placed);
        }
        placed.wrong(found, format!("must lie between {least} and {most}"), format!("{key} = {least}"));
        None
    }

    pub(super) fn count(
        &mut self,
        found: &mut Findings<'_>,
        key: &'static str,
        least: usize,
        most: usize,
    ) -> Option<Placed<usize>> {
        let placed = self.typed(found, key, "a whole number", &least.to_string(), |value| {
            // A whole number all the same where it is negative or too large: it is its bounds that it misses.
            value.as_integer().map(|i| usize::from_str_radix(i.as_str(), i.radix()).unwrap_or(usize::MAX))
        })?;
        if (least..=most).contains(&placed.value) {
            return Some(placed);
        }
        placed.wrong(found, format!("must lie between {least} and {most}"), format!("{key} = {least}"));
        None
    }

    /// A list of strings; each wrong element is reported.
    pub(super) fn texts(
        &mut self,
        found: &mut Findings<'_>,
        key: &'static str,
        example: &str,
    ) -> Option<Vec<Placed<&'a str>>> {
        let placed = self.typed(found, key, "a list of strings", example, DeValue::as_array)?;
        let mut texts = Vec::new();
        for (at, element) in placed.value.iter().enumerate() {
            let field = format!("{}[{at}]", placed.field);
            match element.get_ref().as_str() {
                Some(value) => texts.push(Placed { value, span: element.span(), field }),
                None => found.mistake(element.span().start, field, "must be a string", example),
            }
        }
        Some(texts)
    }

    pub(super) fn section(
        &mut self,
        found: &mut Findings<'_>,
        key: &'static str,
        example: &str,
    ) -> Option<Section<'a>> {
        let placed = self.typed(found, key, "a table", example, DeValue::as_table)?;
        Some(Section::new(placed.value, placed.field, placed.span))
    }

    /// The tables of `[[key]]`.
    pub(super) fn sections(&mut self, found: &mut Findings<'_>, key: &'static str) -> Vec<Section<'a>> {
        let example = format!("[[{key}]]");
        let Some(placed) = self.typed(found, key, "a list of tables", &example, DeValue::as_array) else {
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (at, element) in placed.value.iter().enumerate() {
            let field = format!("{key}[{at}]");
            match element.get_ref().as_table() {
                Some(table) => sections.push(Section::new(table, field, element.span())),
                None => found.mistake(element.span().start, field, "must be a table", example.clone()),
            }
        }
        sections
    }

    /// Numbers by free name, such as `{ tax = 10, resident_record = 90 }`, in the order of the file.
    pub(super) fn weights(
        &mut self,
        found: &mut Findings<'_>,
        key: &'static str,
        example: &str,
    ) -> Option<Vec<Placed<(&'a str, f64)>>> {
        let placed = self.typed(found, key, "a table of numbers", example, DeValue::as_table)?;
        let mut weights = Vec::new();
        for (name, value) in placed.value {
            let field = format!("{}.{}", placed.field, name.get_ref());
            match number(value.get_ref()).filter(|weight| *weight > 0.0 && weight.is_finite()) {
                Some(weight) => {
                    weights.push(Placed { value: (name.get_ref().as_ref(), weight), span: name.span(), field })
                }
                None => {
                    found.mistake(value.span().start, field, "must be a number above 0", format!("{key} = {example}"))
                }
            }
        }
        weights.sort_by_key(|weight| weight.span.start);
        Some(weights)
    }

    /// Reports every key that nobody asked for.
    pub(super) fn finish(self, found: &mut Findings<'_>) {
        for (name, _) in self.table {
            let written = name.get_ref().as_ref();
            if self.asked.contains(&written) {
                continue;
            }
            let suggestion = match did_you_mean(written, self.asked.iter().copied()) {
                Some(known) => format!("{known} = ..."),
                None => format!("one of: {}", self.asked.join(", ")),
            };
            found.mistake(name.span().start, self.field(written), "is not a key of this table", suggestion);
        }
    }
}

fn number(value: &DeValue<'_>) -> Option<f64> {
    if let Some(float) = value.as_float() {
        return float.as_str().parse().ok();
    }
    let integer = value.as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(|n| n as f64)
}
