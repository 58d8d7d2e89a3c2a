//! Token exchange (RFC 8693): a client exchanges a token about a user for a token of its own about the same user.
//!
//! The new token never grants more: scopes, APIs and lifetime only get narrower, and whatever revokes the subject token
//! or its client's access revokes the new token too. The client's `token_exchange` policy decides whose tokens it may
//! exchange, and whether it impersonates the user (§1.1) or is named as the actor (delegation, `act`).
//!
//! §2.2.2 requires `invalid_request` both for an invalid token and for one that the policy does not allow. Refresh
//! tokens cannot be exchanged: they are bound to their client.

use uuid::Uuid;

use super::exchange_check::settled;
use super::issue::in_access_token;
use super::{TokenRequest, TokenResponse};
use crate::domain::api::Api;
use crate::domain::authorization::{Act, ActingParty, Authorization, Subject};
use crate::domain::claims_request::RequestedClaims;
use crate::domain::client::Client;
use crate::domain::permissions::Permissions;
use crate::domain::scope::OFFLINE_ACCESS;
use crate::domain::secret::Secret;
use crate::domain::version::{RevocationKey, VersionedEntity};
use crate::env::Timestamp;
use crate::protocol::Provider;
use crate::protocol::access_token::{Audience, TokenPlan, VerifiedToken};
use crate::protocol::client_access::{AccessPoint, is_admitted};
use crate::protocol::error::{ErrorCode, OAuthError, Result};
use crate::protocol::parameters::Parameters;
use crate::protocol::resource::{known_version, named, permissions_for_token};
use crate::store::authorizations::{self, RowLock};
use crate::store::consents;

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
/// The maximum number of exchanges in a row, and of nested actors. Each token carries both chains.
const MAX_CHAIN_LENGTH: usize = 5;

fn invalid(text: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, text)
}

/// The type of the presented token (§3).
#[derive(Clone, Copy)]
enum SubjectTokenType {
    Access,
    Id,
}

/// The parameters of a token exchange request (§2.1).
pub(super) struct ExchangeRequest<'a> {
    subject_token: &'a str,
    subject_kind: SubjectTokenType,
    actor_token: Option<&'a str>,
}

impl<'a> ExchangeRequest<'a> {
    pub(super) fn parse(parameters: &'a Parameters) -> Result<Self> {
        if parameters.one("requested_token_type")?.is_some_and(|requested| requested != ACCESS_TOKEN) {
            return Err(invalid("requested_token_type is that of access tokens here."));
        }
        let subject_kind = match parameters.required("subject_token_type")? {
            ACCESS_TOKEN => SubjectTokenType::Access,
            ID_TOKEN => SubjectTokenType::Id,
            _ => return Err(invalid("subject_token_type is that of access tokens or ID tokens.")),
        };
        let actor_token = match (parameters.one("actor_token")?, parameters.one("actor_token_type")?) {
            (None, None) => None,
            (Some(token), Some(ACCESS_TOKEN)) => Some(token),
            (Some(_), Some(_)) => return Err(invalid("actor_token_type is that of access tokens.")),
            _ => return Err(invalid("actor_token and actor_token_type go together.")),
        };
        Ok(Self { subject_token: parameters.required("subject_token")?, subject_kind, actor_token })
    }
}

/// A verified subject token and the most that it can be exchanged for.
struct PresentedToken {
    authorization: Authorization,
    /// The audience of the token; `None` for an ID token, whose audience is only its client.
    audience: Option<Audience>,
    expires_at: Timestamp,
    /// Whether the token or, for an ID token, its client's access tokens are bound to a certificate (RFC 8705 §3).
    is_bound: bool,
    /// The `jti` of the token, if it has one.
    jti: Option<String>,
}

impl PresentedToken {
    /// Adds the version of a user who acts: the issued token depends on it as well.
    fn with_actor_version(mut self, version: Option<(VersionedEntity, i64)>) -> Self {
        self.authorization.versions.extend(version);
        self
    }
}

