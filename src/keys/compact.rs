//! Parses the compact serializations of JOSE (RFC 7515 §3.1, RFC 7516 §3.1) before any cryptographic operation. It
//! checks the number and length of the parts, and that no JSON object has duplicate names (RFC 7515 §4).
//!
//! josekit parses tokens as well, but does not handle missing parts (an initialization vector, or a complete
//! authentication tag). Untrusted tokens are therefore validated here first.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::domain::secret::from_base64url;

/// Splits a token of at most `most` bytes into exactly `N` parts.
pub(super) fn parts<const N: usize>(token: &str, most: usize) -> Option<[&str; N]> {
    if token.len() > most {
        return None;
    }
    let parts: Vec<&str> = token.splitn(N + 1, '.').collect();
    parts.try_into().ok()
}

/// Decodes the JSON object of a part.
pub(super) fn object(part: &str) -> Option<Map<String, Value>> {
    members(&from_base64url(part)?)
}

/// Parses a JSON object without duplicate names. `serde_json` limits the nesting to 128 levels.
pub fn members(json: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice::<UniqueNamesObject>(json).ok().map(|object| object.0)
}

/// Returns a member that must be a string, if present.
pub(super) fn text<'a>(header: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, NotText> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(NotText),
    }
}

/// The member is present but is not a string.
#[derive(Debug)]
pub(super) struct NotText;

/// An object without duplicate names.
struct UniqueNamesObject(Map<String, Value>);

impl<'de> Deserialize<'de> for UniqueNamesObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = UniqueNamesObject;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<UniqueNamesObject, A::Error> {
                let mut members = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a name stands there twice"));
                    }
                }
                Ok(UniqueNamesObject(members))
            }
        }
        deserializer.deserialize_map(ObjectVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::secret::base64url;

    #[test]
    fn parts_are_counted_and_bounded() {
        assert_eq!(parts::<3>("a.b.c", 5), Some(["a", "b", "c"]));
        assert_eq!(parts::<3>("..", 5), Some(["", "", ""]));
        for bad in ["", "a.b", "a.b.c.d", "a.b.cc", "a.b.c."] {
            assert_eq!(parts::<3>(bad, 5), None, "{bad}");
        }
    }

    #[test]
    fn object_rejects_duplicates_and_trailing_data() {
        let read = |json: &str| object(&base64url(json.as_bytes()));
        assert_eq!(read(r#"{"alg":"ES256"}"#).unwrap()["alg"], "ES256");
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(2000), "]".repeat(2000));
        for bad in [r#"{"alg":"none","alg":"ES256"}"#, r#"{"a":1}x"#, r#"{"a":1"#, "[]", "null", "\"a\"", "", &deep] {
            assert!(read(bad).is_none(), "{bad}");
        }
        for part in ["e30=", "e3 0", "e31", "+/8", "é"] {
            assert!(object(part).is_none(), "{part}");
        }
    }
}
