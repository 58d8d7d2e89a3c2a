//! Access tokens: JWTs (RFC 9068), or opaque tokens if the API or the client requires them. Verification includes the
//! revocation state.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Provider;
use super::error::Result;
use super::subject::ActClaim;
use crate::domain::algorithms::SigningAlg;
use crate::domain::api::{Api, ApiId};
use crate::domain::authorization::{Acr, Act, Authorization, SignIn, SignInMethod, Subject};
use crate::domain::certificate::Confirmation;
use crate::domain::claims_request::RequestedClaims;
use crate::domain::client::Client;
use crate::domain::client_metadata::TokenFormat;
use crate::domain::ids::ClientId;
use crate::domain::permissions::{ApiScopes, Permissions};
use crate::domain::scope::{STANDARD_SCOPES, Scopes};
use crate::domain::secret::{Secret, SecretKind};
use crate::domain::version::{RevocationKey, Versions};
use crate::env::Timestamp;
use crate::keys::jwt::{self, JwtType};
use crate::keys::{KeyError, seal};
use crate::store::access_tokens::{self, OpaqueToken};
use crate::store::{StoreError, Tx, authorizations};

/// The claim `aud`. A single value is serialized as a string (RFC 7519 §4.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn of(mut values: Vec<String>) -> Self {
        match values.len() {
            1 => Self::One(values.remove(0)),
            _ => Self::Many(values),
        }
    }

    pub fn has(&self, value: &str) -> bool {
        self.values().any(|one| one == value)
    }

    pub fn values(&self) -> impl Iterator<Item = &str> {
        let values = match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        };
        values.iter().map(String::as_str)
    }
}

/// The parts of a token issued by token exchange that only this server reads. They are sealed: a client or API in
/// another sector must not learn the id of an acting user or the intermediate clients.
#[derive(Serialize, Deserialize)]
struct ExchangeChain {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    act: Option<Act>,
    through: Vec<ClientId>,
}

const CHAIN_USAGE: &str = "token chain";

/// The claims of a JWT access token (RFC 9068 §2.2).
///
/// The private claim `grant` ties the token to what can be revoked. `sub`, `sid`, `grant` and `act` use the identifiers
/// that the token's client sees ([`super::subject`]).
#[derive(Clone, Debug, Serialize, Deserialize)]
struct AccessTokenClaims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    iat: i64,
    jti: String,
    client_id: ClientId,
    #[serde(default, skip_serializing_if = "Scopes::is_empty")]
    scope: Scopes,
    /// Private claim: the scopes of each API, if the token is for several APIs.
    #[serde(default, skip_serializing_if = "ApiScopes::is_empty")]
    api_scopes: ApiScopes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    acr: Option<Acr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amr: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grant: Option<String>,
    /// The actor (RFC 8693 §4.1).
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    act: Option<ActClaim>,
    /// Private claim: whether the token belongs to a grant that outlives its session, although the token itself lacks
    /// the scope `offline_access`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    offline: bool,
    /// Private claim: the sealed [`ExchangeChain`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chain: Option<String>,
    /// Private claim: the UserInfo claims requested by the `claims` parameter.
    #[serde(rename = "userinfo_claims", default, skip_serializing_if = "Vec::is_empty")]
    in_userinfo: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
    /// Private claim: the versions under which the token was issued (`Authorization::versioned_entities`). A token
    /// without it is rejected.
    ver: String,
    /// Private claim: the gate that issued the token for the API behind it. Such a token is not accepted by this
    /// server.
    #[serde(default, skip_serializing)]
    gate: Option<String>,
}

/// Returns the versions of an authorization in the order in which an access token carries them.
fn versions_in_order(of: &Authorization) -> Vec<i64> {
    of.versioned_entities().iter().map(|what| of.version_of(what).unwrap_or_default()).collect()
}

/// The format and lifetime of an access token to be issued.
#[derive(Clone, Debug)]
pub struct TokenPlan {
    format: TokenFormat,
    pub lifetime: i64,
}

impl TokenPlan {
    #[must_use]
    pub fn is_opaque(&self) -> bool {
        self.format == TokenFormat::Opaque
    }

