//! The built program as a process of its own, and how much processor time it has used.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Ticks a second in /proc/PID/stat: fixed for programs, whatever the kernel's own clock is (proc(5)).
const TICKS: f64 = 100.0;

pub struct Server {
    pub process: Child,
    pub address: SocketAddr,
}

impl Server {
    pub async fn start(data: &Path) -> Self {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_signet"))
            .arg("serve")
            .current_dir(data)
            .env("SIGNET_DATA_DIR", data)
            .env("SIGNET_LISTEN", address.to_string())
            .env("SIGNET_ISSUER", format!("http://{address}"))
            .env("SIGNET_TRUSTED_PROXIES", "127.0.0.1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Self { process, address };
        while tokio::net::TcpStream::connect(address).await.is_err() {
            assert!(server.process.try_wait().unwrap().is_none(), "the server does not start");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server
    }

    /// User and system time so far.
    pub fn cpu_micros(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        // The name in parentheses may hold spaces; utime and stime are the 14th and 15th field (proc(5)).
        let (_, rest) = stat.rsplit_once(") ").unwrap();
        let ticks: f64 = rest.split(' ').skip(11).take(2).map(|field| field.parse::<f64>().unwrap()).sum();
        ticks / TICKS * 1e6
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
