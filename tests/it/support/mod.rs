//! The server under test: in this process, on a free port, with a database and a clock of its own; and a browser without
//! JavaScript that keeps cookies, follows nothing by itself and reads forms.

pub mod authenticator;
pub mod authority;
pub mod chromium;
pub mod client_programs;
pub mod database;
pub mod forms;
mod installed;
pub mod languages;
pub mod log;
pub mod name_server;
pub mod nginx;
mod nodes;
pub mod oauth2_proxy;
pub mod program;
pub mod proxies;
pub mod proxy;
pub mod receiver;
pub mod signed_api;
pub mod signer;
pub mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::cookie::{CookieStore as _, Jar};
use reqwest::{Client as Http, Response, redirect};
use scraper::{Html, Selector};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use signet::app::AppState;
use signet::domain::client::{Client, RegistrationKind};
use signet::domain::client_metadata::ClientMetadata;
use signet::domain::ids::{ClientId, UserId};
use signet::domain::secret::Secret;
use signet::domain::user::{Profile, User, Username};
use signet::store::{ChangeEvent, clients, users};

pub const PASSWORD: &str = "correct horse battery staple";
pub const SECRET: &str = "kY3v9QpT7mXw2LzR8sBn4HcD6fGj1VaE";
pub const CALLBACK: &str = "http://127.0.0.1:9999/cb";
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

pub struct Server {
    pub url: String,
    pub app: AppState,
    pub clock: Arc<AtomicI64>,
    home: Arc<nodes::Home>,
    /// When it is dropped, the server stops, and its memory is free for the next one.
    _in_use: tokio::sync::oneshot::Sender<()>,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// One with alice and a confidential client `web` that asks for consent.
    pub async fn with_alice() -> Self {
        let server = Self::start().await;
        server.user("alice").await;
        server.client("web", json!({})).await;
        server
    }

    pub fn advance(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    /// Sends what waits to be sent, as the program does by itself.
    pub async fn deliver(&self) {
        signet::server::deliveries::once(&self.app).await.unwrap();
    }

    pub async fn user(&self, name: &str) -> UserId {
        let now = self.app.env().now();
        let user = User {
            id: UserId(self.app.env().uuid()),
            username: Username::parse(name).unwrap(),
            profile: Profile {
                name: Some("Alice Example".into()),
                email: Some(format!("{name}@example.com")),
                email_verified: true,
                ..Profile::default()
            },
            email_unconfirmed: false,
            password: Some(self.app.hasher.hash(Secret::new(PASSWORD.into())).await.unwrap()),
            password_changed_at: Some(now),
            admin: false,
            disabled: false,
            self_registered: false,
            created_at: now,
            updated_at: now,
        };
        let id = user.id;
        self.app.store().write(move |tx| Box::pin(async move { users::insert(tx, &[user]).await })).await.unwrap();
        id
    }

    pub async fn person(&self, name: &str) -> User {
        let name = Username::parse(name).unwrap();
        users::by_username(self.app.store().read(), &name).await.unwrap().unwrap()
    }

    /// A client with the metadata of a usual web app, `changes` made to it.
    pub async fn client(&self, id: &str, changes: Value) {
        let mut meta = json!({
            "client_name": "Web",
            "redirect_uris": [CALLBACK],
            "post_logout_redirect_uris": ["http://127.0.0.1:9999/bye"],
            "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
            "scope": "openid profile email offline_access",
        });
        meta.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let public = meta["token_endpoint_auth_method"] == "none";
        if public && changes.get("grant_types").is_none() {
            meta["grant_types"] = json!(["authorization_code", "refresh_token"]);
        }
        let now = self.app.env().now();
        let secret = Secret::new(SECRET.into());
        let mut meta: ClientMetadata = serde_json::from_value(meta).unwrap();
        let apis = self.app.store().authority().apis(self.app.store()).await.unwrap();
        assert_eq!(meta.resolve_scopes(&apis), []);
        let (master, env) = (&self.app.provider.master, self.app.env());
        let kept = || master.protect_client_secret(env, &secret, meta.needs_plaintext_secret()).unwrap();
        let client = Client {
            id: ClientId::parse(id).unwrap(),
            secret: meta.has_secret().then(kept),
            signature_keys: Vec::new(),
            meta,
            disabled: false,
            registration_kind: RegistrationKind::Admin,
            registration_token: None,
            created_at: now,
            updated_at: now,
            incarnation: 0,
            version: 0,
            settings_version: 0,
        };
        assert_eq!(client.meta.problems(), []);
        let write = self.app.store().write(move |tx| {
            Box::pin(async move {
                clients::insert(tx, &client).await?;
                tx.publish(ChangeEvent::Client(client.id.clone())).await
            })
        });
        write.await.unwrap();
    }

    /// The name of a cookie of this server's, whose issuer has a port.
    pub fn cookie(&self, name: &str) -> String {
        let issuer = self.app.config.issuer.url();
        let prefix = if issuer.scheme() == "https" { "__Host-" } else { "" };
        let port = issuer.port().map(|port| format!("{port}-")).unwrap_or_default();
        format!("{prefix}signet-{port}{name}")
    }

    pub fn browser(&self) -> Browser {
        Browser::new(self.url.clone())
    }

    /// A token request of `web`, by Basic.
    pub async fn token(&self, form: &[(&str, &str)]) -> (u16, Value) {
        self.token_as("web", form).await
    }

    pub async fn token_as(&self, client: &str, form: &[(&str, &str)]) -> (u16, Value) {
        let basic = format!("Basic {}", STANDARD.encode(format!("{client}:{SECRET}")));
        let request = Http::new().post(format!("{}/oauth2/token", self.url)).header("authorization", basic);
        let response = request.form(form).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// A code for alice, all pages gone through in a browser of its own.
    pub async fn code(&self, scope: &str) -> String {
        let browser = self.browser();
        let callback = browser.sign_in(&self.authorize(&[("scope", scope)])).await;
        callback["code"].clone()
    }

    pub async fn redeem(&self, code: &str) -> (u16, Value) {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ])
        .await
    }

