//! ID tokens (OpenID Connect Core §2, §3.1.3.6, §3.2.2.10, §3.3.2.11), and ID tokens as hints.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Provider;
use super::error::Result;
use crate::domain::algorithms::SigningAlg;
use crate::domain::authorization::{Acr, Authorization, SignIn, SignInMethod};
use crate::domain::client::Client;
use crate::domain::ids::{ClientId, GrantId, UserId};
use crate::domain::version::VersionedEntity;
use crate::env::Timestamp;
use crate::keys::client_jws;
use crate::keys::jwt::{self, JwtType};

#[derive(Debug, Serialize)]
struct IdTokenClaims<'a> {
    iss: &'a str,
    sub: String,
    aud: &'a ClientId,
    exp: i64,
    iat: i64,
    auth_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    acr: Acr,
    amr: &'static [&'static str],
    sid: String,
    /// Private claim: the grant, in the form that this client sees. Its revocation also revokes tokens obtained from
    /// this one by exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    c_hash: Option<String>,
    /// Private claim: the versions of the user, the client and the consent, for token exchange (RFC 8693).
    ver: String,
    #[serde(flatten)]
    about: Map<String, Value>,
}

/// The tokens issued beside an ID token, and its claims about the user.
#[derive(Debug, Default)]
pub struct AccompanyingTokens<'a> {
    pub access_token: Option<&'a str>,
    /// The code, only if the authorization endpoint returns it together with the ID token.
    pub code: Option<&'a str>,
    pub about: Map<String, Value>,
}

/// The content of an ID token of this server that is used as a hint. It may have expired (OpenID Connect Core
/// §3.1.2.1).
#[derive(Debug)]
pub struct IdTokenHint {
    pub user: UserId,
    pub client: ClientId,
    /// `None` if the client knows no session by the token's `sid`.
    pub sign_in: Option<SignIn>,
    /// `None` if the token names no grant, or one that the client does not know.
    pub grant: Option<GrantId>,
    pub expires_at: Timestamp,
    /// The versions of the user, the client and the consent.
    pub versions: Option<[i64; 3]>,
}

#[derive(Deserialize)]
struct HintClaims {
    iss: String,
    sub: String,
    aud: ClientId,
    exp: i64,
    auth_time: i64,
    acr: Acr,
    amr: Vec<String>,
    sid: String,
    #[serde(default)]
    grant: Option<String>,
    #[serde(default)]
    ver: Option<String>,
}

/// Returns the versions of the user, the client and the consent.
fn versions(of: &Authorization) -> [i64; 3] {
    let (user, client) = (of.user(), &of.client);
    let version = |what: Option<VersionedEntity>| what.and_then(|what| of.version_of(&what)).unwrap_or_default();
    [
        version(user.map(VersionedEntity::User)),
        version(Some(VersionedEntity::Client(client.clone()))),
        version(user.map(|user| VersionedEntity::Consent(user, client.clone()))),
    ]
}

impl Provider {
    /// Returns an ID token for `client`; `None` if no user signed in.
    pub async fn id_token(
        &self,
        client: &Client,
        authorization: &Authorization,
        beside: AccompanyingTokens<'_>,
    ) -> Result<Option<String>> {
        let Some(sign_in) = &authorization.sign_in else { return Ok(None) };
        let now = self.env.now();
        let alg = client.meta.id_token_signed_response_alg;
        let claims = IdTokenClaims {
            iss: self.issuer.as_str(),
            sub: self.subject(client, authorization),
            aud: &authorization.client,
            exp: now.seconds() + self.lifetimes.id_token,
            iat: now.seconds(),
            auth_time: sign_in.auth_time.seconds(),
            nonce: authorization.nonce.as_deref(),
            acr: sign_in.acr(),
            amr: sign_in.method.amr(),
            sid: self.sid_of(client, sign_in.session),
            grant: authorization.grant.map(|grant| self.grant_name(client, grant)),
            at_hash: beside.access_token.map(|token| jwt::half_hash(alg, token)),
            c_hash: beside.code.map(|code| jwt::half_hash(alg, code)),
            ver: self.versions_claim(client, &versions(authorization)),
            about: beside.about,
        };
        let meta = &client.meta;
        let encryption = meta.id_token_encrypted_response_alg.map(|alg| (alg, meta.id_token_encrypted_response_enc));
        self.sign_and_encrypt(client, alg, encryption, JwtType::IdToken, &claims).await.map(Some)
    }

    /// Returns the content of an `id_token_hint` if this server issued it: it has this server's signature, or a MAC
    /// under the secret of the client it was issued to.
    pub async fn read_hint(&self, token: &str) -> Result<Option<IdTokenHint>> {
        let claims = match jwt::verify::<HintClaims>(&self.keys, JwtType::IdToken, token) {
            Some(claims) => Some(claims),
            None => self.read_mac_hint(token).await?,
        };
        self.hint_from_claims(claims).await
    }

    /// Returns the same for uses that need more trust than a hint: only this server's signature is accepted. A MAC
    /// proves only that the client or this server made the token, and a client could make one about any user.
    pub async fn read_signed_hint(&self, token: &str) -> Result<Option<IdTokenHint>> {
        self.hint_from_claims(jwt::verify::<HintClaims>(&self.keys, JwtType::IdToken, token)).await
    }

    async fn hint_from_claims(&self, claims: Option<HintClaims>) -> Result<Option<IdTokenHint>> {
        let Some(claims) = claims.filter(|claims| claims.iss == self.issuer.as_str()) else { return Ok(None) };
        let Some(client) = self.client_without_fetch(&claims.aud).await? else { return Ok(None) };
        let user = self.user_by_subject(&client, &claims.sub);
        Ok(user.map(|user| IdTokenHint {
            user,
            sign_in: self.session_by_sid(&client, &claims.sid).map(|session| SignIn {
                session,
                auth_time: Timestamp::from_seconds(claims.auth_time),
                method: SignInMethod::from_amr(claims.amr.iter()),
                passkey: None,
                told_acr: Some(claims.acr),
                session_ends: None,
            }),
            grant: claims.grant.and_then(|name| self.grant_by_name(&client, &name)),
            client: claims.aud,
            expires_at: Timestamp::from_seconds(claims.exp),
            versions: claims.ver.and_then(|claim| self.parse_versions_claim(&client, &claim)?.try_into().ok()),
        }))
    }

    async fn read_mac_hint(&self, token: &str) -> Result<Option<HintClaims>> {
        let read = |claims| serde_json::from_value::<HintClaims>(Value::Object(claims)).ok();
        let Some(said) = client_jws::peek_claims(token).and_then(read) else { return Ok(None) };
        let client = self.client_without_fetch(&said.aud).await?;
        let client = client.filter(|client| client.meta.id_token_signed_response_alg == SigningAlg::HS256);
        let secret = client.and_then(|client| self.client_secret(&client));
        let verified = secret.and_then(|secret| client_jws::verify_mac(token, &secret).ok());
        Ok(verified.and_then(|verified| verified.claims()).and_then(read))
    }
}
