//! The real Caddy, Envoy and Traefik with what docs/gate.md shows for them, as processes of the test's own: `TEST_CADDY`,
//! `TEST_ENVOY` and `TEST_TRAEFIK` say where they are; a missing one fails the test. Next door: [`super::nginx`].

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;

use super::chromium::tool;
use super::nginx::HOST;
use super::program::free_address;
use super::wire::once;

pub struct Proxy {
    pub address: SocketAddr,
    process: Child,
    folder: tempfile::TempDir,
}

/// The block of docs/gate.md in that language which begins so.
fn documented(language: &str, begins: &str) -> String {
    let guide = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/gate.md")).unwrap();
    let mut blocks = guide.split("```").filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'));
    blocks.find(|block| block.starts_with(begins)).expect("docs/gate.md has the block").to_owned()
}

/// With the addresses that the block has for Signet and the API.
fn filled(block: &str, signet: SocketAddr, api: SocketAddr) -> String {
    block.replace("127.0.0.1:8080", &signet.to_string()).replace("127.0.0.1:9000", &api.to_string())
}

impl Proxy {
    /// By plain http, and without what Caddy does for the whole machine.
    pub async fn caddy(signet: SocketAddr, api: SocketAddr) -> Self {
        let block = filled(&documented("caddyfile", HOST), signet, api);
        let config = |own: SocketAddr| {
            let site = block.replace(&format!("{HOST} {{"), &format!("http://{HOST}:{} {{", own.port()));
            format!("{{\n\tadmin off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n}}\n{site}")
        };
        let program = tool("TEST_CADDY", "caddy");
        Self::start("Caddyfile", config, |at| {
            let mut command = Command::new(&program);
            command.args(["run", "--adapter", "caddyfile", "--config", "Caddyfile"]);
            command.env("XDG_DATA_HOME", at).env("XDG_CONFIG_HOME", at);
            command
        })
        .await
    }

    /// The documented connection manager, with the routes and clusters that the text after it tells of.
    pub async fn envoy(signet: SocketAddr, api: SocketAddr) -> Self {
        let block = filled(&documented("yaml", "normalize_path"), signet, api);
        let manager = format!("          {}\n", block.lines().collect::<Vec<_>>().join("\n          "));
        let cluster = |name: &str, at: SocketAddr| {
            format!(
                "  - name: {name}\n    connect_timeout: 1s\n    load_assignment:\n      cluster_name: {name}\n      \
                 endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: {}, port_value: \
                 {} }} }} }} }}] }}]\n",
                at.ip(),
                at.port()
            )
        };
        let clusters = cluster("signet", signet) + &cluster("orders", api);
        let config =
            |own: SocketAddr| ENVOY.replace("PORT", &own.port().to_string()) + &manager + "  clusters:\n" + &clusters;
        let program = tool("TEST_ENVOY", "envoy");
        Self::start("envoy.yaml", config, |_| {
            let mut command = Command::new(&program);
            command.args(["-c", "envoy.yaml", "--concurrency", "1", "--disable-hot-restart", "-l", "warning"]);
            command
        })
        .await
    }

    /// The documented static and dynamic configuration.
    pub async fn traefik(signet: SocketAddr, api: SocketAddr) -> Self {
        let fixed = documented("yaml", "entryPoints:");
        let config = |own: SocketAddr| {
            let listening = fixed.replace("\":8000\"", &format!("\"{own}\""));
            assert!(listening != fixed, "docs/gate.md has the entry point");
            listening
                + "global: { checkNewVersion: false, sendAnonymousUsage: false }\nproviders:\n  file:\n    filename: dynamic.yaml\n"
        };
        let dynamic = filled(&documented("yaml", "http:\n  middlewares:"), signet, api);
        let program = tool("TEST_TRAEFIK", "traefik");
        let started = Self::start("traefik.yaml", config, |at| {
            fs::write(at.join("dynamic.yaml"), &dynamic).unwrap();
            let mut command = Command::new(&program);
            command.arg("--configFile=traefik.yaml");
            command
        })
        .await;
        // It listens before it has read its routers.
        for _ in 0..3000 {
            if once(started.address, "GET", "/", &[], b"").await.status != 404 {
                return started;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("Traefik does not know the host:\n{}", started.log());
    }

    async fn start(file: &str, config: impl Fn(SocketAddr) -> String, command: impl Fn(&Path) -> Command) -> Self {
        let (address, folder) = (free_address(), tempfile::tempdir().unwrap());
        fs::write(folder.path().join(file), config(address)).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut command = command(folder.path());
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let mut proxy = Self { address, process, folder };
        for _ in 0..3000 {
            if let Some(status) = proxy.process.try_wait().unwrap() {
                panic!("the proxy ended with {status}:\n{}", proxy.log());
            }
            if TcpStream::connect(address).await.is_ok() {
                return proxy;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the proxy does not listen:\n{}", proxy.log());
    }

    /// What it complained of.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
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
          route_config:
            virtual_hosts:
            - name: orders
              domains: ["*"]
              request_headers_to_remove: [authorization, x-api-key]
              routes:
              - match: { prefix: "/.signet/" }
                route: { cluster: signet, prefix_rewrite: "/gate/session/orders/" }
                typed_per_filter_config:
                  envoy.filters.http.ext_authz:
                    "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute
                    disabled: true
              - match: { prefix: "/" }
                route: { cluster: orders }
"#;
