//! Whether a change of client metadata withdraws trust on which tokens were issued: a key that authenticates the client
//! or an issuer that it trusts, the exemption from user consent, or the permission to exchange another client's tokens.

use super::{ClientAuthMethod, ClientMetadata, ConsentPolicy, ExchangePolicy, TrustedIssuer};
use crate::domain::jwks::JwkSet;

impl ClientMetadata {
    /// Returns whether `after` lacks something that this metadata trusts: a key of `jwks` or the `jwks_uri` (if the
    /// client authenticates by keys), authentication by keys, a certificate's name, an issuer in `jwt_bearer`, the
    /// exemption from consent, or a part of `token_exchange`.
    #[must_use]
    pub fn withdraws_trust(&self, after: &Self) -> bool {
        let names = after.certificate_names();
        let mut issuers = self.jwt_bearer.iter();
        let keys = || self.jwks.as_ref().is_some_and(|keys| has_key_not_in(keys, after.jwks.as_ref()));
        let address = || self.jwks_uri.is_some() && self.jwks_uri != after.jwks_uri;
        let may_still = |before: &ExchangePolicy| {
            let mut of_client = after.token_exchange.iter().filter(|after| after.client == before.client);
            of_client
                .any(|after| (after.impersonation || !before.impersonation) && (after.delegation || !before.delegation))
        };
        let trust = self.consent == ConsentPolicy::Trusted && after.consent != ConsentPolicy::Trusted;
        trust
            || !self.token_exchange.iter().all(may_still)
            || self.certificate_names().iter().any(|name| !names.contains(name))
            || (self.authenticates_by_keys() && (!after.authenticates_by_keys() || keys() || address()))
            || issuers.any(|before| !after.jwt_bearer.iter().any(|after| is_same_issuer(before, after)))
    }

    /// Returns whether the client authenticates with a key of `jwks` or `jwks_uri`.
    const fn authenticates_by_keys(&self) -> bool {
        matches!(
            self.token_endpoint_auth_method,
            ClientAuthMethod::PrivateKeyJwt | ClientAuthMethod::SelfSignedTlsClientAuth
        )
    }
}

fn has_key_not_in(keys: &JwkSet, after: Option<&JwkSet>) -> bool {
    let mut proving = keys.keys().filter(|key| !JwkSet::is_for_encryption(key));
    proving.any(|key| !after.is_some_and(|after| after.keys().any(|other| JwkSet::is_same_key(key, other))))
}

/// Compares everything except `reusable`: the issuer, its keys, the subject and the audience.
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
    fn removed_trust_is_detected() {
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
        let exchange = |impersonation: bool, delegation: bool| json!({ "token_exchange": [{ "client": "app", "impersonation": impersonation, "delegation": delegation }] });
        let (ci, other) = ("https://ci.example", "https://other.example");
        for (before, after, expected) in [
            (json!({}), keys(json!([key("A", "1")])), false),
            (json!({ "consent": "trusted" }), json!({}), true),
            (json!({}), json!({ "consent": "trusted" }), false),
            (exchange(true, true), exchange(true, true), false),
            (exchange(false, true), exchange(true, true), false),
            (exchange(true, true), exchange(true, false), true),
            (exchange(true, false), exchange(false, true), true),
            (exchange(true, false), json!({}), true),
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
            let loses = metadata(before.clone()).withdraws_trust(&metadata(after.clone()));
            assert_eq!(loses, expected, "{before} {after}");
        }
    }
    #[test]
    fn leaving_key_authentication_withdraws_trust() {
        let with = |method: &str, keys: Value| {
            let mut members = keys;
            members["token_endpoint_auth_method"] = json!(method);
            metadata(members)
        };
        let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": "A", "kid": "1" });
        for keys in [json!({ "jwks": { "keys": [key] } }), json!({ "jwks_uri": "https://a.example/1" })] {
            for (before, after, expected) in [
                ("private_key_jwt", "client_secret_basic", true),
                ("private_key_jwt", "client_secret_jwt", true),
                ("private_key_jwt", "none", true),
                ("self_signed_tls_client_auth", "client_secret_basic", true),
                ("self_signed_tls_client_auth", "tls_client_auth", true),
                ("private_key_jwt", "self_signed_tls_client_auth", false),
                ("private_key_jwt", "private_key_jwt", false),
                ("client_secret_basic", "private_key_jwt", false),
            ] {
                let loses = with(before, keys.clone()).withdraws_trust(&with(after, keys.clone()));
                assert_eq!(loses, expected, "{before} {after} {keys}");
            }
        }
    }
}
