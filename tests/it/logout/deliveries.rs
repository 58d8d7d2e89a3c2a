//! Telling apps of a sign-out, whatever comes between: answers that are no, apps that are away, nodes that share the work or
//! die with it, and the program by itself.

use std::time::Duration;

use serde_json::{Value, json};
use signet::config::RegistrationMode;
use signet::domain::event::EventKind;
use signet::domain::ids::{ClientId, SessionId};
use signet::domain::participant::Participant;
use signet::manage::{AuditContext, users};
use signet::server::deliveries;
use signet::store::{events, session_clients};

use super::backchannel::{DAY, TOLD, arrived, client, sid, sids, sign_out, with_receiver};
use super::signed_in;
use crate::support::program::{Program, within};
use crate::support::receiver::{Answer, Receiver, reachable};
use crate::support::{CALLBACK, PASSWORD, SECRET, Server};
use crate::token::claims;

async fn undelivered(server: &Server) -> usize {
    let kinds = vec![EventKind::LogoutUndelivered];
    let filter = events::EventFilter { kinds, most: 10, ..Default::default() };
    events::list(server.app.store().read(), &filter).await.unwrap().len()
}

/// §2.8: 200 and 204 are the end of it, 400 too, which the record tells; anything else is tried again, later each time.
#[tokio::test]
async fn an_answer_decides_whether_it_is_told_again() {
    for (status, again) in
        [(200, false), (204, false), (400, false), (500, true), (503, true), (302, true), (404, true)]
    {
        let (server, receiver) = with_receiver(json!({})).await;
        receiver.answer_in_turn(TOLD, vec![Answer::status(status), Answer::status(200)]);
        let (browser, _) = signed_in(&server).await;
        sign_out(&browser).await;
        server.deliver().await;
        server.deliver().await;
        assert_eq!(receiver.requests(TOLD).len(), 1, "{status}: not at once");
        assert_eq!(undelivered(&server).await, usize::from(status == 400), "{status}");
        server.advance(3600);
        server.deliver().await;
        let tokens = arrived(&receiver);
        assert_eq!(tokens.len(), 1 + usize::from(again), "{status}");
        if again {
            // Made when it is sent, so that it has not expired meanwhile; and told to be the same by its jti.
            assert_eq!(claims(&tokens[0])["jti"], claims(&tokens[1])["jti"]);
            assert_eq!(claims(&tokens[1])["iat"], server.app.env().now().seconds());
            assert_eq!(claims(&tokens[0])["sid"], claims(&tokens[1])["sid"]);
        }
        server.advance(3600);
        server.deliver().await;
        assert_eq!(receiver.requests(TOLD).len(), 1 + usize::from(again), "{status}: then it is known");
    }
}

/// An app that never does is given up one day, and the record says so.
#[tokio::test]
async fn an_app_that_never_does_is_given_up() {
    let (server, receiver) = with_receiver(json!({})).await;
    receiver.answer(TOLD, Answer::status(500));
    let (browser, _) = signed_in(&server).await;
    sign_out(&browser).await;
    for _ in 0..60 {
        server.deliver().await;
        server.advance(DAY);
    }
    let tries = receiver.requests(TOLD).len();
    assert!((3..50).contains(&tries), "{tries}");
    assert_eq!(undelivered(&server).await, 1);
}

/// T19: an address that strangers must not make us ask is not asked, however it came into the metadata.
#[tokio::test]
async fn a_private_address_is_not_told() {
    let receiver = Receiver::start().await;
    receiver.answer(TOLD, Answer::status(200));
    let server = Server::start().await;
    server.user("alice").await;
    client(&server, &receiver, "web", json!({})).await;
    let (browser, _) = signed_in(&server).await;
    sign_out(&browser).await;
    server.deliver().await;
    server.advance(3600);
    server.deliver().await;
    assert_eq!(receiver.requests("/told").len(), 0);
}

