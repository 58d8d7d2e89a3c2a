//! Saves at the same time, and the comparison of the row in the transaction that writes.

use futures::future::join;
use signet::domain::ids::ClientId;
use signet::manage::users::UserEdit;
use signet::manage::{AuditContext, ManageError, Revision, apis, clients, users};

use super::{API, ROUNDS, WEB, editing, server};
use crate::passkey::add;
use crate::support::authenticator::Authenticator;

/// Of two saves on one version at the same time one is let through; the other one is asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_saves_at_once_one_is_asked() {
    let (server, alice, bob) = server().await;
    add(&alice, &mut Authenticator::new(&server.url)).await;
    for case in editing(&server).await {
        let theirs = if case.page.starts_with("/account") { &alice } else { &bob };
        for round in 0..ROUNDS {
            let what = format!("{} {} {round}", case.page, case.control);
            let (tab, other_tab) = (case.open(theirs).await, case.open(&alice).await);
            let values: Vec<String> = (0..2)
                .map(|who| match case.control {
                    "default_max_age" | "burst" => format!("{}", 1000 + 2 * round + who),
                    "scope" => format!("openid r{round}w{who}"),
                    "redirect_uris" => format!("https://r{round}w{who}.example/cb"),
                    "email" | "contacts" => format!("r{round}w{who}@example.com"),
                    "rule_0_path" => format!("/r{round}w{who}"),
                    _ => format!("r{round}w{who}"),
                })
                .collect();
            let (first, second) = join(
                case.send(theirs, &tab, &[(case.control, values[0].as_str())]),
                case.send(&alice, &other_tab, &[(case.control, values[1].as_str())]),
            )
            .await;
            let mut statuses = [first.status, second.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 409], "{what}: {} {}", first.html, second.html);
            let (winner, asked) = if first.status == 200 { (&values[0], second) } else { (&values[1], first) };
            let question = asked.text(&case.question());
            assert!(values.iter().all(|value| question.contains(value)), "{what}: {question}");
            assert!(case.stored(&alice, case.control).await.contains(winner), "{what}");
        }
    }
}

/// Saves of different fields at the same time: both are there afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn saves_of_different_fields_at_once_both_hold() {
    let (server, alice, bob) = server().await;
    let carol = format!("/admin/people/{}", server.person("carol").await.id);
    for round in 0..ROUNDS {
        for (page, selector, one, two) in [
            (WEB, "#settings".to_owned(), "client_name", "software_version"),
            (API, "#settings".to_owned(), "name", "scopes"),
            (carol.as_str(), format!("form[action='{carol}']"), "name", "email"),
        ] {
            let (tab, other_tab) = (bob.page(page).await, alice.page(page).await);
            let (name, other) = (format!("name{round}"), format!("r{round}@example.com"));
            let (first, second) = join(
                bob.fill(&tab, &selector, &[(one, name.as_str())]),
                alice.fill(&other_tab, &selector, &[(two, other.as_str())]),
            )
            .await;
            assert_eq!((first.status, second.status), (200, 200), "{page}: {} {}", first.html, second.html);
            let now = alice.page(page).await;
            let value = |control: &str| now.value(&format!("{selector} [name={control}]"));
            assert_eq!((value(one), value(two)), (name, other), "{page} {round}");
        }
    }
}

/// The row is compared in the transaction that writes, whoever asks.
#[tokio::test]
async fn a_revision_of_another_state_is_refused() {
    let (server, ..) = server().await;
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    let is_changed = |error: ManageError| matches!(error, ManageError::Changed);
    let carol = server.person("carol").await;
    let present = UserEdit::present(&carol);
    let seen = UserEdit { admin: true, ..present.clone() };
    let done = users::update(&manager, &by, carol.id, Revision::of(seen, present.clone())).await;
    assert!(is_changed(done.unwrap_err()));
    let groups = Revision::of(vec!["gone".to_owned()], vec!["new".to_owned()]);
    assert!(is_changed(users::set_groups(&manager, &by, carol.id, groups).await.unwrap_err()));
    let id = ClientId::parse("web").unwrap();
    let meta = server.app.provider.client(&id).await.unwrap().unwrap().meta.clone();
    let mut seen = meta.clone();
    seen.client_name = "Another".to_owned();
    let done = clients::revise(&manager, &by, &id, Revision::of(seen, meta)).await;
    assert!(is_changed(done.unwrap_err()));
    let api = apis::all(&manager).await.unwrap().remove(0);
    let mut seen = api.clone();
    seen.name = "Another".to_owned();
    assert!(is_changed(apis::replace(&manager, &by, Revision::of(seen, api)).await.unwrap_err()));
}
