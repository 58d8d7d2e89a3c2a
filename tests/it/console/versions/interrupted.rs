//! The version of a form that is interrupted: by a sign-in, by another session, by a question or by a refusal.

use signet::domain::ids::ClientId;
use signet::manage::{AuditContext, clients};
use signet::store::users as rows;

use super::{WEB, server};
use crate::support::PASSWORD;

/// The version travels with a form that waits for a sign-in, and is compared when it goes on.
#[tokio::test]
async fn a_form_that_waited_for_a_sign_in_is_still_compared() {
    let (server, alice, bob) = server().await;
    for answer in ["stored", "typed"] {
        alice.sign_in_as("alice").await;
        let page = alice.page(WEB).await;
        server.advance(15 * 60 + 1);
        let question = alice.fill(&page, "#settings", &[("client_name", "Mine")]).await;
        assert_eq!((question.status, question.name().as_str()), (403, "login"));
        bob.sign_in_as("bob").await;
        let theirs = format!("Theirs {answer}");
        assert_eq!(bob.fill(&bob.page(WEB).await, "#settings", &[("client_name", theirs.as_str())]).await.status, 200);
        let asked = alice.submit(&question, &[("username", "alice"), ("password", PASSWORD)]).await.ok().unwrap();
        assert_eq!(asked.status, 409, "{}", asked.html);
        assert!(asked.text("[data-conflict=version_client_name]").contains(&theirs));
        // The answer may wait, too.
        server.advance(15 * 60 + 1);
        let question = alice.fill(&asked, "#settings", &[("version_client_name", answer)]).await;
        let done = alice.submit(&question, &[("username", "alice"), ("password", PASSWORD)]).await.ok().unwrap();
        assert_eq!((done.status, done.path.as_str()), (200, WEB), "{}", done.html);
        let expected = if answer == "stored" { theirs.as_str() } else { "Mine" };
        assert_eq!(alice.page(WEB).await.value("[name=client_name]"), expected);
    }
}

/// A form of another session is shown again with its version, which nobody has to read.
#[tokio::test]
async fn a_stale_form_keeps_its_version() {
    let (_server, alice, bob) = server().await;
    let page = alice.page(WEB).await;
    let logout = alice.page("/oauth2/logout").await;
    alice.submit(&logout, &[("decision", "allow")]).await.ok().unwrap();
    alice.sign_in_as("alice").await;
    let again = alice.fill(&page, "#settings", &[("client_name", "Mine")]).await;
    assert_eq!((again.status, again.name().as_str()), (409, "stale-form"));
    assert!(again.has("input[type=hidden][name=version]") && !again.text("main").contains("Version "));
    bob.fill(&bob.page(WEB).await, "#settings", &[("client_name", "Theirs")]).await;
    let asked = alice.fill(&again, "main form", &[]).await;
    assert!(asked.status == 409 && asked.has("[data-conflict=version_client_name]"), "{}", asked.html);
    let done = alice.fill(&asked, "#settings", &[("version_client_name", "typed")]).await;
    assert_eq!((done.status, alice.page(WEB).await.value("[name=client_name]").as_str()), (200, "Mine"));
}

/// The question before an adoption carries the version, too.
#[tokio::test]
async fn an_answer_to_the_question_of_an_adoption_is_compared() {
    let (server, alice, bob) = server().await;
    let mut carol = server.person("carol").await;
    carol.self_registered = true;
    let id = carol.id;
    let write = server.app.store().write(move |tx| Box::pin(async move { rows::update(tx, &carol).await }));
    write.await.unwrap();
    let here = format!("/admin/people/{id}");
    let form = format!("form[action='{here}']");
    let rename = async |name: &str| {
        let page = bob.page(&here).await;
        assert_eq!(bob.fill(&page, &form, &[("name", name)]).await.status, 200);
    };
    let page = alice.page(&here).await;
    let question = alice.fill(&page, &form, &[("name", "Mine"), ("admin", "true")]).await;
    assert!(question.has("#adopt"), "{}", question.html);
    rename("Theirs").await;
    let asked = alice.fill(&question, &form, &[("adopt", "true")]).await;
    assert!(asked.status == 409 && asked.has("[data-conflict=version_name]"), "{}", asked.html);
    let carol = server.person("carol").await;
    assert!(carol.self_registered && !carol.admin, "nothing was done");
    // The answer about the name leads to the question again; what is changed beside it holds.
    let question = alice.fill(&asked, &form, &[("version_name", "stored")]).await;
    assert!(question.has("#adopt"), "{}", question.html);
    rename("Another").await;
    assert_eq!(alice.fill(&question, &form, &[("adopt", "true")]).await.status, 200);
    let carol = server.person("carol").await;
    assert!(!carol.self_registered && carol.admin);
    assert_eq!(carol.profile.name.as_deref(), Some("Another"));
}

/// What is gone is said to be gone; a form that is refused for something else goes on from what is there by then.
#[tokio::test]
async fn a_refused_form_goes_on_from_what_is_there() {
    let (server, alice, bob) = server().await;
    let id = ClientId::parse("web").unwrap();
    let page = alice.page(WEB).await;
    bob.fill(&bob.page(WEB).await, "#settings", &[("policy_uri", "https://theirs.example/")]).await;
    let refused = alice.fill(&page, "#settings", &[("redirect_uris", "nonsense")]).await;
    assert!(refused.status == 422 && refused.has("#redirect_uris-error"), "{}", refused.html);
    assert_eq!(refused.value("[name=policy_uri]"), "https://theirs.example/");
    assert_eq!(alice.fill(&refused, "#settings", &[("redirect_uris", "https://mine.example/cb")]).await.status, 200);
    let now = alice.page(WEB).await;
    assert_eq!(now.value("[name=policy_uri]"), "https://theirs.example/");
    assert_eq!(now.value("[name=redirect_uris]"), "https://mine.example/cb");
    clients::delete(&server.app.manager(), &AuditContext::command_line(), &id).await.unwrap();
    assert_eq!(alice.fill(&now, "#settings", &[("client_name", "Mine")]).await.status, 404);
}
