//! The program itself, as somebody at a terminal has it: run in a folder of its own, on a database of its own, with
//! nothing in its environment but what a test puts there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, Statement};
use serde_json::Value;
use signet::config::DatabaseUrl;

use super::database::Made;
use super::{Browser, installed};

/// Far more than anything here takes; a machine may be busy.
const START_TIMEOUT: Duration = Duration::from_mins(1);

pub struct Program {
    pub folder: tempfile::TempDir,
    pub address: SocketAddr,
    environment: BTreeMap<String, String>,
    /// Dropped with it; a neighbour has none of its own.
    _database: Option<Made>,
}

/// An address that nobody else gets: below the range from which the system gives ports to whoever asks for any.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let step = std::process::id().wrapping_mul(61).wrapping_add(NEXT.fetch_add(1, Ordering::SeqCst));
        let address = SocketAddr::from(([127, 0, 0, 1], 10_000 + u16::try_from(step % 10_000).unwrap()));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// What a command said.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Program {
    /// In an empty folder.
    pub async fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap(), Made::new().await)
    }

    /// In a folder where the server has been started before, so that it has keys.
    pub async fn installed() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = installed::copy(&folder.path().join("data")).await;
        Self::on(folder, database)
    }

    fn on(folder: tempfile::TempDir, database: Option<Made>) -> Self {
        let address = free_address();
        let environment =
            database.iter().map(|made| ("SIGNET_DATABASE_URL".to_owned(), made.url().as_str().to_owned()));
        Self { folder, address, environment: environment.collect(), _database: database }.with_address()
    }

    fn with_address(mut self) -> Self {
        self.set("SIGNET_LISTEN", &self.address.to_string());
        self.set("SIGNET_ISSUER", &format!("http://{}", self.address));
        self
    }

    /// Another node: at an address of its own, on the same database and data directory.
    pub fn neighbour(&self) -> Self {
        let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
        let mut other = Self { folder, address, environment: self.environment.clone(), _database: None }.with_address();
        other.set("SIGNET_DATA_DIR", self.data().to_str().unwrap());
        other
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    pub fn url(&self) -> String {
        self.environment["SIGNET_ISSUER"].clone()
    }

    pub fn data(&self) -> PathBuf {
        self.environment.get("SIGNET_DATA_DIR").map_or_else(|| self.folder.path().join("data"), PathBuf::from)
    }

    /// Gives the data directory another name in the program's folder.
    pub fn move_data(&mut self, name: &str) {
        fs::rename(self.data(), self.folder.path().join(name)).unwrap();
        self.set("SIGNET_DATA_DIR", name);
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    pub async fn database(&self) -> DatabaseConnection {
        let file = DatabaseUrl::from_file(&self.data().join("signet.db")).as_str().to_owned();
        Database::connect(self.environment.get("SIGNET_DATABASE_URL").unwrap_or(&file)).await.unwrap()
    }

    pub async fn count(&self, table: &str) -> i64 {
        let db = self.database().await;
        let ask = Statement::from_string(db.get_database_backend(), format!("SELECT count(*) AS n FROM {table}"));
        let count = db.query_one_raw(ask).await.unwrap().unwrap().try_get("", "n").unwrap();
        db.close().await.unwrap();
        count
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_signet"));
        command.args(arguments).current_dir(self.folder.path()).env_clear().envs(&self.environment);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, "")
    }

    /// Runs a command with `input` on its stdin.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Said {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // One that is refused may have ended before it has read.
        child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
        let output = child.wait_with_output().unwrap();
        Said {
            code: output.status.code().expect("it was not killed"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// With its output in `out`, and so none here.
    pub fn run_into(&self, arguments: &[&str], out: File) -> Said {
        let output = self.command(arguments).stdout(out).output().unwrap();
        Said {
            code: output.status.code().expect("it was not killed"),
            out: String::new(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// A command that must succeed.
    pub fn done(&self, arguments: &[&str]) -> String {
        self.run(arguments).done()
    }

    /// Its JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.done(arguments)).unwrap()
    }

    /// Starts serving and waits for the one line that says where.
    pub fn serve(&self, arguments: &[&str]) -> Running {
        let running = Running::start(&mut self.command(arguments), &self.folder.path().join("log"), "Signet is at ");
        assert_eq!(running.before, "", "one line, and it says where");
        running
    }

    /// Serves with a signal ignored that would end the program.
    pub fn serve_ignoring(&self, signal: &str, arguments: &[&str]) -> Running {
        let mut command = Command::new("sh");
        let script = format!("trap '' {signal}; exec \"$0\" \"$@\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_signet")]).args(arguments);
        let path = std::env::var("PATH").unwrap();
        command.current_dir(self.folder.path()).env_clear().envs(&self.environment).env("PATH", path);
        Running::start(&mut command, &self.folder.path().join("log"), "Signet is at ")
    }

    /// Serves on a machine whose clock is off by so many seconds.
    pub fn serve_skewed(&self, seconds: i64) -> Running {
        let mut command = Command::new("faketime");
        command.args(["-f", &format!("{seconds:+}s"), env!("CARGO_BIN_EXE_signet"), "serve"]);
        let path = std::env::var("PATH").unwrap();
        command.current_dir(self.folder.path()).env_clear().envs(&self.environment).env("PATH", path);
        // How long something takes is not what is wrong there.
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        Running::start(&mut command, &self.folder.path().join("log"), "Signet is at ")
    }

    /// Starts a command and does not wait for it.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let log = self.folder.path().join("log");
        let mut command = self.command(arguments);
        let streams = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log).unwrap());
        let child = streams.spawn().unwrap();
        let rest = Some(std::thread::spawn(String::new));
        Running { child, log, line: String::new(), before: String::new(), rest }
    }

    /// The PostgreSQL database's name.
    pub fn database_name(&self) -> String {
        self.environment["SIGNET_DATABASE_URL"].rsplit('/').next().unwrap().to_owned()
    }

    /// The same with its log at `path`.
    pub fn serve_with_log_at(&self, path: &Path) -> Running {
        Running::start(&mut self.command(&["serve"]), path, "Signet is at ")
    }

    /// Starts serving with these limits of open files, soft and hard.
    pub fn serve_with_files(&self, soft: u32, hard: u32) -> Running {
        let mut command = Command::new("prlimit");
        command.arg(format!("--nofile={soft}:{hard}")).arg(env!("CARGO_BIN_EXE_signet")).arg("serve");
        command.current_dir(self.folder.path()).env_clear().envs(&self.environment);
        Running::start(&mut command, &self.folder.path().join("log"), "Signet is at ")
    }

    /// Starts another program in this one's folder and environment, and waits until it says `words`.
    pub fn beside(&self, program: &Path, words: &str) -> Running {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).env_clear().envs(&self.environment);
        Running::start(&mut command, &self.folder.path().join("beside.log"), words)
    }

    /// A browser at this program's address.
    pub fn browser(&self) -> Browser {
        Browser::new(self.url())
    }
}

