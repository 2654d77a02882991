//! Bodies as Consul reads them: the first JSON value, keys in any case, unknown keys refused, wrong types refused,
//! `null` and absent the same, lengths of time as Go text or as a number of nanoseconds.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;
use thiserror::Error;

/// A body that is not what the endpoint takes.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("Request decode failed: {0}")]
pub struct DecodeError(String);

/// The first JSON value of a body; what follows it is not looked at. Bytes that are no UTF-8 and halves of surrogate
/// pairs become U+FFFD, as in the original.
pub fn first_value(body: &[u8]) -> Result<Value, DecodeError> {
    let text = String::from_utf8_lossy(body);
    let text = whole_surrogates(&text);
    let mut reader = serde_json::Deserializer::from_str(&text);
    match Value::deserialize(&mut reader) {
        Ok(value) => Ok(value),
        Err(error) if error.is_eof() && body.iter().all(u8::is_ascii_whitespace) => Err(DecodeError("EOF".to_owned())),
        Err(error) => Err(DecodeError(format!("invalid JSON: {error}"))),
    }
}

/// Replaces `\ud800` and its like without their other half by `\ufffd`.
fn whole_surrogates(text: &str) -> Cow<'_, str> {
    let unit = |at: usize| -> Option<u32> {
        let digits = text.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u32::from_str_radix(digits, 16).ok()
    };
    let bytes = text.as_bytes();
    let (mut whole, mut kept, mut at) = (String::new(), 0, 0);
    while at < bytes.len() {
        at += match (bytes[at], unit(at)) {
            (b'\\', Some(0xd800..=0xdbff)) if matches!(unit(at + 6), Some(0xdc00..=0xdfff)) => 12,
            (b'\\', Some(0xd800..=0xdfff)) => {
                whole.push_str(&text[kept..at]);
                whole.push_str("\\ufffd");
                kept = at + 6;
                6
            }
            (b'\\', _) => 2,
            _ => 1,
        };
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    whole.push_str(&text[kept..]);
    Cow::Owned(whole)
}

/// An object being taken apart, key by key; [`Fields::end`] refuses what is left.
#[derive(Debug)]
pub struct Fields {
    left: Map<String, Value>,
    /// Where in the body, for messages.
    place: String,
}

impl Fields {
    /// The object of a whole body.
    pub fn of_body(body: &[u8]) -> Result<Self, DecodeError> {
        Fields::new(first_value(body)?, String::new())
    }

    fn new(value: Value, place: String) -> Result<Self, DecodeError> {
        match value {
            Value::Object(left) => Ok(Fields { left, place }),
            Value::Null => Ok(Fields { left: Map::new(), place }),
            other => Err(wrong_type(&place, "an object", &other)),
        }
    }

    /// The value under any of these names, in any case; `None` for null.
    pub fn value(&mut self, names: &[&str]) -> Option<Value> {
        let mut found = None;
        let keys: Vec<String> =
            self.left.keys().filter(|key| names.iter().any(|name| key.eq_ignore_ascii_case(name))).cloned().collect();
        for key in keys {
            found = self.left.remove(&key).filter(|value| !value.is_null()).or(found);
        }
        found
    }

    fn place_of(&self, names: &[&str]) -> String {
        format!("{}.{}", self.place, names[0])
    }

