//! Repeats the response to an interaction or a pushed request.
//!
//! A second click on "Allow", or on the link that opens a `request_uri`, makes a browser drop the first response: the
//! client has not received it, and the request is consumed. For the lifetime of the code, the browser that got the
//! first response gets the same one again while nothing has changed: the code is not redeemed, the session it was
//! issued in is active, and neither the client nor the user's consent has changed. Nothing is issued twice (RFC 6749
//! §4.1.2, RFC 9126 §4).
//!
//! See also: [`super::issue`], which issues the response; `store::answered_interactions`, which stores the sealed
//! responses.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::issue::AnswerTo;
use super::pending::BrowserContext;
use super::response::AuthorizationResponse;
use crate::domain::authorization::Authorization;
use crate::domain::client::Client;
use crate::domain::ids::{ClientId, InteractionId, SessionId};
use crate::domain::interaction::{AnsweredInteraction, Interaction};
use crate::domain::secret::{Digest, base64url, from_base64url};
use crate::domain::session::Session;
use crate::domain::version::{VersionedEntity, Versions};
use crate::keys::master::MacPurpose;
use crate::keys::seal;
use crate::protocol::Provider;
use crate::protocol::error::Result;
use crate::store::authorizations::{self, RowLock};
use crate::store::{StoreError, Tx, answered_interactions, codes, interactions};

const RESPONSE_USAGE: &str = "interaction-answer";
/// The maximum stored size of one response in bytes. A longer one is not repeated.
const MAX_BYTES: usize = 24 * 1024;

/// The state of an interaction, as seen by its browser.
#[derive(Debug)]
pub enum InteractionState {
    /// The interaction waits for its user.
    Waiting(Box<Interaction>),
    Ended(EndedInteraction),
}

/// An interaction that was answered or has expired.
#[derive(Debug)]
pub struct EndedInteraction {
    pub id: InteractionId,
    /// The requesting client, if it is unchanged and enabled.
    pub client: Option<Arc<Client>>,
    pub(super) was_answered: bool,
}

/// The stored form of a response.
#[derive(Serialize, Deserialize)]
struct StoredResponse {
    reply: AuthorizationResponse,
    /// The versions of the client and its settings at the time of the response.
    client: Versions,
    /// The issued authorization; `None` if the response is an error.
    issued: Option<Authorization>,
}

fn of_client(client: &ClientId) -> [VersionedEntity; 2] {
    [VersionedEntity::Client(client.clone()), VersionedEntity::ClientSettings(client.clone())]
}

impl Provider {
    /// Returns the interaction with that id, for the browser that began it only.
    pub async fn find(&self, id: InteractionId, browser: &Digest) -> Result<Option<InteractionState>> {
        let waiting = interactions::by_id(self.store.read(), id).await?.filter(|it| it.browser == *browser);
        if let Some(waiting) = waiting {
            if waiting.expires_at > self.env.now() {
                return Ok(Some(InteractionState::Waiting(Box::new(self.narrow_interaction(waiting).await?))));
            }
            let version = waiting.request.versions.get(&VersionedEntity::Client(waiting.request.client.clone()));
            let client = self.still(&waiting.request.client, version).await?;
            return Ok(Some(InteractionState::Ended(EndedInteraction { id, client, was_answered: false })));
        }
        let answered = answered_interactions::by_id(self.store.read(), id).await?;
        let Some(answered) = answered.filter(|it| it.browser == *browser) else { return Ok(None) };
        let client = self.still(&answered.client, Some(answered.client_version)).await?;
        Ok(Some(InteractionState::Ended(EndedInteraction { id, client, was_answered: answered.answer.is_some() })))
    }

    /// Returns the client and the browser of an interaction, whether it is waiting or ended.
    pub async fn client_and_browser(&self, id: InteractionId) -> Result<Option<(ClientId, Digest)>> {
        if let Some(waiting) = interactions::by_id(self.store.read(), id).await? {
            return Ok(Some((waiting.request.client, waiting.browser)));
        }
        let answered = answered_interactions::by_id(self.store.read(), id).await?;
        Ok(answered.map(|answered| (answered.client, answered.browser)))
    }

