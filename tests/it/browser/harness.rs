//! Whether the browser of these tests obeys and tells: a check for "no script ran" is worth what it would have seen.

use serde_json::json;

use crate::support::Server;
use crate::support::chromium::Chromium;

#[tokio::test]
async fn it_tells_of_script_errors_and_of_what_the_policy_stopped() {
    let server = Server::start().await;
    let browser = Chromium::start().await;
    browser.open(&format!("{}/login", server.url)).await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    let inline = "const script = document.createElement('script'); script.textContent = 'window.__pwned = 1';
                  document.body.append(script); return window.__pwned ?? null";
    assert_eq!(browser.script(inline).await, json!(null));
    assert!(browser.complaints().await.iter().any(|line| line.contains("Content Security Policy")));
    browser.open("data:text/html,<script>window.ran = 1; missing()</script>").await;
    assert_eq!(browser.script("return window.ran").await, json!(1));
    assert!(browser.complaints().await.iter().any(|line| line.contains("missing is not defined")));
    browser.without_javascript().await;
    browser.open("data:text/html,<h1>still</h1><script>window.ran = 1</script>").await;
    assert_eq!(browser.text("h1").await, "still");
    assert_eq!(browser.script("return window.ran ?? null").await, json!(null));
}

#[tokio::test]
async fn it_has_the_size_the_colours_and_the_passkeys_that_are_asked_for() {
    let server = Server::start().await;
    let browser = Chromium::start().await;
    // A page whose own script asks for no passkey: one question at a time.
    browser.open(&server.url).await;
    let colour = "return getComputedStyle(document.body).backgroundColor";
    browser.dark(false).await;
    let light = browser.script(colour).await;
    browser.dark(true).await;
    assert_ne!(browser.script(colour).await, light);
    browser.set_size(320, 640).await;
    assert_eq!(browser.script("return [innerWidth, innerHeight]").await, json!([320, 640]));
    browser.script("document.querySelector('h1').style.width = '400px'").await;
    assert!(browser.overflows().await);
    browser.add_authenticator().await;
    let create = "return navigator.credentials.create({ publicKey: {
        rp: { name: 'test' }, user: { id: new Uint8Array(16), name: 'alice', displayName: 'Alice' },
        challenge: new Uint8Array(32), pubKeyCredParams: [{ type: 'public-key', alg: -7 }],
        authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
    } }).then((passkey) => passkey.type)";
    assert_eq!(browser.script(create).await, json!("public-key"));
}
