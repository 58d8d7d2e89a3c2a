//! An accepted authorization request, and its row while a person is asked (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1).
//!
//! A request of this type has passed every check: its client exists, its redirect URI is the client's, its scopes are
//! allowed. Next door: [`super::authorization`], what it becomes.

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

/// How the answer travels (OAuth 2.0 Multiple Response Types §2.1, Form Post Response Mode).
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

/// Where answers go once the redirect URI is trusted: success and error leave through the same value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyTo {
    pub redirect_uri: String,
    pub redirect_uri_sent: bool,
    pub mode: ResponseMode,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// The values of `prompt` (OpenID Connect Core §3.1.2.1). `none` stands alone, which the parser has seen to.
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
    /// Beside them where people may sign up.
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
    /// Seconds.
    pub max_age: Option<i64>,
    pub login_hint: Option<String>,
    /// The person that `id_token_hint` names.
    pub hinted: Option<UserId>,
    pub acr: RequestedAcr,
    #[serde(default, skip_serializing_if = "RequestedClaims::is_empty")]
    pub claims: RequestedClaims,
    /// The pushed request it was (RFC 9126), which is used up when the person is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<Digest>,
    /// Of the client and the APIs when the request was accepted: one made anew under an identifier is another one.
    pub versions: Versions,
}

impl AuthorizationRequest {
    /// What it depends on.
    #[must_use]
    pub fn versioned_entities(&self) -> Vec<VersionedEntity> {
        let apis = self.permissions.apis.apis().cloned().map(VersionedEntity::Api);
        std::iter::once(VersionedEntity::Client(self.client.clone())).chain(apis).collect()
    }

    /// What a person has to allow: the scopes, and those of the single claims asked for.
    #[must_use]
    pub fn required_consent(&self) -> Permissions {
        self.permissions.union(&Permissions::general(self.claims.scopes()))
    }
}

/// What a person has done for one interaction so far. Each is a fact with a time, recorded by the page that saw it;
/// what they are enough for is decided by `protocol::authorize::interaction` alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InteractionProgress {
    /// When somebody signed in for this request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_in_at: Option<Timestamp>,
    /// Whom they chose on the account page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected: Option<UserId>,
    /// Who allowed it on the consent page: another person's answer does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consented: Option<UserId>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub use_another_account: bool,
    /// What that sign-in began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<InteractionSession>,
}

/// The session that a sign-in for an interaction began. The same form sent twice leads to it again, under the same cookie:
/// whichever of the two answers the browser keeps, it is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InteractionSession {
    pub session: SessionId,
    pub user: UserId,
    /// Of the cookie, which changes when the session is renewed.
    pub cookie: Digest,
    /// From which the cookie is made, under the master key.
    pub nonce: Uuid,
}

#[derive(Clone, Debug)]
pub struct Interaction {
    pub id: InteractionId,
    pub request: AuthorizationRequest,
    pub progress: InteractionProgress,
    /// Of the browser's own cookie: the id alone is of no use in another browser.
    pub browser: Digest,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// An interaction that has been answered, kept so that an answer which the browser gave up is given to it again, and so that
/// its pages lead back to the app. A pushed request that was answered at once, without an interaction, is kept in the same
/// way under an id that nobody knows.
#[derive(Clone, Debug)]
pub struct AnsweredInteraction {
    pub id: InteractionId,
    pub browser: Digest,
    pub client: ClientId,
    pub client_version: i64,
    /// The pushed request that it was (RFC 9126).
    pub pushed: Option<Digest>,
    pub sign_in: Option<InteractionSession>,
    /// The code in the answer.
    pub code: Option<Digest>,
    /// Sealed; absent where it cannot be given again.
    pub answer: Option<String>,
    /// By the database's clock.
    pub repeatable_until: Timestamp,
    pub expires_at: Timestamp,
}
