//! Passkeys in a real browser: the account page's script makes one, the sign-in page's button and its autofill use it.

use crate::support::chromium::Chromium;
use crate::support::{PASSWORD, Server};

async fn alice_with_a_passkey(server: &Server) -> Chromium {
    let chromium = Chromium::start().await;
    chromium.add_authenticator().await;
    chromium.open(&format!("{}/account/passkeys", server.url)).await;
    chromium.sign_in("alice", PASSWORD).await;
    chromium.click("#add-passkey").await;
    chromium.wait_for(".notice.ok").await;
    chromium.wait_for("form[action$='/rename']").await;
    chromium
}

async fn sign_out(chromium: &Chromium, server: &Server) {
    chromium.open(&format!("{}/oauth2/logout", server.url)).await;
    chromium.click("#logout-confirm").await;
    chromium.wait_for("#logged-out").await;
}

#[tokio::test]
async fn a_passkey_is_added_and_its_autofill_signs_in_to_the_waiting_app() {
    let server = Server::with_alice().await;
    let chromium = alice_with_a_passkey(&server).await;
    sign_out(&chromium, &server).await;
    // The virtual authenticator's owner picks the offered passkey by herself.
    chromium.open(&format!("{}{}", server.url, server.authorize(&[]))).await;
    chromium.wait_for_page("consent").await;
    assert_eq!(chromium.complaints().await, Vec::<String>::new());
}

/// A browser without autofill of passkeys: the button is the way.
#[tokio::test]
async fn the_button_signs_in_where_there_is_no_autofill() {
    let server = Server::with_alice().await;
    let chromium = alice_with_a_passkey(&server).await;
    sign_out(&chromium, &server).await;
    let without = "PublicKeyCredential.isConditionalMediationAvailable = async () => false;";
    chromium.devtools("Page.addScriptToEvaluateOnNewDocument", serde_json::json!({ "source": without })).await;
    chromium.open(&format!("{}/login?next=%2Faccount", server.url)).await;
    chromium.wait_for_page("login").await;
    chromium.click("#passkey").await;
    chromium.wait_for_page("account").await;
    assert!(chromium.source().await.contains("Signed in with a passkey"));
    assert_eq!(chromium.complaints().await, Vec::<String>::new());
}

/// Signed in too long ago to add one: the script leads to the sign-in page and back.
#[tokio::test]
async fn an_old_session_signs_in_once_more_before_it_adds_a_passkey() {
    let server = Server::with_alice().await;
    let chromium = Chromium::start().await;
    chromium.add_authenticator().await;
    chromium.open(&format!("{}/account/passkeys", server.url)).await;
    chromium.sign_in("alice", PASSWORD).await;
    chromium.wait_for("#add-passkey").await;
    server.advance(15 * 60 + 1);
    chromium.click("#add-passkey").await;
    chromium.sign_in("alice", PASSWORD).await;
    chromium.click("#add-passkey").await;
    chromium.wait_for(".notice.ok").await;
}
