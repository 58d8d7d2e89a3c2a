//! Sign-ins that do not go straight: [`twice`] forms sent twice, [`late`] pages that are too old or of another tab, [`stale`]
//! forms of another session, [`ways`] what error pages say and where they lead, [`cookies`] cookies that are missing, shared
//! or hidden.

mod cookies;
mod late;
mod stale;
mod twice;
mod ways;

use crate::support::{PASSWORD, Server};
use serde_json::json;

const ALICE: [(&str, &str); 2] = [("username", "alice"), ("password", PASSWORD)];

/// One with alice, a client `web` that asks for consent and one `first` that does not.
async fn server() -> Server {
    let server = Server::with_alice().await;
    server.client("first", json!({ "consent": "trusted" })).await;
    server
}