    /// Limits the lifetime: a token derived from another one expires no later than that one.
    #[must_use]
    pub fn within(self, expires_at: Timestamp, now: Timestamp) -> Self {
        let left = expires_at.since(now).div_euclid(1000);
        Self { lifetime: self.lifetime.min(left), ..self }
    }
}

/// A verified, active token and its authorization.
#[derive(Clone, Debug)]
pub struct VerifiedToken {
    pub authorization: Authorization,
    pub audience: Audience,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    pub jti: Option<String>,
}

impl Provider {
    /// Returns the plan for a token: the shortest lifetime of the requested APIs, and opaque if one of them or the
    /// client requires it.
    pub fn plan_access_token(&self, client: &Client, asked: &ApiScopes, apis: &[Api]) -> TokenPlan {
        let asked = || apis.iter().filter(|api| asked.has_api(&api.identifier));
        let opaque = asked()
            .filter_map(|api| api.access_token_format)
            .chain(client.meta.access_token_format)
            .any(|format| format == TokenFormat::Opaque);
        TokenPlan {
            format: if opaque { TokenFormat::Opaque } else { TokenFormat::Jwt },
            lifetime: asked().filter_map(|api| api.access_token_lifetime).min().unwrap_or(self.lifetimes.access_token),
        }
    }

    /// Inserts the row of an opaque token in the issuing transaction. Returns `None` if the plan is a JWT.
    pub async fn insert_opaque_token(
        &self,
        tx: &Tx,
        plan: &TokenPlan,
        authorization: &Authorization,
    ) -> std::result::Result<Option<Secret>, StoreError> {
        if plan.format == TokenFormat::Jwt {
            return Ok(None);
        }
        let secret = SecretKind::AccessToken.mint(self.env.random());
        let row = OpaqueToken {
            digest: SecretKind::AccessToken.digest(secret.expose()),
            authorization: in_access_token(authorization),
            issued_at: tx.now(),
            expires_at: tx.now().plus_seconds(plan.lifetime),
        };
        access_tokens::insert(tx, &row).await?;
        Ok(Some(secret))
    }

    /// Inserts the row of an opaque token in a transaction of its own. Writes nothing and returns `None` for a JWT.
    pub async fn commit_opaque_token(&self, plan: &TokenPlan, authorization: &Authorization) -> Result<Option<Secret>> {
        if plan.format == TokenFormat::Jwt {
            return Ok(None);
        }
        let (provider, plan, authorization) = (self.clone(), plan.clone(), authorization.clone());
        let kept = self
            .store
            .write(move |tx| Box::pin(async move { provider.insert_opaque_token(tx, &plan, &authorization).await }));
        Ok(kept.await?)
    }

    /// Signs a JWT access token. This happens outside of any transaction, with the versions that the transaction read:
    /// a revocation in between invalidates the token.
    pub fn sign_access_token(
        &self,
        client: &Client,
        plan: &TokenPlan,
        authorization: &Authorization,
        issued_at: Timestamp,
    ) -> Result<Secret> {
        let sign_in = authorization.sign_in.as_ref();
        let permissions = authorization.permissions.for_access_token();
        let claims = AccessTokenClaims {
            iss: self.issuer.as_str().to_owned(),
            sub: self.subject(client, authorization),
            aud: self.audience(authorization),
            exp: issued_at.seconds() + plan.lifetime,
            iat: issued_at.seconds(),
            jti: self.env.uuid().to_string(),
            client_id: authorization.client.clone(),
            scope: permissions.names(),
            api_scopes: permissions.apis.filtered_apis(|_| permissions.apis.len() > 1),
            auth_time: sign_in.map(|sign_in| sign_in.auth_time.seconds()),
            acr: sign_in.map(SignIn::acr),
            amr: sign_in.map(|sign_in| sign_in.method.amr().iter().map(ToString::to_string).collect()),
            sid: authorization.session().map(|session| self.sid_of(client, session)),
            grant: authorization.grant.map(|grant| self.grant_name(client, grant)),
            act: authorization.act.as_ref().map(|act| self.act_claim(client, act)),
            offline: authorization.part_of_offline,
            chain: self.seal_chain(authorization)?,
            in_userinfo: authorization.claims.userinfo.clone(),
            cnf: authorization.bound_to,
            ver: self.versions_claim(client, &versions_in_order(authorization)),
            gate: None,
        };
        Ok(Secret::new(jwt::sign(&self.keys, SigningAlg::ES256, JwtType::AccessToken, &claims)?))
    }

