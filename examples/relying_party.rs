//! A relying party: a web app whose people sign in with Signet, by the `openidconnect` crate, in one file to learn from.
//!
//! Start Signet (`cargo run`), make the first administrator, then, in the same directory and another terminal:
//!
//! ```console
//! $ cargo run --example relying_party
//! ```
//!
//! It registers itself (`signet apply`), listens, and tells its address. Environment: `ISSUER` (default
//! `http://localhost:8080`), `RP_LISTEN` (`127.0.0.1:9999`); `CLIENT_ID` and `CLIENT_SECRET` of an app that you
//! registered yourself, with the return address `http://RP_LISTEN/cb`, take the place of `signet apply`.
//!
//! What happens, in the order of the file: [`register`] once; [`begin`] sends the browser to Signet; [`finish`] is where
//! it comes back (OpenID Connect Core §3.1); [`sign_out`] ends both sessions (RP-Initiated Logout §2).

use std::collections::{HashMap, VecDeque};
use std::io::Write as _;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreIdToken, CoreUserInfoClaims};
use openidconnect::{
    AccessTokenHash, AsyncHttpClient, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse,
    IssuerUrl, LogoutRequest, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier,
    PostLogoutRedirectUrl, ProviderMetadataWithLogout, RedirectUrl, Scope, TokenResponse as _,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// An app that keeps more browsers than this in memory forgets the oldest one.
const MAX_BROWSERS: usize = 1_000;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program for a terminal")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let setting = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let listener = TcpListener::bind(setting("RP_LISTEN", "127.0.0.1:9999")).await?;
    let address = format!("http://{}", listener.local_addr()?);
    let (id, secret) = match (std::env::var("CLIENT_ID"), std::env::var("CLIENT_SECRET")) {
        (Ok(id), Ok(secret)) => (id, secret),
        _ => register(&address)?,
    };
    println!("The app is at {address}");
    let issuer = setting("ISSUER", "http://localhost:8080");
    axum::serve(listener, app(&address, &issuer, &id, &secret)?).await?;
    Ok(())
}

/// Tells Signet about this app: `signet apply` makes the client be as the document says, however often it is run.
fn register(address: &str) -> Result<(String, String), Box<dyn std::error::Error>> {
    // A new secret at each start, so that there is no file to keep it in.
    let secret = CsrfToken::new_random_len(32).into_secret();
    let document = json!({ "clients": [{
        "client_id": "example",
        "client_secret": secret,
        "client_name": "Example app",
        "redirect_uris": [format!("{address}/cb")],
        "post_logout_redirect_uris": [format!("{address}/")],
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_basic",
        "scope": "openid profile email",
    }] });
    // `cargo run` has built it: target/debug/signet, beside the examples' directory.
    let mut signet = std::env::current_exe()?.with_file_name("");
    signet.push("../signet");
    let started = Command::new(&signet).args(["apply", "-"]).stdin(Stdio::piped()).spawn();
    let mut apply = started.map_err(|error| format!("{}: {error}; run `cargo run` first", signet.display()))?;
    apply.stdin.take().ok_or("no stdin")?.write_all(document.to_string().as_bytes())?;
    if !apply.wait()?.success() {
        return Err("signet apply refused the app (its message stands above)".into());
    }
    Ok(("example".to_owned(), secret))
}

// ---- What the app remembers -----------------------------------------------------------------------------------------

/// What one browser is doing here.
enum Browser {
    /// It was sent to Signet. What must match when it comes back stays here, where nobody else can put it.
    SigningIn { state: CsrfToken, nonce: Nonce, verifier: PkceCodeVerifier, provider: Box<ProviderMetadataWithLogout> },
    /// The ID token is verified. It is kept for signing out.
    SignedIn { id_token: Box<CoreIdToken>, claims: Value, userinfo: Value, provider: Box<ProviderMetadataWithLogout> },
}

/// The browsers, by the random name in their cookie.
#[derive(Default)]
struct Browsers {
    known: HashMap<String, Browser>,
    order: VecDeque<String>,
}

impl Browsers {
    fn keep(&mut self, name: String, browser: Browser) {
        if self.order.len() >= MAX_BROWSERS
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back(name.clone());
        self.known.insert(name, browser);
    }

    fn take(&mut self, name: &str) -> Option<Browser> {
        self.order.retain(|known| known != name);
        self.known.remove(name)
    }
}

struct App {
    address: String,
    issuer: IssuerUrl,
    id: ClientId,
    secret: ClientSecret,
    redirect_uri: RedirectUrl,
    http: Http,
    browsers: Mutex<Browsers>,
}

