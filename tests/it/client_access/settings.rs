//! How `allowed_groups` and `id_token_claims` are set: in documents, in the console, on the command line, and never by a client
//! that registers itself.

use serde_json::{Value, json};
use signet::store::users;

use super::{put_into, signed_in, with_staff};
use crate::console::{connect, make_admin, stored};
use crate::support::program::Program;
use crate::support::{Browser, CALLBACK, PASSWORD, Page, Server};

fn document(client: &Value) -> String {
    let mut row = json!({ "client_id": "web", "client_name": "Web", "redirect_uris": [CALLBACK] });
    row.as_object_mut().unwrap().extend(client.as_object().unwrap().clone());
    json!({ "users": [{ "username": "alice", "groups": ["staff"] }], "clients": [row] }).to_string()
}

#[tokio::test]
async fn documents_carry_groups_and_claims_of_clients() {
    let program = Program::installed().await;
    let members = json!({ "allowed_groups": ["staff", " ops "], "id_token_claims": ["groups", "email"] });
    let plan = program.run_with(&["apply", "--json", "-"], &document(&members)).done();
    assert!(plan.contains("\"ops\""), "a group that a client names is made, and said: {plan}");
    let exported: Value = serde_json::from_str(&program.done(&["export"])).unwrap();
    assert_eq!(exported["clients"][0]["allowed_groups"], json!(["staff", "ops"]));
    assert_eq!(exported["clients"][0]["id_token_claims"], json!(["groups", "email"]));
    assert_eq!(program.run_with(&["apply", "-"], &exported.to_string()).done(), "nothing to change\n");
    // Prune keeps what a client names, and what is left out is everybody again.
    assert_eq!(program.run_with(&["apply", "--prune", "-"], &document(&members)).done(), "nothing to change\n");
    program.run_with(&["apply", "-"], &document(&json!({}))).done();
    let exported: Value = serde_json::from_str(&program.done(&["export"])).unwrap();
    assert_eq!(exported["clients"][0].get("allowed_groups"), None);
}

#[tokio::test]
async fn wrong_groups_and_claims_are_refused_by_name() {
    let program = Program::installed().await;
    for (members, named) in [
        (json!({ "allowed_groups": ["a,b"] }), "clients[0].allowed_groups"),
        (json!({ "allowed_groups": [""] }), "clients[0].allowed_groups"),
        (json!({ "allowed_groups": "staff" }), "clients[0].allowed_groups"),
        (json!({ "id_token_claims": ["sub"] }), "clients[0].id_token_claims"),
        (json!({ "id_token_claims": ["emial"] }), "clients[0].id_token_claims"),
    ] {
        let error = program.run_with(&["apply", "-"], &document(&members)).refused();
        assert!(error.contains(named), "{members}: {error}");
    }
    assert_eq!(program.count("client").await, 0);
}

#[tokio::test]
async fn command_line_creates_a_client_for_a_group() {
    let program = Program::installed().await;
    let args = ["client", "create", "--id", "web", "--redirect-uri", CALLBACK, "--allowed-group", "staff", "--json"];
    program.done(&[&args[..], &["--id-token-claim", "groups", "--scope", "openid groups"]].concat());
    let listed = program.json(&["client", "list", "--json"]);
    assert_eq!((&listed[0]["allowed_groups"], &listed[0]["id_token_claims"]), (&json!(["staff"]), &json!(["groups"])));
}

pub(super) async fn console() -> (Server, Browser) {
    let server = with_staff().await;
    server.user("root").await;
    make_admin(&server, "root").await;
    let admin = signed_in(&server, "root").await;
    (server, admin)
}

