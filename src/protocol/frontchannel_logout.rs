//! Front-Channel Logout (OpenID Connect Front-Channel Logout 1.0 §2 and §3): the addresses that the browser loads in
//! hidden frames so that apps end what they know of the session.
//!
//! Next door: [`super::backchannel_logout`], which needs no browser; `web::pages::logout`, the page with the frames.

use super::Provider;
use super::error::Result;
use crate::domain::participant::Participant;

/// A browser loads no more of them in the time that it has.
const MAX_FRAMES: usize = 50;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutFrame {
    /// With `iss` and `sid`, always both.
    pub address: String,
    /// What the page's Content-Security-Policy lets in.
    pub origin: String,
}

impl Provider {
    /// The frames of the apps that took part in a session and are told this way.
    pub async fn logout_frames(&self, participants: &[Participant]) -> Result<Vec<LogoutFrame>> {
        let mut frames = Vec::new();
        for participant in participants {
            let client = self.client_without_fetch(&participant.client).await?;
            let Some(client) = client.filter(|client| participant.is_same_client(client)) else { continue };
            let Some(uri) = &client.meta.frontchannel_logout_uri else { continue };
            let sid = self.sid_of(&client, participant.session);
            if let Some(origin) = uri.origin() {
                frames.push(LogoutFrame {
                    address: uri.with_query_parameters(&[("iss", self.issuer.as_str()), ("sid", &sid)]),
                    origin,
                });
            }
        }
        frames.truncate(MAX_FRAMES);
        Ok(frames)
    }
}
