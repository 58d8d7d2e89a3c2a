//! `PgBouncer` (PostgreSQL): session mode works, transaction and statement mode are refused at the start.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{document, http, postgres, token};
use crate::support::program::{Program, free_address, within};

struct Pooler {
    child: Child,
    _folder: tempfile::TempDir,
    url: String,
}

impl Pooler {
    /// Before the server of the tests, in that mode.
    async fn start(mode: &str, database: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let (address, server) =
            (free_address(), url::Url::parse(&std::env::var("TEST_POSTGRES_URL").unwrap()).unwrap());
        let (host, port) = (server.host_str().unwrap(), server.port().unwrap());
        let settings = format!(
            "[databases]\n* = host={host} port={port} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\n",
            address.port()
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        let child = Self::command(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let url = format!("postgres://postgres@{address}/{database}");
        let pooler = Self { child: child.unwrap(), _folder: folder, url };
        within(20, || async { std::net::TcpStream::connect(address).is_ok() }).await;
        pooler
    }

    /// It refuses to run as root.
    fn command(settings: &Path) -> Command {
        let program = std::env::var("TEST_PGBOUNCER").unwrap_or_else(|_| "/usr/sbin/pgbouncer".to_owned());
        let root = std::fs::metadata("/proc/self").unwrap();
        if std::os::unix::fs::MetadataExt::uid(&root) != 0 {
            let mut command = Command::new(program);
            command.arg(settings);
            return command;
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", &program]).arg(settings);
        command
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pooler_in_session_mode_works() {
    if !postgres() {
        return;
    }
    let mut program = Program::installed().await;
    let pooler = Pooler::start("session", &program.database_name()).await;
    program.set("SIGNET_DATABASE_URL", &pooler.url);
    program.run_with(&["apply", "-"], &document().to_string()).done();
    let server = program.serve(&["serve"]);
    let (http, url) = (http(), program.url());
    assert_eq!(token(&http, &url).await.0, 200);
    program.done(&["client", "disable", "web"]);
    within(2, || async { token(&http, &url).await.0 == 401 }).await;
    assert!(program.done(&["doctor"]).contains("ok     database"));
    assert!(!server.log().contains("no notifications"), "{}", server.log());
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pooler_in_another_mode_is_refused() {
    if !postgres() {
        return;
    }
    for mode in ["transaction", "statement"] {
        let mut program = Program::installed().await;
        let pooler = Pooler::start(mode, &program.database_name()).await;
        program.set("SIGNET_DATABASE_URL", &pooler.url);
        for command in [["serve"].as_slice(), &["migrate"], &["user", "list"]] {
            let line = program.run(command).refused();
            assert!(line.contains("pool_mode = session"), "{mode}: {line}");
        }
        let said = program.run(&["doctor"]);
        assert!(said.out.contains("pool_mode = session"), "{mode}: {}", said.out);
    }
}