    /// Text; empty when absent.
    pub fn string(&mut self, names: &[&str]) -> Result<String, DecodeError> {
        match self.value(names) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(wrong_type(&self.place_of(names), "a string", &other)),
        }
    }

    /// A truth value; false when absent.
    pub fn flag(&mut self, names: &[&str]) -> Result<bool, DecodeError> {
        match self.value(names) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(wrong_type(&self.place_of(names), "a bool", &other)),
        }
    }

    /// An integer; 0 when absent.
    pub fn integer(&mut self, names: &[&str]) -> Result<i64, DecodeError> {
        match self.value(names) {
            None => Ok(0),
            Some(Value::Number(number)) if number.as_i64().is_some() => Ok(number.as_i64().unwrap_or_default()),
            Some(other) => Err(wrong_type(&self.place_of(names), "an integer", &other)),
        }
    }

    /// A list of texts; empty when absent.
    pub fn strings(&mut self, names: &[&str]) -> Result<Vec<String>, DecodeError> {
        let place = self.place_of(names);
        self.value(names).map_or(Ok(Vec::new()), |value| strings(value, &place))
    }

    /// A map of texts; `None` when absent.
    pub fn string_map(&mut self, names: &[&str]) -> Result<Option<BTreeMap<String, String>>, DecodeError> {
        let place = self.place_of(names);
        let Some(fields) = self.object(names)? else { return Ok(None) };
        let pairs = fields.left.into_iter().map(|(key, value)| match value {
            Value::String(text) => Ok((key, text)),
            Value::Null => Ok((key, String::new())),
            other => Err(wrong_type(&place, "a string", &other)),
        });
        pairs.collect::<Result<_, _>>().map(Some)
    }

    /// A map of lists of texts; empty when absent.
    pub fn header_map(&mut self, names: &[&str]) -> Result<BTreeMap<String, Vec<String>>, DecodeError> {
        let place = self.place_of(names);
        let Some(fields) = self.object(names)? else { return Ok(BTreeMap::new()) };
        fields.left.into_iter().map(|(key, value)| Ok((key, strings(value, &place)?))).collect()
    }

    /// A length of time: Go text, or a number of nanoseconds; zero when absent.
    pub fn duration(&mut self, names: &[&str]) -> Result<Duration, DecodeError> {
        match self.value(names) {
            None => Ok(Duration::ZERO),
            Some(Value::String(text)) if text.is_empty() => Ok(Duration::ZERO),
            Some(Value::String(text)) => {
                let nanos = parse_go_duration(&text)
                    .ok_or_else(|| DecodeError(format!("time: invalid duration {}", model::go_text::quote(&text))))?;
                Ok(Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)))
            }
            Some(Value::Number(number)) => {
                // what no signed 64-bit number holds turns negative in the original, and counts as nothing
                let nanos = number.as_f64().filter(|nanos| *nanos < i64::MAX as f64).unwrap_or(0.0).max(0.0);
                Ok(Duration::from_nanos(nanos as u64))
            }
            Some(other) => Err(wrong_type(&self.place_of(names), "a duration", &other)),
        }
    }

    /// A nested object; `None` when absent.
    pub fn object(&mut self, names: &[&str]) -> Result<Option<Fields>, DecodeError> {
        let place = self.place_of(names);
        self.value(names).map(|value| Fields::new(value, place)).transpose()
    }

    /// A list of objects; empty when absent.
    pub fn objects(&mut self, names: &[&str]) -> Result<Vec<Fields>, DecodeError> {
        let place = self.place_of(names);
        match self.value(names) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => values.into_iter().map(|value| Fields::new(value, place.clone())).collect(),
            Some(other) => Err(wrong_type(&place, "a list", &other)),
        }
    }

    /// The keys of a map of objects.
    pub fn into_objects(self) -> Result<Vec<(String, Fields)>, DecodeError> {
        let place = self.place;
        self.left.into_iter().map(|(key, value)| Ok((key, Fields::new(value, place.clone())?))).collect()
    }

    /// What is left, as it is.
    pub fn into_map(self) -> Map<String, Value> {
        self.left
    }

    /// True when nothing was given.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Refuses whatever no one asked for.
    pub fn end(self) -> Result<(), DecodeError> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(key) => Err(DecodeError(format!("json: unknown field {}", model::go_text::quote(key)))),
        }
    }
}

