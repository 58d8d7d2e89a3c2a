//! A client's public keys as it publishes them (RFC 7517 §5). What each key is good for is found out where it is used
//! (`keys`); here a set is held to its shape, so that what is kept or fetched is bounded and holds no secret.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// More keys than anybody rotates through.
const MOST_KEYS: usize = 50;
/// Members that only a private or symmetric key has (RFC 7518 §6.2.2, §6.3.2, §6.4.1).
const SECRET_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Public keys, in the order in which they were published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Document")]
pub struct JwkSet {
    keys: Vec<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Map<String, Value>>,
}

impl JwkSet {
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(json).map_err(|error| error.to_string())
    }

    pub fn keys(&self) -> impl Iterator<Item = &Map<String, Value>> {
        self.keys.iter()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    #[must_use]
    pub fn has(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.get("kid").and_then(Value::as_str) == Some(kid))
    }
}

impl TryFrom<Document> for JwkSet {
    type Error = &'static str;

    fn try_from(document: Document) -> Result<Self, Self::Error> {
        if document.keys.len() > MOST_KEYS {
            return Err("a key set has more than 50 keys");
        }
        if document.keys.iter().any(|key| SECRET_MEMBERS.iter().any(|member| key.contains_key(*member))) {
            return Err("a key set holds a private or symmetric key: publish the public halves only");
        }
        if document.keys.iter().any(|key| !key.get("kty").is_some_and(Value::is_string)) {
            return Err("a key has no kty");
        }
        Ok(Self { keys: document.keys })
    }
}

#[cfg(test)]
mod tests {
    use super::JwkSet;

    #[test]
    fn a_set_is_public_and_bounded() {
        assert!(JwkSet::parse(br#"{"keys":[{"kty":"EC","kid":"a"},{"kty":"new"}]}"#).unwrap().has("a"));
        for bad in [
            r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#,
            r#"{"keys":[{"kty":"EC","d":"x"}]}"#,
            r#"{"keys":[{"kid":"a"}]}"#,
            r#"{"keys":{}}"#,
            "{}",
            "[]",
            "",
        ] {
            assert!(JwkSet::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let many = vec![r#"{"kty":"EC"}"#; 51].join(",");
        assert!(JwkSet::parse(format!("{{\"keys\":[{many}]}}").as_bytes()).is_err());
        let deep = format!("{{\"keys\":[{{\"kty\":\"EC\",\"x\":{}{}}}]}}", "[".repeat(5000), "]".repeat(5000));
        assert!(JwkSet::parse(deep.as_bytes()).is_err());
    }
}