    /// The address of an authorization request of `web`, with `changes` (an empty value takes a parameter out).
    #[expect(clippy::unused_self, reason = "reads as a request to that server")]
    pub fn authorize(&self, changes: &[(&str, &str)]) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let mut parameters = vec![
            ("client_id", "web"),
            ("redirect_uri", CALLBACK),
            ("response_type", "code"),
            ("scope", "openid profile email"),
            ("state", "s t&a=te"),
            ("nonce", "n-1"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ];
        for (name, value) in changes {
            parameters.retain(|(known, _)| known != name);
            if !value.is_empty() {
                parameters.push((name, value));
            }
        }
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        format!("/oauth2/authorize?{query}")
    }
}

pub struct Browser {
    http: Http,
    jar: Arc<Jar>,
    url: String,
}

/// A page that was shown.
pub struct Page {
    pub status: u16,
    pub path: String,
    pub html: String,
}

pub type Callback = std::collections::HashMap<String, String>;

impl Browser {
    /// One without cookies, at a server's address.
    pub fn new(url: String) -> Self {
        let jar = Arc::new(Jar::default());
        let http = Http::builder().cookie_provider(jar.clone()).redirect(redirect::Policy::none()).no_proxy();
        Self { http: http.build().unwrap(), jar, url }
    }

    fn absolute(&self, path: &str) -> String {
        if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.url) }
    }

    /// The same browser, with the same cookies, at another node.
    pub fn at(&self, server: &Server) -> Self {
        Self { http: self.http.clone(), jar: self.jar.clone(), url: server.url.clone() }
    }

    /// The `Cookie` header that it sends.
    pub fn cookies(&self) -> String {
        let cookies = self.jar.cookies(&self.url.parse().unwrap());
        cookies.map(|cookies| cookies.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    pub async fn raw(&self, path: &str) -> Response {
        self.http.get(self.absolute(path)).send().await.unwrap()
    }

    /// Any request, with this browser's cookies.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, self.absolute(path))
    }

    pub async fn raw_post(&self, path: &str, form: &[(String, String)]) -> Response {
        self.http.post(self.absolute(path)).form(form).send().await.unwrap()
    }

    /// Follows redirects while they stay here; a page, or the parameters that reached the app.
    pub async fn follow(&self, mut response: Response) -> Result<Page, Callback> {
        loop {
            let Some(to) = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned()) else {
                let (status, path) = (response.status().as_u16(), response.url().path().to_owned());
                return Ok(Page { status, path, html: response.text().await.unwrap() });
            };
            if to.starts_with("http") && !to.starts_with(&self.url) {
                let url = url::Url::parse(&to).unwrap();
                let answer = url.fragment().or(url.query()).unwrap_or_default();
                return Err(url::form_urlencoded::parse(answer.as_bytes()).into_owned().collect());
            }
            response = self.raw(&to).await;
        }
    }

    pub async fn open(&self, path: &str) -> Result<Page, Callback> {
        self.follow(self.raw(path).await).await
    }

    /// Sends a page's form with its hidden fields and `fields`.
    pub async fn submit(&self, page: &Page, fields: &[(&str, &str)]) -> Result<Page, Callback> {
        let (action, form) = page.form(fields);
        self.follow(self.raw_post(&action, &form).await).await
    }

    /// The same with the form that fits `selector`.
    pub async fn submit_at(&self, page: &Page, selector: &str, fields: &[(&str, &str)]) -> Result<Page, Callback> {
        let (action, form) = page.form_at(selector, fields);
        self.follow(self.raw_post(&action, &form).await).await
    }

    /// A page that has to be shown.
    pub async fn page(&self, path: &str) -> Page {
        self.open(path).await.expect("a page")
    }

    /// Signs in as `name` for nobody but oneself.
    pub async fn sign_in_as(&self, name: &str) -> Page {
        let login = self.page("/login").await;
        self.submit(&login, &[("username", name), ("password", PASSWORD)]).await.expect("the front page")
    }

    /// What our script asks: JSON with the page's token.
    pub async fn ask(&self, page: &Page, path: &str) -> Response {
        let csrf = page.attribute("input[name=csrf]", "value").unwrap();
        self.http.post(self.absolute(path)).json(&json!({ "csrf": csrf, "flow": "" })).send().await.unwrap()
    }

    /// Opens an authorization request and goes through every page as alice, who allows what is asked.
    pub async fn sign_in(&self, path: &str) -> Callback {
        let mut shown = self.open(path).await;
        loop {
            let page = match shown {
                Err(callback) => return callback,
                Ok(page) => page,
            };
            shown = match page.name().as_str() {
                "login" => self.submit(&page, &[("username", "alice"), ("password", PASSWORD)]).await,
                "consent" => self.submit(&page, &[("decision", "allow")]).await,
                other => panic!("the page {other} ({}) at {}", page.status, page.path),
            };
        }
    }
}

