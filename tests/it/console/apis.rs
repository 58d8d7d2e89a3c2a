//! APIs in the console: the table, a new one, all of its members, its rules in their order, a request tried on them.

use serde_json::{Value, json};
use signet::domain::api::Api;
use signet::manage::export::export;
use signet::manage::{AuditContext, apis};

use super::with_admin;
use crate::support::{Browser, Page, Server};

const ID: &str = "https://orders.example.com";
const PAGE: &str = "/admin/apis/https%3A%2F%2Forders.example.com";

async fn put(server: &Server, changes: Value) {
    let mut api = json!({
        "identifier": ID, "name": "Orders", "scopes": ["read", "write"], "gate": "orders", "accepts": ["bearer"],
        "rules": [
            { "methods": ["GET"], "path": "/public/**", "allow": "anonymous" },
            { "methods": ["GET"], "path": "/orders/**", "scopes": ["read"] },
            { "methods": ["POST", "DELETE"], "path": "/orders/**", "scopes": ["write"], "groups": ["staff", "night shift"] },
        ],
    });
    api.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let api: Api = serde_json::from_value(api).unwrap();
    apis::put(&server.app.manager(), &AuditContext::command_line(), api).await.unwrap();
}

/// The APIs as `export` has them.
async fn stored(server: &Server) -> Value {
    serde_json::to_value(export(&server.app.manager()).await.unwrap()).unwrap()["apis"].clone()
}

async fn save(admin: &Browser, changes: &[(&str, &str)]) -> Page {
    let page = admin.page(PAGE).await;
    admin.fill(&page, "#settings", changes).await
}

#[tokio::test]
async fn an_api_is_added_shown_and_deleted() {
    let (server, admin) = with_admin().await;
    assert!(admin.page("/admin/apis").await.text("main").contains("There is no API yet"));
    let page = admin.page("/admin/apis/new").await;
    let fields = [
        ("identifier", ID),
        ("name", "Orders <i>"),
        ("scopes", " read  write "),
        ("gate", "orders"),
        ("accepts", "bearer"),
        ("accepts", "api_key"),
        ("rule_0_methods", "get, post"),
        ("rule_0_path", "/orders/**"),
        ("rule_0_scopes", "read"),
    ];
    let added = admin.fill(&page, "#settings", &fields).await;
    assert_eq!((added.status, added.path.as_str()), (200, PAGE));
    assert!(added.html.contains("is added.") && !added.html.contains("Orders <i>"));
    assert_eq!(
        stored(&server).await,
        json!([{ "identifier": ID, "name": "Orders <i>", "scopes": ["read", "write"], "gate": "orders",
                 "accepts": ["bearer", "api_key"],
                 "rules": [{ "methods": ["GET", "POST"], "path": "/orders/**", "scopes": ["read"] }] }])
    );
    assert!(added.html.contains(&format!("{}/gate/verify/orders", server.url)));
    let row = admin.page("/admin/apis").await.text("tbody tr");
    for part in ["Orders <i>", ID, "orders", "bearer", "api_key", "Guarded"] {
        assert!(row.contains(part), "{part}: {row}");
    }
    let again = admin.fill(&page, "#settings", &fields).await;
    assert!(again.status == 422 && again.text("#identifier-error").contains("already"), "{}", again.html);
    let confirm = admin.page(&format!("{PAGE}/delete")).await;
    let refused = admin.fill(&confirm, "main form[method=post]", &[("confirm", "orders")]).await;
    assert!(refused.status == 422 && refused.has("#confirm-error"));
    let done = admin.fill(&confirm, "main form[method=post]", &[("confirm", ID)]).await;
    assert_eq!((done.path.as_str(), stored(&server).await), ("/admin/apis", json!([])));
    let events = admin.page("/admin/events").await.text("tbody");
    assert!(events.contains("API added") && events.contains("API deleted") && events.contains(ID));
}

