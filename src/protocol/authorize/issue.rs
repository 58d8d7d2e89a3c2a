//! Issues what the response type requests: a code, tokens, or both (RFC 6749 §4.1.2, OpenID Connect Core §3.2.2.5,
//! §3.3.2.5).
//!
//! If the user did not have to be asked, only the code is written. Signing happens after the transaction.

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

/// The result of the transaction that still has to be signed.
struct UnsignedResponse {
    at: Timestamp,
    authorization: Authorization,
    code: Option<Secret>,
    opaque: Option<Secret>,
    /// The complete response, if nothing has to be signed for it.
    reply: Option<AuthorizationResponse>,
}

/// The request to respond to.
pub(super) enum AnswerTo {
    /// A request that a browser has just sent.
    New(Box<Interaction>),
    /// A request that has waited for its user.
    Waiting(InteractionId),
}

/// The request that a response has consumed.
pub(super) struct ConsumedRequest {
    /// The interaction that is stored with the response. It may belong to a new pushed request.
    pub interaction: Option<Interaction>,
}

/// The result of issuing a response.
pub(super) enum IssueOutcome {
    Reply(AuthorizationResponse),
    /// The interaction or the pushed request has already been answered.
    AlreadyAnswered,
    /// The session has just ended.
    SignedOut,
    /// The decision is outdated: the client, its settings or an API has changed, the consent was withdrawn, or the user
    /// has left the client's groups.
    Stale,
}

impl Provider {
    /// Issues the requested response.
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
                    // The rows are locked until the code is inserted: a concurrent revocation of the session waits and
                    // then revokes the code too.
                    let mut all = authorization.versioned_entities();
                    all.push(settings.clone());
                    let now = authorizations::versions(tx.conn(), &all, Some((id, tx.database_now())), RowLock::Shared)
                        .await?;
                    let Some(mut versions) = now else { return Ok(Err(IssueOutcome::SignedOut)) };
                    // Older settings may include redirect URIs or scopes that have been removed since.
                    let settings_are_current = versions.remove(&settings) == Some(settings_version);
                    let authorization = Authorization { versions, ..authorization };
                    if !settings_are_current
                        || !authorization.versions.has_same_versions(&request.versions, &request.versioned_entities())
                    {
                        return Ok(Err(IssueOutcome::Stale));
                    }
                    // The caller decides again with the current groups, and informs the user.
                    if !is_allowed_by_apis(tx.conn(), &asking, &authorization.permissions).await?
                        // The client's settings are current: they were compared above.
                        || !asking.meta.allowed_groups.is_empty() && !is_admitted(tx.conn(), &authorization).await?
                    {
                        return Ok(Err(IssueOutcome::Stale));
                    }
                    // The consent is read after its version: a later withdrawal outdates that version.
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

    /// Returns the response that contains only a code and needs no signature.
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

    /// Stores a response whose tokens have been signed after the transaction.
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

    /// Consumes the interaction and the pushed request. Returns `None` if one of them was already consumed (RFC 9126
    /// §4: one-time use).
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

    /// Returns the user claims of the ID token. The claims of the scopes are included only if no access token is issued
    /// that could fetch them (OpenID Connect Core §5.4), or if the client's settings say so. Claims requested for the
    /// ID token are always included.
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
        // If there are two ID tokens, only the one from the token endpoint contains the configured claims: this one
        // passes through the browser (OpenID Connect Core §3.3.3.6).
        let configured =
            if response_type.has_code() { Vec::new() } else { configured_id_token_claims(client, authorization) };
        self.id_token_claims(authorization, &scopes, configured).await
    }
}

/// Returns whether the user has allowed the client the whole authorization and not withdrawn the consent.
async fn is_allowed(tx: &Tx, authorization: &Authorization) -> std::result::Result<bool, StoreError> {
    let Some(user) = authorization.user() else { return Ok(false) };
    let given = consents::find(tx.conn(), user, &authorization.client).await?;
    Ok(given.is_some_and(|given| authorization.permissions.is_subset(&given.allowed)))
}
