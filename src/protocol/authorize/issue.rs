//! Issuing what the response type asks for: a code, tokens, or both (RFC 6749 §4.1.2, OpenID Connect Core §3.2.2.5,
//! §3.3.2.5). The code is the only thing written where nobody had to be asked; signing happens after the transaction.

use super::response::AuthorizationResponse;
use crate::domain::authorization::{Authorization, SignIn, Subject};
use crate::domain::authorization_code::AuthorizationCode;
use crate::domain::client::Client;
use crate::domain::client_metadata::ResponseType;
use crate::domain::ids::{ClientId, GrantId, InteractionId};
use crate::domain::interaction::{AuthorizationRequest, Interaction};
use crate::domain::participant::Participant;
use crate::domain::scope::Scopes;
use crate::domain::secret::{Digest, Secret, SecretKind};
use crate::domain::session::Session;
use crate::domain::version::{VersionedEntity, Versions};
use crate::env::Timestamp;
use crate::protocol::Provider;
use crate::protocol::access_token::TokenPlan;
use crate::protocol::claims::configured_id_token_claims;
use crate::protocol::client_access::is_admitted;
use crate::protocol::error::Result;
use crate::protocol::id_token::AccompanyingTokens;
use crate::protocol::resource::is_allowed_by_apis;
use crate::store::authorizations::{self, RowLock};
use crate::store::{
    StoreError, Tx, answered_interactions, codes, consents, interactions, quotas, replay, session_clients, session_uses,
};

/// What the transaction left to be signed.
struct UnsignedResponse {
    at: Timestamp,
    authorization: Authorization,
    code: Option<Secret>,
    opaque: Option<Secret>,
    /// The whole answer, where nothing has to be signed for it.
    reply: Option<AuthorizationResponse>,
}

/// What is answered.
pub(super) enum AnswerTo {
    /// A request that a browser has just brought.
    New(Box<Interaction>),
    /// One that has waited for its user.
    Waiting(InteractionId),
}

/// What an answer has used up.
pub(super) struct ConsumedRequest {
    /// What is kept with the answer: an interaction, or a new request that was pushed.
    pub interaction: Option<Interaction>,
}

/// What issuing came to.
pub(super) enum IssueOutcome {
    Reply(AuthorizationResponse),
    /// The interaction or the pushed request has been answered already.
    AlreadyAnswered,
    /// The session has just ended.
    SignedOut,
    /// The client, its settings or an API are not those that were decided about any more, the consent was withdrawn, or the
    /// user has left the client's groups.
    Stale,
}

