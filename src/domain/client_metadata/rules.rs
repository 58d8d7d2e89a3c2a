//! The rules between the members of client metadata. Parsing has checked the members themselves.

use super::{ClientAuthMethod, ClientMetadata, GrantType, RefreshTokenRotation, SubjectType};
use crate::config::MAX_REFRESH_TOKEN_GRACE;
use crate::domain::algorithms::{ContentEncryption, KeyManagementAlg, SigningAlg};
use crate::domain::scope::OFFLINE_ACCESS;

/// An invalid member, and a sentence that describes the problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberError {
    pub field: &'static str,
    pub message: String,
}

impl MemberError {
    pub fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

/// Returns whether an invisible character can make a name look like another one (Unicode UAX #9 §2).
const fn turns_text(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl ClientMetadata {
    /// Returns the violations, member by member.
    #[must_use]
    pub fn problems(&self) -> Vec<MemberError> {
        let mut problems = Vec::new();
        let mut wrong = |field, message: &str| problems.push(MemberError::new(field, message));
        self.texts(&mut wrong);
        self.redirects(&mut wrong);
        self.grants(&mut wrong);
        self.check_introspection(&mut wrong);
        self.refreshing(&mut wrong);
        self.responses(&mut wrong);
        self.keys(&mut wrong);
        self.certificates(&mut wrong);
        self.encryption(&mut wrong);
        self.addresses(&mut wrong);
        self.check_user_access(&mut wrong);
        problems
    }

    fn texts(&self, wrong: &mut impl FnMut(&'static str, &str)) {
        if self.client_name.chars().count() > 100 {
            wrong("client_name", "is longer than 100 characters");
        }
        if self.client_name.chars().any(|c| c.is_control() || turns_text(c)) {
            wrong("client_name", "has a control character, or one that turns the direction of text");
        }
        if self.contacts.len() > 20 || self.contacts.iter().any(|contact| contact.len() > 200) {
            wrong("contacts", "has more than 20 entries, or one of more than 200 characters");
        }
        let long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.len() > 200);
        if long(&self.software_id) {
            wrong("software_id", "is longer than 200 characters");
        }
        if long(&self.software_version) {
            wrong("software_version", "is longer than 200 characters");
        }
        if self.default_max_age.is_some_and(|seconds| !(0..=31_536_000).contains(&seconds)) {
            wrong("default_max_age", "is a number of seconds from 0 to 31536000");
        }
        if self.default_acr_values.len() > 20 || self.default_acr_values.iter().any(|acr| acr.len() > 200) {
            wrong("default_acr_values", "has more than 20 values, or one of more than 200 characters");
        }
    }

    fn grants(&self, wrong: &mut impl FnMut(&'static str, &str)) {
        // A confidential client without grant types may still introspect: an API that receives tokens and requests
        // none.
        if self.grant_types.is_empty() && self.is_public() {
            wrong("grant_types", "is empty");
        }
        let renewable = self.allows(GrantType::AuthorizationCode) || self.allows(GrantType::DeviceCode);
        if self.allows(GrantType::RefreshToken) && !renewable {
            wrong("grant_types", "refresh_token needs authorization_code or the device grant beside it");
        }
        for (grant, name) in
            [(GrantType::ClientCredentials, "client_credentials"), (GrantType::TokenExchange, "token exchange")]
        {
            if self.is_public() && self.allows(grant) {
                wrong("grant_types", &format!("{name} needs a client that can keep a secret"));
            }
        }
        if self.scope.contains(OFFLINE_ACCESS) && !self.allows(GrantType::RefreshToken) {
            wrong("scope", "offline_access needs the grant type refresh_token");
        }
        if self.token_exchange.len() > 50 {
            wrong("token_exchange", "has more than 50 entries");
        }
        if self.token_exchange.iter().any(|policy| !policy.impersonation && !policy.delegation) {
            wrong("token_exchange", "has an entry that allows nothing: say impersonation or delegation");
        }
        if self.jwt_bearer.len() > 50 {
            wrong("jwt_bearer", "has more than 50 entries");
        }
        for (field, stated, grant) in [
            ("token_exchange", !self.token_exchange.is_empty(), GrantType::TokenExchange),
            ("jwt_bearer", !self.jwt_bearer.is_empty(), GrantType::JwtBearer),
        ] {
            if stated && !self.allows(grant) {
                wrong(field, "needs its grant type beside it");
            }
        }
        if self.allows(GrantType::JwtBearer) && self.jwt_bearer.is_empty() {
            wrong("jwt_bearer", "is missing: whose tokens are taken");
        }
        if self.jwt_bearer.iter().any(|trusted| matches!(trusted.subject.as_str(), "" | "*")) {
            wrong("jwt_bearer", "would let in everybody whom that issuer knows: name a subject");
        }
    }

    fn check_introspection(&self, wrong: &mut impl FnMut(&'static str, &str)) {
        if self.introspection_apis.len() > 50 {
            wrong("introspection_apis", "has more than 50 APIs");
        }
        if self.is_public() && !self.introspection_apis.is_empty() {
            wrong("introspection_apis", "needs a client that authenticates (RFC 7662 section 2.1)");
        }
    }

    fn refreshing(&self, wrong: &mut impl FnMut(&'static str, &str)) {
        let is_constrained = !self.is_public() || self.tls_client_certificate_bound_access_tokens;
        if self.refresh_token_rotation == RefreshTokenRotation::Never && !is_constrained {
            let text = "never needs a client that authenticates, or tokens bound to its certificate (RFC 9700 2.2.2)";
            wrong("refresh_token_rotation", text);
        }
        if self.refresh_token_grace.is_some_and(|grace| !(0..=MAX_REFRESH_TOKEN_GRACE).contains(&grace)) {
            let text = format!("is a number of seconds from 0 to {MAX_REFRESH_TOKEN_GRACE}");
            wrong("refresh_token_grace", &text);
        }
    }

    fn responses(&self, wrong: &mut impl FnMut(&'static str, &str)) {
        for response_type in self.response_types.iter().flatten() {
            if !response_type.required_grant_types().into_iter().all(|grant| self.allows(grant)) {
                let needs = if response_type.has_code() { "authorization_code" } else { "implicit" };
                let needs = if response_type.required_grant_types().len() == 2 {
                    "authorization_code and implicit"
                } else {
                    needs
                };
                wrong("response_types", &format!("{response_type} needs the grant types {needs}"));
            }
        }
    }

    fn keys(&self, wrong: &mut impl FnMut(&'static str, &str)) {
        if self.jwks.is_some() && self.jwks_uri.is_some() {
            wrong("jwks_uri", "stands beside jwks: give one of them (RFC 7591 section 2)");
        }
        let keyless = self.jwks.is_none() && self.jwks_uri.is_none();
        if keyless && self.token_endpoint_auth_method == ClientAuthMethod::PrivateKeyJwt {
            wrong("token_endpoint_auth_method", "private_key_jwt needs jwks or jwks_uri");
        }
        let encrypts = [
            ("id_token_encrypted_response_alg", self.id_token_encrypted_response_alg),
            ("userinfo_encrypted_response_alg", self.userinfo_encrypted_response_alg),
            ("introspection_encrypted_response_alg", self.introspection_encrypted_response_alg),
        ];
        for (field, _) in encrypts.into_iter().filter(|(_, alg)| keyless && alg.is_some()) {
            wrong(field, "needs jwks or jwks_uri");
        }
        let signs = |alg: Option<SigningAlg>| alg.is_some_and(|alg| alg != SigningAlg::HS256);
        if keyless && signs(self.request_object_signing_alg) {
            wrong("request_object_signing_alg", "needs jwks or jwks_uri");
        }
        match (self.token_endpoint_auth_method, self.token_endpoint_auth_signing_alg) {
            (ClientAuthMethod::ClientSecretJwt, Some(alg)) if alg != SigningAlg::HS256 => {
                wrong("token_endpoint_auth_signing_alg", "is HS256 for client_secret_jwt");
            }
            (ClientAuthMethod::PrivateKeyJwt, Some(SigningAlg::HS256)) => {
                wrong("token_endpoint_auth_signing_alg", "is not HS256 for private_key_jwt");
            }
            _ => {}
        }
        for (field, alg) in self.signing_algs() {
            if self.is_public() && alg == SigningAlg::HS256 {
                wrong(field, "HS256 needs a client that has a secret");
            }
        }
    }

    fn encryption(&self, wrong: &mut impl FnMut(&'static str, &str)) {
        type Pair = (&'static str, Option<KeyManagementAlg>, Option<ContentEncryption>);
        let pairs: [Pair; 4] = [
            (
                "id_token_encrypted_response_enc",
                self.id_token_encrypted_response_alg,
                self.id_token_encrypted_response_enc,
            ),
            (
                "userinfo_encrypted_response_enc",
                self.userinfo_encrypted_response_alg,
                self.userinfo_encrypted_response_enc,
            ),
            (
                "introspection_encrypted_response_enc",
                self.introspection_encrypted_response_alg,
                self.introspection_encrypted_response_enc,
            ),
            ("request_object_encryption_enc", self.request_object_encryption_alg, self.request_object_encryption_enc),
        ];
        for (field, alg, enc) in pairs {
            if alg.is_none() && enc.is_some() {
                wrong(field, "needs the algorithm beside it");
            }
        }
        // A response that is only encrypted could come from any sender, so it must be signed first.
        if self.userinfo_encrypted_response_alg.is_some() && self.userinfo_signed_response_alg.is_none() {
            wrong("userinfo_encrypted_response_alg", "needs userinfo_signed_response_alg");
        }
        if self.introspection_encrypted_response_alg.is_some() && self.introspection_signed_response_alg.is_none() {
            wrong("introspection_encrypted_response_alg", "needs introspection_signed_response_alg");
        }
    }

    fn addresses(&self, wrong: &mut impl FnMut(&'static str, &str)) {
        if self.initiate_login_uri.as_ref().is_some_and(|uri| !uri.is_https()) {
            wrong("initiate_login_uri", "must begin with https");
        }
        if self.request_uris.len() > 50 {
            wrong("request_uris", "has more than 50 addresses");
        }
        if self.subject_type == SubjectType::Pairwise && self.sector().is_none() {
            wrong("sector_identifier_uri", "is needed: the redirect URIs have several hosts (OpenID Connect Core 8.1)");
        }
        if self.backchannel_logout_uri.as_ref().is_some_and(|uri| uri.as_str().contains('#')) {
            wrong("backchannel_logout_uri", "has a fragment");
        }
        if self.frontchannel_logout_uri.as_ref().is_some_and(|uri| uri.as_str().contains('#')) {
            wrong("frontchannel_logout_uri", "has a fragment");
        }
        // OpenID Connect Front-Channel Logout §2: scheme, host and port are those of a redirect URI.
        let origin = |text: &str| url::Url::parse(text).ok().map(|url| url.origin());
        if let Some(uri) = &self.frontchannel_logout_uri
            && !self.redirect_uris.iter().any(|known| origin(known.as_str()) == origin(uri.as_str()))
        {
            wrong("frontchannel_logout_uri", "is not on the site of a redirect URI");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::domain::client_metadata::ClientMetadata;

    #[test]
    fn each_rule_names_its_member() {
        let with = |changes: serde_json::Value| {
            let mut meta = json!({ "redirect_uris": ["https://app.example/cb"] });
            meta.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            let meta: ClientMetadata = serde_json::from_value(meta).unwrap();
            meta.problems().iter().map(|problem| problem.field).collect::<Vec<_>>()
        };
        assert_eq!(with(json!({})), Vec::<&str>::new());
        for (changes, field) in [
            (json!({ "client_name": "x".repeat(101) }), "client_name"),
            (json!({ "redirect_uris": [] }), "redirect_uris"),
            (json!({ "grant_types": ["refresh_token"] }), "grant_types"),
            (
                json!({ "token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "client_credentials"] }),
                "grant_types",
            ),
            (json!({ "scope": "openid offline_access" }), "scope"),
            (json!({ "response_types": ["code id_token"] }), "response_types"),
            (json!({ "response_types": ["id_token"] }), "response_types"),
            (json!({ "token_endpoint_auth_method": "private_key_jwt" }), "token_endpoint_auth_method"),
            (json!({ "id_token_encrypted_response_alg": "RSA-OAEP-256" }), "id_token_encrypted_response_alg"),
            (json!({ "userinfo_encrypted_response_enc": "A256GCM" }), "userinfo_encrypted_response_enc"),
            (json!({ "request_object_signing_alg": "RS256" }), "request_object_signing_alg"),
            (
                json!({ "token_endpoint_auth_method": "client_secret_jwt", "token_endpoint_auth_signing_alg": "RS256" }),
                "token_endpoint_auth_signing_alg",
            ),
            (
                json!({ "token_endpoint_auth_method": "none", "id_token_signed_response_alg": "HS256" }),
                "id_token_signed_response_alg",
            ),
            (json!({ "initiate_login_uri": "http://127.0.0.1/login" }), "initiate_login_uri"),
            (
                json!({ "subject_type": "pairwise", "redirect_uris": ["https://a.example/", "https://b.example/"] }),
                "sector_identifier_uri",
            ),
            (json!({ "frontchannel_logout_uri": "https://other.example/out" }), "frontchannel_logout_uri"),
            (json!({ "frontchannel_logout_uri": "https://app.example/out#f" }), "frontchannel_logout_uri"),
            (json!({ "backchannel_logout_uri": "https://app.example/out#f" }), "backchannel_logout_uri"),
            (json!({ "jwks": { "keys": [] }, "jwks_uri": "https://app.example/jwks" }), "jwks_uri"),
            (
                json!({
                    "grant_types": ["authorization_code", "urn:ietf:params:oauth:grant-type:jwt-bearer"],
                    "jwt_bearer": [{ "issuer": "https://ci.example", "jwks_uri": "https://ci.example/jwks", "subject": "*" }],
                }),
                "jwt_bearer",
            ),
            (
                json!({
                    "jwt_bearer": [{ "issuer": "https://ci.example", "jwks_uri": "https://ci.example/jwks", "subject": "a" }],
                }),
                "jwt_bearer",
            ),
            (json!({ "token_exchange": [{ "client": "web", "delegation": true }] }), "token_exchange"),
            (
                json!({
                    "grant_types": ["authorization_code", "urn:ietf:params:oauth:grant-type:token-exchange"],
                    "token_exchange": [{ "client": "web" }],
                }),
                "token_exchange",
            ),
            (json!({ "default_max_age": -1 }), "default_max_age"),
            (
                json!({ "token_endpoint_auth_method": "none", "refresh_token_rotation": "never" }),
                "refresh_token_rotation",
            ),
            (json!({ "id_token_claims": ["email", "iss"] }), "id_token_claims"),
            (json!({ "allowed_groups": vec!["staff"; 101] }), "allowed_groups"),
            (json!({ "refresh_token_grace": 601 }), "refresh_token_grace"),
            (json!({ "refresh_token_grace": -1 }), "refresh_token_grace"),
            (json!({ "token_endpoint_auth_method": "tls_client_auth" }), "token_endpoint_auth_method"),
            (
                json!({
                    "token_endpoint_auth_method": "tls_client_auth",
                    "tls_client_auth_subject_dn": "CN=a",
                    "tls_client_auth_san_ip": "::1",
                }),
                "token_endpoint_auth_method",
            ),
            (json!({ "tls_client_auth_san_dns": "a.example" }), "token_endpoint_auth_method"),
            (
                json!({ "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_email": "a b" }),
                "tls_client_auth_san_email",
            ),
            (json!({ "token_endpoint_auth_method": "self_signed_tls_client_auth" }), "token_endpoint_auth_method"),
            (
                json!({ "token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks": { "keys": [{ "kty": "EC" }] } }),
                "jwks",
            ),
            (
                json!({
                    "tls_client_certificate_bound_access_tokens": true,
                    "grant_types": ["authorization_code", "implicit"],
                    "response_types": ["code", "id_token token"],
                }),
                "response_types",
            ),
        ] {
            assert_eq!(with(changes.clone()), [field], "{changes}");
        }
    }

    #[test]
    fn public_client_has_no_secret_to_sign_with() {
        for member in
            ["id_token_signed_response_alg", "userinfo_signed_response_alg", "introspection_signed_response_alg"]
        {
            let meta = json!({ "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none", (member): "HS256" });
            let meta: ClientMetadata = serde_json::from_value(meta).unwrap();
            assert_eq!(meta.problems().iter().map(|problem| problem.field).collect::<Vec<_>>(), [member]);
        }
    }

    #[test]
    fn public_client_cannot_introspect() {
        let meta = json!({ "token_endpoint_auth_method": "none", "grant_types": ["urn:ietf:params:oauth:grant-type:device_code"],
                    "introspection_apis": ["https://api.example"] });
        let meta: ClientMetadata = serde_json::from_value(meta).unwrap();
        assert_eq!(meta.problems().iter().map(|problem| problem.field).collect::<Vec<_>>(), ["introspection_apis"]);
    }
}
