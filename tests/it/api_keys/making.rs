//! Who may have which key, and how many.

use futures::future::join_all;
use signet::domain::api_key::{ApiKeySecret, Owner, network};
use signet::domain::event::EventKind;
use signet::domain::ids::{ApiKeyId, ClientId, UserId};
use signet::domain::scope::Scopes;
use signet::manage::api_keys::{MAX_KEYS, NewApiKey};
use signet::manage::{AuditContext, ManageError, clients, users};
use signet::store::api_keys::{ApiKeyFilter, list};

use super::{alice, is_good, made, make, new_key, recorded, web, with_apis};
use crate::support::Server;

async fn refused(server: &Server, new: NewApiKey) -> String {
    make(server, new).await.unwrap_err().to_string()
}

async fn all(server: &Server, filter: ApiKeyFilter) -> Vec<String> {
    let filter = ApiKeyFilter { most: 1000, ..filter };
    list(server.app.store().read(), &filter).await.unwrap().into_iter().map(|key| key.name).collect()
}

#[tokio::test]
async fn a_key_is_made_kept_by_its_digest_and_recorded() {
    let server = with_apis().await;
    let new = NewApiKey {
        name: "  my laptop ".to_owned(),
        scopes: "write read".split(' ').collect(),
        expires_at: Some(server.app.env().now().plus_seconds(366 * 86_400)),
        networks: ["10.1.2.3/8", "10.0.0.0/8", "192.0.2.1"].map(|text| network(text).unwrap()).to_vec(),
        ..new_key(alice(&server).await, "orders")
    };
    let (secret, key) = make(&server, new).await.unwrap();
    assert!(ApiKeySecret::parse(secret.expose()).is_some());
    assert_eq!(
        (key.name.as_str(), key.networks.len(), key.scopes.to_string().as_str()),
        ("my laptop", 2, "write read")
    );
    let store = server.app.store();
    let kept = store.authority().api_key(store, &secret.digest()).await.unwrap().unwrap();
    assert_eq!(*kept, key, "what is kept is what was made");
    assert!(is_good(&server, &secret).await);
    let (_, of_client) = made(&server, web()).await;
    for (owner, key) in [(alice(&server).await, &key), (web(), &of_client)] {
        let said = recorded(&server, EventKind::ApiKeyCreated, &owner).await;
        assert_eq!(said, [format!("{} ({}) for orders", key.name, key.id)]);
    }
}

#[tokio::test]
async fn what_nobody_may_have_is_refused_in_a_sentence() {
    let server = with_apis().await;
    let now = server.app.env().now();
    let of = |owner: &Owner| new_key(owner.clone(), "orders");
    let (alice, web) = (alice(&server).await, web());
    let networks = |number: u8| (0..number).map(|n| network(&format!("10.0.0.{n}")).unwrap()).collect::<Vec<_>>();
    let year = |seconds: i64| Some(now.plus_seconds(366 * 86_400 + seconds));
    let scopes = |text: &str| text.split(' ').collect();
    for (new, said) in [
        (new_key(alice.clone(), "closed"), "api: has no gate \"closed\""),
        (new_key(alice.clone(), "nowhere"), "api: has no gate \"nowhere\""),
        (NewApiKey { scopes: scopes("read delete"), ..of(&alice) }, "scope: has delete"),
        (NewApiKey { scopes: scopes("openid"), ..of(&alice) }, "scope: has openid"),
        (NewApiKey { scopes: scopes("read write"), ..of(&web) }, "scope: has write"),
        (NewApiKey { name: "a\u{0}b".to_owned(), ..of(&alice) }, "name: has 1 to 100"),
        (NewApiKey { expires_at: Some(now), ..of(&alice) }, "expires: must lie ahead"),
        (NewApiKey { expires_at: year(1), ..of(&alice) }, "expires: must lie ahead"),
        (NewApiKey { networks: networks(21), ..of(&alice) }, "allow: has more than 20"),
        (new_key(Owner::Client(ClientId::parse("gone").unwrap()), "orders"), "there is no client gone"),
        (new_key(Owner::User(UserId(uuid::Uuid::nil())), "orders"), "there is no user 0000"),
    ] {
        assert!(refused(&server, new.clone()).await.starts_with(said), "{said}: {}", refused(&server, new).await);
    }
    let several = NewApiKey { name: String::new(), expires_at: year(1), ..of(&alice) };
    assert!(matches!(make(&server, several).await, Err(ManageError::Invalid(problems)) if problems.len() == 2));
    for fine in [
        NewApiKey { expires_at: year(0), networks: networks(20), ..of(&alice) },
        NewApiKey { scopes: Scopes::default(), ..of(&alice) },
        new_key(web.clone(), "stock"),
    ] {
        make(&server, fine).await.unwrap();
    }
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    users::disable(&manager, &by, server.person("alice").await.id).await.unwrap();
    clients::disable(&manager, &by, &ClientId::parse("web").unwrap()).await.unwrap();
    assert_eq!(refused(&server, of(&alice)).await, "alice is disabled");
    assert_eq!(refused(&server, of(&web)).await, "web is disabled");
    assert_eq!(all(&server, ApiKeyFilter::default()).await.len(), 3, "nothing else was made");
}

/// Counted one after the other, whatever comes at once and on whichever node.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_gets_more_keys_than_there_may_be() {
    let nodes = with_apis().await.nodes().await;
    let owner = alice(&nodes[0]).await;
    for _ in 0..MAX_KEYS - 4 {
        made(&nodes[0], owner.clone()).await;
    }
    let at_once = (0..12).map(|at| make(&nodes[at % nodes.len()], new_key(owner.clone(), "orders")));
    let done = join_all(at_once).await;
    assert_eq!(done.iter().filter(|made| made.is_ok()).count(), 4);
    let refusals = done.into_iter().filter_map(Result::err);
    assert!(refusals.map(|error| error.to_string()).all(|text| text.starts_with("there are 100 keys already")));
    made(&nodes[0], web()).await;
}

#[tokio::test]
async fn keys_are_listed_by_owner_and_by_gate_page_by_page() {
    let server = with_apis().await;
    for (owner, gate, name) in [
        (alice(&server).await, "orders", "a1"),
        (web(), "orders", "w1"),
        (alice(&server).await, "stock", "a2"),
        (web(), "stock", "w2"),
    ] {
        make(&server, NewApiKey { name: name.to_owned(), ..new_key(owner, gate) }).await.unwrap();
        server.advance(1);
    }
    let gate = Some(new_key(web(), "stock").gate);
    assert_eq!(all(&server, ApiKeyFilter::default()).await, ["w2", "a2", "w1", "a1"]);
    assert_eq!(
        all(&server, ApiKeyFilter { owner: Some(alice(&server).await), ..ApiKeyFilter::default() }).await,
        ["a2", "a1"]
    );
    assert_eq!(all(&server, ApiKeyFilter { gate: gate.clone(), ..ApiKeyFilter::default() }).await, ["w2", "a2"]);
    assert_eq!(all(&server, ApiKeyFilter { gate, owner: Some(web()), ..ApiKeyFilter::default() }).await, ["w2"]);
    let page = async |before: Option<ApiKeyId>| {
        list(server.app.store().read(), &ApiKeyFilter { before, most: 3, ..ApiKeyFilter::default() }).await.unwrap()
    };
    let first = page(None).await;
    assert_eq!(first.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["w2", "a2", "w1"]);
    let second = page(first.last().map(|key| key.id)).await;
    assert_eq!(second.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["a1"]);
}
