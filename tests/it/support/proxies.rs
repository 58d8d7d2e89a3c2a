//! The real nginx, Caddy, Envoy and Traefik with the configurations of docs/gate.md. `TEST_NGINX`, `TEST_CADDY`, `TEST_ENVOY`
//! and `TEST_TRAEFIK` say where the programs are; a missing one fails the test.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::authority::{Authority, Shown};
use super::chromium::tool;
use super::nginx::{self, HOST, example};
use super::proxy::Proxy;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    Caddy,
    Envoy,
    Traefik,
}

/// What a proxy serves: the API at `host`, behind the gate of `signet`; by https with `tls`.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    pub host: &'a str,
    pub signet: SocketAddr,
    pub api: SocketAddr,
    pub tls: Option<Tls<'a>>,
}

/// The certificate that the proxy shows, and the PEM of those that it trusts about callers.
#[derive(Clone, Copy)]
pub struct Tls<'a> {
    pub own: &'a Authority,
    pub callers: &'a str,
}

impl Site<'_> {
    /// The example's host, by http.
    pub fn new(signet: SocketAddr, api: SocketAddr) -> Self {
        Self { host: HOST, signet, api, tls: None }
    }

    /// The same at another host and port.
    pub fn url(&self, at: SocketAddr) -> String {
        format!("{}://{}:{}", if self.tls.is_some() { "https" } else { "http" }, self.host, at.port())
    }

    /// A documented text with this host and these addresses, and with the files in the proxy's own folder.
    fn filled(&self, text: &str) -> String {
        let pattern = |host: &str| host.replace('.', "\\.");
        let mut text = text.replace(HOST, self.host).replace(&pattern(HOST), &pattern(self.host));
        for (written, address) in [("127.0.0.1:8080", self.signet), ("127.0.0.1:9000", self.api)] {
            text = text.replace(written, &address.to_string());
        }
        ["nginx", "caddy", "envoy", "traefik"]
            .iter()
            .fold(text, |text, name| text.replace(&format!("/etc/{name}/tls/"), ""))
    }

    /// The PEM files that the documented texts name.
    fn files(&self) -> Vec<(&'static str, String)> {
        let Some(Tls { own, callers }) = self.tls else { return Vec::new() };
        vec![("server.pem", own.cert.clone()), ("server.key", own.key.clone()), ("callers.pem", callers.to_owned())]
    }
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Nginx, Self::Caddy, Self::Envoy, Self::Traefik];

    pub async fn start(self, site: &Site<'_>) -> Proxy {
        match self {
            Self::Nginx => nginx::start(|own| nginx_config(site, own), &site.files()).await,
            Self::Caddy => {
                let program = tool("TEST_CADDY", "caddy");
                let config = caddy_config(site, &program);
                let files = |own| {
                    let config = swapped(&config, &format!("{} {{", site.host), &format!("{} {{", site.url(own)));
                    [site.files(), vec![("Caddyfile", config)]].concat()
                };
                let arguments = ["run", "--adapter", "caddyfile", "--config", "Caddyfile"];
                Proxy::start(files, || command(&program, &arguments)).await
            }
            Self::Envoy => {
                let program = tool("TEST_ENVOY", "envoy");
                let files = |own| [site.files(), vec![("envoy.yaml", envoy_config(site, own))]].concat();
                let arguments = ["-c", "envoy.yaml", "--concurrency", "1", "--disable-hot-restart", "-l", "warning"];
                Proxy::start(files, || command(&program, &arguments)).await
            }
            Self::Traefik => {
                let program = tool("TEST_TRAEFIK", "traefik");
                let files = |own| [site.files(), traefik_config(site, own)].concat();
                let proxy = Proxy::start(files, || command(&program, &["--configFile=traefik.yaml"])).await;
                knows_its_routers(site, &proxy).await;
                proxy
            }
        }
    }

    /// The header in which the proxy hands on the certificate of a caller.
    pub fn certificate_header(self) -> &'static str {
        match self {
            Self::Nginx | Self::Caddy => "Client-Cert",
            Self::Envoy => "X-Forwarded-Client-Cert",
            Self::Traefik => "X-Forwarded-Tls-Client-Cert",
        }
    }

    /// What the proxy writes there.
    pub fn handed_on(self, certificate: &Shown) -> String {
        let pem = utf8_percent_encode(&certificate.cert, NON_ALPHANUMERIC);
        let base64 = STANDARD.encode(&certificate.der);
        match self {
            Self::Nginx => pem.to_string(),
            Self::Caddy => format!(":{base64}:"),
            Self::Envoy => format!("Hash=ab;Cert=\"{pem}\""),
            Self::Traefik => base64,
        }
    }
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

fn guide() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/gate.md")).unwrap()
}

/// The blocks of docs/gate.md that are run here, by their languages and beginnings.
pub const DOCUMENTED: [(&str, &str); 8] = [
    ("nginx", "listen"),
    ("caddyfile", HOST),
    ("caddyfile", "tls"),
    ("yaml", "normalize_path"),
    ("yaml", "# The certificate that Envoy has verified"),
    ("yaml", "transport_socket:"),
    ("yaml", "entryPoints:"),
    ("yaml", "http:\n  middlewares:\n    "),
];

/// The block of docs/gate.md in that language which begins so.
fn documented(language: &str, begins: &str) -> String {
    assert!(DOCUMENTED.iter().any(|(of, start)| *of == language && begins.starts_with(start)), "{begins} is listed");
    let guide = guide();
    let mut blocks = guide.split("```").filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'));
    blocks.find(|block| block.trim_start().starts_with(begins)).expect("docs/gate.md has the block").to_owned()
}

