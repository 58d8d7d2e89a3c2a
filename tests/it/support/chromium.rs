//! A real browser: Chromium, driven through chromedriver (WebDriver, and a few of its own commands for what the standard
//! has no words for). `TEST_CHROMIUM` and `TEST_CHROMEDRIVER` say where they are; a missing one fails the test.
//!
//! Selectors are CSS. Everything waits a bounded time, and says what the browser showed when it waited in vain.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use url::Url;

const WAIT_TIMEOUT: Duration = Duration::from_secs(20);
const ENTER: &str = "\u{e007}";

/// Nothing of the machine's own profile, no request to anybody but the servers of the test.
const FLAGS: [&str; 8] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

pub struct Chromium {
    client: Client,
    _driver: Driver,
    _profile: tempfile::TempDir,
}

impl Chromium {
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut driver = Driver::start();
        let mut flags: Vec<String> = FLAGS.map(ToOwned::to_owned).to_vec();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "binary": tool("TEST_CHROMIUM", "chromium"), "args": flags },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities.as_object().unwrap().clone())
            .connect(&format!("http://{}", driver.address))
            .await
            .unwrap_or_else(|error| panic!("Chromium does not start: {error}"));
        driver.session = client.session_id().await.unwrap();
        let chromium = Self { client, _driver: driver, _profile: profile };
        chromium.set_size(1280, 900).await;
        chromium
    }

    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// Types `text` into an empty or filled field.
    pub async fn fill(&self, selector: &str, text: &str) {
        let field = self.wait_for(selector).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Types `text` where the keyboard's focus is.
    pub async fn type_keys(&self, text: &str) {
        self.client.active_element().await.unwrap().send_keys(text).await.unwrap();
    }

    /// The Enter key in a field.
    pub async fn press_enter(&self, selector: &str) {
        self.wait_for(selector).await.send_keys(ENTER).await.unwrap();
    }

    pub async fn click(&self, selector: &str) {
        let element = self.wait_for(selector).await;
        element.click().await.unwrap_or_else(|error| panic!("{selector} cannot be clicked: {error}"));
    }

    pub async fn text(&self, selector: &str) -> String {
        self.wait_for(selector).await.text().await.unwrap()
    }

    pub async fn attribute(&self, selector: &str, name: &str) -> Option<String> {
        self.wait_for(selector).await.attr(name).await.unwrap()
    }

    /// Whether it is there now.
    pub async fn has(&self, selector: &str) -> bool {
        !self.client.find_all(Locator::Css(selector)).await.unwrap().is_empty()
    }

    pub async fn url(&self) -> Url {
        self.client.current_url().await.unwrap()
    }

    pub async fn wait_for(&self, selector: &str) -> fantoccini::elements::Element {
        let wait = self.client.wait().at_most(WAIT_TIMEOUT).every(Duration::from_millis(50));
        match wait.for_element(Locator::Css(selector)).await {
            Ok(element) => element,
            Err(error) => panic!("no {selector} ({error}) at {}:\n{}", self.url().await, self.source().await),
        }
    }

    /// Waits for one of our pages, by its `data-page`.
    pub async fn wait_for_page(&self, name: &str) {
        self.wait_for(&format!("main[data-page={name}]")).await;
    }

    /// Waits until what the browser shows is at an address that begins with `start`.
    pub async fn wait_for_url(&self, start: &str) -> Url {
        let arrived = async {
            loop {
                let url = self.url().await;
                if url.as_str().starts_with(start) {
                    return url;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        match tokio::time::timeout(WAIT_TIMEOUT, arrived).await {
            Ok(url) => url,
            Err(late) => panic!("not at {start} ({late}) but at {}:\n{}", self.url().await, self.source().await),
        }
    }

    pub async fn source(&self) -> String {
        self.client.source().await.unwrap()
    }

    /// Runs `script`, the body of a function, in the page; what it returns.
    pub async fn script(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Fills the sign-in page and sends it.
    pub async fn sign_in(&self, username: &str, password: &str) {
        self.wait_for_page("login").await;
        self.fill("#username", username).await;
        self.fill("#password", password).await;
        self.click("button.primary[type=submit]").await;
    }

    /// What is seen now, as a PNG.
    pub async fn screenshot(&self, path: &Path) {
        std::fs::write(path, self.client.screenshot().await.unwrap()).unwrap();
    }

    /// The page's part of the window, in CSS pixels; narrower ones than a window can be too.
    pub async fn set_size(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Whether anything has to be scrolled sideways to be seen.
    pub async fn overflows(&self) -> bool {
        self.script("return document.documentElement.scrollWidth > window.innerWidth").await == true
    }

    pub async fn dark(&self, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", media).await;
    }

    /// From the next page on no script of a page runs.
    pub async fn without_javascript(&self) {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    }

    /// A passkey authenticator of the device itself, whose owner always agrees (Web Authentication §11.3); its id.
    pub async fn add_authenticator(&self) -> String {
        let authenticator = json!({
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": true,
            "hasUserVerification": true,
            "isUserVerified": true,
        });
        let id = self.command("webauthn/authenticator", authenticator).await;
        id.as_str().expect("the authenticator's id").to_owned()
    }

    /// A command of the Chrome `DevTools` Protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.command("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    /// What the browser's console complained of since it was asked last: script errors, and what the Content-Security-Policy
    /// stopped. That a page came with a 4xx is no complaint.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.command("se/log", json!({ "type": "browser" })).await;
        let entries = log.as_array().expect("the console's log").iter();
        entries
            .filter(|entry| entry["level"] == "SEVERE" || entry["source"] == "security")
            .filter_map(|entry| entry["message"].as_str())
            .filter(|message| !message.contains("the server responded with a status of"))
            .map(ToOwned::to_owned)
            .collect()
    }

    async fn command(&self, path: &'static str, body: Value) -> Value {
        let command = Extension { path, body };
        self.client.issue_cmd(command).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

/// A POST below the session's address that fantoccini has no method for.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

pub fn tool(variable: &str, name: &str) -> String {
    let named = std::env::var(variable).ok().filter(|path| !path.is_empty());
    named.or_else(|| in_path(name)).unwrap_or_else(|| {
        panic!("this test needs {name}: install it, or say by {variable} where it is (tests/run does both)")
    })
}

fn in_path(name: &str) -> Option<String> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())?;
    Some(found.to_str()?.to_owned())
}

/// chromedriver on a port of its own choice. When it goes, so does the browser that it started.
struct Driver {
    process: Child,
    address: SocketAddr,
    session: Option<String>,
}

impl Driver {
    fn start() -> Self {
        let program = tool("TEST_CHROMEDRIVER", "chromedriver");
        let mut process = Command::new(&program)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} does not start: {error}"));
        let mut said = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let port: Option<u16> = loop {
            let mut line = String::new();
            if output.read_line(&mut line).unwrap() == 0 {
                break None;
            }
            said.push_str(&line);
            if let Some((_, port)) = line.rsplit_once("started successfully on port ") {
                break port.trim().trim_end_matches('.').parse().ok();
            }
        };
        let Some(port) = port else {
            drop(process.kill());
            panic!("{program} does not say its port:\n{said}");
        };
        // It writes on; a full pipe would stop it.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        Self { process, address: SocketAddr::from(([127, 0, 0, 1], port)), session: None }
    }

    /// Ends the browser and waits until it has ended: chromedriver, killed, would leave it behind.
    fn end_session(&self, session: &str) -> std::io::Result<()> {
        let mut stream = TcpStream::connect_timeout(&self.address, WAIT_TIMEOUT)?;
        stream.set_read_timeout(Some(WAIT_TIMEOUT))?;
        let address = self.address;
        write!(stream, "DELETE /session/{session} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        // It answers when the browser has ended, and leaves the connection open.
        stream.read(&mut [0; 1024]).map(drop)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            drop(self.end_session(&session));
        }
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
