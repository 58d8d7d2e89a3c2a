//! Issuing what the response type asks for: a code, tokens, or both (RFC 6749 §4.1.2, OpenID Connect Core §3.2.2.5,
//! §3.3.2.5). The code is the only thing written where nobody had to be asked; signing happens after the transaction.

use super::response::Reply;
use crate::domain::authorization::{Authorization, SignIn, Subject};
use crate::domain::client::Client;
use crate::domain::client_metadata::ResponseType;
use crate::domain::code::Code;
use crate::domain::ids::{GrantId, InteractionId};
use crate::domain::interaction::AuthorizationRequest;
use crate::domain::participant::Participant;
use crate::domain::scope::Scopes;
use crate::domain::secret::{Digest, Secret, SecretKind};
use crate::domain::session::Session;
use crate::domain::version::{Versioned, Versions};
use crate::env::Timestamp;
use crate::protocol::Provider;
use crate::protocol::access_token::Plan;
use crate::protocol::error::Result;
use crate::protocol::id_token::Beside;
use crate::store::authorizations::{self, Lock};
use crate::store::{StoreError, Tx, codes, consents, interactions, session_clients, session_uses, used_once};

/// What the transaction left to be signed.
struct Begun {
    at: Timestamp,
    authorization: Authorization,
    code: Option<Secret>,
    opaque: Option<Secret>,
}

/// What issuing came to.
pub(super) enum Issued {
    Reply(Reply),
    /// The interaction or the pushed request has been answered already, or the session has just ended.
    Ended,
    /// The client, its settings or an API are not those that were decided about any more, or the consent was withdrawn.
    Stale,
}

impl Provider {
    /// The answer with what was asked for.
    pub(super) async fn issue(
        &self,
        client: &Client,
        request: &AuthorizationRequest,
        session: &Session,
        waiting: Option<InteractionId>,
    ) -> Result<Issued> {
        let authorization = self.authorization(request, session);
        let plan = if request.response_type.token() {
            let apis = self.store.authority().apis(&self.store).await?;
            Some(self.plan_access_token(client, &authorization.permissions.apis, &apis))
        } else {
            None
        };
        match self.begin(client, request, authorization, session, waiting, plan.clone()).await? {
            Ok(begun) => self.complete(client, request, plan, begun).await.map(Issued::Reply),
            Err(refused) => {
                self.store.authority().distrust(&client.id);
                Ok(refused)
            }
        }
    }

    fn authorization(&self, request: &AuthorizationRequest, session: &Session) -> Authorization {
        Authorization {
            subject: Subject::User(session.user),
            client: request.client.clone(),
            sign_in: Some(SignIn {
                session: session.id,
                auth_time: session.auth_time,
                method: session.method,
                passkey: session.passkey,
                told_acr: request.acr.answered_by(session.method.acr()),
                session_ends: Some(session.expires_at),
            }),
            grant: Some(GrantId(self.env.uuid())),
            permissions: request.permissions.clone(),
            nonce: request.nonce.clone(),
            claims: request.claims.clone(),
            act: None,
            through: Vec::new(),
            bound_to: None,
            versions: Versions::default(),
        }
    }

    async fn begin(
        &self,
        client: &Client,
        request: &AuthorizationRequest,
        authorization: Authorization,
        session: &Session,
        waiting: Option<InteractionId>,
        plan: Option<Plan>,
    ) -> Result<std::result::Result<Begun, Issued>> {
        let code = request.response_type.code().then(|| SecretKind::AuthorizationCode.mint(self.env.random()));
        let (provider, request, asks) = (self.clone(), request.clone(), !client.is_trusted());
        let (settings, settings_version) = (Versioned::ClientSettings(client.id.clone()), client.settings_version);
        let id = session.id;
        let (participant, session_end) = (Participant::of(client, session), session.expires_at);
        let pushed_until = self.pushed_until();
        let is_recorded = self.store.recorded_uses().has(id);
        let begun = self
            .store
            .write(move |tx| {
                Box::pin(async move {
                    // Locked until the code is there: whatever ends the session from now on finds it, and ends it too.
                    let mut all = authorization.versioned();
                    all.push(settings.clone());
                    let now = authorizations::versions(tx.conn(), &all, Some((id, tx.now())), Lock::Shared).await?;
                    let Some(mut versions) = now else { return Ok(Err(Issued::Ended)) };
                    // By older settings the redirect URI and the scopes may be some that were removed since.
                    let settings_are_current = versions.take(&settings) == Some(settings_version);
                    let authorization = Authorization { versions, ..authorization };
                    if !settings_are_current
                        || !authorization.versions.agree_on(&request.versions, &request.versioned())
                    {
                        return Ok(Err(Issued::Stale));
                    }
                    // After the version of the consent: one that is withdrawn from now on makes that old.
                    if asks && !is_allowed(tx, &authorization).await? {
                        return Ok(Err(Issued::Stale));
                    }
                    if !answer_once(tx, waiting, request.pushed, pushed_until).await? {
                        return Ok(Err(Issued::Ended));
                    }
                    if let Some(code) = &code {
                        codes::insert(tx, &provider.code(&request, authorization.clone(), code)).await?;
                    }
                    if !is_recorded {
                        session_uses::record(tx, id).await?;
                    }
                    if let Some(participant) = &participant {
                        session_clients::join(tx, participant, session_end).await?;
                    }
                    let opaque = match &plan {
                        Some(plan) => provider.keep_opaque(tx, plan, &authorization).await?,
                        None => None,
                    };
                    Ok(Ok(Begun { at: tx.now(), authorization, code, opaque }))
                })
            })
            .await?;
        if begun.is_ok() {
            self.store.recorded_uses().add(id);
        }
        Ok(begun)
    }