#[tokio::test]
async fn every_member_is_set_and_taken_back() {
    let (server, admin) = with_admin().await;
    put(&server, json!({})).await;
    let before = stored(&server).await;
    assert_eq!(save(&admin, &[]).await.path, PAGE);
    assert_eq!(stored(&server).await, before, "what is shown is what is stored");
    let page = save(
        &admin,
        &[
            ("access_token_format", "opaque"),
            ("access_token_lifetime", "300"),
            ("burst", "5"),
            ("per_second", "0.5"),
            ("upstream_token", "true"),
            ("self_registered_clients", "true"),
            ("accepts", "session"),
            ("origins", "https://app.example\r\nhttp://localhost:3000\r\n"),
            ("rule_1_who", "phr"),
        ],
    )
    .await;
    let after = &stored(&server).await[0];
    let expected = json!({ "access_token_format": "opaque", "access_token_lifetime": 300, "accepts": ["session"],
                           "origins": ["https://app.example", "http://localhost:3000"],
                           "rate_limit": { "burst": 5, "per_second": 0.5 }, "upstream_token": true,
                           "self_registered_clients": true });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&after[name], value, "{name}");
    }
    assert_eq!(after["rules"][1]["acr"], "phr");
    assert_eq!((page.value("#burst"), page.value("#rule_1_who")), ("5".to_owned(), "phr".to_owned()));
    let back = [
        ("access_token_format", ""),
        ("access_token_lifetime", ""),
        ("burst", ""),
        ("per_second", ""),
        ("-upstream_token", ""),
        ("-self_registered_clients", ""),
        ("accepts", "bearer"),
        ("origins", ""),
        ("rule_1_who", ""),
    ];
    save(&admin, &back).await;
    assert_eq!(stored(&server).await, before);
    // A session counts where the app is, and only there.
    for (accepts, origins) in [("session", ""), ("bearer", "https://app.example"), ("session", "app.example")] {
        let page = save(&admin, &[("accepts", accepts), ("origins", origins)]).await;
        assert!(page.status == 422 && page.has("#origins-error"), "{accepts} {origins}");
        assert_eq!(page.value("#origins"), origins);
    }
    // Without a gate there is nothing to guard.
    let page = save(&admin, &[("gate", ""), ("-accepts", "")]).await;
    assert!(page.status == 422 && page.has("#gate-error"));
    let remove = [("rule_0_remove", "true"), ("rule_1_remove", "true"), ("rule_2_remove", "true")];
    save(&admin, &[&remove[..], &[("gate", ""), ("-accepts", "")]].concat()).await;
    assert!(stored(&server).await[0].get("gate").is_none());
    assert!(admin.page("/admin/apis").await.text("tbody").contains("No gate"));
}

#[tokio::test]
async fn rules_are_added_moved_and_removed() {
    let (server, admin) = with_admin().await;
    put(&server, json!({})).await;
    let page = admin.page(PAGE).await;
    assert_eq!(
        (page.count("#settings ol.list > li"), page.text("#settings legend:nth-child(1)").is_empty()),
        (4, false)
    );
    assert!(page.text("#settings").contains("Anything else is refused."));
    let paths = async || -> Vec<String> {
        let all = stored(&server).await;
        let rules = all[0]["rules"].as_array().unwrap();
        rules
            .iter()
            .map(|rule| format!("{} {}", rule["methods"][0].as_str().unwrap(), rule["path"].as_str().unwrap()))
            .collect()
    };
    save(&admin, &[("rule_3_methods", "put"), ("rule_3_path", "/me"), ("rule_3_groups", "night shift, staff")]).await;
    assert_eq!(paths().await, ["GET /public/**", "GET /orders/**", "POST /orders/**", "PUT /me"]);
    assert_eq!(stored(&server).await[0]["rules"][3]["groups"], json!(["night shift", "staff"]));
    // The last one first, and another one gone.
    let page = save(&admin, &[("rule_3_at", "1"), ("rule_1_remove", "true")]).await;
    assert_eq!(paths().await, ["PUT /me", "GET /public/**", "POST /orders/**"]);
    assert_eq!((page.value("#rule_0_path"), page.value("#rule_0_at")), ("/me".to_owned(), "1".to_owned()));
    save(&admin, &[("rule_0_who", "anonymous"), ("rule_0_groups", "")]).await;
    assert_eq!(stored(&server).await[0]["rules"][0]["allow"], "anonymous");
}

#[tokio::test]
async fn what_is_refused_is_told_at_its_field_and_everything_typed_stays() {
    let (server, admin) = with_admin().await;
    put(&server, json!({})).await;
    put(&server, json!({ "identifier": "https://other.example.com", "gate": "others" })).await;
    let before = stored(&server).await;
    for (field, typed, at) in [
        ("scopes", "a\"b", "scopes"),
        ("scopes", "openid read write", "scopes"),
        ("access_token_lifetime", "29", "access_token_lifetime"),
        ("access_token_lifetime", "soon", "access_token_lifetime"),
        ("gate", "No Name", "gate"),
        ("gate", "others", "gate"),
        ("burst", "5", "rate_limit"),
        ("burst", "-1", "rate_limit"),
        ("rule_1_path", "orders", "rule_1_path"),
        ("rule_1_path", "/a*", "rule_1_path"),
        ("rule_1_path", "", "rule_1_path"),
        ("rule_1_path", "/my%20files/**", "rule_1_path"),
        ("rule_1_path", "/a;b", "rule_1_path"),
        ("rule_1_methods", "", "rule_1"),
        ("rule_1_methods", "G3T", "rule_1"),
        ("rule_1_scopes", "delete", "rule_1"),
        ("rule_1_at", "first", "rule_1_at"),
        ("rule_1_who", "anonymous", "rule_1"),
        ("rule_3_scopes", "read", "rule_3_path"),
    ] {
        let page = save(&admin, &[(field, typed), ("name", "Kept")]).await;
        assert_eq!(page.status, 422, "{field} {typed}");
        let said = page.text(&format!("#{at}-error"));
        assert!(
            said.ends_with('.') && page.text(".notice.bad").contains("Nothing was saved"),
            "{field} {typed}: {said}"
        );
        assert_eq!((page.value(&format!("#{field}")).as_str(), page.value("#name").as_str()), (typed, "Kept"));
        assert_eq!(stored(&server).await, before, "{field} {typed}");
    }
    let page = admin.page("/admin/apis/new").await;
    for typed in ["orders", "https://a.example#b", ""] {
        let refused = admin.fill(&page, "#settings", &[("identifier", typed), ("name", "Kept")]).await;
        assert!(refused.status == 422 && refused.has("#identifier-error"), "{typed}");
        assert_eq!((refused.value("#identifier").as_str(), refused.value("#name").as_str()), (typed, "Kept"));
    }
}

