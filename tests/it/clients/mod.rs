//! Client libraries as people set them up, in the programs of `tests/clients`: sign-in, refreshes in parallel and logout.
//! [`web_apps`]: apps with a server, gone through as a browser without JavaScript does; [`browser`]: an app in the browser;
//! [`oauth2_proxy`]: a proxy that signs users in for an app.

mod browser;
mod oauth2_proxy;
mod web_apps;

use futures::future::join_all;
use reqwest::Url;
use serde_json::{Value, json};

use crate::support::client_programs::ClientProgram;
use crate::support::languages::Served;
use crate::support::program::free_address;
use crate::support::{Browser, PASSWORD, Page, SECRET, Server};

/// What the browser shows at last.
#[derive(Debug)]
struct Visit {
    url: String,
    status: u16,
    text: String,
}

impl Visit {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{self:?}"))
    }
}

/// Opens `address` as alice, who signs in and allows what she is asked, and follows to wherever it leads.
async fn visit(browser: &Browser, address: &str) -> Visit {
    let mut response = browser.raw(address).await;
    for _ in 0..30 {
        let (url, status) = (response.url().clone(), response.status().as_u16());
        if let Some(to) = response.headers().get("location") {
            response = browser.raw(url.join(to.to_str().unwrap()).unwrap().as_str()).await;
            continue;
        }
        let page = Page { status, path: url.path().to_owned(), html: response.text().await.unwrap() };
        let fields: &[(&str, &str)] = match page.name().as_str() {
            "login" => &[("username", "alice"), ("password", PASSWORD)],
            "consent" | "logout" => &[("decision", "allow")],
            // A form that a script sends, or that the library shows.
            "form-post" | "" if page.has(FORM) => &[],
            _ => return Visit { url: url.into(), status, text: page.html },
        };
        let (action, form) = page.form_at(FORM, fields);
        response = browser.raw_post(url.join(&action).unwrap().as_str(), &form).await;
    }
    panic!("{address} leads in circles");
}

/// Names the claims that a library takes from the ID token alone.
const IN_ID_TOKEN: [&str; 2] = ["name", "email"];

const FORM: &str = "form[method=post i]";

/// A client of a server, and the app of it that runs.
struct Running {
    server: Server,
    app: Served,
    sign_in_path: &'static str,
    browser: Browser,
}

/// How a library is set up beyond issuer, `client_id`, secret and redirect URI.
struct SetUp {
    program: ClientProgram,
    /// Where a sign-in begins, below the app's address, as the next ones are.
    sign_in_path: &'static str,
    redirect_path: &'static str,
    after_logout: &'static str,
    /// What the client has besides its addresses.
    client: Value,
    with_secret: bool,
}

impl SetUp {
    const fn new(program: ClientProgram) -> Self {
        Self {
            program,
            sign_in_path: "/login",
            redirect_path: "/callback",
            after_logout: "/",
            client: Value::Null,
            with_secret: true,
        }
    }

    async fn start(self) -> Running {
        let server = Server::start().await;
        server.user("alice").await;
        let address = free_address();
        let origin = format!("http://{address}");
        let mut client = json!({
            "redirect_uris": [format!("{origin}{}", self.redirect_path)],
            "post_logout_redirect_uris": [format!("{origin}{}", self.after_logout)],
        });
        client.as_object_mut().unwrap().extend(self.client.as_object().cloned().unwrap_or_default());
        server.client("web", client).await;
        let mut environment = vec![("ISSUER", server.url.as_str()), ("CLIENT_ID", "web"), ("ORIGIN", &origin)];
        environment.extend(self.with_secret.then_some(("CLIENT_SECRET", SECRET)));
        let app = self.program.start(address, &environment).await;
        let browser = server.browser();
        Running { server, app, sign_in_path: self.sign_in_path, browser }
    }
}

impl Running {
    async fn visit(&self, path: &str) -> Visit {
        visit(&self.browser, &format!("{}{path}", self.app.url)).await
    }

    /// Signs alice in; the app has her claims.
    async fn sign_in(&self) {
        assert_eq!(self.visit("/").await.status, 401);
        let shown = self.visit(self.sign_in_path).await;
        assert_eq!(shown.status, 200, "{shown:?}\n{}", self.app.log());
        assert_eq!(Url::parse(&shown.url).unwrap(), Url::parse(&self.app.url).unwrap());
        let (claims, alice) = (shown.json(), self.server.person("alice").await);
        assert_eq!(claims["sub"], alice.id.to_string(), "{claims}");
        assert_eq!(
            (&claims["name"], &claims["email"]),
            (&json!("Alice Example"), &json!("alice@example.com")),
            "{claims}"
        );
    }

    /// So many requests at once, each of which refreshes with the session's refresh token and reads UserInfo with what it got.
    /// All get the same successor, and it works.
    async fn refresh_in_parallel(&self, requests: usize) {
        let alice = self.server.person("alice").await.id.to_string();
        let all = join_all((0..requests).map(|_| self.visit("/refresh"))).await;
        assert!(all.iter().all(|answer| answer.status == 200), "{all:?}\n{}", self.app.log());
        let all: Vec<Value> = all.iter().flat_map(|answer| answer.json().as_array().unwrap().clone()).collect();
        assert_eq!(all.len(), 8);
        let successor = all[0]["refresh_token"].as_str().unwrap();
        let same = |answer: &Value| answer["sub"] == *alice && answer["refresh_token"] == successor;
        assert!(all.iter().all(same), "{all:?}");
        let form = [("grant_type", "refresh_token"), ("refresh_token", successor)];
        let (status, answer) = self.server.token(&form).await;
        assert_eq!(status, 200, "{answer}");
    }

    /// Signs out at the app and at the server, nobody being asked, and comes back.
    async fn log_out(&self, after_logout: &str) {
        let shown = self.visit("/logout").await;
        let app = Url::parse(&self.app.url).unwrap();
        assert_eq!(Url::parse(&shown.url).unwrap(), app.join(after_logout).unwrap(), "{shown:?}");
        assert_eq!(self.visit("/").await.status, 401, "the app's session has ended");
        assert_eq!(self.browser.page("/account").await.name(), "login", "the session has ended");
    }
}