    fn seal_chain(&self, authorization: &Authorization) -> Result<Option<String>> {
        if authorization.through.is_empty() && authorization.act.is_none() {
            return Ok(None);
        }
        let chain = ExchangeChain { act: authorization.act.clone(), through: authorization.through.clone() };
        let plain = serde_json::to_vec(&chain).map_err(|error| KeyError::Crypto(error.to_string()))?;
        Ok(Some(seal::seal(&self.master, CHAIN_USAGE, &plain)?))
    }

    fn open_chain(&self, sealed: &str) -> Option<ExchangeChain> {
        serde_json::from_slice(&seal::open(&self.master, CHAIN_USAGE, sealed).ok()?).ok()
    }

    /// Returns the APIs of the scopes, or the issuer if there are none.
    ///
    /// The issuer is never combined with an API (one audience per token, RFC 9068 §3): the scope `openid` grants access
    /// to UserInfo.
    pub fn audience(&self, authorization: &Authorization) -> Audience {
        let apis: Vec<String> = authorization.permissions.apis.apis().map(|api| api.as_str().to_owned()).collect();
        Audience::of(if apis.is_empty() { vec![self.issuer.as_str().to_owned()] } else { apis })
    }

    /// Returns the verified token if this server issued it, it has not expired and nothing it depends on has been
    /// revoked.
    pub async fn verify_access_token(&self, token: &str) -> Result<Option<VerifiedToken>> {
        let verified = if token.starts_with(SecretKind::AccessToken.prefix()) {
            self.read_opaque(token).await?
        } else {
            self.read_jwt(token).await?
        };
        // This check uses the permissions as issued: narrowing would drop an API that has been deleted since.
        let Some(verified) = verified.filter(|token| self.is_active(token)) else { return Ok(None) };
        let Some(authorization) = self.currently_allowed(&verified.authorization).await? else { return Ok(None) };
        // If its client has lost offline access, the token has ended with its session. The database decides this, since
        // the session may have ended before the token was issued, and longer ago than a node remembers.
        let (store, of) = (&self.store, &verified.authorization);
        if !authorizations::is_current_after_narrowing(store.read(), of, &authorization, store.database_now()).await? {
            return Ok(None);
        }
        let audience = self.audience(&authorization);
        Ok(Some(VerifiedToken { authorization, audience, ..verified }))
    }

    /// Returns whether a token of this server is not revoked, as far as this node knows.
    pub(super) fn is_active(&self, token: &VerifiedToken) -> bool {
        let revocations = self.store.authority().revocations();
        let alone = token.jti.as_deref().is_some_and(|jti| {
            Uuid::parse_str(jti)
                .map_or(true, |jti| revocations.is_token_revoked(RevocationKey::from(jti), token.expires_at))
        });
        !alone && revocations.is_active(&token.authorization)
    }

    /// Returns the part of a token's authorization that is currently allowed to its client and to each client in its
    /// token exchange chain. Returns `None` if one of these clients no longer exists or the user may no longer use it.
    pub async fn currently_allowed(&self, authorization: &Authorization) -> Result<Option<Authorization>> {
        if !self.is_still_admitted(authorization).await? {
            return Ok(None);
        }
        let apis = self.store.authority().apis(&self.store).await?;
        let Some(client) = self.client_without_fetch(&authorization.client).await? else { return Ok(None) };
        let mut left = authorization.narrowed(&client, &apis);
        for id in &authorization.through {
            let Some(client) = self.client_without_fetch(id).await? else { return Ok(None) };
            left = left.and_then(|left| left.narrowed(&client, &apis));
        }
        Ok(left)
    }

    async fn read_opaque(&self, token: &str) -> Result<Option<VerifiedToken>> {
        let digest = SecretKind::AccessToken.digest(token);
        let found = access_tokens::by_digest(self.store.read(), &digest, self.env.now()).await?;
        Ok(found.map(|row| VerifiedToken {
            audience: self.audience(&row.authorization),
            authorization: row.authorization,
            issued_at: row.issued_at,
            expires_at: row.expires_at,
            jti: None,
        }))
    }

