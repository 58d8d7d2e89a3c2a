//! The real nginx, as a process of the test's own: `TEST_NGINX` says where it is; a missing one fails the test. It runs
//! in one process, in a folder of its own, and ends with the test.
//!
//! [`Nginx::gate`] runs `examples/gate/nginx.conf`, which is what docs/gate.md shows. [`super::wire`] speaks to it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;

use super::chromium::tool;
use super::program::free_address;

/// The name that the example is for.
pub const HOST: &str = "orders.example.com";
/// The addresses in the example: its own, Signet's, the API's.
const EXAMPLE: [&str; 3] = ["127.0.0.1:8000", "127.0.0.1:8080", "127.0.0.1:9000"];

pub struct Nginx {
    pub address: SocketAddr,
    process: Child,
    folder: tempfile::TempDir,
}

/// The configuration as it is documented.
pub fn example() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gate/nginx.conf")).unwrap()
}

/// The documented configuration with another host and these addresses.
fn filled(config: &str, host: &str, addresses: [SocketAddr; 3]) -> String {
    let pattern = |host: &str| host.replace('.', "\\.");
    let mut config = config.replace(HOST, host).replace(&pattern(HOST), &pattern(host));
    for (written, address) in EXAMPLE.iter().zip(addresses) {
        assert_eq!(config.matches(written).count(), 1, "{written} stands in the example once");
        config = config.replace(written, &address.to_string());
    }
    config
}

impl Nginx {
    /// The documented configuration, with other addresses: `signet` is asked, `api` is behind it.
    pub async fn gate(signet: SocketAddr, api: SocketAddr) -> Self {
        Self::gate_at(HOST, signet, api).await
    }

    /// The same for another host than the example's.
    pub async fn gate_at(host: &str, signet: SocketAddr, api: SocketAddr) -> Self {
        Self::start(|own| filled(&example(), host, [own, signet, api])).await
    }

    /// With https, by the lines that docs/gate.md has for that, and these PEM files: the server's chain and key, and whom
    /// it believes about callers.
    pub async fn gate_with_tls(host: &str, signet: SocketAddr, api: SocketAddr, files: [(&str, &str); 3]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, pem) in files {
            fs::write(folder.path().join(name), pem).unwrap();
        }
        let guide = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/gate.md")).unwrap();
        let mut blocks = guide.split("```").filter_map(|block| block.strip_prefix("nginx\n"));
        let lines = blocks.find(|block| block.trim_start().starts_with("listen")).unwrap();
        let lines = lines.replace("/etc/nginx/tls", folder.path().to_str().unwrap());
        let config = example().replace(&format!("    listen {};\n", EXAMPLE[0]), &lines);
        // nginx has read the files when it listens.
        Self::start(|own| filled(&config, host, [own, signet, api])).await
    }

    /// With what `http` makes for the http context, listening at the address that it is given.
    pub async fn start(http: impl Fn(SocketAddr) -> String) -> Self {
        for _ in 0..20 {
            let address = free_address();
            if let Some(nginx) = Self::try_start(address, &http(address)).await {
                return nginx;
            }
        }
        panic!("nginx finds no free address");
    }

    /// Nothing where somebody else was quicker to take the address.
    async fn try_start(address: SocketAddr, http: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {}/{kind};", at.display()))
            .join("\n");
        let config = format!(
            "daemon off;\nmaster_process off;\npid {0}/pid;\nerror_log {0}/error.log info;\n\
             events {{ worker_connections 512; }}\nhttp {{\naccess_log off;\n{temporary}{http}\n}}\n",
            at.display()
        );
        fs::write(at.join("nginx.conf"), config).unwrap();
        let program = tool("TEST_NGINX", "nginx");
        let process = Command::new(&program)
            .args(["-p", at.to_str().unwrap(), "-e", "error.log", "-c", "nginx.conf"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} does not start: {error}"));
        let mut nginx = Self { address, process, folder };
        // It has the address before it says anything, so its end is asked for before a connection is tried.
        for _ in 0..1000 {
            if let Some(status) = nginx.process.try_wait().unwrap() {
                let log = nginx.log();
                assert!(log.contains("Address already in use"), "nginx ended with {status}:\n{log}");
                return None;
            }
            if TcpStream::connect(address).await.is_ok() {
                return Some(nginx);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nginx does not listen:\n{}", nginx.log());
    }

    /// What it complained of.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
