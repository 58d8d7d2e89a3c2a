//! An accepted authorization request, and its row while the user is asked (RFC 6749 §4.1.1, OpenID Connect Core
//! §3.1.2.1).
//!
//! A request of this type has passed every check: its client exists, its redirect URI is the client's, its scopes are
//! allowed. See also [`super::authorization`], the result.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::authorization_code::CodeChallenge;
use super::claims_request::{RequestedAcr, RequestedClaims};
use super::client_metadata::ResponseType;
use super::ids::{ClientId, InteractionId, SessionId, UserId};
use super::permissions::Permissions;
use super::secret::Digest;
use super::version::{VersionedEntity, Versions};
use crate::env::Timestamp;

/// The response mode (OAuth 2.0 Multiple Response Types §2.1, Form Post Response Mode).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    Query,
    Fragment,
    FormPost,
}

impl ResponseMode {
    pub const ALL: [Self; 3] = [Self::Query, Self::Fragment, Self::FormPost];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Fragment => "fragment",
            Self::FormPost => "form_post",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text)
    }
}

/// The destination of the response after the redirect URI was validated. Success and error responses use the same
/// value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyTo {
    pub redirect_uri: String,
    pub redirect_uri_sent: bool,
    pub mode: ResponseMode,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// The values of `prompt` (OpenID Connect Core §3.1.2.1). The parser ensures that `none` is not combined with others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "a set of flags is what the parameter is")]
pub struct Prompt {
    pub none: bool,
    pub login: bool,
    pub consent: bool,
    pub select_account: bool,
    /// Initiating User Registration via OpenID Connect §4.1.
    #[serde(default)]
    pub create: bool,
}

impl Prompt {
    pub const VALUES: [&str; 4] = ["none", "login", "consent", "select_account"];
    /// Also supported if sign-up is enabled.
    pub const CREATE: &str = "create";
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    pub client: ClientId,
    pub response_type: ResponseType,
    pub reply_to: ReplyTo,
    pub permissions: Permissions,
    pub nonce: Option<String>,
    pub challenge: Option<CodeChallenge>,
    pub prompt: Prompt,
    /// In seconds.
    pub max_age: Option<i64>,
    pub login_hint: Option<String>,
    /// The user in `id_token_hint`.
    pub hinted: Option<UserId>,
    pub acr: RequestedAcr,
    #[serde(default, skip_serializing_if = "RequestedClaims::is_empty")]
    pub claims: RequestedClaims,
    /// The pushed request this came from (RFC 9126), consumed when the user has finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<Digest>,
    /// The versions of the client and the APIs when the request was accepted. They detect a new client or API with the
    /// same identifier.
    pub versions: Versions,
}

impl AuthorizationRequest {
    /// Returns the entities it depends on.
    #[must_use]
    pub fn versioned_entities(&self) -> Vec<VersionedEntity> {
        let apis = self.permissions.apis.apis().cloned().map(VersionedEntity::Api);
        std::iter::once(VersionedEntity::Client(self.client.clone())).chain(apis).collect()
    }

    /// Returns what the user has to allow: the scopes, and the scopes of the individual claims requested.
    #[must_use]
    pub fn required_consent(&self) -> Permissions {
        self.permissions.union(&Permissions::general(self.claims.scopes()))
    }
}

/// What a user has done in an interaction so far. The page that observed an action records it. Only
/// `protocol::authorize::interaction` decides what the actions suffice for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InteractionProgress {
    /// When a user signed in for this request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_in_at: Option<Timestamp>,
    /// The user chosen on the account page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected: Option<UserId>,
    /// The user who allowed the request on the consent page. It does not count for another user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consented: Option<UserId>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub use_another_account: bool,
    /// The session created by that sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<InteractionSession>,
}

/// The session that a sign-in for an interaction created. Sending the same form twice leads to the same session with
/// the same cookie, so that the browser is signed in whichever of the two responses it keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InteractionSession {
    pub session: SessionId,
    pub user: UserId,
    /// The digest of the cookie, which changes when the session is renewed.
    pub cookie: Digest,
    /// The nonce from which the master key derives the cookie.
    pub nonce: Uuid,
}

#[derive(Clone, Debug)]
pub struct Interaction {
    pub id: InteractionId,
    pub request: AuthorizationRequest,
    pub progress: InteractionProgress,
    /// The digest of the browser's cookie. The id alone is of no use in another browser.
    pub browser: Digest,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// An answered interaction. It is stored so that the response can be repeated if the browser aborted it, and so that
/// its pages lead back to the client. A pushed request that was answered at once, without an interaction, is stored in
/// the same way under an unguessable id.
#[derive(Clone, Debug)]
pub struct AnsweredInteraction {
    pub id: InteractionId,
    pub browser: Digest,
    pub client: ClientId,
    pub client_version: i64,
    /// The pushed request this came from (RFC 9126).
    pub pushed: Option<Digest>,
    pub sign_in: Option<InteractionSession>,
    /// The digest of the code in the response.
    pub code: Option<Digest>,
    /// The sealed response, or `None` if it cannot be repeated.
    pub answer: Option<String>,
    /// By the database's clock.
    pub repeatable_until: Timestamp,
    pub expires_at: Timestamp,
}