/// Nodes on one database share the work: one of them tells, whoever signed out where.
#[tokio::test]
async fn two_nodes_tell_once() {
    let (server, receiver) = with_receiver(json!({})).await;
    let other = server.node().await;
    let mut known = Vec::new();
    for _ in 0..5 {
        let (browser, hint) = signed_in(&server).await;
        sign_out(&browser).await;
        known.push(sid(&hint));
    }
    tokio::join!(server.deliver(), other.deliver(), server.deliver(), other.deliver());
    let mut told = sids(&receiver);
    told.sort();
    known.sort();
    assert_eq!(told, known);
}

/// A node that goes away before it has told leaves the work to the next one.
#[tokio::test]
async fn a_restart_forgets_nobody() {
    let (server, receiver) = with_receiver(json!({})).await;
    receiver.answer_in_turn(TOLD, vec![Answer::status(500), Answer::status(200)]);
    let (browser, hint) = signed_in(&server).await;
    sign_out(&browser).await;
    server.deliver().await;
    let next = server.node().await;
    next.advance(3600);
    next.deliver().await;
    assert_eq!(sids(&receiver), [sid(&hint), sid(&hint)]);
}

/// As many sessions of a user of her own in which the client took part end at once.
async fn end_sessions_of(server: &Server, user: &str, client: &str, number: usize) {
    let user = server.user(user).await;
    let store = server.app.store();
    let client = store.authority().client(store, &ClientId::parse(client).unwrap()).await.unwrap().unwrap();
    let (env, until) = (server.app.env(), server.app.env().now().plus_seconds(3600));
    let all: Vec<Participant> = (0..number)
        .map(|_| Participant {
            client: client.id.clone(),
            incarnation: client.incarnation,
            user,
            session: SessionId(env.uuid()),
        })
        .collect();
    let join = store.write(move |tx| {
        Box::pin(async move {
            for participant in &all {
                session_clients::join(tx, participant, until).await?;
            }
            Ok(())
        })
    });
    join.await.unwrap();
    users::end_sessions(&server.app.manager(), &AuditContext::command_line(), user, None).await.unwrap();
}

/// T51: a client that registered itself and whose host is silent takes no place of what an administrator registered, however
/// many sign-outs it is to be told of; nor does a silent client of an administrator's take another one's.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn silent_hosts_delay_no_other_clients_sign_out() {
    for by_admin in [false, true] {
        let (silent, receiver) = (Receiver::start().await, Receiver::start().await);
        silent.answer(TOLD, Answer::silence());
        receiver.answer(TOLD, Answer::status(204));
        let server = Server::start_with(|config| {
            reachable(config);
            config.registration = RegistrationMode::Open;
        })
        .await;
        server.user("alice").await;
        client(&server, &receiver, "web", json!({})).await;
        let hangs = if by_admin {
            client(&server, &silent, "hangs", json!({})).await;
            "hangs".to_owned()
        } else {
            let body =
                json!({ "redirect_uris": ["https://app.example/cb"], "backchannel_logout_uri": silent.at(TOLD) });
            let register = reqwest::Client::new().post(format!("{}/oauth2/register", server.url)).json(&body);
            let answer: Value = register.send().await.unwrap().json().await.unwrap();
            answer["client_id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
        };
        let (browser, _) = signed_in(&server).await;
        let running = tokio::spawn(deliveries::run(server.app.clone()));
        end_sessions_of(&server, "bob", &hangs, 250).await;
        silent.asked(TOLD, 4).await;
        sign_out(&browser).await;
        let told = tokio::time::timeout(Duration::from_secs(2), receiver.asked(TOLD, 1)).await;
        assert!(told.is_ok(), "by an administrator: {by_admin}");
        assert_eq!(silent.requests(TOLD).len(), 4, "one origin has four places");
        running.abort();
    }
}

