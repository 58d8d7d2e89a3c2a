//! The metadata document (OpenID Connect Discovery §3, RFC 8414 §2), made once from what is really served: endpoint
//! addresses come from the routes that `web` mounts, value lists from the types that the checks parse.

use serde_json::{Value, json};

use super::{Provider, claims};
use crate::config::SignUp;
use crate::domain::algorithms::SigningAlg;
use crate::domain::authorization::Acr;
use crate::domain::client_metadata::{ClientAuthMethod, GrantType, ResponseType, SubjectType};
use crate::domain::interaction::{Prompt, ResponseMode};
use crate::domain::scope::{STANDARD, Scopes};

/// The paths of the endpoints, as `web::urls` has them.
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

impl Provider {
    pub async fn discovery(&self, endpoints: &Endpoints) -> super::error::Result<Value> {
        let url = |path: &str| self.issuer.join(path);
        let apis = self.store.authority().apis(&self.store).await?;
        let scopes: Scopes = STANDARD.into_iter().chain(apis.iter().flat_map(|api| api.scopes.iter())).collect();
        let create = (self.sign_up == SignUp::Open).then_some(Prompt::CREATE);
        let prompts: Vec<_> = Prompt::VALUES.into_iter().chain(create).collect();
        let methods = ClientAuthMethod::ALL;
        let proving: Vec<_> = methods.into_iter().filter(|method| *method != ClientAuthMethod::None).collect();
        Ok(json!({
            "issuer": self.issuer.as_str(),
            "authorization_endpoint": url(endpoints.authorization),
            "token_endpoint": url(endpoints.token),
            "userinfo_endpoint": url(endpoints.userinfo),
            "jwks_uri": url(endpoints.jwks),
            "introspection_endpoint": url(endpoints.introspection),
            "revocation_endpoint": url(endpoints.revocation),
            "end_session_endpoint": url(endpoints.end_session),
            "scopes_supported": scopes.iter().collect::<Vec<_>>(),
            "response_types_supported": ResponseType::ALL,
            "response_modes_supported": ResponseMode::ALL.map(ResponseMode::as_str),
            "grant_types_supported": GrantType::ALL,
            "subject_types_supported": SubjectType::ALL,
            "id_token_signing_alg_values_supported": SigningAlg::ASYMMETRIC.map(SigningAlg::as_str),
            "token_endpoint_auth_methods_supported": methods,
            "introspection_endpoint_auth_methods_supported": proving,
            "revocation_endpoint_auth_methods_supported": methods,
            "code_challenge_methods_supported": ["S256"],
            "acr_values_supported": Acr::ALL.map(Acr::as_str),
            "claim_types_supported": ["normal"],
            "claims_supported": claims::SUPPORTED,
            "prompt_values_supported": prompts,
            "claims_parameter_supported": true,
            "request_parameter_supported": false,
            "request_uri_parameter_supported": false,
            "authorization_response_iss_parameter_supported": true,
        }))
    }
}
