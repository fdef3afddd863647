//! A cursor over one TOML table that remembers which keys were asked for, so that whatever is left over is reported as unknown.

use std::ops::Range;
use std::time::Duration;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::quantity;
use super::source::{Asked, Findings, did_you_mean};

/// One value with its place.
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
    pub(super) key: String,
}

impl<T> Placed<T> {
    pub(super) fn wrong(&self, found: &mut Findings, message: impl Into<String>, suggestion: impl Into<String>) {
        found.mistake(&self.span, self.key.clone(), message, suggestion);
    }
}

impl Placed<String> {
    pub(super) fn as_deref(&self) -> Placed<&str> {
        Placed { value: &self.value, span: self.span.clone(), key: self.key.clone() }
    }
}

fn with_article(is: &str) -> String {
    let article = if is.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {is}")
}

/// One table, the keys that were asked for, and where it stands.
pub(super) struct Section<'a> {
    table: &'a DeTable<'a>,
    path: String,
    span: Range<usize>,
    asked: Vec<&'static str>,
}

impl<'a> Section<'a> {
    pub(super) fn new(table: &'a DeTable<'a>, path: String, span: Range<usize>) -> Self {
        Self { table, path, span, asked: Vec::new() }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn span(&self) -> &Range<usize> {
        &self.span
    }

    /// The dotted path of `key` in this table.
    pub(super) fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Where `key` stands, or where this table begins.
    pub(super) fn place(&self, key: &str) -> Range<usize> {
        self.table.iter().find(|(k, _)| k.get_ref() == key).map_or_else(|| self.span.clone(), |(k, _)| k.span())
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    pub(super) fn is_text(&self, key: &str) -> bool {
        self.table.get(key).is_some_and(|value| value.get_ref().is_str())
    }

    pub(super) fn is_list(&self, key: &str) -> bool {
        self.table.get(key).is_some_and(|value| value.get_ref().as_array().is_some())
    }

    /// A list of tables; what is none is reported.
    pub(super) fn tables(&mut self, found: &mut Findings, key: &'static str, example: &str) -> Vec<Section<'a>> {
        let Some(list) = self.typed(found, key, "a list of tables", example, DeValue::as_array) else {
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (at, element) in list.value.iter().enumerate() {
            let path = format!("{}[{at}]", list.key);
            match element.get_ref().as_table() {
                Some(table) => tables.push(Section::new(table, path, element.span())),
                None => found.mistake(&element.span(), path, "must be a table", example.to_owned()),
            }
        }
        tables
    }

    /// Counts `key` as known, because it was already reported in another way.
    pub(super) fn forgive(&mut self, key: &'static str) {
        self.asked.push(key);
    }

    /// What stands under a path of keys, if it is there.
    pub(super) fn below(&self, path: &[&str]) -> Option<&'a DeValue<'a>> {
        let (first, rest) = path.split_first()?;
        let mut value = self.table.get(*first)?;
        for key in rest {
            value = value.get_ref().as_table()?.get(*key)?;
        }
        Some(value.get_ref())
    }

    /// Whether something stands under `table.key`.
    pub(super) fn has_below(&self, table: &str, key: &str) -> bool {
        self.table.get(table).and_then(|t| t.get_ref().as_table()).is_some_and(|t| t.contains_key(key))
    }

    /// The place of the deepest key of `dotted` below `key` that exists.
    pub(super) fn place_below(&self, key: &str, dotted: &str) -> Range<usize> {
        let mut place = self.place(key);
        let mut value = self.table.get(key);
        for part in dotted.split('.') {
            let Some(table) = value.and_then(|v| v.get_ref().as_table()) else { break };
            let Some((name, below)) = table.iter().find(|(name, _)| name.get_ref() == part) else { break };
            place = name.span();
            value = Some(below);
        }
        place
    }

    fn get(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.push(key);
        self.table.get(key)
    }

    fn typed<T>(
        &mut self,
        found: &mut Findings,
        key: &'static str,
        expected: &str,
        example: &str,
        read: impl FnOnce(&'a DeValue<'a>) -> Option<T>,
    ) -> Option<Placed<T>> {
        if let Some(asked) = &mut found.asked {
            let example = example.to_owned();
            asked.push(Asked { path: self.key(key), expected: expected.to_owned(), example });
        }
        let value = self.get(key)?;
        let (span, path) = (value.span(), self.key(key));
        match read(value.get_ref()) {
            Some(value) => Some(Placed { value, span, key: path }),
            None => {
                let is = with_article(value.get_ref().type_str());
                found.mistake(&span, path, format!("must be {expected}, but is {is}"), format!("{key} = {example}"));
                None
            }
        }
    }

    pub(super) fn text(&mut self, found: &mut Findings, key: &'static str, example: &str) -> Option<Placed<&'a str>> {
        self.typed(found, key, "a string", &format!("{example:?}"), DeValue::as_str)
    }

    pub(super) fn flag(&mut self, found: &mut Findings, key: &'static str) -> Option<bool> {
        self.typed(found, key, "true or false", "true", DeValue::as_bool).map(|p| p.value)
    }

    /// A count between `least` and `most`.
    pub(super) fn count(
        &mut self,
        found: &mut Findings,
        key: &'static str,
        least: usize,
        most: usize,
    ) -> Option<Placed<usize>> {
        let placed = self.typed(found, key, "a whole number", &least.to_string(), |v| {
            // A whole number all the same where it is negative or too large: it is its bounds that it misses.
            v.as_integer().map(|i| usize::from_str_radix(i.as_str(), i.radix()).unwrap_or(usize::MAX))
        })?;
        if (least..=most).contains(&placed.value) {
            return Some(placed);
        }
        placed.wrong(found, format!("must lie between {least} and {most}"), format!("{key} = {least}"));
        None
    }

    pub(super) fn duration(&mut self, found: &mut Findings, key: &'static str, example: &str) -> Option<Duration> {
        let example_value = format!("{example:?}");
        let expected = "a duration with its unit (ms, s, m, h, d) in quotes";
        let placed = self.typed(found, key, expected, &example_value, DeValue::as_str)?;
        let duration = quantity::duration(placed.value);
        if duration.is_none() {
            placed.wrong(found, format!("must be {expected}"), format!("{key} = {example_value}"));
        }
        duration
    }

    pub(super) fn size(&mut self, found: &mut Findings, key: &'static str, example: &str) -> Option<Placed<usize>> {
        let example_value = format!("{example:?}");
        let expected = "a size with its unit (B, KiB, MiB) in quotes";
        let placed = self.typed(found, key, expected, &example_value, DeValue::as_str)?;
        match quantity::size(placed.value) {
            Some(value) => Some(Placed { value, span: placed.span, key: placed.key }),
            None => {
                placed.wrong(found, format!("must be {expected}"), format!("{key} = {example_value}"));
                None
            }
        }
    }

    /// A list of strings; each wrong element is reported.
    pub(super) fn texts(
        &mut self,
        found: &mut Findings,
        key: &'static str,
        example: &str,
    ) -> Option<Placed<Vec<Placed<&'a str>>>> {
        let placed = self.typed(found, key, "a list of strings", example, DeValue::as_array)?;
        let mut texts = Vec::new();
        for (at, element) in placed.value.iter().enumerate() {
            let key = format!("{}[{at}]", placed.key);
            match element.get_ref().as_str() {
                Some(value) => texts.push(Placed { value, span: element.span(), key }),
                None => found.mistake(&element.span(), key, "must be a string", example.to_owned()),
            }
        }
        Some(Placed { value: texts, span: placed.span, key: placed.key })
    }

    /// A list of whole numbers up to `most`.
    pub(super) fn counts(&mut self, found: &mut Findings, key: &'static str, most: usize, example: &str) -> Vec<usize> {
        let Some(placed) = self.typed(found, key, "a list of whole numbers", example, DeValue::as_array) else {
            return Vec::new();
        };
        let mut counts = Vec::new();
        for element in placed.value.iter() {
            let read = element.get_ref().as_integer().and_then(|i| usize::from_str_radix(i.as_str(), i.radix()).ok());
            match read.filter(|n| *n <= most) {
                Some(number) => counts.push(number),
                None => {
                    found.mistake(&element.span(), placed.key.clone(), "holds something that does not fit", example)
                }
            }
        }
        counts
    }

    pub(super) fn section(&mut self, found: &mut Findings, key: &'static str) -> Option<Section<'a>> {
        let placed = self.typed(found, key, "a table", "{ ... }", DeValue::as_table)?;
        Some(Section::new(placed.value, placed.key, placed.span))
    }

    /// The tables below `key`, by name.
    pub(super) fn named(&mut self, found: &mut Findings, key: &'static str) -> Vec<(Placed<&'a str>, Section<'a>)> {
        let Some(placed) = self.typed(found, key, "a table of tables", "{ name = { ... } }", DeValue::as_table) else {
            return Vec::new();
        };
        let mut named = Vec::new();
        for (name, value) in placed.value {
            let path = format!("{}.{}", placed.key, name.get_ref());
            let place = Placed { value: name.get_ref().as_ref(), span: name.span(), key: path.clone() };
            match value.get_ref().as_table() {
                Some(table) => named.push((place, Section::new(table, path, name.span()))),
                None => place.wrong(
                    found,
                    format!("must be a table, but is {}", with_article(value.get_ref().type_str())),
                    "",
                ),
            }
        }
        // In the order of the file, so that the second of two is the one that is reported.
        named.sort_by_key(|(place, _)| place.span.start);
        named
    }

    /// Every entry, as written: for tables whose keys are free names.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Placed<&'a str>, &'a Spanned<DeValue<'a>>)> {
        self.table.iter().map(|(name, value)| {
            let place = Placed { value: name.get_ref().as_ref(), span: name.span(), key: self.key(name.get_ref()) };
            (place, value)
        })
    }

    /// Hands a table that another crate describes to its own reader; each entry is tried alone, so that every mistake is found.
    pub(super) fn foreign<T: DeserializeOwned + Default>(
        &mut self,
        found: &mut Findings,
        key: &'static str,
    ) -> Option<T> {
        let path = self.key(key);
        if let Some(asked) = &mut found.asked {
            let below = foreign_keys::<T>().into_iter().map(|name| format!("{path}.{name}"));
            let entry = |path| Asked { path, expected: "a table".to_owned(), example: String::new() };
            asked.extend(std::iter::once(path.clone()).chain(below).map(entry));
        }
        let value = self.get(key)?;
        match read_foreign::<T>(value.clone()) {
            Ok(read) => return Some(read),
            Err(first) => {
                let before = found.mistakes.len();
                for (name, entry) in value.get_ref().as_table().into_iter().flatten() {
                    let mut alone = DeTable::new();
                    alone.insert(name.clone(), entry.clone());
                    let alone = Spanned::new(value.span(), DeValue::Table(alone));
                    if let Err(error) = read_foreign::<T>(alone) {
                        let span = error.span.unwrap_or_else(|| name.span());
                        let below = if error.path.is_empty() || error.path == "." {
                            name.get_ref().to_string()
                        } else {
                            error.path
                        };
                        found.mistake(&span, format!("{path}.{below}"), error.message, "");
                    }
                }
                if found.mistakes.len() == before {
                    let key = if first.path.is_empty() || first.path == "." {
                        path
                    } else {
                        format!("{path}.{}", first.path)
                    };
                    found.mistake(&first.span.unwrap_or_else(|| value.span()), key, first.message, "");
                }
            }
        }
        None
    }

    /// Reports every key that nobody asked for.
    pub(super) fn finish(self, found: &mut Findings) {
        for (name, _) in self.table {
            let written = name.get_ref().as_ref();
            if self.asked.contains(&written) {
                continue;
            }
            let suggestion = match did_you_mean(written, self.asked.iter().copied()) {
                Some(known) => format!("{known} = ..."),
                None => format!("one of: {}", self.asked.join(", ")),
            };
            found.mistake(&name.span(), self.key(written), "is not a key of this table", suggestion);
        }
    }
}

struct ForeignError {
    path: String,
    message: String,
    span: Option<Range<usize>>,
}

/// The keys of a table that another crate describes: its reader names them when it meets one that it does not know.
fn foreign_keys<T: DeserializeOwned>() -> Vec<String> {
    let text = "'' = 1";
    let Ok(table) = DeTable::parse(text) else { return Vec::new() };
    let said = read_foreign::<T>(Spanned::new(0..0, DeValue::Table(table.into_inner()))).err();
    let said = said.map(|error| error.message).unwrap_or_default();
    let known = said.split("expected").nth(1).unwrap_or_default();
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn read_foreign<T: DeserializeOwned>(value: Spanned<DeValue<'_>>) -> Result<T, ForeignError> {
    serde_path_to_error::deserialize(ValueDeserializer::from(value)).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        ForeignError { path, message: inner.message().to_owned(), span: inner.span() }
    })
}
