//! Introspection (RFC 7662; as a JWT, RFC 9701): whether a token is active, and its properties. For a token of another
//! client the response is only that it is inactive, unless the caller is the API that the token is for, or a gateway in
//! front of that API (§4).

use serde_json::{Map, Value, json};

use super::Provider;
use super::access_token::Audience;
use super::error::Result;
use crate::domain::algorithms::SigningAlg;
use crate::domain::authorization::Authorization;
use crate::domain::client::Client;
use crate::domain::client_metadata::GrantType;
use crate::domain::secret::SecretKind;
use crate::env::Timestamp;
use crate::keys::jwt::JwtType;
use crate::keys::refresh_token;
use crate::store::authorizations::{self, RowLock};
use crate::store::grants;

/// The media type of a JWT response (RFC 9701 §4).
pub const JWT_MEDIA_TYPE: &str = "application/token-introspection+jwt";

impl Provider {
    /// Returns the response as a JWT for the caller alone (RFC 9701 §5), which the caller can keep as evidence.
    pub async fn introspect_as_jwt(&self, caller: &Client, token: &str) -> Result<String> {
        let claims = json!({
            "iss": self.issuer.as_str(),
            "aud": caller.id.as_str(),
            "iat": self.env.now().seconds(),
            "token_introspection": self.introspect(caller, token).await?,
        });
        let meta = &caller.meta;
        let alg = meta.introspection_signed_response_alg.unwrap_or(SigningAlg::RS256);
        let encryption =
            meta.introspection_encrypted_response_alg.map(|alg| (alg, meta.introspection_encrypted_response_enc));
        self.sign_and_encrypt(caller, alg, encryption, JwtType::Introspection, &claims).await
    }

    pub async fn introspect(&self, caller: &Client, token: &str) -> Result<Value> {
        let inactive = json!({ "active": false });
        if token.starts_with(SecretKind::RefreshToken.prefix()) {
            return Ok(self.introspect_refresh(caller, token).await?.unwrap_or(inactive));
        }
        let Some(verified) = self.verify_access_token(token).await? else { return Ok(inactive) };
        // A database that was restored to an older state may lack the user.
        if let Some(user) = verified.authorization.user()
            && self.store.authority().user(&self.store, user).await?.is_none()
        {
            return Ok(inactive);
        }
        let mut told = verified.authorization;
        if told.client != caller.id {
            if !is_in_audience(caller, &verified.audience) {
                return Ok(inactive);
            }
            // A scope of another API may have the same name as one of the caller's.
            told.permissions.apis = told.permissions.apis.filtered_apis(|api| can_introspect_api(caller, api.as_str()));
        }
        let (issued, expires) = (verified.issued_at, verified.expires_at);
        let Some(mut answer) = self.describe(&told, &verified.audience, issued, expires).await? else {
            return Ok(inactive);
        };
        answer.insert("token_type".into(), "Bearer".into());
        if let Some(jti) = verified.jti {
            answer.insert("jti".into(), jti.into());
        }
        Ok(answer.into())
    }

    async fn introspect_refresh(&self, caller: &Client, token: &str) -> Result<Option<Value>> {
        let Some(presented) = refresh_token::parse(&self.master, token) else { return Ok(None) };
        let Some(grant) = grants::by_id(self.store.read(), presented.grant).await? else { return Ok(None) };
        let good = grant.authorization.client == caller.id
            && !grant.revoked
            && grant.current == presented.digest
            && self.env.now() < grant.expires_at;
        let audience = Audience::One(self.issuer.as_str().to_owned());
        if !good
            || !authorizations::is_current(
                self.store.read(),
                &grant.authorization,
                self.store.database_now(),
                RowLock::None,
            )
            .await?
        {
            return Ok(None);
        }
        let renews = |client: &Client| client.meta.allows(GrantType::RefreshToken);
        if !self.client_without_fetch(&grant.authorization.client).await?.is_some_and(|client| renews(&client)) {
            return Ok(None);
        }
        let Some(left) = self.currently_allowed(&grant.authorization).await? else { return Ok(None) };
        if !authorizations::is_current_after_narrowing(
            self.store.read(),
            &grant.authorization,
            &left,
            self.store.database_now(),
        )
        .await?
        {
            return Ok(None);
        }
        let answer = self.describe(&left, &audience, grant.rotated_at, grant.expires_at).await?;
        Ok(answer.map(Value::from))
    }

    /// Returns the introspection response (RFC 7662 §2.2); `None` if the client of the token no longer exists.
    async fn describe(
        &self,
        of: &Authorization,
        audience: &Audience,
        issued: Timestamp,
        expires: Timestamp,
    ) -> Result<Option<Map<String, Value>>> {
        let Some(client) = self.client_without_fetch(&of.client).await? else { return Ok(None) };
        let mut answer: Map<String, Value> = [
            ("active", true.into()),
            ("iss", self.issuer.as_str().into()),
            ("sub", self.subject(&client, of).into()),
            ("aud", json!(audience)),
            ("client_id", of.client.as_str().into()),
            ("scope", of.permissions.names().to_string().into()),
            ("iat", issued.seconds().into()),
            ("exp", expires.seconds().into()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        if let Some(sign_in) = &of.sign_in {
            answer.insert("auth_time".into(), sign_in.auth_time.seconds().into());
            answer.insert("acr".into(), sign_in.acr().as_str().into());
            answer.insert("amr".into(), sign_in.method.amr().to_vec().into());
        }
        if let Some(cnf) = &of.bound_to {
            answer.insert("cnf".into(), json!(cnf));
        }
        if let Some(act) = &of.act {
            answer.insert("act".into(), json!(self.act_claim(&client, act)));
        }
        Ok(Some(answer))
    }
}

/// Returns whether the client is an API in the audience: its client id is the API's identifier, or it is a gateway that
/// an administrator allows to introspect the API's tokens.
fn is_in_audience(client: &Client, audience: &Audience) -> bool {
    audience.values().any(|value| can_introspect_api(client, value))
}

/// Returns whether the client is that API, or may introspect its tokens.
fn can_introspect_api(client: &Client, api: &str) -> bool {
    client.id.as_str() == api || client.meta.introspection_apis.iter().any(|known| known.as_str() == api)
}
