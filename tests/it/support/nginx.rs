//! The real nginx: `TEST_NGINX` says where it is; a missing one fails the test. It runs in one process.
//!
//! What docs/gate.md shows for it is `examples/gate/nginx.conf`, which [`super::proxies`] starts.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::chromium::tool;
use super::proxy::Proxy;

/// The name that the example is for.
pub const HOST: &str = "orders.example.com";

/// The configuration as it is documented.
pub fn example() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gate/nginx.conf")).unwrap()
}

/// Starts nginx with what `http` makes for the http context, and with these files beside its configuration.
pub async fn start(http: impl Fn(SocketAddr) -> String, files: &[(&'static str, String)]) -> Proxy {
    let temporary =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|kind| format!("{kind}_temp_path {kind};")).join("\n");
    let config = |own: SocketAddr| {
        let config = format!(
            "daemon off;\nmaster_process off;\npid pid;\nerror_log stderr info;\nevents {{ worker_connections 512; }}\n\
             http {{\naccess_log off;\n{temporary}{}\n}}\n",
            http(own)
        );
        [files, &[("nginx.conf", config)]].concat()
    };
    let program = tool("TEST_NGINX", "nginx");
    let command = || {
        let mut command = Command::new(&program);
        command.args(["-p", "./", "-e", "stderr", "-c", "nginx.conf"]);
        command
    };
    Proxy::start(config, command).await
}
