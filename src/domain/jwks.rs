//! A client's published public keys (RFC 7517 §5). `keys` determines what each key can be used for. This module
//! validates the shape of the set, so that what is stored or fetched is bounded and contains no secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::certificate::Thumbprint;

/// More keys than any rotation needs.
const MAX_KEYS: usize = 50;
/// Members that only private and symmetric keys have (RFC 7518 §6.2.2, §6.3.2, §6.4.1).
const SECRET_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The string members of a public key that are used (RFC 7517 §4, RFC 7518 §6.2, §6.3, RFC 8037 §2).
const USED_MEMBERS: [&str; 10] = ["kty", "use", "alg", "kid", "crv", "x", "y", "n", "e", THUMBPRINT_MEMBER];
const THUMBPRINT_MEMBER: &str = "x5t#S256";

fn is_short_list(value: &Value) -> bool {
    value.as_array().is_some_and(|values| values.len() <= 10 && values.iter().all(Value::is_string))
}

/// Returns the certificate of a key: the first of the chain, or its thumbprint if there is no chain.
fn certificate(key: &Map<String, Value>) -> Option<Thumbprint> {
    match key.get("x5c") {
        // RFC 7517 §4.7: base64, not base64url.
        Some(chain) => STANDARD.decode(chain.get(0)?.as_str()?).ok().map(|der| Thumbprint::from_der(&der)),
        None => Thumbprint::try_from(key.get(THUMBPRINT_MEMBER)?.as_str()?.to_owned()).ok(),
    }
}

/// Public keys, in the order of their publication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "JwksDocument")]
pub struct JwkSet {
    keys: Vec<Map<String, Value>>,
}

#[derive(Deserialize)]
struct JwksDocument {
    keys: Vec<Map<String, Value>>,
}

impl JwkSet {
    /// Parses a key set.
    ///
    /// # Errors
    /// Returns a sentence that describes the problem.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(json).map_err(|error| error.to_string())
    }

    pub fn keys(&self) -> impl Iterator<Item = &Map<String, Value>> {
        self.keys.iter()
    }

    /// Returns whether two keys have the same key material, regardless of their `kid` and use (RFC 7638 §3.2).
    #[must_use]
    pub fn is_same_key(one: &Map<String, Value>, other: &Map<String, Value>) -> bool {
        ["kty", "crv", "x", "y", "n", "e"].iter().all(|member| one.get(*member) == other.get(*member))
    }

    /// Returns whether a key is declared for encryption (RFC 7517 §4.2) and therefore authenticates nothing.
    #[must_use]
    pub fn is_for_encryption(key: &Map<String, Value>) -> bool {
        key.get("use").and_then(Value::as_str) == Some("enc")
    }

    /// Returns the thumbprints of these keys' certificates (RFC 7517 §4.7, §4.9).
    pub fn certificates(&self) -> impl Iterator<Item = Thumbprint> {
        self.keys.iter().filter_map(certificate)
    }

    /// Returns the keys with only the members that are used. Certificates are reduced to their thumbprints. Other
    /// members that a client publishes would take memory and are never read.
    #[must_use]
    pub fn without_unused_members(mut self) -> Self {
        for key in &mut self.keys {
            if let Some(thumbprint) = certificate(key) {
                key.insert(THUMBPRINT_MEMBER.to_owned(), String::from(thumbprint).into());
            }
            key.retain(|name, value| {
                (USED_MEMBERS.contains(&name.as_str()) && value.is_string())
                    || (name == "key_ops" && is_short_list(value))
            });
        }
        self
    }

    /// Returns the approximate memory use in bytes.
    #[must_use]
    pub fn weight(&self) -> u32 {
        let members = self.keys.iter().flat_map(Map::iter);
        let bytes: usize = members.map(|(_, value)| 100 + value.as_str().map_or(100, str::len)).sum();
        u32::try_from(bytes + 200).unwrap_or(u32::MAX)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    #[must_use]
    pub fn has_kid(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.get("kid").and_then(Value::as_str) == Some(kid))
    }
}

impl TryFrom<JwksDocument> for JwkSet {
    type Error = &'static str;

    fn try_from(document: JwksDocument) -> Result<Self, Self::Error> {
        if document.keys.len() > MAX_KEYS {
            return Err("a key set has more than 50 keys");
        }
        if document.keys.iter().any(|key| SECRET_MEMBERS.iter().any(|member| key.contains_key(*member))) {
            return Err("a key set holds a private or symmetric key: publish the public halves only");
        }
        // RFC 7517 §5: keys that cannot be understood are ignored.
        let mut keys = document.keys;
        keys.retain(|key| key.get("kty").is_some_and(Value::is_string));
        Ok(Self { keys })
    }
}

#[cfg(test)]
mod tests {
    use super::{JwkSet, Thumbprint};

    #[test]
    fn key_set_is_public_and_bounded() {
        let set = JwkSet::parse(br#"{"keys":[{"kty":"EC","kid":"a"},{"kty":"new"},{"kid":"b"}]}"#).unwrap();
        assert!(set.has_kid("a") && !set.has_kid("b"));
        for bad in [
            r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#,
            r#"{"keys":[{"kty":"EC","d":"x"}]}"#,
            r#"{"keys":{}}"#,
            "{}",
            "[]",
            "",
        ] {
            assert!(JwkSet::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let fat = r#"{"keys":[{"kty":"EC","kid":"a","x":"b","key_ops":["verify"],"x5c":["AA=="],"a":1,"y":{"z":1}}]}"#;
        let lean = JwkSet::parse(fat.as_bytes()).unwrap().without_unused_members();
        let mut names: Vec<&String> = lean.keys().next().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, ["key_ops", "kid", "kty", "x", "x5t#S256"]);
        assert_eq!(lean.certificates().collect::<Vec<_>>(), [Thumbprint::from_der(&[0])]);
        let broken = r#"{"keys":[{"kty":"EC","x5c":["?"]},{"kty":"EC","x5c":"AA=="},{"kty":"EC","x5t#S256":"AA"}]}"#;
        assert_eq!(JwkSet::parse(broken.as_bytes()).unwrap().certificates().count(), 0);
        assert!(lean.weight() < 2000);
        let many = vec![r#"{"kty":"EC"}"#; 51].join(",");
        assert!(JwkSet::parse(format!("{{\"keys\":[{many}]}}").as_bytes()).is_err());
        let deep = format!("{{\"keys\":[{{\"kty\":\"EC\",\"x\":{}{}}}]}}", "[".repeat(5000), "]".repeat(5000));
        assert!(JwkSet::parse(deep.as_bytes()).is_err());
    }
}
