//! RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0 §2 and §3): who may be signed out without a question, and
//! where they may be sent afterwards.

use super::Provider;
use super::error::{ErrorCode, OAuthError, Result};
use super::parameters::Parameters;
use crate::domain::ids::ClientId;
use crate::domain::session::Session;

/// A checked logout request.
#[derive(Clone, Debug, Default)]
pub struct LogoutRequest {
    pub client: Option<ClientId>,
    /// Where to go afterwards, `state` in it: registered, to the letter.
    pub back: Option<String>,
    /// Whether `back` is shown as a link: the client is one to which this server sends nobody without a page.
    pub by_link: bool,
    /// Whether the hint names the very session that is to end: then nobody needs to be asked (§2).
    pub vouched: bool,
}

impl Provider {
    pub async fn check_logout(&self, parameters: &Parameters, session: Option<&Session>) -> Result<LogoutRequest> {
        let invalid = |text: &'static str| OAuthError::new(ErrorCode::InvalidRequest, text);
        parameters.check_repetition()?;
        let hint = match parameters.one("id_token_hint")? {
            None => None,
            Some(token) => {
                let read = self.read_hint(token).await?;
                Some(read.ok_or_else(|| invalid("The app sent a sign-in proof that is not ours."))?)
            }
        };
        let named = parameters
            .one("client_id")?
            .map(ClientId::parse)
            .transpose()
            .map_err(|_| invalid("The app is not known here."))?;
        if let (Some(named), Some(hint)) = (&named, &hint)
            && *named != hint.client
        {
            return Err(invalid("The app named itself and somebody else."));
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
        let Some(uri) = parameters.one("post_logout_redirect_uri")? else {
            return Ok(LogoutRequest { client, vouched, ..LogoutRequest::default() });
        };
        let id = client.ok_or_else(|| invalid("The app asked to get you back without saying who it is."))?;
        let known = self.client(&id).await?.filter(|client| !client.disabled && client.logs_out_to(uri));
        let Some(known) = known else {
            return Err(invalid("The app asked us to send you to an address that is not on its list."));
        };
        // A hint proves that somebody signed in to it.
        let by_link = !hinted && !self.may_redirect_without_page(&known).await?;
        let back = match parameters.one("state")? {
            None => uri.to_owned(),
            Some(state) => {
                let state = url::form_urlencoded::Serializer::new(String::new()).append_pair("state", state).finish();
                format!("{uri}{}{state}", if uri.contains('?') { '&' } else { '?' })
            }
        };
        Ok(LogoutRequest { client: Some(id), back: Some(back), by_link, vouched })
    }
}