/// The program by itself: what a command has ended while nobody served is told at the next start, and what one ends beside
/// a running server at once.
#[tokio::test]
async fn commands_reach_the_apps_of_a_server_that_is_stopped_and_of_one_that_runs() {
    let receiver = Receiver::start().await;
    receiver.answer(TOLD, Answer::status(204));
    let mut program = Program::installed().await;
    program.set("SIGNET_OUTBOUND__ALLOW", "127.0.0.1");
    let document = json!({
        "users": [{ "username": "alice", "password": PASSWORD }],
        "clients": [{ "client_id": "web", "client_secret": SECRET, "redirect_uris": [CALLBACK], "consent": "trusted",
                      "scope": "openid", "backchannel_logout_uri": receiver.at(TOLD) }],
    });
    program.run_with(&["apply", "-"], &document.to_string()).done();
    let parameters = [("client_id", "web"), ("redirect_uri", CALLBACK), ("response_type", "code"), ("scope", "openid")];
    let authorize = url::Url::parse_with_params(&format!("{}/oauth2/authorize", program.url()), parameters).unwrap();

    let server = program.serve(&[]);
    program.browser().sign_in(authorize.as_str()).await;
    server.kill();
    program.done(&["user", "disable", "alice"]);
    assert_eq!(receiver.requests(TOLD).len(), 0, "a command sends nothing");
    let server = program.serve(&[]);
    receiver.asked(TOLD, 1).await;

    program.done(&["user", "enable", "alice"]);
    let browser = program.browser();
    within(5, || async {
        let login = browser.page("/login").await;
        let shown = browser.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await;
        shown.is_ok_and(|page| page.path == "/")
    })
    .await;
    browser.sign_in(authorize.as_str()).await;
    program.done(&["user", "disable", "alice"]);
    receiver.asked(TOLD, 2).await;
    let told = sids(&receiver);
    assert_ne!(told[0], told[1]);
    server.stop();
}

/// A node that is killed while it tells an app: another one does within ten seconds, and the app can see by the `jti` that
/// it is the same sign-out.
#[tokio::test]
async fn a_killed_node_delays_a_sign_out_by_ten_seconds_at_most() {
    let receiver = Receiver::start().await;
    receiver.answer_in_turn(TOLD, vec![Answer::silence(), Answer::status(204)]);
    let mut program = Program::installed().await;
    program.set("SIGNET_OUTBOUND__ALLOW", "127.0.0.1");
    let document = json!({
        "users": [{ "username": "alice", "password": PASSWORD }],
        "clients": [{ "client_id": "web", "client_secret": SECRET, "redirect_uris": [CALLBACK], "consent": "trusted",
                      "scope": "openid", "backchannel_logout_uri": receiver.at(TOLD) }],
    });
    program.run_with(&["apply", "-"], &document.to_string()).done();
    let parameters = [("client_id", "web"), ("redirect_uri", CALLBACK), ("response_type", "code"), ("scope", "openid")];
    let authorize = url::Url::parse_with_params(&format!("{}/oauth2/authorize", program.url()), parameters).unwrap();
    let server = program.serve(&[]);
    program.browser().sign_in(authorize.as_str()).await;
    let neighbour = program.neighbour();
    let other = neighbour.serve(&[]);
    // It takes no part until the first one has begun.
    other.signal("STOP");
    program.done(&["user", "disable", "alice"]);
    receiver.asked(TOLD, 1).await;
    server.kill();
    other.signal("CONT");
    // Two more for the request itself on a busy machine.
    within(12, || async { receiver.requests(TOLD).len() == 2 }).await;
    let tokens = arrived(&receiver);
    assert_eq!(claims(&tokens[0])["jti"], claims(&tokens[1])["jti"]);
    other.stop();
}

/// A code that is on its way while its session ends: the app gets none, or is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_app_that_gets_a_code_at_the_last_moment_is_told() {
    let (server, receiver) = with_receiver(json!({})).await;
    let alice = server.person("alice").await.id;
    let mut issued = 0;
    for round in 0..40_u32 {
        let browser = server.browser();
        browser.sign_in_as("alice").await;
        let (manager, by, path) = (server.app.manager(), AuditContext::command_line(), server.authorize(&[]));
        // Later each time by some turns of the machine, so that sometimes the one comes first and sometimes the other.
        let ended = async {
            for _ in 0..round * 50 {
                tokio::task::yield_now().await;
            }
            users::end_sessions(&manager, &by, alice, None).await
        };
        let (response, ended) = tokio::join!(browser.raw(&path), ended);
        assert_eq!(ended.unwrap(), 1);
        let to = response.headers()["location"].to_str().unwrap();
        issued += usize::from(to.contains("code="));
        server.deliver().await;
        assert_eq!(receiver.requests(TOLD).len(), issued, "round {round}: {to}");
    }
}
