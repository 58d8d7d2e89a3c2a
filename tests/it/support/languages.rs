//! The examples in other languages, run as they stand in `examples/`, with the packages that their lock files name:
//! `TEST_PYTHON` is a Python that has them, `TEST_NODE` a Node, and `TEST_NODE_MODULES` the folder with its packages
//! (`TEST_MCP_NODE_MODULES` with those of `examples/mcp`). `tests/run` makes them all, in `target/languages`, where they are looked for without these variables. What is missing
//! fails the test.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;

use super::chromium::tool;
use super::program::free_address;

/// Far more than anything here takes; a machine may be busy.
const START_TIMEOUT: Duration = Duration::from_mins(3);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Python,
    JavaScript,
}

impl Language {
    pub const ALL: [Self; 2] = [Self::Python, Self::JavaScript];

    /// `callers/python/bearer.py`, of `callers` and `bearer`.
    fn file(self, room: &str, name: &str) -> PathBuf {
        let (language, ending) = match self {
            Self::Python => ("python", "py"),
            Self::JavaScript => ("javascript", "mjs"),
        };
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        examples.join(room).join(language).join(format!("{name}.{ending}"))
    }

    /// The interpreter, with nothing in its environment.
    fn interpreter(self) -> Command {
        bare(match self {
            Self::Python => Command::new(made("TEST_PYTHON", "python/bin/python")),
            Self::JavaScript => Command::new(tool("TEST_NODE", "node")),
        })
    }

    /// Runs an example to its end: whether it succeeded, and what it said.
    pub async fn run(self, room: &str, name: &str, environment: &[(&str, &str)]) -> (bool, String) {
        let mut command = self.interpreter();
        command.arg(self.file(room, name)).envs(environment.iter().copied());
        let running = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = tokio::time::timeout(START_TIMEOUT, running).await.expect("it ends").unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    }

    /// A program of `examples/mcp`, in a folder of its own with the packages beside it.
    pub fn mcp(name: &str, folder: &Path) -> Command {
        let packages = made("TEST_MCP_NODE_MODULES", "mcp/node_modules");
        let file = beside_packages(&Self::JavaScript.file("mcp", name), folder, &packages);
        let mut command = Self::JavaScript.interpreter();
        command.arg(file).current_dir(folder);
        command
    }

    /// Starts `apis/…/orders`.
    pub async fn serve(self, environment: &[(&str, &str)]) -> Served {
        let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
        let mut command = self.interpreter();
        let (port, source) = (address.port().to_string(), self.file("apis", "orders"));
        match self {
            Self::Python => {
                fs::copy(&source, folder.path().join(source.file_name().unwrap())).unwrap();
                command.args(["-m", "flask", "--app", "orders", "run", "--port", &port]);
            }
            Self::JavaScript => {
                command.arg(beside_packages(&source, folder.path(), &made("TEST_NODE_MODULES", "node_modules")));
                command.env("PORT", &port);
            }
        }
        command.envs(environment.iter().copied());
        Served::start(command, address, folder).await
    }
}

/// `command` with nothing in its environment but what makes it reach the servers under test.
pub fn bare(mut command: Command) -> Command {
    command.env_clear().env("NO_PROXY", "localhost,127.0.0.1").env("PYTHONDONTWRITEBYTECODE", "1");
    // The servers under test have no other address, and Node 18 would not try a second one.
    command.env("NODE_OPTIONS", "--dns-result-order=ipv4first");
    command.stdin(Stdio::null());
    command
}

/// A copy of the program `source` in `folder`, beside its packages, where Node looks for them.
pub fn beside_packages(source: &Path, folder: &Path, packages: &Path) -> PathBuf {
    let file = folder.join(source.file_name().unwrap());
    fs::copy(source, &file).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
    let modules = folder.join("node_modules");
    if !modules.exists() {
        std::os::unix::fs::symlink(packages, modules).unwrap();
    }
    file
}

/// What `tests/run` makes in `target/languages`.
pub fn made(variable: &str, within: &str) -> PathBuf {
    let named = std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from);
    let path = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/languages").join(within));
    assert!(
        path.exists(),
        "this test needs {}: tests/run makes it, and says by {variable} where it is",
        path.display()
    );
    path
}

/// A program that listens; it is ended with the test.
pub struct Served {
    pub url: String,
    process: Child,
    folder: tempfile::TempDir,
}

impl Served {
    /// Starts `command` in `folder`, and returns when it listens at `address`.
    pub async fn start(mut command: Command, address: SocketAddr, folder: tempfile::TempDir) -> Self {
        let log = fs::File::create(folder.path().join("log")).unwrap();
        command.current_dir(folder.path()).stdout(log.try_clone().unwrap()).stderr(log);
        let process = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut served = Self { url: format!("http://{address}"), process, folder };
        served.wait(address).await;
        served
    }

    async fn wait(&mut self, address: SocketAddr) {
        let listens = async {
            while TcpStream::connect(address).await.is_err() {
                if let Some(status) = self.process.try_wait().unwrap() {
                    panic!("it ended with {status}:\n{}", self.log());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(START_TIMEOUT, listens).await.is_ok(), "it does not listen:\n{}", self.log());
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