/// The actor to be named in the issued token.
struct ResolvedActor {
    act: Option<Act>,
    /// When the actor token expires.
    ends: Option<Timestamp>,
    /// The version of the acting user under which the actor token was issued.
    version: Option<(VersionedEntity, i64)>,
}

impl Provider {
    pub(super) async fn exchange_token(
        &self,
        asking: TokenRequest<'_>,
        exchange: ExchangeRequest<'_>,
    ) -> Result<TokenResponse> {
        let client = asking.client;
        let now = self.env.now();
        let apis = self.store.authority().apis(&self.store).await?;
        let subject = match exchange.subject_kind {
            SubjectTokenType::Access => self.presented_access_token(exchange.subject_token).await?,
            SubjectTokenType::Id => {
                self.presented_id_token(exchange.subject_token, &requested_apis(asking.parameters), &apis).await?
            }
        };
        let ended = || invalid("The subject token is unknown, expired or revoked.");
        let subject = subject.ok_or_else(ended)?;
        if subject.is_bound && asking.bound_to()?.is_none() {
            // Otherwise a thief could use the exchange to remove the certificate binding.
            return Err(invalid("The subject token is bound, and is traded only for one that is."));
        }
        let ResolvedActor { act, ends, version } = self.actor(&asking, &subject, exchange.actor_token).await?;
        let authorization = self.narrow_exchange(&asking, &subject, act, &apis)?;
        self.check_access_without_tx(&authorization, AccessPoint::Exchange, &asking.origin).await?;
        let subject = subject.with_actor_version(version);
        let expires_at = ends.map_or(subject.expires_at, |ends| ends.min(subject.expires_at));
        let plan = self.plan_access_token(client, &authorization.permissions.apis, &apis);
        let plan = plan.within(expires_at, now);
        if plan.lifetime < 1 {
            return Err(invalid("The subject token is about to expire."));
        }
        let (authorization, opaque) = self.settle(&subject, authorization, client, &plan).await?.ok_or_else(ended)?;
        let tokens = self.mint_access_token(client, &authorization, &plan, now, opaque)?;
        Ok(TokenResponse { issued_token_type: Some(ACCESS_TOKEN), ..tokens })
    }

    async fn presented_access_token(&self, token: &str) -> Result<Option<PresentedToken>> {
        let Some(verified) = self.verify_access_token(token).await? else { return Ok(None) };
        Ok(Some(PresentedToken {
            is_bound: verified.authorization.bound_to.is_some(),
            authorization: verified.authorization,
            audience: Some(verified.audience),
            expires_at: verified.expires_at,
            jti: verified.jti,
        }))
    }

    /// Returns the authorization to issue, if nothing that it or the subject token depends on has been revoked.
    ///
    /// The database decides, in the same transaction as the writes. Offline access outlives its session; a token
    /// obtained from it by exchange does not.
    async fn settle(
        &self,
        subject: &PresentedToken,
        authorization: Authorization,
        client: &Client,
        plan: &TokenPlan,
    ) -> Result<Option<(Authorization, Option<Secret>)>> {
        let (of, client) = (subject.authorization.clone(), client.clone());
        let jti = subject.jti.as_deref().and_then(|jti| jti.parse::<Uuid>().ok()).map(RevocationKey::from);
        if !plan.is_opaque() {
            let settled =
                settled(self.store.read(), (&of, jti), authorization, &client, self.store.database_now()).await?;
            return Ok(settled.map(|authorization| (authorization, None)));
        }
        let (provider, plan) = (self.clone(), plan.clone());
        let write = self.store.write(move |tx| {
            Box::pin(async move {
                let Some(authorization) =
                    settled(tx.conn(), (&of, jti), authorization, &client, tx.database_now()).await?
                else {
                    return Ok(None);
                };
                let opaque = provider.insert_opaque_token(tx, &plan, &authorization).await?;
                Ok(Some((authorization, opaque)))
            })
        });
        Ok(write.await?)
    }