impl Said {
    pub fn done(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        assert_eq!(self.err, "", "a command that succeeds says nothing on stderr");
        self.out
    }

    /// The one line that says why it was refused.
    pub fn refused(self) -> String {
        assert_eq!(self.code, 1, "{}{}", self.out, self.err);
        assert_eq!(self.err.lines().count(), 1, "{}", self.err);
        self.err
    }
}

/// A server that runs; it is ended with the test.
pub struct Running {
    child: Child,
    log: PathBuf,
    /// The line with the awaited words, and what was said before it.
    pub line: String,
    before: String,
    rest: Option<std::thread::JoinHandle<String>>,
}

impl Running {
    fn start(command: &mut Command, log: &Path, words: &str) -> Self {
        let streams = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(log).unwrap());
        let mut child = streams.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let (awaited, received) = mpsc::channel();
        let words = words.to_owned();
        let rest = std::thread::spawn(move || {
            let (mut before, mut line) = (String::new(), String::new());
            while lines.read_line(&mut line).unwrap() > 0 && !line.contains(&words) {
                before.push_str(&std::mem::take(&mut line));
            }
            awaited.send((before, line.trim_end().to_owned())).ok();
            let mut rest = String::new();
            lines.read_to_string(&mut rest).unwrap();
            rest
        });
        let mut running =
            Self { child, log: log.to_owned(), line: String::new(), before: String::new(), rest: Some(rest) };
        (running.before, running.line) = received.recv_timeout(START_TIMEOUT).unwrap();
        assert!(!running.line.is_empty(), "it did not start: {}{}", running.before, running.log());
        running
    }

    /// What follows `words` in the line that was waited for.
    pub fn after(&self, words: &str) -> String {
        self.line.split_once(words).expect("those words").1.to_owned()
    }

    /// SIGKILL: it gets no chance to finish anything.
    pub fn kill(self) {
        self.signal("KILL");
        assert_eq!(self.ended().0, None);
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    fn of_process(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap()
    }

    /// Its resident memory, in KiB.
    pub fn memory(&self) -> u64 {
        let status = self.of_process("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it runs");
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Its limits, as the system shows them.
    pub fn limits(&self) -> String {
        self.of_process("limits")
    }

    /// How many files it has open, connections among them.
    pub fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Changes its limit of open files while it runs.
    pub fn set_file_limit(&self, files: usize) {
        let pid = self.child.id().to_string();
        let set = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={files}:{files}")]).status();
        assert!(set.unwrap().success());
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// The exit status, and what it printed after its first line.
    pub fn ended(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        (status.code(), self.rest.take().unwrap().join().unwrap())
    }

    /// Everything in the log, once it has ended.
    pub fn log_at_end(mut self) -> String {
        self.child.wait().unwrap();
        self.log()
    }

    pub fn stop(self) {
        self.signal("TERM");
        assert_eq!(self.ended(), (Some(0), String::new()));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Asks until the answer is the awaited one; the time is counted by the answers' own clock, which is why it may sleep.
pub async fn within<F: Future<Output = bool>>(seconds: u64, mut holds: impl FnMut() -> F) {
    let asking = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(seconds), asking).await.expect("it holds in time");
}
