//! The programs of `tests/clients`: each is a web app that signs users in by one client library. `/login`, `/refresh` and
//! `/logout` do what they say, and `/` answers with the claims of the signed-in user, or 401. `tests/run` installs the
//! packages that their lock files name: `TEST_CLIENTS_NODE_MODULES` is the folder of those in JavaScript, with a Node that is
//! new enough for them, `TEST_PYTHON` a Python that has the others, `TEST_GO_OIDC` the program in Go, `TEST_APACHE` an
//! Apache, and `TEST_SPRING_SECURITY` the program for `TEST_JAVA`. What is missing fails the test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::chromium::tool;
use super::languages::{Served, bare, beside_packages, made};

#[derive(Clone, Copy, Debug)]
pub enum ClientProgram {
    /// `tests/clients/javascript/….mjs`
    JavaScript(&'static str),
    /// `tests/clients/python/….py`
    Python(&'static str),
    Go,
    /// `tests/clients/apache/httpd.conf`
    Apache,
    /// `tests/clients/java`
    Java,
}

impl ClientProgram {
    /// Starts it at `address`.
    pub async fn start(self, address: SocketAddr, environment: &[(&str, &str)]) -> Served {
        let folder = tempfile::tempdir().unwrap();
        let mut command = self.command(folder.path());
        command.env("PORT", address.port().to_string()).envs(environment.iter().copied());
        Served::start(command, address, folder).await
    }

    /// What runs it in `folder`.
    pub fn command(self, folder: &Path) -> Command {
        match self {
            Self::JavaScript(name) => {
                let packages = made("TEST_CLIENTS_NODE_MODULES", "clients/node_modules");
                let file = beside_packages(&source(&format!("javascript/{name}.mjs")), folder, &packages);
                let mut node = bare(Command::new(packages.join(".bin/node")));
                node.arg(file);
                node
            }
            Self::Python(name) => {
                let mut python = bare(Command::new(made("TEST_PYTHON", "python/bin/python")));
                python.arg(source(&format!("python/{name}.py")));
                python
            }
            Self::Go => bare(Command::new(made("TEST_GO_OIDC", "../go/bin/go_oidc"))),
            Self::Apache => apache(folder),
            Self::Java => {
                let mut java = bare(Command::new(tool("TEST_JAVA", "java")));
                // It runs for seconds, in which the better compiler does not pay.
                java.args(["-XX:TieredStopAtLevel=1", "-jar"]);
                java.arg(made("TEST_SPRING_SECURITY", "../java/spring-security.jar"));
                java
            }
        }
    }
}

/// One process, so that it ends as a whole.
fn apache(folder: &Path) -> Command {
    let source = source("apache");
    let mut apache = bare(Command::new(tool("TEST_APACHE", "apache2")));
    apache.args(["-X", "-f"]).arg(source.join("httpd.conf")).arg("-d").arg(folder);
    apache.env("FOLDER", folder).env("SOURCE", source).env("MODULES", "/usr/lib/apache2/modules");
    apache
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(path)
}