    /// Returns a value for pages that identifies the client, with a MAC for this browser only. With it, the user can
    /// return to the client even after the interaction has been deleted.
    pub fn carried_app(&self, client: &ClientId, version: i64, browser: &Digest) -> String {
        let parts = [&b"app"[..], &browser.0, client.as_str().as_bytes(), &version.to_be_bytes()];
        let mac = self.master.mac(MacPurpose::Browser, &parts);
        format!("{}.{version}.{}", base64url(client.as_str().as_bytes()), base64url(&mac))
    }

    /// Returns the same as [`Self::find`], or the client from the value that a page carries.
    pub async fn find_interaction_or_app(
        &self,
        id: InteractionId,
        browser: &Digest,
        carried: &str,
    ) -> Result<Option<InteractionState>> {
        if let Some(found) = self.find(id, browser).await? {
            return Ok(Some(found));
        }
        let mut parts = carried.splitn(3, '.');
        let client = parts.next().and_then(from_base64url).and_then(|id| String::from_utf8(id).ok());
        let client = client.and_then(|id| ClientId::parse(&id).ok());
        let (Some(client), Some(Ok(version))) = (client, parts.next().map(str::parse::<i64>)) else { return Ok(None) };
        let ours = self.carried_app(&client, version, browser);
        if !bool::from(ours.as_bytes().ct_eq(carried.as_bytes())) {
            return Ok(None);
        }
        let client = self.still(&client, Some(version)).await?;
        Ok(Some(InteractionState::Ended(EndedInteraction { id, client, was_answered: false })))
    }

    /// Returns the client if it has that version and is enabled.
    async fn still(&self, client: &ClientId, version: Option<i64>) -> Result<Option<Arc<Client>>> {
        let client = self.current_client(client).await?;
        Ok(client.filter(|client| Some(client.version) == version && !client.disabled))
    }

    /// Returns the response of an ended interaction, if it may be repeated to the browser of `session`.
    pub async fn repeat(
        &self,
        over: &EndedInteraction,
        session: Option<&Session>,
    ) -> Result<Option<AuthorizationResponse>> {
        if !over.was_answered {
            return Ok(None);
        }
        let (provider, id, session) = (self.clone(), over.id, session.map(|session| session.id));
        let repeated =
            self.store.write(move |tx| Box::pin(async move { provider.repeated(tx, id, session).await })).await;
        Ok(repeated?)
    }

    /// Returns the same in a transaction, for an interaction that is known to belong to this browser.
    pub(super) async fn repeated(
        &self,
        tx: &Tx,
        id: InteractionId,
        session: Option<SessionId>,
    ) -> std::result::Result<Option<AuthorizationResponse>, StoreError> {
        match answered_interactions::by_id(tx.conn(), id).await? {
            Some(answered) => self.while_good(tx, &answered, session).await,
            None => Ok(None),
        }
    }

    /// Returns the response of a consumed pushed request, for the browser that it was sent to only.
    pub(super) async fn repeat_pushed(
        &self,
        pushed: Digest,
        browser: BrowserContext<'_>,
    ) -> Result<Option<AuthorizationResponse>> {
        let (provider, asking, session) = (self.clone(), browser.digest, browser.session.map(|session| session.id));
        let repeated = self
            .store
            .write(move |tx| Box::pin(async move { provider.repeated_pushed(tx, pushed, asking, session).await }));
        Ok(repeated.await?)
    }

    /// Returns the same in a transaction.
    pub(super) async fn repeated_pushed(
        &self,
        tx: &Tx,
        pushed: Digest,
        browser: Digest,
        session: Option<SessionId>,
    ) -> std::result::Result<Option<AuthorizationResponse>, StoreError> {
        match answered_interactions::by_pushed_request(tx.conn(), &pushed).await?.filter(|it| it.browser == browser) {
            Some(answered) => self.while_good(tx, &answered, session).await,
            None => Ok(None),
        }
    }

