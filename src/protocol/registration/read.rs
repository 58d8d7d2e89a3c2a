//! Parses the JSON of a registration request into client metadata (RFC 7591 §2 and §3.2.2, OpenID Connect Registration
//! §2).
//!
//! Unknown members, list elements and values are ignored, and the response contains what is registered. An invalid
//! member that the client needs to work or to be secure is an error that names the member.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::wrong;
use crate::domain::client_metadata::{ClientMetadata, GrantType, ResponseType};
use crate::domain::printable::bytes_without_bom;
use crate::domain::redirect_uri::RedirectUri;
use crate::keys::compact;
use crate::protocol::error::{ErrorCode, OAuthError, Result};

/// The members that a client may set. This server's own members (`consent` and the like) are reserved for
/// administrators and ignored like any unknown member.
const CLIENT_MEMBERS: [&str; 49] = [
    "application_type",
    "backchannel_logout_session_required",
    "backchannel_logout_uri",
    "client_name",
    "client_uri",
    "contacts",
    "default_acr_values",
    "default_max_age",
    "frontchannel_logout_session_required",
    "frontchannel_logout_uri",
    "grant_types",
    "id_token_encrypted_response_alg",
    "id_token_encrypted_response_enc",
    "id_token_signed_response_alg",
    "initiate_login_uri",
    "introspection_encrypted_response_alg",
    "introspection_encrypted_response_enc",
    "introspection_signed_response_alg",
    "jwks",
    "jwks_uri",
    "logo_uri",
    "policy_uri",
    "post_logout_redirect_uris",
    "redirect_uris",
    "request_object_encryption_alg",
    "request_object_encryption_enc",
    "request_object_signing_alg",
    "request_uris",
    "require_auth_time",
    "require_pushed_authorization_requests",
    "require_signed_request_object",
    "response_types",
    "scope",
    "sector_identifier_uri",
    "software_id",
    "software_version",
    "subject_type",
    "tls_client_auth_san_dns",
    "tls_client_auth_san_email",
    "tls_client_auth_san_ip",
    "tls_client_auth_san_uri",
    "tls_client_auth_subject_dn",
    "tls_client_certificate_bound_access_tokens",
    "token_endpoint_auth_method",
    "token_endpoint_auth_signing_alg",
    "tos_uri",
    "userinfo_encrypted_response_alg",
    "userinfo_encrypted_response_enc",
    "userinfo_signed_response_alg",
];

/// Members whose invalid values are refused: without them, the client could not use its registration or would get less
/// protection than it requested.
const STRICT_MEMBERS: [&str; 19] = [
    "client_name",
    "grant_types",
    "id_token_encrypted_response_alg",
    "id_token_encrypted_response_enc",
    "introspection_encrypted_response_alg",
    "introspection_encrypted_response_enc",
    "jwks",
    "jwks_uri",
    "redirect_uris",
    "request_object_encryption_alg",
    "request_object_encryption_enc",
    "require_auth_time",
    "require_pushed_authorization_requests",
    "require_signed_request_object",
    "response_types",
    "sector_identifier_uri",
    "tls_client_auth_subject_dn",
    "userinfo_encrypted_response_alg",
    "userinfo_encrypted_response_enc",
];

/// Returns whether the client can be registered without this member.
pub(in crate::protocol) fn can_be_dropped(field: &str) -> bool {
    !STRICT_MEMBERS.contains(&field) && field != "token_endpoint_auth_method"
}

/// Returns the members that are present. A `null` member is treated as absent (RFC 7591 §2 defines no such value). A
/// duplicate member is an error, since parsers disagree on its meaning.
pub fn members(json: &[u8]) -> Result<Map<String, Value>> {
    let mut members = compact::members(bytes_without_bom(json)).ok_or_else(|| {
        let text = "That is not a JSON object, or a name stands in it twice.";
        OAuthError::new(ErrorCode::InvalidClientMetadata, text)
    })?;
    members.retain(|_, value| !value.is_null());
    Ok(members)
}

/// Parses each member separately first, so that it can be ignored, and an error names it.
pub fn metadata(mut said: Map<String, Value>) -> Result<ClientMetadata> {
    said.retain(|name, value| !value.is_null() && CLIENT_MEMBERS.contains(&name.as_str()));
    redirect_uris(&mut said)?;
    known_values::<GrantType>(&mut said, "grant_types")?;
    known_values::<ResponseType>(&mut said, "response_types")?;
    let mut refused = None;
    said.retain(|name, value| {
        let one: Map<String, Value> = [(name.clone(), value.clone())].into_iter().collect();
        let Err(error) = serde_json::from_value::<ClientMetadata>(one.into()) else { return true };
        if STRICT_MEMBERS.contains(&name.as_str()) {
            refused.get_or_insert_with(|| wrong(name, &short(&error.to_string())));
        }
        false
    });
    if let Some(refused) = refused {
        return Err(refused);
    }
    if !said.contains_key("grant_types") {
        said.extend(derived(&said));
    }
    serde_json::from_value(said.into())
        .map_err(|error| OAuthError::new(ErrorCode::InvalidClientMetadata, short(&error.to_string())))
}