#[tokio::test]
async fn console_opens_and_closes_an_app_for_groups() {
    let (server, admin) = console().await;
    put_into(&server, "bob", &["ops"]).await;
    let page = admin.page("/admin/clients/web").await;
    let saved = admin.fill(&page, "#settings", &[("allowed_groups", "staff"), ("allowed_groups", "ops")]).await;
    assert_eq!(saved.status, 200, "{}", saved.text(".notice"));
    let groups = async || serde_json::to_value(stored(&server, "web").await.meta).unwrap()["allowed_groups"].clone();
    assert_eq!(groups().await, json!(["ops", "staff"]));
    // Without a group it would be open to everybody: that has to be said.
    let refused = admin.fill(&saved, "#settings", &[("-allowed_groups", "")]).await;
    assert!(refused.status == 422 && refused.has("#allowed_groups-error"), "{}", refused.text(".notice"));
    assert_eq!(groups().await, json!(["ops", "staff"]));
    // A form that is cut short does not open it.
    let cut = admin.fill(&saved, "#settings", &[("-access", ""), ("-allowed_groups", "")]).await;
    assert_eq!(cut.status, 400);
    let open = admin.fill(&saved, "#settings", &[("access", "everybody"), ("id_token_claims", "groups email")]).await;
    assert_eq!(open.status, 200);
    assert_eq!(groups().await, Value::Null);
    assert_eq!(stored(&server, "web").await.meta.id_token_claims, ["groups", "email"]);
    let new = [("client_name", "New"), ("redirect_uris", CALLBACK), ("access", "groups"), ("allowed_groups", "staff")];
    let made = connect(&admin, "web", &[&new[..], &[("client_id", "new-one")]].concat()).await;
    assert_eq!(made.path, "/admin/clients/new-one");
    assert!(stored(&server, "new-one").await.meta.admits(&["staff".to_owned()]));
    assert!(!stored(&server, "new-one").await.meta.admits(&[]));
}

/// What Enter in a field of a form with groups sends beside its fields.
const ENTER: (&str, &str) = ("find_groups", "enter");

