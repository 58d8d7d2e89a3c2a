//! Sessions that cannot be read: nobody is told that they are signed out, no app that nobody is signed in, and no browser
//! loses its cookie. Next door: `console::late_forms`, where the session is read again behind a form's body.

use serde_json::json;

use crate::console::with_admin;
use crate::support::database::Aside;

#[tokio::test]
async fn a_session_that_cannot_be_read_is_503() {
    let (server, admin) = with_admin().await;
    server.client("web", json!({ "consent": "trusted" })).await;
    let (asked, silent) = (server.authorize(&[]), server.authorize(&[("prompt", "none")]));
    let login = admin.page("/login").await;
    let (new, logout) = (admin.page("/admin/people/new").await, admin.page("/oauth2/logout").await);
    let mut forms = vec![login.form(&[("username", "alice"), ("password", crate::support::PASSWORD)])];
    forms.push(new.filled("main form", &[("username", "carol"), ("password", crate::support::PASSWORD)]));
    forms.push(logout.form(&[("decision", "allow")]));
    let aside = Aside::rename(&server, "session").await;
    let mut answers = Vec::new();
    for path in
        ["/", "/login", "/account", "/account/apps", "/admin", "/admin/people", "/oauth2/logout", &asked, &silent]
    {
        answers.push((path.to_owned(), admin.raw(path).await));
    }
    for (action, form) in &forms {
        answers.push((format!("POST {action}"), admin.raw_post(action, form).await));
    }
    aside.back().await;
    for (path, answer) in answers {
        assert_eq!(answer.status(), 503, "{path}: {:?}", answer.headers().get("location"));
        assert!(answer.headers().contains_key("retry-after"), "{path}");
        assert!(!answer.headers().contains_key("set-cookie"), "{path}: {:?}", answer.headers());
        let html = answer.text().await.unwrap();
        assert!(html.contains("data-error=\"temporarily_unavailable\"") && !html.contains("signed out"), "{path}");
    }
    assert_eq!(admin.page("/admin").await.status, 200, "signed in as before");
    assert!(admin.sign_in(&silent).await.contains_key("code"));
}
