//! Protected resource metadata (RFC 9728): what our own endpoints and registered APIs say of the tokens they take, and
//! that a refusal leads there.

use serde_json::{Value, json};
use signet::domain::api::Api;
use signet::manage::{AuditContext, apis};

use crate::support::{Server, nginx};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

async fn get(server: &Server, path: &str) -> (u16, Value) {
    let response = reqwest::get(format!("{}{path}", server.url)).await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// §5.1 to §5.3: a client that knows one address finds its way to the authorization server.
#[tokio::test]
async fn a_refusal_leads_to_the_authorization_server() {
    let server = Server::with_alice().await;
    let request = reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url));
    let refused = request.send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let challenge = refused.headers()["www-authenticate"].to_str().unwrap().to_owned();
    let address = format!("{}{WELL_KNOWN}/oauth2/userinfo", server.url);
    assert_eq!(challenge, format!("Bearer resource_metadata=\"{address}\""));
    let document: Value = reqwest::get(address).await.unwrap().json().await.unwrap();
    assert_eq!(document["resource"], format!("{}/oauth2/userinfo", server.url), "§3.3: the address that was asked");
    assert_eq!(get(&server, WELL_KNOWN).await.1["resource"], server.url, "§3.3: that of the address it was found at");
    let issuer = document["authorization_servers"][0].as_str().unwrap();
    let discovery = format!("{issuer}/.well-known/oauth-authorization-server");
    let discovery: Value = reqwest::get(discovery).await.unwrap().json().await.unwrap();
    assert_eq!(
        (&discovery["issuer"], &discovery["jwks_uri"]),
        (&document["authorization_servers"][0], &document["jwks_uri"])
    );
    assert!(document["scopes_supported"].as_array().unwrap().contains(&json!("openid")));
    // Each way to send a token that it names is taken.
    let (_, tokens) = server.redeem(&server.code("openid").await).await;
    let token = tokens["access_token"].as_str().unwrap();
    for way in document["bearer_methods_supported"].as_array().unwrap() {
        let request = reqwest::Client::new().post(format!("{}/oauth2/userinfo", server.url));
        let request =
            if way == "header" { request.bearer_auth(token) } else { request.form(&[("access_token", token)]) };
        assert_eq!(request.send().await.unwrap().status(), 200, "{way}");
    }
    for (token, code) in [("x", "invalid_token"), ("", "invalid_request")] {
        let request = reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url));
        let refused = request.header("authorization", format!("Bearer {token}")).send().await.unwrap();
        let challenge = refused.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with(&format!("Bearer error=\"{code}\", ")), "{challenge}");
        assert!(challenge.ends_with(&format!("resource_metadata=\"{}{WELL_KNOWN}/oauth2/userinfo\"", server.url)));
    }
}

/// §2, §3.1: an API below the issuer at its own well-known address, any other one by name, for its host to pass on.
#[tokio::test]
async fn each_registered_api_has_its_document() {
    let server = Server::start().await;
    let below = format!("{}/api/v1", server.url);
    for api in [
        json!({ "identifier": "https://mcp.example.com/mcp", "name": "Notes", "scopes": ["notes.read", "notes.write"] }),
        json!({ "identifier": below }),
    ] {
        let api: Api = serde_json::from_value(api).unwrap();
        apis::put(&server.app.manager(), &AuditContext::command_line(), api).await.unwrap();
    }
    let named = format!("{WELL_KNOWN}?resource=https%3A%2F%2Fmcp.example.com%2Fmcp");
    let expected = json!({
        "resource": "https://mcp.example.com/mcp",
        "resource_name": "Notes",
        "authorization_servers": [server.url],
        "scopes_supported": ["notes.read", "notes.write"],
        "bearer_methods_supported": ["header"],
    });
    assert_eq!(get(&server, &named).await, (200, expected));
    let (status, document) = get(&server, &format!("{WELL_KNOWN}/api/v1")).await;
    assert_eq!((status, &document["resource"]), (200, &json!(below)));
    for path in [
        "/api",
        "/api/v1/",
        "/api/v2",
        "/api%2Fv1",
        "/https://mcp.example.com/mcp",
        "?resource=https://mcp.example.com",
    ] {
        let (status, error) = get(&server, &format!("{WELL_KNOWN}{path}")).await;
        assert_eq!((status, error["error"].is_string()), (404, true), "{path}");
    }
    let request = reqwest::Client::new().get(format!("{}{named}", server.url)).header("origin", "https://app.example");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    assert_eq!(response.headers()["cache-control"], "public, max-age=300");
}

/// As the parameter `resource` of requests (RFC 3986 §6.2); the document has the spelling that was registered.
#[tokio::test]
async fn api_is_named_by_an_equivalent_uri_in_the_query() {
    let server = Server::start().await;
    for identifier in ["https://mcp.example.com/mcp", "https://api.example.com"] {
        let api: Api = serde_json::from_value(json!({ "identifier": identifier })).unwrap();
        apis::put(&server.app.manager(), &AuditContext::command_line(), api).await.unwrap();
    }
    for (asked, registered) in [
        ("HTTPS://MCP.example.com:443/mcp", Some("https://mcp.example.com/mcp")),
        ("https://mcp.example.com/a/../%6dcp", Some("https://mcp.example.com/mcp")),
        ("https://api.example.com/", Some("https://api.example.com")),
        ("https://mcp.example.com/mcp/", None),
        ("https://mcp.example.com/MCP", None),
        ("http://api.example.com", None),
        ("not a URI", None),
    ] {
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("resource", asked).finish();
        let (status, document) = get(&server, &format!("{WELL_KNOWN}?{query}")).await;
        let expected = registered.map_or((404, Value::Null), |identifier| (200, json!(identifier)));
        assert_eq!((status, document["resource"].clone()), expected, "{asked}");
    }
}

/// The location of docs/integrating.md, in front of an API.
#[tokio::test]
async fn documented_location_hands_the_document_on() {
    let server = Server::start().await;
    let api = json!({ "identifier": "https://api.example.com", "name": "Example", "scopes": ["read"] });
    apis::put(&server.app.manager(), &AuditContext::command_line(), serde_json::from_value::<Api>(api).unwrap())
        .await
        .unwrap();
    let guide = include_str!("../../docs/integrating.md");
    let mut blocks = guide.split("```").filter_map(|block| block.strip_prefix("nginx\n"));
    let block = blocks.find(|block| block.contains(WELL_KNOWN)).expect("docs/integrating.md has the block");
    let location = block.replace("https://id.example.com", &server.url);
    let nginx = nginx::start(|own| format!("server {{ listen {own}; {location} }}"), &[]).await;
    let document: Value =
        reqwest::get(format!("http://{}{WELL_KNOWN}", nginx.address)).await.unwrap().json().await.unwrap();
    assert_eq!(document["resource"], "https://api.example.com");
    assert_eq!(document["authorization_servers"], json!([server.url]));
}