/// 50 groups are a search, and no box that is ticked is lost by it.
#[tokio::test]
async fn many_groups_are_searched() {
    let (server, admin) = console().await;
    let names: Vec<String> = (0..50).map(|n| format!("team-{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    put_into(&server, "root", &names).await;
    let bob = server.person("bob").await.id;
    let path = format!("/admin/people/{bob}");
    for (path, form) in
        [(path.as_str(), format!("form[action='{path}/groups']")), ("/admin/people/new", "main form".into())]
    {
        let page = admin.page(path).await;
        assert_eq!(page.count("[name=groups]"), 0, "{path}");
        assert!(page.has("input[type=search][name=group_q]"), "{path}");
        let search = [("group_q", "TEAM-4"), ("find_groups", "true"), ("groups", "staff"), ("username", "carol")];
        let found = admin.fill(&page, &form, &search).await;
        assert_eq!((found.status, found.count("[name=groups]")), (200, 11), "{path}");
        assert!(found.has("[name=groups][value=staff][checked]") && !found.has("[value=team-41][checked]"), "{path}");
        assert!(found.text("#groups-unsaved").contains("Nothing has been saved yet."), "{path}");
        // Enter in the search field presses the form's first button: it finds, too, and saves nothing.
        let first = format!("{form} button[type=submit]");
        let button = [found.attribute(&first, "name").unwrap(), found.attribute(&first, "value").unwrap()];
        assert_eq!(button, ["find_groups", "enter"], "{path}");
        let other = admin.fill(&found, &form, &[("group_q", "team-07"), ENTER]).await;
        assert_eq!((other.status, other.count("[name=groups]")), (200, 2), "{path}");
        assert!(other.has("#groups-unsaved"), "{path}");
    }
    assert!(users::groups_of(server.app.store().read(), bob).await.unwrap().is_empty());
    let page = admin.page(&path).await;
    let form = format!("form[action='{path}/groups']");
    let found = admin.fill(&page, &form, &[("group_q", "team-41"), ("find_groups", "true")]).await;
    admin.fill(&found, &form, &[("groups", "team-41")]).await;
    assert_eq!(users::groups_of(server.app.store().read(), bob).await.unwrap(), ["team-41"]);
    let page = admin.page(&path).await;
    assert!(page.has("[name=groups][value=team-41][checked]"), "those of the user are shown");
    // The same in an app's settings.
    let page = admin.page("/admin/clients/web").await;
    assert_eq!(page.count("[name=allowed_groups]"), 1);
    let found = admin.fill(&page, "#settings", &[("group_q", "team-4"), ("client_name", "Other"), ENTER]).await;
    assert_eq!((found.status, found.count("[name=allowed_groups]")), (200, 11));
    assert_eq!((found.value("#client_name").as_str(), stored(&server, "web").await.display_name()), ("Other", "Web"));
}

/// Neither the button that saves nor Enter in another field is taken for a search that was carried out already.
#[tokio::test]
async fn save_with_text_in_the_group_search_saves() {
    let (server, admin) = console().await;
    let names: Vec<String> = (0..20).map(|n| format!("team-{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    put_into(&server, "root", &names).await;
    let bob = server.person("bob").await.id;
    let path = format!("/admin/people/{bob}");
    let form = format!("form[action='{path}/groups']");
    let page = admin.page(&path).await;
    let saved = admin.fill(&page, &form, &[("group_q", "team"), ("groups", "team-01")]).await;
    assert!(saved.html.contains("The groups are saved."), "{}", saved.text("main"));
    let of_bob = async || users::groups_of(server.app.store().read(), bob).await.unwrap();
    assert_eq!(of_bob().await, ["team-01"]);
    let found = admin.fill(&saved, &form, &[("group_q", "team-02"), ENTER]).await;
    assert!(found.has("#groups-unsaved") && of_bob().await == ["team-01"]);
    let saved = admin.fill(&found, &form, &[("new_groups", "night-shift"), ENTER]).await;
    assert!(saved.html.contains("The groups are saved."), "{}", saved.text("main"));
    assert!(of_bob().await.contains(&"night-shift".to_owned()));

    let page = admin.page("/admin/clients/web").await;
    let saved = admin.fill(&page, "#settings", &[("group_q", "team-1"), ("client_name", "Other")]).await;
    assert!(saved.html.contains("Saved."), "{}", saved.text("main"));
    assert_eq!(stored(&server, "web").await.display_name(), "Other");
    let new = [("client_name", "New"), ("redirect_uris", CALLBACK), ("client_id", "other"), ("group_q", "team-1")];
    assert_eq!(connect(&admin, "web", &new).await.path, "/admin/clients/other");
    let page = admin.page("/admin/people/new").await;
    let carol = [("username", "carol"), ("password", PASSWORD), ("group_q", "team-1")];
    let made = admin.fill(&page, "main form", &carol).await;
    assert!(made.html.contains("can sign in now"), "{}", made.text("main"));
}

/// The page of a form of an older session has what was searched and ticked: sent again, it searches or saves as before.
#[tokio::test]
async fn a_stale_form_keeps_the_group_search() {
    let (server, admin) = console().await;
    let names: Vec<String> = (0..20).map(|n| format!("team-{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    put_into(&server, "root", &names).await;
    let bob = server.person("bob").await.id;
    let (path, of_bob) =
        (format!("/admin/people/{bob}"), async || users::groups_of(server.app.store().read(), bob).await.unwrap());
    let form = format!("form[action='{path}/groups']");
    let searched = admin.fill(&admin.page(&path).await, &form, &[("group_q", "team-0"), ("find_groups", "true")]).await;
    let ticked = [("group_q", "team-1"), ("groups", "team-03"), ("new_groups", "night-shift")];
    let is_kept = |page: &Page, status: u16| {
        assert_eq!((page.status, page.name().as_str()), (status, "stale-form"), "{}", page.html);
        for (name, value) in ticked {
            assert_eq!(page.value(&format!("[name={name}]")), value, "{status}");
        }
    };
    for button in [("find_groups", "true"), ENTER, ("-find_groups", "")] {
        sign_out(&admin).await;
        let signed_out = admin.fill(&searched, &form, &[&ticked[..], &[button]].concat()).await;
        is_kept(&signed_out, 403);
        admin.sign_in_as("root").await;
        let again = admin.fill(&signed_out, "main form", &[]).await;
        is_kept(&again, 409);
        let done = admin.fill(&again, "main form", &[]).await;
        if button.0 == "-find_groups" {
            assert!(done.html.contains("The groups are saved."), "{}", done.html);
            assert_eq!(of_bob().await, ["night-shift", "team-03"]);
        } else {
            assert_eq!((done.status, done.value("[name=group_q]").as_str()), (200, "team-1"), "{button:?}");
            assert!(done.has("#groups-unsaved") && done.has("[name=groups][value=team-03][checked]"), "{button:?}");
            assert_eq!((done.value("[name=new_groups]").as_str(), done.count("[name=groups]")), ("night-shift", 11));
            assert!(of_bob().await.is_empty(), "{button:?}");
        }
    }
}

async fn sign_out(browser: &Browser) {
    let page = browser.page("/oauth2/logout").await;
    browser.submit(&page, &[("decision", "allow")]).await.expect("signed out");
}