    /// Verifies an ID token presented as the subject token.
    ///
    /// An ID token identifies the user and says nothing about the client's permissions. These are what the user has
    /// allowed the client or, for clients that need no consent, what the client is registered for and the APIs without
    /// scopes that are in `asked`.
    async fn presented_id_token(&self, token: &str, asked: &[&str], apis: &[Api]) -> Result<Option<PresentedToken>> {
        let said = self.read_signed_hint(token).await?.filter(|said| self.env.now() < said.expires_at);
        let Some(said) = said else { return Ok(None) };
        let (Some(sign_in), Some(grant)) = (said.sign_in, said.grant) else { return Ok(None) };
        let Some(client) = self.client(&said.client).await? else { return Ok(None) };
        let allowed = if client.is_trusted() {
            let Permissions { general, apis: all } = client.permissions(apis);
            let named = named(asked, all.apis()).unwrap_or_default();
            Permissions {
                general,
                apis: all.filtered_apis(|api| !all.scopes_of(api).is_empty() || named.contains(&api)),
            }
        } else {
            let given = consents::find(self.store.read(), said.user, &client.id).await?;
            given.map(|given| given.for_redirects()).unwrap_or_default()
        };
        let authorization = Authorization {
            subject: Subject::User(said.user),
            sign_in: Some(sign_in),
            grant: Some(grant),
            ..Authorization::for_client(client.id.clone(), allowed.without(OFFLINE_ACCESS))
        };
        let Some([user, of_client, consent]) = said.versions else { return Ok(None) };
        let Some(authorization) = authorization.narrowed(&client, apis) else { return Ok(None) };
        let authorization = authorization.with_versions(|of| match of {
            VersionedEntity::User(_) => user,
            VersionedEntity::Client(_) => of_client,
            VersionedEntity::Consent(..) => consent,
            of => known_version(of, &client, apis),
        });
        let is_active = self.store.authority().revocations().is_active(&authorization);
        // An ID token has no binding of its own, but must not circumvent the binding of its client's access tokens.
        let is_bound = client.meta.tls_client_certificate_bound_access_tokens;
        let expires_at = said.expires_at;
        Ok(is_active.then_some(PresentedToken { authorization, audience: None, expires_at, is_bound, jti: None }))
    }

