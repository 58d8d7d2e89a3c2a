//! The metadata document (OpenID Connect Discovery §3, RFC 8414 §2), built once from what is actually served: the
//! endpoint URLs come from the routes that `web` mounts, the value lists from the types that the checks parse.

use serde_json::{Value, json};

use super::{Provider, claims};
use crate::config::SignUpMode;
use crate::domain::algorithms::{ContentEncryption, KeyManagementAlg, SigningAlg};
use crate::domain::authorization::Acr;
use crate::domain::client_metadata::{ClientAuthMethod, GrantType, ResponseType, SubjectType};
use crate::domain::interaction::{Prompt, ResponseMode};
use crate::domain::scope::{STANDARD_SCOPES, Scopes};

/// The paths of the endpoints, which the router mounts.
#[derive(Clone, Copy, Debug)]
pub struct Endpoints {
    pub authorization: &'static str,
    pub token: &'static str,
    pub userinfo: &'static str,
    pub jwks: &'static str,
    pub introspection: &'static str,
    pub revocation: &'static str,
    pub end_session: &'static str,
    pub pushed_authorization: &'static str,
    pub device_authorization: &'static str,
    pub registration: &'static str,
    pub check_session: &'static str,
}

/// The endpoint paths. Deployed scripts depend on them.
pub const ENDPOINTS: Endpoints = Endpoints {
    authorization: "/oauth2/authorize",
    token: "/oauth2/token",
    userinfo: "/oauth2/userinfo",
    jwks: "/.well-known/jwks.json",
    introspection: "/oauth2/introspect",
    revocation: "/oauth2/revoke",
    end_session: "/oauth2/logout",
    pushed_authorization: "/oauth2/par",
    device_authorization: "/oauth2/device_authorization",
    registration: "/oauth2/register",
    check_session: "/oauth2/check_session",
};

/// The optional features that the settings enable.
#[derive(Clone, Copy, Debug)]
pub struct OptionalFeatures {
    pub registration: bool,
    /// Whether a proxy forwards client certificates (RFC 8705).
    pub certificates: bool,
}

impl Provider {
    pub async fn discovery(&self, endpoints: &Endpoints, offered: OptionalFeatures) -> super::error::Result<Value> {
        let url = |path: &str| self.issuer.join(path);
        let apis = self.store.authority().apis(&self.store).await?;
        let scopes: Scopes = STANDARD_SCOPES.into_iter().chain(apis.iter().flat_map(|api| api.scopes.iter())).collect();
        let create = (self.sign_up == SignUpMode::Open).then_some(Prompt::CREATE);
        let prompts: Vec<_> = Prompt::VALUES.into_iter().chain(create).collect();
        let mut methods = ClientAuthMethod::ALL.to_vec();
        methods.retain(|method| offered.certificates || !method.is_mutual_tls());
        let proving: Vec<_> = methods.iter().copied().filter(|method| *method != ClientAuthMethod::None).collect();
        let mut document = json!({
            "issuer": self.issuer.as_str(),
            "authorization_endpoint": url(endpoints.authorization),
            "token_endpoint": url(endpoints.token),
            "userinfo_endpoint": url(endpoints.userinfo),
            "jwks_uri": url(endpoints.jwks),
            "introspection_endpoint": url(endpoints.introspection),
            "revocation_endpoint": url(endpoints.revocation),
            "end_session_endpoint": url(endpoints.end_session),
            "check_session_iframe": url(endpoints.check_session),
            "backchannel_logout_supported": true,
            "backchannel_logout_session_supported": true,
            "frontchannel_logout_supported": true,
            "frontchannel_logout_session_supported": true,
            "device_authorization_endpoint": url(endpoints.device_authorization),
            "pushed_authorization_request_endpoint": url(endpoints.pushed_authorization),
            "require_pushed_authorization_requests": false,
            "scopes_supported": scopes.iter().collect::<Vec<_>>(),
            "response_types_supported": ResponseType::ALL,
            "response_modes_supported": ResponseMode::ALL.map(ResponseMode::as_str),
            "grant_types_supported": GrantType::ALL,
            "subject_types_supported": SubjectType::ALL,
            "token_endpoint_auth_methods_supported": methods,
            "introspection_endpoint_auth_methods_supported": proving,
            "revocation_endpoint_auth_methods_supported": methods,
            "code_challenge_methods_supported": ["S256"],
            "acr_values_supported": Acr::ALL.map(Acr::as_str),
            "display_values_supported": ["page"],
            "ui_locales_supported": ["en"],
            "claim_types_supported": ["normal"],
            "claims_supported": claims::supported(),
            "prompt_values_supported": prompts,
            "claims_parameter_supported": true,
            "request_parameter_supported": true,
            "request_uri_parameter_supported": true,
            "require_request_uri_registration": true,
            "authorization_response_iss_parameter_supported": true,
            "client_id_metadata_document_supported": self.client_documents.is_enabled(),
        });
        if let (Some(document), Value::Object(algorithms)) = (document.as_object_mut(), algorithms()) {
            document.extend(algorithms);
            if offered.certificates {
                document.insert("tls_client_certificate_bound_access_tokens".into(), true.into());
            }
            if offered.registration {
                document.insert("registration_endpoint".into(), url(endpoints.registration).into());
            }
        }
        Ok(document)
    }
}

/// Returns the signature and encryption algorithms of this server and of clients.
fn algorithms() -> Value {
    let (signing, encrypting, contents) = (SigningAlg::ALL, KeyManagementAlg::ALL, ContentEncryption::ALL);
    json!({
            "id_token_signing_alg_values_supported": signing,
            "id_token_encryption_alg_values_supported": encrypting,
            "id_token_encryption_enc_values_supported": contents,
            "userinfo_signing_alg_values_supported": signing,
            "userinfo_encryption_alg_values_supported": encrypting,
            "userinfo_encryption_enc_values_supported": contents,
            "introspection_signing_alg_values_supported": signing,
            "introspection_encryption_alg_values_supported": encrypting,
            "introspection_encryption_enc_values_supported": contents,
            "request_object_signing_alg_values_supported": signing,
            "request_object_encryption_alg_values_supported": encrypting,
            "request_object_encryption_enc_values_supported": contents,
            "token_endpoint_auth_signing_alg_values_supported": signing,
            "introspection_endpoint_auth_signing_alg_values_supported": signing,
            "revocation_endpoint_auth_signing_alg_values_supported": signing,
    })
}