pub fn app(address: &str, issuer: &str, id: &str, secret: &str) -> Result<Router, Box<dyn std::error::Error>> {
    let app = App {
        address: address.to_owned(),
        issuer: IssuerUrl::new(issuer.to_owned())?,
        id: ClientId::new(id.to_owned()),
        secret: ClientSecret::new(secret.to_owned()),
        redirect_uri: RedirectUrl::new(format!("{address}/cb"))?,
        // The provider's endpoints never redirect; following one would send the client's secret wherever it points.
        http: Http(reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?),
        browsers: Mutex::default(),
    };
    Ok(Router::new()
        .route("/", get(home))
        .route("/sign-in", post(begin))
        .route("/cb", get(finish))
        .route("/sign-out", post(sign_out))
        .route("/style.css", get(|| async { ([(header::CONTENT_TYPE, "text/css")], STYLE) }))
        .with_state(Arc::new(app)))
}

impl App {
    fn browsers(&self) -> std::sync::MutexGuard<'_, Browsers> {
        self.browsers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// reqwest, as the crate wants to be handed an HTTP client.
struct Http(reqwest::Client);

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = reqwest::Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, reqwest::Error>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let response = self.0.execute(request.try_into()?).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let mut answer = HttpResponse::new(response.bytes().await?.to_vec());
            (*answer.status_mut(), *answer.headers_mut()) = (status, headers);
            Ok(answer)
        })
    }
}

// ---- Signing in -----------------------------------------------------------------------------------------------------

/// To Signet, with a state (which browser began), a nonce (which the ID token must carry) and a PKCE challenge (so that
/// the code is worth nothing to who reads it on the way).
async fn begin(State(app): State<Arc<App>>) -> Result<Response, Failed> {
    // Endpoints and keys. A busy app keeps both for as long as their Cache-Control says.
    let provider = ProviderMetadataWithLogout::discover_async(app.issuer.clone(), &app.http).await?;
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let client = CoreClient::from_provider_metadata(provider.clone(), app.id.clone(), Some(app.secret.clone()))
        .set_redirect_uri(app.redirect_uri.clone());
    let (url, state, nonce) = client
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
        .add_scopes(["profile", "email"].map(|scope| Scope::new(scope.to_owned())))
        .set_pkce_challenge(challenge)
        .url();
    let browser = Browser::SigningIn { state, nonce, verifier, provider: Box::new(provider) };
    Ok((remembered(&app, browser), Redirect::to(url.as_str())).into_response())
}

/// Back from Signet, with a code or with an error.
async fn finish(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Query(answer): Query<HashMap<String, String>>,
) -> Result<Response, Failed> {
    let begun = cookie(&headers).and_then(|name| app.browsers().take(name));
    let Some(Browser::SigningIn { state, nonce, verifier, provider }) = begun else {
        return Err("this browser has not begun to sign in here, or twice at once".into());
    };
    if answer.get("state") != Some(state.secret()) {
        return Err("the state is not the one that this browser was sent away with".into());
    }
    // RFC 9207: an app with several providers sees here which one answers.
    if answer.get("iss").map(String::as_str) != Some(app.issuer.as_str()) {
        return Err("the answer comes from another issuer".into());
    }
    if let Some(error) = answer.get("error") {
        let description = answer.get("error_description").map_or("", String::as_str);
        return Err(format!("{error}: {description}").into());
    }
    let code = answer.get("code").ok_or("there is neither a code nor an error")?;

    // The code becomes tokens, once, for who has the client's secret and the verifier behind the challenge.
    let client = CoreClient::from_provider_metadata(*provider.clone(), app.id.clone(), Some(app.secret.clone()))
        .set_redirect_uri(app.redirect_uri.clone());
    let tokens = client
        .exchange_code(AuthorizationCode::new(code.clone()))?
        .set_pkce_verifier(verifier)
        .request_async(&app.http)
        .await?;

    // Signature, issuer, audience, expiry and nonce; nothing in the ID token is believed before.
    let id_token = tokens.id_token().ok_or("there is no ID token")?;
    let keys = client.id_token_verifier();
    let claims = id_token.claims(&keys, &nonce)?;
    // at_hash ties the access token to it (OpenID Connect Core §3.1.3.8).
    let hash =
        AccessTokenHash::from_token(tokens.access_token(), id_token.signing_alg()?, id_token.signing_key(&keys)?)?;
    if claims.access_token_hash() != Some(&hash) {
        return Err("the access token is not the one that the ID token was made with".into());
    }
    // UserInfo must speak of the same person (OpenID Connect Core §5.3.2): the crate compares the `sub`.
    let userinfo: CoreUserInfoClaims = client
        .user_info(tokens.access_token().clone(), Some(claims.subject().clone()))?
        .request_async(&app.http)
        .await?;

    // A new name for the browser: whoever knew the one from before the sign-in knows nothing now.
    let browser = Browser::SignedIn {
        claims: serde_json::to_value(claims)?,
        userinfo: serde_json::to_value(userinfo)?,
        id_token: Box::new(id_token.clone()),
        provider,
    };
    Ok((remembered(&app, browser), Redirect::to("/")).into_response())
}