impl Page {
    pub fn attribute(&self, selector: &str, name: &str) -> Option<String> {
        let html = Html::parse_document(&self.html);
        html.select(&Selector::parse(selector).unwrap()).next()?.attr(name).map(ToOwned::to_owned)
    }

    pub fn name(&self) -> String {
        self.attribute("main", "data-page").unwrap_or_default()
    }

    /// What an error page says happened.
    pub fn error_text(&self) -> String {
        self.text("#error-description")
    }

    pub fn error(&self) -> String {
        self.attribute("main", "data-error").unwrap_or_default()
    }

    pub fn has(&self, selector: &str) -> bool {
        Html::parse_document(&self.html).select(&Selector::parse(selector).unwrap()).next().is_some()
    }

    pub fn form(&self, fields: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
        self.form_at("main form[method=post]", fields)
    }

    /// The first form that fits `selector`: its address, its hidden fields and `fields`.
    pub fn form_at(&self, selector: &str, fields: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
        let html = Html::parse_document(&self.html);
        let form = html.select(&Selector::parse(selector).unwrap()).next().expect("a form");
        let hidden = Selector::parse("input[type=hidden]").unwrap();
        let mut all: Vec<(String, String)> = form
            .select(&hidden)
            .map(|input| (input.attr("name").unwrap().to_owned(), input.attr("value").unwrap_or_default().to_owned()))
            .collect();
        all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        (form.attr("action").filter(|action| !action.is_empty()).unwrap_or(&self.path).to_owned(), all)
    }
}
