//! Back-Channel Logout (OpenID Connect Back-Channel Logout 1.0): the logout token sent to a client when a session in
//! which it took part ends (§2.4), and the evaluation of its response (§2.8).
//!
//! See also: `store::session_end`, which queues the deliveries; [`super::frontchannel_logout`], which needs the
//! browser.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Provider;
use super::error::Result;
use crate::domain::client::Client;
use crate::domain::delivery::DeliveryOutcome;
use crate::domain::ids::{ClientId, DeliveryId};
use crate::domain::participant::Participant;
use crate::keys::jwt::JwtType;
use crate::outbound::Purpose;

/// The lifetime of a logout token in seconds (§4). It is short, since each attempt makes a new token. `iat` is the time
/// of the attempt; `jti` is the same in every attempt, so that a client that has already processed it recognizes a
/// repeat.
const TOKEN_TTL_SECONDS: i64 = 120;
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// The claims of a logout token (§2.4). There is no `nonce`, so that it cannot be taken for an ID token.
#[derive(Serialize)]
struct LogoutTokenClaims<'a> {
    iss: &'a str,
    sub: String,
    aud: &'a ClientId,
    iat: i64,
    exp: i64,
    jti: String,
    events: Map<String, Value>,
    /// Always present, whether or not the client sets `backchannel_logout_session_required` (§2.2).
    sid: String,
}

impl Provider {
    /// Sends a participating client a logout token about the end of its session, if the client can still receive one.
    pub async fn send_logout_token(&self, delivery: DeliveryId, participant: &Participant) -> Result<DeliveryOutcome> {
        let client = self.client_without_fetch(&participant.client).await?;
        let Some(client) = client.filter(|client| participant.is_same_client(client)) else {
            return Ok(DeliveryOutcome::Done);
        };
        let Some(uri) = &client.meta.backchannel_logout_uri else { return Ok(DeliveryOutcome::Done) };
        let token = match self.logout_token(&client, delivery, participant).await {
            Ok(token) => token,
            // The client's keys or this server's are not available: both may be temporary.
            Err(error) => {
                return Ok(DeliveryOutcome::RetryLater(error.cause.unwrap_or_else(|| error.description.into_owned())));
            }
        };
        let outbound = self.outbound.for_purpose(Purpose::Logouts).named_by(client.named_by());
        Ok(match outbound.post_form(uri.as_str(), &[("logout_token", token.as_str())]).await {
            Ok(200 | 204) => DeliveryOutcome::Done,
            // The client rejects the token for good (§2.8).
            Ok(400) => DeliveryOutcome::Failed("the app answered 400".to_owned()),
            Ok(status) => DeliveryOutcome::RetryLater(format!("the app answered {status}")),
            Err(error) => DeliveryOutcome::RetryLater(error.to_string()),
        })
    }

    /// Returns a logout token, signed like the client's ID tokens, and encrypted if they are (§2.4).
    async fn logout_token(&self, client: &Client, delivery: DeliveryId, participant: &Participant) -> Result<String> {
        let now = self.env.now().seconds();
        let claims = LogoutTokenClaims {
            iss: self.issuer.as_str(),
            sub: self.user_subject(client, participant.user),
            aud: &client.id,
            iat: now,
            exp: now + TOKEN_TTL_SECONDS,
            jti: delivery.0.to_string(),
            events: Map::from_iter([(EVENT.to_owned(), json!({}))]),
            sid: self.sid_of(client, participant.session),
        };
        let meta = &client.meta;
        let encryption = meta.id_token_encrypted_response_alg.map(|alg| (alg, meta.id_token_encrypted_response_enc));
        let alg = meta.id_token_signed_response_alg;
        self.sign_and_encrypt(client, alg, encryption, JwtType::LogoutToken, &claims).await
    }
}
