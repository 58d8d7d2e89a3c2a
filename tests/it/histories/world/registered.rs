//! The clients of a history and its API, as they are registered.

use serde_json::{Value, json};
use signet::manage::{By, ManageError, apis};

use super::requests::{CLIENT_CREDENTIALS, DEVICE, EXCHANGE, JWT_BEARER};
use super::{APPS, World};
use crate::support::CALLBACK;

/// The first asks for consent, the second is trusted and gets opaque access tokens.
pub const APP_IDS: [&str; APPS] = ["one", "two"];
/// The client that exchanges the tokens of each app.
pub const SERVICE: &str = "service";
pub const API: &str = "https://orders.example.com";
pub const GATE: &str = "orders";
/// Where the browsers' app of the API is.
pub const ORIGIN: &str = "https://app.example";

impl World {
    pub(super) async fn register(&self, node: usize, app: usize) {
        // The scopes of the API are looked up in the node's memory.
        let store = self.nodes[node].app.store();
        store.authority().catch_up(store).await.unwrap();
        self.nodes[node].client(APP_IDS[app], self.metadata(app, self.issuers.replaced[app])).await;
    }

    /// The whole of it, with the issuer after so many replacements.
    pub(super) fn metadata(&self, app: usize, replaced: usize) -> Value {
        let mut meta = json!({
            "client_name": "Web",
            "redirect_uris": [CALLBACK],
            "grant_types":
                ["authorization_code", "implicit", "refresh_token", CLIENT_CREDENTIALS, DEVICE, JWT_BEARER],
            "response_types": ["code", "id_token token", "code token"],
            "scope": "openid email offline_access read",
            "jwt_bearer": [{
                "issuer": issuer(replaced),
                "jwks_uri": self.issuers.receiver.at("/jwks"),
                "subject": APP_IDS[app],
            }],
        });
        if app > 0 {
            meta["consent"] = json!("trusted");
            meta["access_token_format"] = json!("opaque");
        }
        meta
    }

    pub(super) async fn put_api(&self, node: usize) -> Result<(), ManageError> {
        let api = json!({
            "identifier": API, "name": "Orders", "scopes": ["read"], "gate": GATE, "origins": [ORIGIN],
            "accepts": ["bearer", "api_key", "session"],
            "rules": [{ "methods": ["GET"], "path": "/orders/**", "scopes": ["read"] }],
        });
        let api = serde_json::from_value(api).unwrap();
        apis::put(&self.nodes[node].app.manager(), &By::command_line(), api).await
    }
}

/// The issuer that vouches for an app after so many replacements.
pub fn issuer(replaced: usize) -> String {
    format!("https://ci-{replaced}.example.com")
}

pub fn service() -> Value {
    let policy = APP_IDS.map(|client| json!({ "client": client, "impersonation": true }));
    json!({ "redirect_uris": [], "grant_types": [EXCHANGE], "scope": "openid email", "token_exchange": policy })
}