/// Forgets the browser, and sends it to Signet to be signed out there too; the ID token vouches for the request, so that
/// nobody is asked. From there it comes back to the front page.
async fn sign_out(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Redirect, Failed> {
    let known = cookie(&headers).and_then(|name| app.browsers().take(name));
    let Some(Browser::SignedIn { id_token, provider, .. }) = known else { return Ok(Redirect::to("/")) };
    let Some(endpoint) = provider.additional_metadata().end_session_endpoint.clone() else {
        return Ok(Redirect::to("/"));
    };
    let url = LogoutRequest::from(endpoint)
        .set_id_token_hint(&*id_token)
        .set_client_id(app.id.clone())
        .set_post_logout_redirect_uri(PostLogoutRedirectUrl::new(format!("{}/", app.address))?)
        .http_get_url();
    Ok(Redirect::to(url.as_str()))
}

// ---- The cookie -----------------------------------------------------------------------------------------------------

/// Keeps `browser` under a new random name, in a cookie that no script reads and no other site's form sends along.
fn remembered(app: &App, browser: Browser) -> [(header::HeaderName, String); 1] {
    let name = CsrfToken::new_random_len(32).into_secret();
    app.browsers().keep(name.clone(), browser);
    [(header::SET_COOKIE, format!("example-app={name}; Path=/; HttpOnly; SameSite=Lax"))]
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    cookies.split("; ").find_map(|pair| pair.strip_prefix("example-app="))
}

// ---- Pages ----------------------------------------------------------------------------------------------------------

async fn home(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let browsers = app.browsers();
    match cookie(&headers).and_then(|name| browsers.known.get(name)) {
        Some(Browser::SignedIn { claims, userinfo, .. }) => page(
            "You are signed in",
            &format!(
                "<h2>The ID token says</h2>{}<h2>UserInfo says</h2>{}\
                 <form method=post action=/sign-out><button id=sign-out>Sign out</button></form>",
                table("id-token", claims),
                table("userinfo", userinfo)
            ),
        ),
        _ => page(
            "Example app",
            &format!(
                "<p>People sign in here with <b>{}</b>.</p>\
                 <form method=post action=/sign-in><button id=sign-in>Sign in</button></form>",
                escaped(app.issuer.as_str())
            ),
        ),
    }
}

/// What went wrong, for the person: an app of your own would log the reason and show less of it.
struct Failed(String);

impl<E: Into<Box<dyn std::error::Error>>> From<E> for Failed {
    fn from(error: E) -> Self {
        let error = error.into();
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        Self(text)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let text = format!("<p id=failed>{}</p><p><a href=/>Begin again</a></p>", escaped(&self.0));
        (StatusCode::BAD_REQUEST, page("Not signed in", &text)).into_response()
    }
}

fn page(title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content='width=device-width, initial-scale=1'><meta name=color-scheme content='light dark'>\
         <title>{title}</title><link rel=icon href='data:,'><link rel=stylesheet href=/style.css>\
         <main><h1>{title}</h1>{body}</main></html>"
    );
    let policy = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy), (header::CACHE_CONTROL, "no-store")], Html(html)).into_response()
}

fn table(id: &str, claims: &Value) -> String {
    let rows: Vec<String> = claims
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            format!("<tr><th>{}<td data-claim='{0}'>{}", escaped(name), escaped(&text))
        })
        .collect();
    format!("<table id={id}>{}</table>", rows.concat())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;").replace('\'', "&#39;")
}

const STYLE: &str = "
:root { color-scheme: light dark; --line: light-dark(#d9dce3, #3a3f4b); --quiet: light-dark(#5b6270, #a7adba) }
body { margin: 0; font: 1rem/1.5 system-ui, sans-serif; background: light-dark(#f6f7f9, #15171c) }
main { max-width: 38rem; margin: 8vh auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin: 0 0 1rem } h2 { font-size: 1rem; margin: 1.5rem 0 .5rem }
table { width: 100%; table-layout: fixed; border-collapse: collapse; font-size: .875rem; background: light-dark(#fff, #1d2027) }
th, td { padding: .4rem .6rem; border: 1px solid var(--line); text-align: left; overflow-wrap: anywhere; vertical-align: top }
th { width: 32%; font-weight: 500; color: var(--quiet) }
button { margin-top: 1.25rem; padding: .6rem 1.25rem; border: 0; border-radius: .6rem; font: 600 1rem system-ui, sans-serif;
         background: light-dark(#1d6b50, #2f9873); color: #fff; cursor: pointer }
";
