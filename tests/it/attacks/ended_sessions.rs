//! A session that has ended does not come back: not by a new password, not by a sign-in that was on its way, whichever came
//! first; and a session that goes on under a new cookie is never away meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use signet::domain::event::RequestOrigin;
use signet::domain::ids::UserId;
use signet::domain::secret::{Digest, Secret};
use signet::domain::session::Session;
use signet::domain::user::User;
use signet::identity::session::{self, Proof, SessionError, SignInRequest};
use signet::manage::access::KeepOptions;
use signet::manage::users::{self, Adoption};
use signet::manage::{AuditContext, Manager};
use signet::store::{sessions, users as rows};

use super::{refresh, text};
use crate::console;
use crate::support::{Browser, PASSWORD, Page, Server};

const NEW: &str = "another long sentence";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    SignOut,
    EndAll,
    Reset,
    Disable,
    Adopt,
}

const ALL: [Ending; 5] = [Ending::SignOut, Ending::EndAll, Ending::Reset, Ending::Disable, Ending::Adopt];

impl Ending {
    async fn run(self, manager: &Manager, user: UserId, session: &Session) {
        let (by, password) = (AuditContext::command_line(), || Secret::new(NEW.to_owned()));
        match self {
            Self::SignOut => users::end_session(manager, &by, user, session.id).await.unwrap(),
            Self::EndAll => users::end_sessions(manager, &by, user, None).await.map(drop).unwrap(),
            Self::Reset => {
                users::reset(manager, &by, user, password(), KeepOptions::default(), None).await.map(drop).unwrap();
            }
            Self::Disable => users::disable(manager, &by, user).await.map(drop).unwrap(),
            Self::Adopt => {
                let adoption = Adoption { password: Some(password()), ..Adoption::default() };
                users::adopt(manager, &by, user, adoption).await.map(drop).unwrap();
            }
        }
    }
}

async fn self_registered(server: &Server, name: &str) -> User {
    server.user(name).await;
    let mut user = server.person(name).await;
    user.self_registered = true;
    let id = user.id;
    server.app.store().write(move |tx| Box::pin(async move { rows::update(tx, &user).await })).await.unwrap();
    rows::by_id(server.app.store().read(), id).await.unwrap().unwrap()
}

async fn alive(server: &Server, user: UserId) -> Vec<Session> {
    sessions::of_user(server.app.store().read(), user, server.app.env().now()).await.unwrap()
}

async fn signed_in(server: &Server, name: &str) -> (Browser, User, Session) {
    let user = self_registered(server, name).await;
    let browser = server.browser();
    browser.sign_in_as(name).await;
    let session = alive(server, user.id).await.remove(0);
    (browser, user, session)
}

async fn sign_in_over(server: &Server, user: &User, before: &Session) -> Result<Session, SessionError> {
    let sign_in = SignInRequest {
        proof: Proof::Password,
        digest: Digest(server.app.env().random()),
        before: Some(before.clone()),
        remembered: false,
        origin: RequestOrigin::default(),
    };
    session::begin(server.app.store(), &server.app.config.lifetimes, user, sign_in).await
}

#[tokio::test]
async fn an_ended_session_gets_no_new_cookie() {
    let server = Server::start().await;
    for (at, ending) in ALL.into_iter().enumerate() {
        let (_, user, session) = signed_in(&server, &format!("first{at}")).await;
        ending.run(&server.app.manager(), user.id, &session).await;
        assert!(!session::renew(server.app.store(), &session, Digest([8; 32])).await.unwrap(), "{ending:?}");
        assert!(alive(&server, user.id).await.is_empty(), "{ending:?}");
        // The other way round.
        let (_, user, session) = signed_in(&server, &format!("second{at}")).await;
        assert!(session::renew(server.app.store(), &session, Digest([9; 32])).await.unwrap(), "{ending:?}");
        assert!(!session::renew(server.app.store(), &session, Digest([10; 32])).await.unwrap(), "the old cookie");
        assert_eq!(alive(&server, user.id).await[0].id, session.id, "{ending:?}");
        ending.run(&server.app.manager(), user.id, &session).await;
        assert!(alive(&server, user.id).await.is_empty(), "{ending:?}");
    }
}