fn strings(value: Value, place: &str) -> Result<Vec<String>, DecodeError> {
    let Value::Array(values) = value else { return Err(wrong_type(place, "a list of strings", &value)) };
    let texts = values.into_iter().map(|value| match value {
        Value::String(text) => Ok(text),
        Value::Null => Ok(String::new()),
        other => Err(wrong_type(place, "a string", &other)),
    });
    texts.collect()
}

fn wrong_type(place: &str, wanted: &str, found: &Value) -> DecodeError {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a bool",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    let place = if place.is_empty() { "body" } else { place.trim_start_matches('.') };
    DecodeError(format!("json: {place} must be {wanted}, found {found}"))
}

/// Go's `time.ParseDuration`, in nanoseconds: a sign, then numbers with units (`1h30m`, `1.5s`, `300ms`), or `0`.
pub fn parse_go_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0_f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_len = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..unit_len] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        total += number * unit;
        rest = &rest[unit_len..];
    }
    let nanos = (total <= i64::MAX as f64).then_some(total.round() as i64)?;
    Some(if negative { -nanos } else { nanos })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn go_durations() {
        for (text, expected) in [
            ("1s", Some(1_000_000_000)),
            ("1h30m", Some(5_400_000_000_000)),
            ("1.5ms", Some(1_500_000)),
            ("-5s", Some(-5_000_000_000)),
            ("0", Some(0)),
            ("10µs", Some(10_000)),
            ("5", None),
            ("abc", None),
            ("", None),
            ("-", None),
            ("1s2", None),
            ("..s", None),
            ("99999999999h", None),
        ] {
            assert_eq!(parse_go_duration(text), expected, "{text}");
        }
    }

    #[test]
    fn bodies() {
        let mut fields = Fields::of_body(br#"{"NAME":"a","port":7,"tags":null,"ttl":"2s"} trailing"#).unwrap();
        assert_eq!(fields.string(&["Name"]), Ok("a".to_owned()));
        assert_eq!(fields.integer(&["Port"]), Ok(7));
        assert_eq!(fields.strings(&["Tags"]), Ok(vec![]));
        assert_eq!(fields.duration(&["TTL"]), Ok(Duration::from_secs(2)));
        assert_eq!(fields.end(), Ok(()));
        for (body, message) in [
            ("", "Request decode failed: EOF"),
            ("[]", "Request decode failed: json: body must be an object, found a list"),
        ] {
            assert_eq!(Fields::of_body(body.as_bytes()).unwrap_err().to_string(), message);
        }
        for (body, name) in [
            (&b"{\"Name\":\"x\xff\xfe\"}"[..], "x\u{fffd}\u{fffd}"),
            (br#"{"Name":"x\ud800y\udc00\\ud800"}"#, "x\u{fffd}y\u{fffd}\\ud800"),
            (br#"{"Name":"\ud83d\ude00"}"#, "\u{1f600}"),
        ] {
            let mut fields = Fields::of_body(body).unwrap();
            assert_eq!(fields.string(&["Name"]), Ok(name.to_owned()));
        }
        for (number, nanos) in [("1.5", 1), ("5e9", 5_000_000_000), ("-5", 0), ("1e30", 0), ("9223372036854775808", 0)]
        {
            let mut fields = Fields::of_body(format!("{{\"TTL\":{number}}}").as_bytes()).unwrap();
            assert_eq!(fields.duration(&["TTL"]), Ok(Duration::from_nanos(nanos)), "{number}");
        }
        let fields = Fields::of_body(br#"{"Bogus":1}"#).unwrap();
        assert_eq!(fields.end().unwrap_err().to_string(), "Request decode failed: json: unknown field \"Bogus\"");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            body in prop::collection::vec(any::<u8>(), 0..60),
            text in "[-+0-9.a-zµ]{0,12}",
            escapes in r#"(\\|u|d8|dc|0|é|"){0,12}"#,
        ) {
            let _ = Fields::of_body(&body);
            let _ = Fields::of_body(format!("\"{escapes}\"").as_bytes());
            let _ = parse_go_duration(&text);
        }
    }
}
