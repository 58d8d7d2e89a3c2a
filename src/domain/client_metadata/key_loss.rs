//! Whether a change of a client's metadata takes away a key by which the client, or an issuer that it trusts, could
//! prove who it is.

use super::{ClientAuthMethod, ClientMetadata, TrustedIssuer};
use crate::domain::jwks::JwkSet;

impl ClientMetadata {
    /// Whether a key of `jwks` or the address of its keys, if it authenticates by them, a certificate's name or an issuer of
    /// `jwt_bearer` is not in `after` any more.
    #[must_use]
    pub fn loses_keys(&self, after: &Self) -> bool {
        let names = after.certificate_names();
        let mut issuers = self.jwt_bearer.iter();
        let by_keys = matches!(
            self.token_endpoint_auth_method,
            ClientAuthMethod::PrivateKeyJwt | ClientAuthMethod::SelfSignedTlsClientAuth
        );
        let keys = || self.jwks.as_ref().is_some_and(|keys| has_key_not_in(keys, after.jwks.as_ref()));
        let address = || self.jwks_uri.is_some() && self.jwks_uri != after.jwks_uri;
        self.certificate_names().iter().any(|name| !names.contains(name))
            || (by_keys && (keys() || address()))
            || issuers.any(|before| !after.jwt_bearer.iter().any(|after| is_same_issuer(before, after)))
    }
}

fn has_key_not_in(keys: &JwkSet, after: Option<&JwkSet>) -> bool {
    let mut proving = keys.keys().filter(|key| !JwkSet::is_for_encryption(key));
    proving.any(|key| !after.is_some_and(|after| after.keys().any(|other| JwkSet::is_same_key(key, other))))
}

/// By whose tokens, under which keys and for which subject and audience.
fn is_same_issuer(before: &TrustedIssuer, after: &TrustedIssuer) -> bool {
    TrustedIssuer { reusable: after.reusable, ..before.clone() } == *after
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::ClientMetadata;

    fn metadata(members: Value) -> ClientMetadata {
        serde_json::from_value(members).unwrap()
    }

    #[test]
    fn what_a_change_takes_away_is_noticed() {
        let key = |x: &str, kid: &str| json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid });
        let keys = |keys: Value| json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": keys } });
        let encrypting = |x: &str| json!([{ "kty": "OKP", "crv": "X25519", "x": x, "kid": "e", "use": "enc" }]);
        let with_secret = |keys: Value| json!({ "jwks": { "keys": keys } });
        let trusted = |issuer: &str, reusable: bool| {
            let url = format!("{issuer}/jwks");
            json!({ "jwt_bearer": [{ "issuer": issuer, "jwks_uri": url, "subject": "a", "reusable": reusable }] })
        };
        let at = |uri: &str| json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": uri });
        let (one, two) = (at("https://a.example/1"), at("https://a.example/2"));
        let (ci, other) = ("https://ci.example", "https://other.example");
        for (before, after, expected) in [
            (json!({}), keys(json!([key("A", "1")])), false),
            (keys(json!([key("A", "1")])), keys(json!([key("A", "1"), key("B", "2")])), false),
            (keys(json!([key("A", "1")])), keys(json!([key("A", "other name")])), false),
            (keys(json!([key("A", "1")])), keys(json!([key("B", "1")])), true),
            (keys(json!([key("A", "1"), key("B", "2")])), keys(json!([key("B", "2")])), true),
            (keys(json!([key("A", "1")])), json!({}), true),
            (keys(encrypting("A")), keys(encrypting("B")), false),
            (with_secret(json!([key("A", "1")])), with_secret(json!([key("B", "1")])), false),
            (json!({}), one.clone(), false),
            (one.clone(), one.clone(), false),
            (one.clone(), two, true),
            (one.clone(), json!({}), true),
            (keys(json!([key("A", "1")])), one, true),
            (json!({}), trusted(ci, false), false),
            (trusted(ci, false), trusted(ci, true), false),
            (trusted(ci, false), trusted(other, false), true),
            (trusted(ci, false), json!({}), true),
        ] {
            let loses = metadata(before.clone()).loses_keys(&metadata(after.clone()));
            assert_eq!(loses, expected, "{before} {after}");
        }
    }
}
