//! A proxy as a process of the test's own, in a folder of its own; it ends with the test.

use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;

use super::program::free_address;

pub struct Proxy {
    pub address: SocketAddr,
    process: Child,
    folder: tempfile::TempDir,
}

impl Proxy {
    /// Runs `command` in a folder with the files that `files` makes for the address at which the proxy is to listen.
    pub async fn start(
        files: impl Fn(SocketAddr) -> Vec<(&'static str, String)>,
        command: impl Fn() -> Command,
    ) -> Self {
        for _ in 0..20 {
            let address = free_address();
            if let Some(proxy) = Self::try_start(address, files(address), command()).await {
                return proxy;
            }
        }
        panic!("{:?} finds no free address", command());
    }

    /// Returns `None` where another process was quicker to take the address.
    async fn try_start(address: SocketAddr, files: Vec<(&str, String)>, mut command: Command) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let log = fs::File::create(folder.path().join("log")).unwrap();
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        // Where Caddy keeps its state.
        command.env("XDG_DATA_HOME", folder.path()).env("XDG_CONFIG_HOME", folder.path());
        let process = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let mut proxy = Self { address, process, folder };
        // Another process may listen there, so the end of this one is looked for before a connection is tried.
        for _ in 0..3000 {
            if let Some(status) = proxy.process.try_wait().unwrap() {
                let log = proxy.log();
                assert!(log.to_lowercase().contains("address already in use"), "{command:?}: {status}\n{log}");
                return None;
            }
            if TcpStream::connect(address).await.is_ok() {
                return Some(proxy);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{command:?} does not listen:\n{}", proxy.log());
    }

    /// What it has written.
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