/// Returns the grant types that correspond to the response types (OpenID Connect Registration §2).
fn derived(said: &Map<String, Value>) -> Option<(String, Value)> {
    let types: Vec<ResponseType> = serde_json::from_value(said.get("response_types")?.clone()).ok()?;
    let mut grants = Vec::new();
    for grant in types.into_iter().flat_map(ResponseType::required_grant_types) {
        if !grants.contains(&grant) {
            grants.push(grant);
        }
    }
    Some(("grant_types".to_owned(), serde_json::to_value(grants).ok()?))
}

/// Removes invalid URIs. Returns an error if none of `redirect_uris` is left, for which RFC 7591 §3.2.2 defines a code.
fn redirect_uris(said: &mut Map<String, Value>) -> Result<()> {
    for (field, code) in [
        ("redirect_uris", ErrorCode::InvalidRedirectUri),
        ("post_logout_redirect_uris", ErrorCode::InvalidClientMetadata),
    ] {
        let refused = |problem: &str| OAuthError::new(code, format!("{field}: {problem}"));
        let Some(uris) = said.get_mut(field) else { continue };
        let Value::Array(uris) = uris else { return Err(refused("is not an array.")) };
        let mut first = None;
        uris.retain(|uri| {
            let problem = match uri.as_str() {
                Some(uri) => RedirectUri::parse(uri).err(),
                None => Some("is not text"),
            };
            first = first.or(problem);
            problem.is_none()
        });
        if let Some(problem) = first.filter(|_| uris.is_empty() && field == "redirect_uris") {
            return Err(refused(&format!("an address {problem}.")));
        }
    }
    Ok(())
}

/// Removes unknown values from a list. Returns an error if none is left.
fn known_values<T: DeserializeOwned>(said: &mut Map<String, Value>, field: &str) -> Result<()> {
    let Some(Value::Array(values)) = said.get_mut(field) else { return Ok(()) };
    let was_empty = values.is_empty();
    values.retain(|value| !value.is_string() || serde_json::from_value::<T>(value.clone()).is_ok());
    if values.is_empty() && !was_empty {
        return Err(wrong(field, "none of these may be registered here."));
    }
    Ok(())
}

/// Truncates a message of serde, which repeats the input.
fn short(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{CLIENT_MEMBERS, members, metadata};
    use crate::domain::client_metadata::{ADMIN_ONLY_MEMBERS, ClientMetadata};

    #[test]
    fn every_client_member_is_client_metadata() {
        for name in CLIENT_MEMBERS {
            let odd = json!({ name: { "no": "such value" } });
            let error = serde_json::from_value::<ClientMetadata>(odd).unwrap_err().to_string();
            assert!(!error.contains("unknown field"), "{name}: {error}");
        }
    }

    /// A new member must be assigned to clients or to administrators.
    #[test]
    fn every_member_belongs_to_client_or_administrator() {
        let error = serde_json::from_value::<ClientMetadata>(json!({ "?": 1 })).unwrap_err().to_string();
        let mut all: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
        let mut listed: Vec<&str> = CLIENT_MEMBERS.into_iter().chain(ADMIN_ONLY_MEMBERS).collect();
        all.sort_unstable();
        listed.sort_unstable();
        assert_eq!(all, listed);
    }

    #[test]
    fn grant_types_follow_from_response_types() {
        let said = members(br#"{"response_types": ["code id_token", "id_token"], "consent": "trusted"}"#).unwrap();
        let meta = serde_json::to_value(metadata(said).unwrap()).unwrap();
        assert_eq!(meta["grant_types"], json!(["authorization_code", "implicit"]));
        assert_eq!(meta["consent"], "required", "a stranger's word for it is not taken");
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(said) = members(&body) {
                metadata(said).ok();
            }
        }

        #[test]
        fn any_json_is_read_or_refused(name in "[a-z_]{1,30}", value in "(null|1|\"x\"|\\[1\\]|\\{\\}|true)") {
            if let Ok(said) = members(format!("{{\"{name}\": {value}}}").as_bytes()) {
                metadata(said).ok();
            }
        }
    }
}
