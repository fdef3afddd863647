//! JSON as strictly as a release needs it: one meaning only, or a stable word why not.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The longest text that is parsed.
pub const MAX_JSON_BYTES: usize = 8 << 20;

/// The deepest nesting that is parsed; a plain value has depth 0.
pub const MAX_JSON_DEPTH: usize = 32;

/// Parses one JSON text (RFC 8259). Duplicate keys, nesting beyond [`MAX_JSON_DEPTH`], a byte order mark, trailing
/// bytes and anything but UTF-8 are refused: two readers of such a text may see two different things.
pub fn json(bytes: &[u8]) -> Result<Value, &'static str> {
    let reason = Cell::new("json_malformed");
    parse(bytes, &reason, Strict { depth: Depth::new(&reason) })
}

/// Parses one JSON text into what `seed` makes of it. `reason` is what is said where the text is no JSON, or `seed` refuses.
pub(super) fn parse<'t, S: DeserializeSeed<'t>>(
    bytes: &'t [u8],
    reason: &Cell<&'static str>,
    seed: S,
) -> Result<S::Value, &'static str> {
    if bytes.len() > MAX_JSON_BYTES {
        return Err("json_too_large");
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "json_not_utf8")?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = seed.deserialize(&mut deserializer).map_err(|_| reason.get())?;
    deserializer.end().map_err(|_| "json_trailing_bytes")?;
    Ok(value)
}

/// How many more levels may be opened, and where the reason of a refusal goes.
#[derive(Clone, Copy)]
pub(super) struct Depth<'r> {
    left: usize,
    reason: &'r Cell<&'static str>,
}

impl<'r> Depth<'r> {
    pub(super) fn new(reason: &'r Cell<&'static str>) -> Self {
        Self { left: MAX_JSON_DEPTH, reason }
    }

    pub(super) fn inner<E: Error>(self) -> Result<Self, E> {
        match self.left.checked_sub(1) {
            Some(left) => Ok(Self { left, ..self }),
            None => Err(self.refuse("json_too_deep")),
        }
    }

    pub(super) fn refuse<E: Error>(self, reason: &'static str) -> E {
        self.reason.set(reason);
        E::custom(reason)
    }
}

/// Reads one value.
#[derive(Clone, Copy)]
struct Strict<'r> {
    depth: Depth<'r>,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Number::from_f64(number).map(Value::Number).ok_or_else(|| self.depth.refuse("json_malformed"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = Self { depth: self.depth.inner()? };
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = Self { depth: self.depth.inner()? };
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(self.depth.refuse("json_duplicate_key"));
            }
            let value = map.next_value_seed(inner)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_readers_may_read_differently_is_refused() {
        assert_eq!(json(br#"{"id":"1","id":"2"}"#), Err("json_duplicate_key"));
        assert_eq!(json(br#"{"a":{"id":"1","\u0069d":"2"}}"#), Err("json_duplicate_key"));
        assert_eq!(json(br#"{"id":"1"}{"id":"2"}"#), Err("json_trailing_bytes"));
        assert_eq!(json(b"{\"id\":\"1\"}\0"), Err("json_trailing_bytes"));
        assert_eq!(json(b"\xef\xbb\xbf{}"), Err("json_malformed"));
        assert_eq!(json(b"{\"id\":\"\xff\"}"), Err("json_not_utf8"));
        assert_eq!(json(br#""\ud800""#), Err("json_malformed"));
        assert_eq!(json(b"{'id':1}"), Err("json_malformed"));
        assert_eq!(json(b""), Err("json_malformed"));
        assert_eq!(json(b"1e999"), Err("json_malformed"));
    }

    #[test]
    fn nesting_is_bounded_exactly() {
        let nested = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
        assert!(json(nested(MAX_JSON_DEPTH).as_bytes()).is_ok());
        assert_eq!(json(nested(MAX_JSON_DEPTH + 1).as_bytes()), Err("json_too_deep"));
        assert_eq!(json(nested(100_000).as_bytes()), Err("json_too_deep"));
        assert_eq!(json("{\"a\":".repeat(100_000).as_bytes()), Err("json_too_deep"));
    }

    #[test]
    fn ordinary_texts_are_read_as_they_stand() {
        let value = json(" {\"名\":[1,-2,1.5,true,null,\"\\u9ad8\"]}\r\n".as_bytes()).unwrap();
        assert_eq!(value, serde_json::json!({"名": [1, -2, 1.5, true, null, "高"]}));
    }
}
