//! Where clients with metadata documents may be redirected to, and when nothing is sent there without a page.

use serde_json::json;

use super::Place;
use crate::support::receiver::Answer;

/// RFC 8252 §7.3, for documents that seldom say that their apps are native.
#[tokio::test]
async fn the_port_of_an_app_on_a_device_varies() {
    let place = Place::new().await;
    let mut document = place.document("/client.json");
    document["redirect_uris"] = json!(["http://127.0.0.1/callback"]);
    place.receiver.answer("/client.json", Answer::json(&document));
    let id = place.receiver.at("/client.json");
    for (uri, name) in [("http://127.0.0.1:33418/callback", "login"), ("http://127.0.0.1:33418/other", "error")] {
        let asked = [("client_id", id.as_str()), ("scope", "openid"), ("redirect_uri", uri)];
        assert_eq!(place.server.browser().page(&place.server.authorize(&asked)).await.name(), name, "{uri}");
    }
}

#[tokio::test]
async fn settings_vouch_for_a_documents_schemes() {
    let cursor = "cursor://auth/callback";
    for vouched in [true, false] {
        let place = Place::with(|config| {
            config.registration_policy.redirect_schemes = vouched.then(|| "cursor".to_owned()).into_iter().collect();
        })
        .await;
        let mut document = place.document("/client.json");
        document["redirect_uris"] = json!([cursor]);
        place.receiver.answer("/client.json", Answer::json(&document));
        let id = place.receiver.at("/client.json");
        let browser = place.server.browser();
        browser.sign_in_as("alice").await;
        let asked = [("client_id", id.as_str()), ("redirect_uri", cursor), ("scope", "openid")];
        let name = if vouched { "consent" } else { "error" };
        assert_eq!(browser.page(&place.server.authorize(&asked)).await.name(), name);
    }
}

/// RFC 9700 §4.11.2: anybody can publish a document, so that errors of one that nobody has used stay on a page of ours.
#[tokio::test]
async fn a_client_never_used_gets_no_redirect_without_a_page() {
    let place = Place::new().await;
    let mut document = place.document("/client.json");
    document["post_logout_redirect_uris"] = json!(["https://app.example.com/bye"]);
    place.receiver.answer("/client.json", Answer::json(&document));
    let id = place.receiver.at("/client.json");
    let wrong = [
        ("prompt", "none"),
        ("response_type", "token"),
        ("registration", "{}"),
        ("code_challenge", ""),
        ("request", "nonsense"),
    ];
    let asked = |name, value| {
        let mut all = vec![("client_id", id.as_str()), ("scope", "openid")];
        all.retain(|(known, _)| *known != name);
        all.push((name, value));
        place.server.authorize(&all)
    };
    for (name, value) in wrong {
        let response = place.server.browser().raw(&asked(name, value)).await;
        let location = response.headers().get("location");
        assert!(response.status() == 400 && location.is_none(), "{name}: {} {location:?}", response.status());
        assert!(response.text().await.unwrap().contains("data-page=\"error\""), "{name}");
    }
    let bye = [("client_id", id.as_str()), ("post_logout_redirect_uri", "https://app.example.com/bye")];
    let logout = url::form_urlencoded::Serializer::new("/oauth2/logout?".to_owned()).extend_pairs(bye).finish();
    let logout = logout.replace("?&", "?");
    let response = place.server.browser().raw(&logout).await;
    assert_eq!(response.status(), 200, "{logout}");
    assert!(response.text().await.unwrap().contains("href=\"https://app.example.com/bye\""));
    // A page was shown, and the user decided.
    place.code(&id, &[]).await;
    for (name, value) in wrong {
        let told = place.server.browser().open(&asked(name, value)).await.err().expect("told the app");
        assert!(told.contains_key("error"), "{name}");
    }
    assert_eq!(place.server.browser().raw(&logout).await.status(), 303);
}
