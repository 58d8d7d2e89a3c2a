//! The response to a registration (RFC 7591 §3.2.1, RFC 7592 §3): every member as stored, defaults included, with the
//! credentials and the URL of the registration.

use serde_json::{Map, Value, json};

use crate::domain::algorithms::ContentEncryption;
use crate::domain::client::Client;
use crate::domain::client_metadata::ADMIN_ONLY_MEMBERS;
use crate::domain::scope::Scopes;
use crate::domain::secret::Secret;
use crate::protocol::Provider;
use crate::protocol::discovery::ENDPOINTS;
use crate::protocol::error::Result;

impl Provider {
    /// Returns the registration response.
    ///
    /// The secret is stored so that it can be returned again. The registration token stays the same: if each read
    /// changed it, a lost response would lose the token. `statement` is the software statement of this request.
    /// `scopes` are the scopes that the client requested; the response contains those of them that it may use, or all
    /// if it requested none.
    pub async fn registration_response(
        &self,
        client: &Client,
        token: &Secret,
        scopes: Option<&Scopes>,
        statement: Option<Value>,
    ) -> Result<Value> {
        let mut told = metadata(client);
        let apis = self.store.authority().apis(&self.store).await?;
        let may_ask = client.permissions(&apis).names();
        let may_ask = scopes.map_or(may_ask.clone(), |said| may_ask.filtered(|scope| said.contains(scope)));
        told.insert("scope".into(), may_ask.to_string().into());
        let id = client.id.as_str();
        told.insert("client_id".into(), id.into());
        told.insert("client_id_issued_at".into(), client.created_at.seconds().into());
        if let Some(secret) = self.client_secret(client) {
            told.insert("client_secret".into(), secret.expose().into());
            told.insert("client_secret_expires_at".into(), 0.into());
        }
        if let Some(statement) = statement {
            told.insert("software_statement".into(), statement);
        }
        told.insert("registration_access_token".into(), token.expose().into());
        let segment: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
        let uri = self.issuer.join(&format!("{}/{segment}", ENDPOINTS.registration));
        told.insert("registration_client_uri".into(), uri.into());
        Ok(told.into())
    }
}

/// Returns the metadata including default values (OpenID Connect Registration §2).
fn metadata(client: &Client) -> Map<String, Value> {
    let meta = &client.meta;
    let Ok(Value::Object(mut told)) = serde_json::to_value(meta) else { return Map::new() };
    told.retain(|name, _| !ADMIN_ONLY_MEMBERS.contains(&name.as_str()));
    told.insert("response_types".into(), json!(meta.response_types()));
    told.insert("application_type".into(), json!(meta.application_type()));
    for (name, flag) in [
        ("require_auth_time", meta.require_auth_time),
        ("require_pushed_authorization_requests", meta.require_pushed_authorization_requests),
        ("require_signed_request_object", meta.require_signed_request_object),
    ] {
        told.insert(name.into(), flag.into());
    }
    if meta.backchannel_logout_uri.is_some() {
        told.insert("backchannel_logout_session_required".into(), meta.backchannel_logout_session_required.into());
    }
    if meta.frontchannel_logout_uri.is_some() {
        told.insert("frontchannel_logout_session_required".into(), meta.frontchannel_logout_session_required.into());
    }
    for (alg, enc) in [
        ("id_token_encrypted_response_alg", "id_token_encrypted_response_enc"),
        ("userinfo_encrypted_response_alg", "userinfo_encrypted_response_enc"),
        ("introspection_encrypted_response_alg", "introspection_encrypted_response_enc"),
        ("request_object_encryption_alg", "request_object_encryption_enc"),
    ] {
        if told.contains_key(alg) && !told.contains_key(enc) {
            told.insert(enc.into(), json!(ContentEncryption::A128CbcHs256));
        }
    }
    told
}
