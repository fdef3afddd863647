//! A strictly parsed JSON text that borrows its strings: for replies of which little is kept. Refuses what [`super::json`] refuses.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use super::json::{Depth, parse};
use super::pointer::Branch;

/// One JSON value. Personal data, hence no `Debug`.
#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub enum Tree<'t> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(Cow<'t, str>),
    /// An array.
    List(Vec<Tree<'t>>),
    /// Sorted by name, each name once.
    Object(Vec<(Cow<'t, str>, Tree<'t>)>),
}

/// Parses one JSON text as strictly as [`super::json`].
pub(crate) fn tree(bytes: &[u8]) -> Result<Tree<'_>, &'static str> {
    let reason = Cell::new("json_malformed");
    parse(bytes, &reason, Reading { depth: Depth::new(&reason) })
}

impl<'t> Tree<'t> {
    /// A plain value as text, as [`super::plain_text`] says it.
    pub fn plain_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Number(number) if number.is_i64() || number.is_u64() => Some(Cow::Owned(number.to_string())),
            Self::Bool(truth) => Some(Cow::Borrowed(if *truth { "true" } else { "false" })),
            _ => None,
        }
    }
}

impl<'t> Tree<'t> {
    /// An object of `members`; of two of one name the later one stands.
    pub(crate) fn object(members: impl Iterator<Item = (Cow<'t, str>, Self)>) -> Self {
        Self::Object(members.collect::<BTreeMap<_, _>>().into_iter().collect())
    }

    /// The same without the text that it was read from.
    pub(crate) fn into_owned(self) -> Tree<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Null => Tree::Null,
            Self::Bool(truth) => Tree::Bool(truth),
            Self::Number(number) => Tree::Number(number),
            Self::Text(text) => Tree::Text(owned(text)),
            Self::List(items) => Tree::List(items.into_iter().map(Tree::into_owned).collect()),
            Self::Object(members) => {
                Tree::Object(members.into_iter().map(|(name, value)| (owned(name), value.into_owned())).collect())
            }
        }
    }
}

impl From<Value> for Tree<'_> {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(truth),
            Value::Number(number) => Self::Number(number),
            Value::String(text) => Self::Text(Cow::Owned(text)),
            Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Value::Object(members) => {
                Self::object(members.into_iter().map(|(name, value)| (Cow::Owned(name), Self::from(value))))
            }
        }
    }
}

impl PartialEq<Value> for Tree<'_> {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(one), Value::Bool(other)) => one == other,
            (Self::Number(one), Value::Number(other)) => one == other,
            (Self::Text(one), Value::String(other)) => one == other,
            (Self::List(one), Value::Array(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one == other)
            }
            (Self::Object(one), Value::Object(other)) => {
                one.len() == other.len() && one.iter().all(|(name, one)| other.get(&**name).is_some_and(|o| one == o))
            }
            _ => false,
        }
    }
}

impl Branch for Tree<'_> {
    fn member(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        let at = members.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        members.get(at).map(|(_, value)| value)
    }

    fn element(&self, index: impl FnOnce() -> Option<usize>) -> Option<&Self> {
        let Self::List(items) = self else { return None };
        items.get(index()?)
    }
}

#[derive(Clone, Copy)]
struct Reading<'r> {
    depth: Depth<'r>,
}

impl<'de> DeserializeSeed<'de> for Reading<'_> {
    type Value = Tree<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = Tree<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Tree<'de>, E> {
        Ok(Tree::Bool(truth))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Tree<'de>, E> {
        Ok(Tree::Number(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Tree<'de>, E> {
        Ok(Tree::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Tree<'de>, E> {
        Number::from_f64(number).map(Tree::Number).ok_or_else(|| self.depth.refuse("json_malformed"))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Tree<'de>, E> {
        Ok(Tree::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Tree<'de>, E> {
        Ok(Tree::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<Tree<'de>, E> {
        Ok(Tree::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree<'de>, A::Error> {
        let inner = Self { depth: self.depth.inner()? };
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree<'de>, A::Error> {
        let inner = Self { depth: self.depth.inner()? };
        let mut members = Vec::with_capacity(8);
        while let Some(name) = map.next_key_seed(Name)? {
            members.push((name, map.next_value_seed(inner)?));
        }
        members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let twice = members.iter().zip(members.iter().skip(1)).any(|((one, _), (other, _))| one == other);
        if twice { Err(self.depth.refuse("json_duplicate_key")) } else { Ok(Tree::Object(members)) }
    }
}

/// A member's name, borrowed where it stands without escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::answer::{Pointer, json, plain_text};

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9f64).prop_map(Value::from),
            "[a-c\"\\\\é高\\n]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-c~/\"é]{0,2}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_says_what_the_value_says(value in value(), pointer in "(/[a-c0-2]{0,2}){0,3}") {
            let text = value.to_string();
            let tree = tree(text.as_bytes()).unwrap();
            let value = json(text.as_bytes()).unwrap();
            prop_assert!(tree == value);
            let pointer = Pointer::parse(&pointer).unwrap();
            let (one, other) = (pointer.find(&tree), pointer.find(&value));
            prop_assert_eq!(one.is_some(), other.is_some());
            prop_assert!(one.zip(other).is_none_or(|(one, other)| one == other));
            prop_assert_eq!(one.and_then(Tree::plain_text), other.and_then(plain_text));
        }

        #[test]
        fn it_refuses_what_the_value_refuses(text in "[\\[\\]{}\":,a0-1. \\\\u-]{0,24}") {
            prop_assert_eq!(tree(text.as_bytes()).is_ok(), json(text.as_bytes()).is_ok(), "{}", text);
        }
    }

    #[test]
    fn what_two_readers_may_read_differently_is_refused() {
        assert_eq!(tree(br#"{"id":"1","id":"2"}"#), Err("json_duplicate_key"));
        assert_eq!(tree(br#"{"a":{"id":"1","\u0069d":"2"}}"#), Err("json_duplicate_key"));
        assert_eq!(tree(br#"{"id":"1"}{"id":"2"}"#), Err("json_trailing_bytes"));
        assert_eq!(tree(b"{\"id\":\"\xff\"}"), Err("json_not_utf8"));
        assert_eq!(tree(b"1e999"), Err("json_malformed"));
        let deep = format!("{}1{}", "[".repeat(33), "]".repeat(33));
        assert_eq!(tree(deep.as_bytes()), Err("json_too_deep"));
        assert!(tree(deep.replacen('[', "", 1).replacen(']', "", 1).as_bytes()).is_ok());
    }

    #[test]
    fn values_differ_where_they_differ() {
        for (one, other) in [("{\"a\":1}", "{\"a\":2}"), ("{\"a\":1}", "{\"b\":1}"), ("[1]", "[1,2]"), ("1", "\"1\"")] {
            assert!(tree(one.as_bytes()).unwrap() != json(other.as_bytes()).unwrap(), "{one} {other}");
        }
    }
}