impl Provider {
    /// The answer with what was asked for.
    pub(super) async fn issue(
        &self,
        client: &Client,
        request: &AuthorizationRequest,
        session: &Session,
        to: AnswerTo,
    ) -> Result<IssueOutcome> {
        let authorization = self.authorization(request, session);
        let plan = if request.response_type.has_token() {
            let apis = self.store.authority().apis(&self.store).await?;
            Some(self.plan_access_token(client, &authorization.permissions.apis, &apis))
        } else {
            None
        };
        let kept = match &to {
            AnswerTo::New(new) => new.request.pushed.map(|_| new.id),
            AnswerTo::Waiting(id) => Some(*id),
        };
        match self.begin(client, request, authorization, session, to, plan.clone()).await? {
            Ok(UnsignedResponse { reply: Some(reply), .. }) => Ok(IssueOutcome::Reply(reply)),
            Ok(begun) => {
                let issued = begun.authorization.clone();
                let reply = self.sign_response(client, request, plan, begun).await?;
                if let Some(id) = kept {
                    self.store_signed_response(id, &client.id, &reply, issued).await?;
                }
                Ok(IssueOutcome::Reply(reply))
            }
            Err(IssueOutcome::Reply(reply)) => Ok(IssueOutcome::Reply(reply)),
            Err(refused) => {
                self.store.authority().invalidate_client_and_apis(&client.id);
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
                told_acr: request.acr.satisfied_by(session.method.acr()),
                session_ends: Some(session.expires_at),
            }),
            grant: Some(GrantId(self.env.uuid())),
            permissions: request.permissions.clone(),
            part_of_offline: false,
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
        to: AnswerTo,
        plan: Option<TokenPlan>,
    ) -> Result<std::result::Result<UnsignedResponse, IssueOutcome>> {
        let code = request.response_type.has_code().then(|| SecretKind::AuthorizationCode.mint(self.env.random()));
        let (provider, request, asking) = (self.clone(), request.clone(), client.clone());
        let asks = !client.is_trusted();
        let (settings, settings_version) =
            (VersionedEntity::ClientSettings(client.id.clone()), client.settings_version);
        let id = session.id;
        let (participant, session_end) = (Participant::for_client(client, session), session.expires_at);
        let pushed_until = self.pushed_until();
        let is_recorded = self.store.recorded_uses().has(id);
        let begun = self
            .store
            .write(move |tx| {
                Box::pin(async move {
                    // Locked until the code is there: whatever ends the session from now on finds it, and ends it too.
                    let mut all = authorization.versioned_entities();
                    all.push(settings.clone());
                    let now = authorizations::versions(tx.conn(), &all, Some((id, tx.database_now())), RowLock::Shared)
                        .await?;
                    let Some(mut versions) = now else { return Ok(Err(IssueOutcome::SignedOut)) };
                    // By older settings the redirect URI and the scopes may be some that were removed since.
                    let settings_are_current = versions.remove(&settings) == Some(settings_version);
                    let authorization = Authorization { versions, ..authorization };
                    if !settings_are_current
                        || !authorization.versions.has_same_versions(&request.versions, &request.versioned_entities())
                    {
                        return Ok(Err(IssueOutcome::Stale));
                    }
                    // Decided again with the groups of now, and told.
                    if !is_allowed_by_apis(tx.conn(), &asking, &authorization.permissions).await?
                        // By the settings that were compared above.
                        || !asking.meta.allowed_groups.is_empty() && !is_admitted(tx.conn(), &authorization).await?
                    {
                        return Ok(Err(IssueOutcome::Stale));
                    }
                    // After the version of the consent: one that is withdrawn from now on makes that old.
                    if asks && !is_allowed(tx, &authorization).await? {
                        return Ok(Err(IssueOutcome::Stale));
                    }
                    let Some(claimed) = provider.consume_request(tx, &to, request.pushed, pushed_until).await? else {
                        let before = provider.answer_before(tx, &to, Some(id)).await?;
                        return Ok(Err(before.map_or(IssueOutcome::AlreadyAnswered, IssueOutcome::Reply)));
                    };
                    let reply = provider.code_response(&request, &authorization, code.as_ref());
                    if let Some(ended) = &claimed.interaction {
                        quotas::release(tx, ended.id.0).await?;
                        let answer = match &reply {
                            Some(reply) => {
                                provider.seal_response(tx, &request.client, reply, Some(&authorization)).await?
                            }
                            None => None,
                        };
                        let code = code.as_ref().map(|code| SecretKind::AuthorizationCode.digest(code.expose()));
                        provider.store_answered(tx, ended, code, answer).await?;
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
                        Some(plan) => {
                            provider
                                .insert_opaque_token(tx, plan, &authorization.clone().without_offline_access())
                                .await?
                        }
                        None => None,
                    };
                    Ok(Ok(UnsignedResponse { at: tx.now(), authorization, code, opaque, reply }))
                })
            })
            .await?;
        if begun.is_ok() {
            self.store.recorded_uses().add(id);
        }
        Ok(begun)
    }

    /// The answer that has a code and nothing that has to be signed.
    fn code_response(
        &self,
        request: &AuthorizationRequest,
        authorization: &Authorization,
        code: Option<&Secret>,
    ) -> Option<AuthorizationResponse> {
        let code = code.filter(|_| request.response_type == ResponseType::Code)?;
        let mut parameters = vec![("code", code.expose().to_owned())];
        parameters.extend(self.session_state(request, authorization).map(|state| ("session_state", state)));
        Some(AuthorizationResponse::new(&self.issuer, &request.reply_to, parameters))
    }

    /// Keeps an answer whose tokens have been signed meanwhile.
    async fn store_signed_response(
        &self,
        id: InteractionId,
        client: &ClientId,
        reply: &AuthorizationResponse,
        issued: Authorization,
    ) -> Result<()> {
        let (provider, client, reply) = (self.clone(), client.clone(), reply.clone());
        let write = self.store.write(move |tx| {
            Box::pin(async move {
                match provider.seal_response(tx, &client, &reply, Some(&issued)).await? {
                    Some(answer) => answered_interactions::set_answer(tx, id, answer).await,
                    None => Ok(()),
                }
            })
        });
        Ok(write.await?)
    }

