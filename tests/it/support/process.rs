//! The built programs, each a process of its own: for what only a process can show, such as being killed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use reqwest::{Client as Http, redirect};
use serde_json::Value;

use super::Browser;

/// A program that runs until it is killed or the test is over.
pub struct Running(Child);

impl Running {
    /// Starts it and reads until it has said `words`; the rest of that line.
    pub fn start(command: &mut Command, words: &str) -> (Self, String) {
        let streams = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = streams.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let running = Self(child);
        let mut said = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "it ended without saying {words:?}: {said}");
            if let Some((_, rest)) = line.split_once(words) {
                let rest = rest.trim().to_owned();
                std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
                return (running, rest);
            }
            said.push_str(&line);
        }
    }

    /// SIGKILL: it gets no chance to finish anything.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A Signet with a working directory, a database and an address of its own.
pub struct Installation {
    folder: tempfile::TempDir,
    database: Option<signet::config::DatabaseUrl>,
    port: u16,
}

impl Installation {
    pub async fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), database: super::database().await, port: free_port() }
    }

    pub fn url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_signet")));
        command.current_dir(self.folder.path()).env("SIGNET_ISSUER", self.url());
        command.env("SIGNET_LISTEN", format!("127.0.0.1:{}", self.port));
        if let Some(database) = &self.database {
            command.env("SIGNET_DATABASE_URL", database.as_str());
        }
        command
    }

    /// `signet apply -`.
    pub fn apply(&self, document: &Value) {
        let mut command = self.command();
        let mut apply = command.args(["apply", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        apply.stdin.take().unwrap().write_all(document.to_string().as_bytes()).unwrap();
        assert!(apply.wait().unwrap().success());
    }

    /// `signet serve`, listening.
    pub fn serve(&self) -> Running {
        Running::start(&mut self.command(), "Signet is at ").0
    }

    pub fn browser(&self) -> Browser {
        let http = Http::builder().cookie_store(true).redirect(redirect::Policy::none()).no_proxy().build().unwrap();
        Browser { http, url: self.url() }
    }
}
