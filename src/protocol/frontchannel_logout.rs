//! Front-Channel Logout (OpenID Connect Front-Channel Logout 1.0 §2 and §3): the URLs that the browser loads in hidden
//! frames so that clients end their own sessions.
//!
//! See also: [`super::backchannel_logout`], which needs no browser; `web::pages::logout`, the page with the frames.

use super::Provider;
use super::error::Result;
use crate::domain::participant::Participant;

/// The maximum number of frames. A browser cannot load more in the available time.
const MAX_FRAMES: usize = 50;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutFrame {
    /// The logout URI, always with `iss` and `sid`.
    pub address: String,
    /// The origin that the Content-Security-Policy of the page allows.
    pub origin: String,
}

impl Provider {
    /// Returns the frames of the participating clients that use front-channel logout.
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