    /// Returns the actor to name for the subject, according to the policy for this pair of clients.
    async fn actor(
        &self,
        asking: &TokenRequest<'_>,
        subject: &PresentedToken,
        actor_token: Option<&str>,
    ) -> Result<ResolvedActor> {
        let (client, of) = (asking.client, &subject.authorization);
        if of.user().is_none() {
            return Err(invalid("The subject token is about no person."));
        }
        let refused = |cause: &'static str| {
            invalid("This client may not exchange that token this way.").with_cause(format!("{cause} of {}", of.client))
        };
        let policy = client.meta.token_exchange.iter().find(|policy| policy.client == of.client);
        let policy = policy.ok_or_else(|| refused("no policy for tokens"))?;
        let (actor, ends, version) = match actor_token {
            None if policy.impersonation => {
                return Ok(ResolvedActor { act: of.act.clone(), ends: None, version: None });
            }
            None => (ActingParty::Client(client.id.clone()), None, None),
            Some(token) => {
                let actor = self.verify_access_token(token).await?;
                // The actor token must have been issued to the requesting client: it is the party that acts.
                let actor = actor.filter(|actor| actor.authorization.client == client.id);
                let actor = actor.filter(|actor| actor.authorization.act.is_none());
                let actor = actor.filter(|actor| actor.is_confirmed_by(asking.certificate));
                let actor = actor.ok_or_else(|| invalid("The actor token is none of this client's own."))?;
                if !self.is_current_by_database(&actor).await? {
                    return Err(invalid("The actor token is unknown, expired or revoked."));
                }
                let user = actor.authorization.user();
                let version = user.map(VersionedEntity::User).and_then(|user| {
                    let version = actor.authorization.version_of(&user)?;
                    Some((user, version))
                });
                let acting = user.map_or_else(|| ActingParty::Client(client.id.clone()), ActingParty::User);
                (acting, Some(actor.expires_at), version)
            }
        };
        if !policy.delegation {
            return Err(refused("no delegation for tokens"));
        }
        let act = Act { actor, act: of.act.clone().map(Box::new) };
        if act.depth() > MAX_CHAIN_LENGTH {
            return Err(invalid("Too many act for one another already."));
        }
        Ok(ResolvedActor { act: Some(act), ends, version })
    }

    /// Returns whether the token itself and everything it depends on are not revoked, according to the database.
    async fn is_current_by_database(&self, token: &VerifiedToken) -> Result<bool> {
        let (of, conn) = (&token.authorization, self.store.read());
        let jti = token.jti.as_deref().and_then(|jti| jti.parse::<Uuid>().ok()).map(RevocationKey::from);
        Ok(authorizations::is_current(conn, of, self.store.database_now(), RowLock::None).await?
            && is_admitted(conn, of).await?
            && !authorizations::is_grant_or_token_revoked(conn, of.grant, jti).await?)
    }

    /// Returns the authorization of the new token: the requested permissions, limited to those of the subject token and
    /// of the client.
    fn narrow_exchange(
        &self,
        asking: &TokenRequest<'_>,
        subject: &PresentedToken,
        act: Option<Act>,
        apis: &[Api],
    ) -> Result<Authorization> {
        let (TokenRequest { client, parameters, .. }, of) = (asking, &subject.authorization);
        if of.through.len() == MAX_CHAIN_LENGTH {
            return Err(invalid("The token has been exchanged too often already."));
        }
        // A token obtained by exchange expires with its subject token, so it has no offline access.
        let both = of.permissions.intersection(&client.permissions(apis)).without(OFFLINE_ACCESS);
        let asked = requested_apis(parameters);
        let permissions = permissions_for_token(&asked, &both, parameters.scope()?, apis)?;
        if asked.is_empty() && permissions.apis.len() > 1 {
            // If several APIs were requested, another client requested them.
            let text = "The scopes are of more than one API: name the one that is meant with the parameter resource.";
            return Err(OAuthError::new(ErrorCode::InvalidTarget, text));
        }
        if permissions.is_empty() {
            let text = "That is no scope that the token has and this client may have.";
            return Err(OAuthError::new(ErrorCode::InvalidScope, text));
        }
        let through = std::iter::once(&of.client).chain(&of.through).cloned().collect();
        let authorization = Authorization {
            client: client.id.clone(),
            permissions,
            part_of_offline: false,
            nonce: None,
            // Single claims were requested by and allowed to the other client.
            claims: RequestedClaims::default(),
            act,
            through,
            // The new token is bound to the certificate of the requesting client.
            bound_to: asking.bound_to()?,
            ..of.clone()
        };
        let authorization = in_access_token(&authorization, &asked);
        let opens_userinfo = |value: &str| value == self.issuer.as_str() && of.permissions.has_openid();
        let within = |audience: &Audience| {
            self.audience(&authorization).values().all(|value| audience.has(value) || opens_userinfo(value))
        };
        if !subject.audience.as_ref().is_none_or(within) {
            let text = "resource and audience are APIs that the token is for, and of which a scope is asked for.";
            return Err(OAuthError::new(ErrorCode::InvalidTarget, text));
        }
        Ok(authorization)
    }
}

/// Returns the requested APIs (§2.1).
fn requested_apis(parameters: &Parameters) -> Vec<&str> {
    parameters.all("resource").chain(parameters.all("audience")).collect()
}