    async fn read_jwt(&self, token: &str) -> Result<Option<VerifiedToken>> {
        let Some(claims) = jwt::verify::<AccessTokenClaims>(&self.keys, JwtType::AccessToken, token) else {
            return Ok(None);
        };
        if claims.iss != self.issuer.as_str() || claims.exp <= self.env.now().seconds() || claims.gate.is_some() {
            return Ok(None);
        }
        // The subject is in the form that the client it was issued to sees.
        let client = self.client_without_fetch(&claims.client_id).await?;
        Ok(client.and_then(|client| self.token_from_claims(&client, claims)))
    }

    /// Returns the permissions of a JWT. If it is for one API, all scopes except the standard ones belong to that API.
    fn carried(&self, audience: &Audience, scope: Scopes, api_scopes: &ApiScopes) -> Permissions {
        let apis = audience.values().filter(|value| *value != self.issuer.as_str());
        let apis: Vec<ApiId> = apis.filter_map(|value| ApiId::parse(value).ok()).collect();
        match apis.as_slice() {
            [] => Permissions::general(scope),
            [only] => {
                let own = scope.filtered(|scope| !STANDARD_SCOPES.contains(&scope));
                let general = scope.filtered(|scope| STANDARD_SCOPES.contains(&scope));
                Permissions { general, apis: [(only.clone(), own)].into_iter().collect() }
            }
            several => Permissions {
                general: scope.filtered(|scope| STANDARD_SCOPES.contains(&scope)),
                apis: api_scopes.filtered_apis(|api| several.contains(api)),
            },
        }
    }

    fn token_from_claims(&self, client: &Client, claims: AccessTokenClaims) -> Option<VerifiedToken> {
        let subject = if claims.sub == claims.client_id.as_str() {
            Subject::Client
        } else {
            Subject::User(self.user_by_subject(client, &claims.sub)?)
        };
        // Identifiers that cannot be decoded come from a time when the client had another sector. No revocation would
        // match such a token, so it is rejected.
        let session = claims.sid.map(|sid| self.session_by_sid(client, &sid).ok_or(())).transpose().ok()?;
        let grant = claims.grant.map(|name| self.grant_by_name(client, &name).ok_or(())).transpose().ok()?;
        let chain = claims.chain.map(|sealed| self.open_chain(&sealed).ok_or(())).transpose().ok()?;
        let (act, through) = chain.map_or((None, Vec::new()), |chain| (chain.act, chain.through));
        let sign_in = session.zip(claims.auth_time).zip(claims.acr).map(|((session, auth_time), acr)| SignIn {
            session,
            auth_time: Timestamp::from_seconds(auth_time),
            method: SignInMethod::from_amr(claims.amr.iter().flatten()),
            passkey: None,
            told_acr: Some(acr),
            session_ends: None,
        });
        let permissions = self.carried(&claims.aud, claims.scope, &claims.api_scopes);
        let authorization = Authorization {
            subject,
            client: claims.client_id,
            sign_in,
            grant,
            permissions,
            part_of_offline: claims.offline,
            nonce: None,
            claims: RequestedClaims { userinfo: claims.in_userinfo, id_token: Vec::new() },
            act,
            through,
            bound_to: claims.cnf,
            versions: Versions::default(),
        };
        let all = authorization.versioned_entities();
        let versions = self.parse_versions_claim(client, &claims.ver).filter(|versions| versions.len() == all.len())?;
        let authorization = Authorization { versions: all.into_iter().zip(versions).collect(), ..authorization };
        let issued_at = Timestamp::from_seconds(claims.iat);
        let expires_at = Timestamp::from_seconds(claims.exp);
        Some(VerifiedToken { authorization, audience: claims.aud, issued_at, expires_at, jti: Some(claims.jti) })
    }
}

fn in_access_token(authorization: &Authorization) -> Authorization {
    Authorization { permissions: authorization.permissions.for_access_token(), ..authorization.clone() }
}