    /// Returns the response already given to an interaction or a pushed request, for its browser.
    pub(super) async fn answer_before(
        &self,
        tx: &Tx,
        to: &AnswerTo,
        session: Option<SessionId>,
    ) -> std::result::Result<Option<AuthorizationResponse>, StoreError> {
        match to {
            AnswerTo::Waiting(id) => self.repeated(tx, *id, session).await,
            AnswerTo::New(new) => match new.request.pushed {
                Some(pushed) => self.repeated_pushed(tx, pushed, new.browser, session).await,
                None => Ok(None),
            },
        }
    }

    /// Returns the response if everything it depends on is unchanged.
    async fn while_good(
        &self,
        tx: &Tx,
        answered: &AnsweredInteraction,
        session: Option<SessionId>,
    ) -> std::result::Result<Option<AuthorizationResponse>, StoreError> {
        let Some(answer) = answered.answer.as_deref().and_then(|sealed| self.open_response(sealed)) else {
            return Ok(None);
        };
        if tx.database_time().await? >= answered.repeatable_until {
            return Ok(None);
        }
        let of_client = of_client(&answered.client);
        let now = authorizations::versions(tx.conn(), &of_client, None, RowLock::None).await?;
        if !now.is_some_and(|now| now.has_same_versions(&answer.client, &of_client)) {
            return Ok(None);
        }
        if let Some(issued) = &answer.issued {
            let (Some(session), all) =
                (session.filter(|it| issued.session() == Some(*it)), issued.versioned_entities())
            else {
                return Ok(None);
            };
            let now =
                authorizations::versions(tx.conn(), &all, Some((session, tx.database_now())), RowLock::Shared).await?;
            if !now.is_some_and(|now| now.has_same_versions(&issued.versions, &all)) {
                return Ok(None);
            }
        }
        match &answered.code {
            Some(code) if !codes::is_redeemable(tx, code).await? => Ok(None),
            _ => Ok(Some(answer.reply)),
        }
    }

    /// Records that an interaction was answered, with the response if it may be repeated.
    pub(super) async fn store_answered(
        &self,
        tx: &Tx,
        ended: &Interaction,
        code: Option<Digest>,
        answer: Option<String>,
    ) -> std::result::Result<(), StoreError> {
        let client = &ended.request.client;
        let answered = AnsweredInteraction {
            id: ended.id,
            browser: ended.browser,
            client: client.clone(),
            client_version: ended.request.versions.get(&VersionedEntity::Client(client.clone())).unwrap_or_default(),
            pushed: ended.request.pushed,
            sign_in: ended.progress.sign_in.clone(),
            code,
            answer,
            repeatable_until: tx.database_time().await?.plus_seconds(self.lifetimes.code),
            expires_at: ended.expires_at,
        };
        answered_interactions::insert(tx, &answered).await
    }

    /// Seals a response together with what it depends on.
    pub(super) async fn seal_response(
        &self,
        tx: &Tx,
        client: &ClientId,
        reply: &AuthorizationResponse,
        issued: Option<&Authorization>,
    ) -> std::result::Result<Option<String>, StoreError> {
        let versions = authorizations::versions(tx.conn(), &of_client(client), None, RowLock::None).await?;
        let answer =
            StoredResponse { reply: reply.clone(), client: versions.unwrap_or_default(), issued: issued.cloned() };
        let plain = serde_json::to_vec(&answer).ok().filter(|plain| plain.len() <= MAX_BYTES);
        Ok(plain.and_then(|plain| seal::seal(&self.master, RESPONSE_USAGE, &plain).ok()))
    }

    fn open_response(&self, sealed: &str) -> Option<StoredResponse> {
        serde_json::from_slice(&seal::open(&self.master, RESPONSE_USAGE, sealed).ok()?).ok()
    }
}
