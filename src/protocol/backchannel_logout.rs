//! Back-Channel Logout (OpenID Connect Back-Channel Logout 1.0): what an app is told when a session ends in which it took
//! part (§2.4), and what its answer means (§2.8).
//!
//! Next door: `store::session_end`, which puts each of these into the queue; [`super::frontchannel_logout`], which needs
//! the browser.

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

/// §4: short, since a token is made for each try. Its `iat` is the time of the try; its `jti` is the same in every try, so
/// that an app that knows it already does not take a repeat for another sign-out.
const TOKEN_TTL_SECONDS: i64 = 120;
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// §2.4. There is no `nonce`, so that nobody takes it for an ID token.
#[derive(Serialize)]
struct LogoutTokenClaims<'a> {
    iss: &'a str,
    sub: String,
    aud: &'a ClientId,
    iat: i64,
    exp: i64,
    jti: String,
    events: Map<String, Value>,
    /// Always there, whether `backchannel_logout_session_required` asks for it or not (§2.2).
    sid: String,
}

impl Provider {
    /// Tells the client that took part of the end of its session, while there is somebody to tell.
    pub async fn send_logout_token(&self, delivery: DeliveryId, participant: &Participant) -> Result<DeliveryOutcome> {
        let client = self.client_without_fetch(&participant.client).await?;
        let Some(client) = client.filter(|client| participant.is_same_client(client)) else {
            return Ok(DeliveryOutcome::Done);
        };
        let Some(uri) = &client.meta.backchannel_logout_uri else { return Ok(DeliveryOutcome::Done) };
        let token = match self.logout_token(&client, delivery, participant).await {
            Ok(token) => token,
            // Its keys cannot be had, or ours: both may come back.
            Err(error) => {
                return Ok(DeliveryOutcome::RetryLater(error.cause.unwrap_or_else(|| error.description.into_owned())));
            }
        };
        let outbound = self.outbound.for_purpose(Purpose::Logouts).named_by(client.named_by());
        Ok(match outbound.post_form(uri.as_str(), &[("logout_token", token.as_str())]).await {
            Ok(200 | 204) => DeliveryOutcome::Done,
            // It will never do, and says so.
            Ok(400) => DeliveryOutcome::Failed("the app answered 400".to_owned()),
            Ok(status) => DeliveryOutcome::RetryLater(format!("the app answered {status}")),
            Err(error) => DeliveryOutcome::RetryLater(error.to_string()),
        })
    }

    /// A logout token, signed as the client's ID tokens are, and encrypted where they are (§2.4).
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
