//! The requests that clients send, with their credentials.

use serde_json::Value;

use super::registered::{APP_IDS, SERVICE};
use super::{APPS, Token, World};
use crate::support::SECRET;

pub const CLIENT_CREDENTIALS: &str = "client_credentials";
pub const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
pub const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// What a request came to.
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    pub fn text(&self, name: &str) -> String {
        self.body[name].as_str().unwrap_or_else(|| panic!("{name} in {}", self.body)).to_owned()
    }

    /// Whether what was issued has offline access.
    pub fn is_offline(&self) -> bool {
        self.text("scope").split(' ').any(|scope| scope == "offline_access")
    }
}

impl World {
    pub(super) fn client_of(token: &Token) -> usize {
        if token.is_by_exchange() { APPS } else { token.access.app }
    }

    /// The credentials of an app, or of the service after the last one.
    pub(super) fn credentials(&self, client: usize) -> (&str, &str) {
        match APP_IDS.get(client) {
            Some(id) => (id, self.secrets[client].last().unwrap()),
            None => (SERVICE, SECRET),
        }
    }

    pub(super) async fn token(&self, node: usize, client: usize, form: &[(&str, &str)]) -> Answer {
        self.post(node, "/oauth2/token", self.credentials(client), form).await
    }

    pub(super) async fn post(
        &self,
        node: usize,
        path: &str,
        (id, secret): (&str, &str),
        form: &[(&str, &str)],
    ) -> Answer {
        let request = self.http.post(format!("{}{path}", self.nodes[node].url)).basic_auth(id, Some(secret)).form(form);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        assert!(status < 500, "{status} {text}");
        Answer { status, body: serde_json::from_str(&text).unwrap_or_default() }
    }
}