/// `text` with `to` for the only `from` in it.
fn swapped(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from} stands once in\n{text}");
    text.replace(from, to)
}

/// A line of prose in docs/gate.md, which the configuration gets.
fn told(line: &str) -> &str {
    assert!(guide().contains(&format!("`{line}`")), "docs/gate.md tells of {line}");
    line
}

/// `examples/gate/nginx.conf`, which is what docs/gate.md shows, to the letter but for the host and the three addresses.
fn nginx_config(site: &Site<'_>, own: SocketAddr) -> String {
    let mut config = example();
    for written in ["127.0.0.1:8000", "127.0.0.1:8080", "127.0.0.1:9000"] {
        assert_eq!(config.matches(written).count(), 1, "{written} stands once in the example");
    }
    if site.tls.is_some() {
        config = swapped(&config, "    listen 127.0.0.1:8000;\n", &documented("nginx", "listen"));
    }
    site.filled(&swapped(&config, "127.0.0.1:8000", &own.to_string()))
}

/// Without what Caddy does for the whole machine.
fn caddy_config(site: &Site<'_>, program: &str) -> String {
    let mut config = documented("caddyfile", HOST);
    if site.tls.is_some() {
        let mut block = documented("caddyfile", "tls");
        block = swapped(&block, "tls {", "tls server.pem server.key {");
        // As the comment there has it.
        let version = Command::new(program).arg("version").output().unwrap().stdout;
        let version = String::from_utf8(version).unwrap();
        if ["2.6.", "2.7."].iter().any(|older| version.trim_start_matches('v').starts_with(older)) {
            let (_, older) = block.split_once("Before 2.8: ").expect("docs/gate.md tells of older versions");
            let older = older.lines().next().unwrap().to_owned();
            block = swapped(&block, "trust_pool file /etc/caddy/tls/callers.pem", &older);
        }
        config = swapped(&config, "\troute {\n", &format!("{block}\troute {{\n"));
        let asked = "\t\t\turi /gate/verify/orders\n";
        let line = told("header_up Client-Cert {client_certificate}");
        config = swapped(&config, asked, &format!("{asked}\t\t\t{line}\n"));
    }
    format!("{{\n\tadmin off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n}}\n{}", site.filled(&config))
}

/// The documented connection manager, with the clusters that the text after it tells of.
fn envoy_config(site: &Site<'_>, own: SocketAddr) -> String {
    let indented = |block: &str, by: usize| {
        let before = " ".repeat(by);
        format!("{before}{}\n", block.trim_end().replace('\n', &format!("\n{before}")))
    };
    let mut config = swapped(ENVOY, "PORT", &own.port().to_string());
    config += &indented(&documented("yaml", "normalize_path"), 10);
    if site.tls.is_some() {
        config += &indented(&documented("yaml", "# The certificate that Envoy has verified"), 10);
        config += &indented(&documented("yaml", "transport_socket:"), 6);
    }
    let cluster = |name: &str, at: SocketAddr| {
        let endpoint = format!("{{ socket_address: {{ address: {}, port_value: {} }} }}", at.ip(), at.port());
        let endpoints = format!("[{{ lb_endpoints: [{{ endpoint: {{ address: {endpoint} }} }}] }}]");
        let load = format!("{{ cluster_name: {name}, endpoints: {endpoints} }}");
        format!("  - {{ name: {name}, connect_timeout: 1s, load_assignment: {load} }}\n")
    };
    config += &["  clusters:\n", &cluster("signet", site.signet), &cluster("orders", site.api)].concat();
    site.filled(&config)
}

const ENVOY: &str = r#"static_resources:
  listeners:
  - name: own
    address: { socket_address: { address: 127.0.0.1, port_value: PORT } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: own
"#;

/// The documented static and dynamic configuration.
fn traefik_config(site: &Site<'_>, own: SocketAddr) -> Vec<(&'static str, String)> {
    let mut fixed = swapped(&documented("yaml", "entryPoints:"), "\":8000\"", &format!("\"{own}\""));
    let mut dynamic = documented("yaml", "http:\n  middlewares:\n    gate:");
    let mut files = Vec::new();
    if site.tls.is_some() {
        fixed = swapped(&fixed, "    http:\n", &format!("    http:\n      {}\n", told("tls: {}")));
        let chain = told("middlewares: [unclaimed, certificate, gate, judged]");
        dynamic = swapped(&dynamic, "middlewares: [unclaimed, gate, judged]", chain);
        dynamic = swapped(&dynamic, "trustForwardHeader: false", told("trustForwardHeader: true"));
        let certificate = documented("yaml", "http:\n  middlewares:\n    # After `unclaimed`");
        files.push(("dynamic/certificate.yaml", site.filled(&certificate)));
    }
    fixed +=
        "global: { checkNewVersion: false, sendAnonymousUsage: false }\nproviders: { file: { directory: dynamic } }\n";
    files.extend([("traefik.yaml", fixed), ("dynamic/orders.yaml", site.filled(&dynamic))]);
    files
}

/// Traefik listens before it has read its routers.
async fn knows_its_routers(site: &Site<'_>, proxy: &Proxy) {
    let mut http = reqwest::Client::builder().no_proxy().resolve(site.host, proxy.address);
    if let Some(tls) = site.tls {
        http = http.tls_certs_only([reqwest::Certificate::from_pem(tls.own.root.as_bytes()).unwrap()]);
    }
    let (http, url) = (http.build().unwrap(), site.url(proxy.address));
    for _ in 0..3000 {
        // Until then its certificate is one that it has made up.
        if http.get(&url).send().await.is_ok_and(|response| response.status() != 404) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("Traefik does not know the host:\n{}", proxy.log());
}
