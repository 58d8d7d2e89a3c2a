//! The clients of a history and its API, as they are registered.

use serde_json::{Value, json};
use signet::manage::{AuditContext, ManageError, apis};

use super::requests::{CLIENT_CREDENTIALS, DEVICE, EXCHANGE, JWT_BEARER};
use super::{APPS, Settings, World};
use crate::histories::action::Part;
use crate::support::CALLBACK;

/// The first asks for consent, the second is trusted and gets opaque access tokens.
pub const APP_IDS: [&str; APPS] = ["one", "two"];
/// The client that exchanges the tokens of each app.
pub const SERVICE: &str = "service";
pub const API: &str = "https://orders.example.com";
/// What an app is registered with that has lost its redirect URI.
const OTHER_CALLBACK: &str = "https://app.example.com/cb";
pub const GATE: &str = "orders";
/// Where the browsers' app of the API is.
pub const ORIGIN: &str = "https://app.example";

impl World {
    pub(super) async fn register(&self, node: usize, app: usize, settings: &Settings) {
        // The scopes of the API are looked up in the node's memory.
        let store = self.nodes[node].app.store();
        store.authority().catch_up(store).await.unwrap();
        self.nodes[node].client(APP_IDS[app], self.metadata(app, self.issuers.replaced[app], settings)).await;
    }

    /// The whole of it, with the issuer after so many replacements.
    pub(super) fn metadata(&self, app: usize, replaced: usize, settings: &Settings) -> Value {
        let redirect_uri = if settings.has(app, Part::RedirectUri) { CALLBACK } else { OTHER_CALLBACK };
        let mut scope = "openid email".to_owned();
        for (part, name) in [(Part::OfflineAccess, " offline_access"), (Part::ApiScope, " read")] {
            scope.push_str(if settings.has(app, part) { name } else { "" });
        }
        let mut meta = json!({
            "client_name": "Web",
            "redirect_uris": [redirect_uri],
            "grant_types":
                ["authorization_code", "implicit", "refresh_token", CLIENT_CREDENTIALS, DEVICE, JWT_BEARER],
            "response_types": ["code", "id_token token", "code token"],
            "scope": scope,
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

    pub(super) async fn put_api(&self, node: usize, settings: &Settings) -> Result<(), ManageError> {
        let scope = if settings.api_has_scope() { "read" } else { "write" };
        let api = json!({
            "identifier": API, "name": "Orders", "scopes": [scope], "gate": GATE, "origins": [ORIGIN],
            "accepts": ["bearer", "api_key", "session"],
            "rules": [{ "methods": ["GET"], "path": "/orders/**", "scopes": [scope] }],
        });
        let api = serde_json::from_value(api).unwrap();
        apis::put(&self.nodes[node].app.manager(), &AuditContext::command_line(), api).await
    }
}

/// The issuer that vouches for an app after so many replacements.
pub fn issuer(replaced: usize) -> String {
    format!("https://ci-{replaced}.example.com")
}

/// The service, with a policy for the tokens of each app that are exchanged.
pub fn service(settings: &Settings) -> Value {
    let exchanged = (0..APPS).filter(|app| settings.has(*app, Part::TokenExchange));
    let policy: Vec<Value> = exchanged.map(|app| json!({ "client": APP_IDS[app], "impersonation": true })).collect();
    json!({ "redirect_uris": [], "grant_types": [EXCHANGE], "scope": "openid email", "token_exchange": policy })
}