/// What is shown is what is stored, and what was typed is tried as a browser would ask for it.
#[tokio::test]
async fn paths_are_written_as_people_read_them() {
    let (server, admin) = with_admin().await;
    put(&server, json!({})).await;
    save(&admin, &[("rule_0_path", " /my files/<b>/** "), ("rule_1_path", "/straße/*")]).await;
    let page = save(&admin, &[("name", "Others")]).await;
    let rules = &stored(&server).await[0]["rules"];
    assert_eq!((&rules[0]["path"], &rules[1]["path"]), (&json!("/my files/<b>/**"), &json!("/straße/*")));
    assert_eq!(
        (page.value("#rule_0_path").as_str(), page.value("#rule_1_path").as_str()),
        ("/my files/<b>/**", "/straße/*")
    );
    for (tried, rule) in
        [("/my files/<b>/1", 1), ("/my%20files/%3Cb%3E", 1), ("/straße/ä", 2), ("/stra%C3%9Fe/1?x=é", 2)]
    {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("method", "GET")
            .append_pair("path", tried)
            .finish();
        let said = admin.page(&format!("{PAGE}?{query}")).await.text("#outcome");
        assert!(said.contains(&format!("Rule {rule} decides")), "{tried}: {said}");
    }
    let refused = save(&admin, &[("rule_0_path", "/my%20files")]).await.text("#rule_0_path-error");
    assert!(refused.contains("written as people read it"), "{refused}");
}

/// A rule that got lost on the way would leave its requests to the next one that fits.
#[tokio::test]
async fn a_list_of_rules_that_is_not_whole_is_refused() {
    let (server, admin) = with_admin().await;
    put(&server, json!({})).await;
    let before = stored(&server).await;
    let page = admin.page(PAGE).await;
    for changes in [
        vec![("-rule_1_path", "")],
        vec![("-rule_2_at", "")],
        vec![("-rules", "")],
        vec![("rules", "5")],
        vec![("rules", "-1")],
        vec![("rules", "99999999999999999999")],
        vec![("-gate", "")],
    ] {
        assert_eq!(admin.fill(&page, "#settings", &changes).await.status, 400, "{changes:?}");
    }
    assert_eq!(stored(&server).await, before);
}

#[tokio::test]
async fn more_rules_than_most_have_are_edited_too() {
    let (server, admin) = with_admin().await;
    let rules: Vec<Value> = (0..120).map(|n| json!({ "methods": ["GET"], "path": format!("/things/{n}") })).collect();
    put(&server, json!({ "rules": rules })).await;
    assert_eq!(save(&admin, &[("rule_119_at", "1")]).await.status, 200);
    assert_eq!(stored(&server).await[0]["rules"][0]["path"], "/things/119");
}

#[tokio::test]
async fn a_request_is_tried_on_the_rules() {
    let (server, admin) = with_admin().await;
    put(&server, json!({})).await;
    for (method, path, says) in [
        ("GET", "/public/a", "Rule 1 decides: GET /public/** . It asks for nothing: anybody gets in."),
        ("head", "/orders/1?x=..", "Rule 2 decides: GET /orders/** . It asks for the scope read."),
        (
            "POST",
            "/orders",
            "Rule 3 decides: POST DELETE /orders/** . It asks for the scope write, and one of the groups staff, night shift.",
        ),
        ("PUT", "/orders", "No rule fits, so it is refused: 401 without a credential, 403 with one."),
        ("GET", "/Public/a", "No rule fits"),
        ("GET", "/orders/../public", "Refused before any rule. The path has a segment of dots."),
        ("GET", "/orders/a%2fb", "The path has an encoded slash."),
        ("GET", "orders", "A path begins with a slash."),
        ("GET", "@evil/public/a", "A path begins with a slash."),
        ("G T", "/orders", "The method is none."),
    ] {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("method", method)
            .append_pair("path", path)
            .finish();
        let page = admin.page(&format!("{PAGE}?{query}")).await;
        assert!(page.text("#outcome").contains(says), "{method} {path}: {}", page.text("#outcome"));
        assert_eq!(page.value("#path"), path);
    }
    assert!(!admin.page(PAGE).await.has("#outcome"));
}