    /// Takes the interaction and the pushed request out; nothing where one of them had been taken before (RFC 9126 §4: used
    /// once).
    pub(super) async fn consume_request(
        &self,
        tx: &Tx,
        to: &AnswerTo,
        pushed: Option<Digest>,
        until: Timestamp,
    ) -> std::result::Result<Option<ConsumedRequest>, StoreError> {
        let interaction = match to {
            AnswerTo::Waiting(id) => match interactions::consume(tx, *id).await? {
                None => return Ok(None),
                taken => taken,
            },
            AnswerTo::New(new) => pushed.map(|_| Interaction::clone(new)),
        };
        let is_first = match &pushed {
            Some(pushed) => replay::claim(tx, pushed, until).await?,
            None => true,
        };
        if is_first {
            return Ok(Some(ConsumedRequest { interaction }));
        }
        if let Some(ended) = interaction.filter(|_| matches!(to, AnswerTo::Waiting(_))) {
            quotas::release(tx, ended.id.0).await?;
            self.store_answered(tx, &ended, None, None).await?;
        }
        Ok(None)
    }

    fn code(&self, request: &AuthorizationRequest, authorization: Authorization, code: &Secret) -> AuthorizationCode {
        let now = self.env.now();
        AuthorizationCode {
            digest: SecretKind::AuthorizationCode.digest(code.expose()),
            authorization,
            redirect_uri: request.reply_to.redirect_uri.clone(),
            redirect_uri_sent: request.reply_to.redirect_uri_sent,
            challenge: request.challenge.clone(),
            issued_at: now,
            expires_at: now.plus_seconds(self.lifetimes.code),
        }
    }

    async fn sign_response(
        &self,
        client: &Client,
        request: &AuthorizationRequest,
        plan: Option<TokenPlan>,
        begun: UnsignedResponse,
    ) -> Result<AuthorizationResponse> {
        let authorization = &begun.authorization;
        let mut parameters = Vec::new();
        if let Some(code) = &begun.code {
            parameters.push(("code", code.expose().to_owned()));
        }
        let access_token = match (begun.opaque, &plan) {
            (Some(token), _) => Some(token),
            (None, Some(plan)) => {
                Some(self.sign_access_token(client, plan, &authorization.clone().without_offline_access(), begun.at)?)
            }
            (None, None) => None,
        };
        if let (Some(token), Some(plan)) = (&access_token, &plan) {
            parameters.push(("access_token", token.expose().to_owned()));
            parameters.push(("token_type", "Bearer".to_owned()));
            parameters.push(("expires_in", plan.lifetime.to_string()));
            let carried = authorization.clone().without_offline_access().permissions.for_access_token();
            parameters.push(("scope", carried.names().to_string()));
        }
        if request.response_type.has_id_token() {
            let beside = AccompanyingTokens {
                access_token: access_token.as_ref().map(Secret::expose),
                code: begun.code.as_ref().map(Secret::expose),
                about: self.id_token_user_claims(client, authorization, request.response_type).await?,
            };
            let id_token = self.id_token(client, authorization, beside).await?;
            parameters.extend(id_token.map(|token| ("id_token", token)));
        }
        let session_state = self.session_state(request, authorization);
        parameters.extend(session_state.map(|state| ("session_state", state)));
        Ok(AuthorizationResponse::new(&self.issuer, &request.reply_to, parameters))
    }

    /// The claims of the scopes stand in the ID token only where no access token will ever fetch them (OpenID Connect
    /// Core §5.4), or where the client's settings say so; those that were asked for in it always do.
    async fn id_token_user_claims(
        &self,
        client: &Client,
        authorization: &Authorization,
        response_type: ResponseType,
    ) -> Result<serde_json::Map<String, serde_json::Value>> {
        let scopes = if response_type == ResponseType::IdToken {
            authorization.permissions.general.clone()
        } else {
            Scopes::default()
        };
        // Of two ID tokens the one from the token endpoint has them: this one passes through the browser (OpenID Connect
        // Core §3.3.3.6).
        let configured =
            if response_type.has_code() { Vec::new() } else { configured_id_token_claims(client, authorization) };
        self.id_token_claims(authorization, &scopes, configured).await
    }
}

/// Whether the user has allowed the client all of it, and not withdrawn it.
async fn is_allowed(tx: &Tx, authorization: &Authorization) -> std::result::Result<bool, StoreError> {
    let Some(user) = authorization.user() else { return Ok(false) };
    let given = consents::find(tx.conn(), user, &authorization.client).await?;
    Ok(given.is_some_and(|given| authorization.permissions.is_subset(&given.allowed)))
}
