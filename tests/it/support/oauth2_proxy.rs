//! The real oauth2-proxy, as a process of the test's own: `TEST_OAUTH2_PROXY` says where it is; a missing one fails the
//! test. It is in front of nothing: whoever is signed in gets 200.

use std::process::Command;
use std::time::Duration;

use futures::future::join_all;
use reqwest::{Client as Http, Response, redirect};
use serde_json::json;

use super::chromium::tool;
use super::languages::{Served, bare};
use super::program::free_address;
use super::{SECRET, Server};

pub struct OAuth2Proxy {
    pub app: Served,
}

/// What it said to one request.
pub struct Answer {
    pub status: u16,
    /// The `Cookie` header that its `Set-Cookie` lines make; empty where it set none.
    pub cookies: String,
}

impl OAuth2Proxy {
    /// One as it is set up for any OpenID provider, with `options` beside; it becomes the client `proxy` of `server`.
    pub async fn start(server: &Server, options: &[&str]) -> Self {
        let address = free_address();
        let origin = format!("http://{address}");
        let redirect = format!("{origin}/oauth2/callback");
        let client = json!({ "redirect_uris": [redirect], "post_logout_redirect_uris": [format!("{origin}/")] });
        server.client("proxy", client).await;
        let mut command = bare(Command::new(tool("TEST_OAUTH2_PROXY", "oauth2-proxy")));
        command
            .args(["--provider=oidc", "--client-id=proxy", "--email-domain=*", "--upstream=static://200"])
            .args(["--cookie-secure=false", "--cookie-secret=0123456789abcdef0123456789abcdef"])
            .arg(format!("--client-secret={SECRET}"))
            .arg(format!("--oidc-issuer-url={}", server.url))
            .arg(format!("--redirect-url={redirect}"))
            .arg(format!("--http-address={address}"))
            .args(options);
        Self { app: Served::start(command, address, tempfile::tempdir().unwrap()).await }
    }

    pub fn log(&self) -> String {
        self.app.log()
    }

    async fn get(&self, path: &str, cookies: &str) -> Response {
        let http = Http::builder().redirect(redirect::Policy::none()).no_proxy().build().unwrap();
        let request = http.get(format!("{}{path}", self.app.url)).header("cookie", cookies);
        request.send().await.unwrap()
    }

    /// Signs alice in; the cookies of the proxy's session.
    pub async fn sign_in(&self, server: &Server) -> String {
        let begun = self.get("/", "").await;
        let to = begun.headers()["location"].to_str().unwrap().to_owned();
        let path = to.strip_prefix(&server.url).unwrap_or_else(|| panic!("{to}"));
        let callback = server.browser().sign_in(path).await;
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&callback).finish();
        let done = self.get(&format!("/oauth2/callback?{query}"), &cookies(&begun)).await;
        assert_eq!(done.status(), 302, "{}", self.log());
        cookies(&done)
    }

    /// So many requests at once with these cookies, as soon as the session is due for a refresh.
    pub async fn get_once_old(&self, cookies_then: &str, count: usize) -> Vec<Answer> {
        tokio::time::sleep(Duration::from_millis(2100)).await;
        let all = join_all((0..count).map(|_| self.get("/", cookies_then))).await;
        all.iter().map(|one| Answer { status: one.status().as_u16(), cookies: cookies(one) }).collect()
    }
}

fn cookies(response: &Response) -> String {
    let lines = response.headers().get_all("set-cookie").iter().filter_map(|line| line.to_str().ok());
    let pairs = lines
        .filter_map(|line| line.split(';').next())
        .filter(|pair| pair.split_once('=').is_some_and(|(_, value)| !value.is_empty()));
    pairs.collect::<Vec<_>>().join("; ")
}