/// A fresh proof begins a session, but not the one that has ended; a proof that the ending has overtaken begins none.
#[tokio::test]
async fn a_sign_in_after_the_end_has_another_session() {
    let server = Server::start().await;
    for (at, ending) in ALL.into_iter().enumerate() {
        let (_, user, session) = signed_in(&server, &format!("person{at}")).await;
        server.advance(1);
        ending.run(&server.app.manager(), user.id, &session).await;
        let overtaken = sign_in_over(&server, &user, &session).await;
        if matches!(ending, Ending::SignOut | Ending::EndAll) {
            assert_ne!(overtaken.unwrap().id, session.id, "{ending:?}");
        } else {
            assert!(matches!(overtaken, Err(SessionError::Changed)), "{ending:?}");
            assert!(alive(&server, user.id).await.is_empty(), "{ending:?}");
        }
        if ending != Ending::Disable {
            let user = rows::by_id(server.app.store().read(), user.id).await.unwrap().unwrap();
            assert_ne!(sign_in_over(&server, &user, &session).await.unwrap().id, session.id, "{ending:?}");
        }
    }
}

async fn change_own_password(browser: &Browser, page: &Page) -> u16 {
    let fields = [("current", PASSWORD), ("password", "a third long sentence")];
    let (action, form) = page.form_at("form[action='/account/password']", &fields);
    browser.raw_post(&action, &form).await.status().as_u16()
}

/// Whatever the interleaving: after the end of all sessions there is none, and no cookie opens the account.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_password_does_not_bring_back_an_ended_session() {
    let server = Server::start().await;
    let manager = server.app.manager();
    for round in 0..8_u32 {
        let ending = [Ending::EndAll, Ending::Disable][(round % 2) as usize];
        let (browser, user, session) = signed_in(&server, &format!("person{round}")).await;
        let page = browser.page("/account/password").await;
        let end = async {
            for _ in 0..round * 30 {
                rows::by_id(server.app.store().read(), user.id).await.unwrap();
            }
            ending.run(&manager, user.id, &session).await;
        };
        let (status, ()) = futures::future::join(change_own_password(&browser, &page), end).await;
        assert!([303, 400, 403].contains(&status), "{status} in round {round}");
        assert!(alive(&server, user.id).await.is_empty(), "round {round}");
        assert_eq!(browser.page("/account").await.name(), "login", "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_consoles_own_password_does_not_either() {
    let server = Server::start().await;
    let manager = server.app.manager();
    for round in 0..6_u32 {
        let name = format!("admin{round}");
        server.user(&name).await;
        console::make_admin(&server, &name).await;
        let browser = server.browser();
        browser.sign_in_as(&name).await;
        let user = server.person(&name).await;
        let session = alive(&server, user.id).await.remove(0);
        let page = browser.page(&format!("/admin/people/{}", user.id)).await;
        let (action, form) = page.filled("form[action$='/password']", &[("password", NEW)]);
        let end = async {
            for _ in 0..round * 30 {
                rows::by_id(server.app.store().read(), user.id).await.unwrap();
            }
            Ending::EndAll.run(&manager, user.id, &session).await;
        };
        let (status, ()) = futures::future::join(browser.raw_post(&action, &form), end).await;
        let status = status.status().as_u16();
        assert!([303, 400, 403].contains(&status), "{status} in round {round}");
        assert!(alive(&server, user.id).await.is_empty(), "round {round}");
        assert_eq!(browser.page("/account").await.name(), "login", "round {round}");
    }
}

/// While a session goes on under a new cookie, its row is there at every moment: what hangs on it is refreshed, and whoever
/// ends it finds it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_is_never_away_while_its_cookie_changes() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    let callback = browser.sign_in(&server.authorize(&[("scope", "openid")])).await;
    let mut token = text(&server.redeem(&callback["code"]).await.1, "refresh_token");
    let id = alive(&server, server.person("alice").await.id).await.remove(0).id;
    let done = AtomicBool::new(false);
    let watch = async {
        while !done.load(Ordering::SeqCst) {
            assert!(sessions::by_id(server.app.store().read(), id).await.unwrap().is_some());
        }
    };
    let sign_ins = async {
        for _ in 0..10 {
            browser.sign_in_as("alice").await;
        }
        done.store(true, Ordering::SeqCst);
    };
    futures::future::join(watch, sign_ins).await;
    for _ in 0..3 {
        let (answer, _) = futures::future::join(refresh(&server, &token), browser.sign_in_as("alice")).await;
        assert_eq!(answer.0, 200, "{}", answer.1);
        token = text(&answer.1, "refresh_token");
    }
    assert_eq!(alive(&server, server.person("alice").await.id).await.len(), 1);
}