    fn code(&self, request: &AuthorizationRequest, authorization: Authorization, code: &Secret) -> Code {
        let now = self.env.now();
        Code {
            digest: SecretKind::AuthorizationCode.digest(code.expose()),
            authorization,
            redirect_uri: request.reply_to.redirect_uri.clone(),
            redirect_uri_sent: request.reply_to.redirect_uri_sent,
            challenge: request.challenge.clone(),
            issued_at: now,
            expires_at: now.plus_seconds(self.lifetimes.code),
        }
    }

    async fn complete(
        &self,
        client: &Client,
        request: &AuthorizationRequest,
        plan: Option<Plan>,
        begun: Begun,
    ) -> Result<Reply> {
        let authorization = &begun.authorization;
        let mut parameters = Vec::new();
        if let Some(code) = &begun.code {
            parameters.push(("code", code.expose().to_owned()));
        }
        let access_token = match (begun.opaque, &plan) {
            (Some(token), _) => Some(token),
            (None, Some(plan)) => Some(self.jwt_access_token(client, plan, authorization, begun.at)?),
            (None, None) => None,
        };
        if let (Some(token), Some(plan)) = (&access_token, &plan) {
            parameters.push(("access_token", token.expose().to_owned()));
            parameters.push(("token_type", "Bearer".to_owned()));
            parameters.push(("expires_in", plan.lifetime.to_string()));
            parameters.push(("scope", authorization.permissions.in_access_token().names().to_string()));
        }
        if request.response_type.id_token() {
            let beside = Beside {
                access_token: access_token.as_ref().map(Secret::expose),
                code: begun.code.as_ref().map(Secret::expose),
                about: self.about_in_id_token(authorization, request.response_type).await?,
            };
            let id_token = self.id_token(client, authorization, beside).await?;
            parameters.extend(id_token.map(|token| ("id_token", token)));
        }
        let session_state = self.session_state(request, authorization);
        parameters.extend(session_state.map(|state| ("session_state", state)));
        Ok(Reply::new(&self.issuer, &request.reply_to, parameters))
    }

    /// The claims of the scopes stand in the ID token only where no access token will ever fetch them (OpenID Connect
    /// Core §5.4); those that were asked for in it always do.
    async fn about_in_id_token(
        &self,
        authorization: &Authorization,
        response_type: ResponseType,
    ) -> Result<serde_json::Map<String, serde_json::Value>> {
        let scopes = if response_type == ResponseType::IdToken {
            authorization.permissions.general.clone()
        } else {
            Scopes::default()
        };
        self.claims_in_id_token(authorization, &scopes).await
    }
}

/// Whether the user has allowed the client all of it, and not withdrawn it.
async fn is_allowed(tx: &Tx, authorization: &Authorization) -> std::result::Result<bool, StoreError> {
    let Some(user) = authorization.user() else { return Ok(false) };
    let given = consents::find(tx.conn(), user, &authorization.client).await?;
    Ok(given.is_some_and(|given| authorization.permissions.within(&given.allowed)))
}

/// Takes the interaction and the pushed request out; whether they were there to be taken (RFC 9126 §4: used once).
pub(super) async fn answer_once(
    tx: &Tx,
    waiting: Option<InteractionId>,
    pushed: Option<Digest>,
    until: Timestamp,
) -> std::result::Result<bool, StoreError> {
    if let Some(waiting) = waiting
        && !interactions::consume(tx, waiting).await?
    {
        return Ok(false);
    }
    match pushed {
        Some(pushed) => used_once::claim(tx, &pushed, until).await,
        None => Ok(true),
    }
}
