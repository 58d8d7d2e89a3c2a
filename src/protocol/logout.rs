//! RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0 §2 to §4): whether the user is signed out without
//! confirmation, and where the browser may be redirected afterwards.
//!
//! Parameters that fail validation are ignored (§4), and the rest of the request is processed: an old hint or an
//! unregistered redirect URI must not keep a user signed in.

use std::borrow::Cow;

use super::Provider;
use super::error::{ErrorCode, OAuthError, Result};
use super::parameters::Parameters;
use crate::domain::ids::ClientId;
use crate::domain::redirect_mismatch::difference;
use crate::domain::session::Session;

/// A validated logout request.
#[derive(Clone, Debug, Default)]
pub struct LogoutRequest {
    pub client: Option<ClientId>,
    /// The post-logout redirect URI, including `state`. It exactly matches a registered one.
    pub back: Option<String>,
    /// Whether `back` is shown as a link, because this server must not redirect to that client without showing a page.
    pub by_link: bool,
    /// Whether the hint names the very session that is to end. Then no confirmation is needed (§2).
    pub vouched: bool,
    /// The ignored parameters and the reasons.
    pub dropped: Option<OAuthError>,
}

/// Returns the value of a parameter that was sent once.
fn single<'a>(parameters: &'a Parameters, name: &'static str, dropped: &mut Vec<Cow<'static, str>>) -> Option<&'a str> {
    parameters.one(name).unwrap_or_else(|_| {
        dropped.push(format!("{name} is repeated").into());
        None
    })
}

impl Provider {
    /// Returns the logout request without the parameters that fail validation.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn check_logout(&self, parameters: &Parameters, session: Option<&Session>) -> Result<LogoutRequest> {
        let mut dropped: Vec<Cow<'static, str>> = Vec::new();
        let sent = single(parameters, "client_id", &mut dropped);
        let mut named = sent.and_then(|id| ClientId::parse(id).ok());
        let mut hint = match single(parameters, "id_token_hint", &mut dropped) {
            None => None,
            Some(token) => {
                let read = self.read_hint(token).await?;
                if read.is_none() {
                    dropped.push("id_token_hint is not an ID token of this server".into());
                }
                read
            }
        };
        if sent.is_some() && named.is_none() {
            dropped.push("client_id is malformed".into());
        }
        // §2: the hint and the client id contradict each other, and it is unknown which one is wrong, so both are
        // ignored.
        if hint.as_ref().is_some_and(|hint| sent.is_some_and(|sent| sent != hint.client.as_str())) {
            dropped.push("client_id is not the client of id_token_hint".into());
            (named, hint) = (None, None);
        }
        let vouched = match (&hint, session) {
            (Some(hint), Some(session)) => {
                let is_of_session = hint.sign_in.as_ref().is_some_and(|sign_in| sign_in.session == session.id);
                is_of_session && hint.user == session.user
            }
            (Some(_), None) => true,
            (None, _) => false,
        };
        let hinted = hint.is_some();
        let client = named.or_else(|| hint.map(|hint| hint.client));
        let state = single(parameters, "state", &mut dropped);
        let back = match (single(parameters, "post_logout_redirect_uri", &mut dropped), &client) {
            (None, _) => None,
            (Some(_), None) => {
                dropped.push("post_logout_redirect_uri stands without a client".into());
                None
            }
            (Some(uri), Some(id)) => match self.check_redirect(id, uri, state, hinted).await? {
                Ok(back) => Some(back),
                Err(problem) => {
                    dropped.push(problem.into());
                    None
                }
            },
        };
        let dropped = (!dropped.is_empty()).then(|| {
            let text = "Parts of the logout request are not used; the rest of it is done.";
            OAuthError::new(ErrorCode::InvalidRequest, text).with_cause(dropped.join("; "))
        });
        let (back, by_link) = back.map_or((None, false), |(back, by_link)| (Some(back), by_link));
        Ok(LogoutRequest { client, back, by_link, vouched, dropped })
    }

    /// Returns the URI including `state`, and whether it is shown as a link. The error is the reason why the URI is not
    /// allowed for the client.
    async fn check_redirect(
        &self,
        id: &ClientId,
        uri: &str,
        state: Option<&str>,
        hinted: bool,
    ) -> Result<std::result::Result<(String, bool), String>> {
        let Some(client) = self.client(id).await?.filter(|client| !client.disabled) else {
            return Ok(Err("post_logout_redirect_uri stands beside a client that is unknown or turned off".to_owned()));
        };
        if !client.has_post_logout_redirect_uri(uri) {
            let difference = difference(&client.meta.post_logout_redirect_uris, uri);
            return Ok(Err(format!("post_logout_redirect_uri is not registered: {difference}")));
        }
        // A hint proves that a user has signed in to the client.
        let by_link = !hinted && !self.can_redirect_without_page(&client).await?;
        let back = match state {
            None => uri.to_owned(),
            Some(state) => {
                let state = url::form_urlencoded::Serializer::new(String::new()).append_pair("state", state).finish();
                format!("{uri}{}{state}", if uri.contains('?') { '&' } else { '?' })
            }
        };
        Ok(Ok((back, by_link)))
    }
}
