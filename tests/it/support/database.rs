//! A PostgreSQL database for each test that wants one, gone with it: four hundred that stay would be four gigabytes.
//! On SQLite a test's database is a file in its folder, and there is nothing to do.

use std::path::Path;

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, Statement};
use signet::config::DatabaseUrl;
use signet::env::Env;

use super::Server;

/// A database that is dropped when this is.
pub struct Made {
    server: String,
    name: String,
}

impl Made {
    /// `None` where `TEST_DATABASE` asks for SQLite.
    pub async fn new() -> Option<Self> {
        match std::env::var("TEST_DATABASE").as_deref() {
            Ok("postgres") => {
                let server = std::env::var("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL says where PostgreSQL is");
                let made = Self { server, name: format!("t{}", Env::system().uuid().simple()) };
                made.ask(format!("CREATE DATABASE {}", made.name)).await;
                Some(made)
            }
            Ok("sqlite") | Err(_) => None,
            Ok(other) => panic!("TEST_DATABASE is sqlite or postgres, not {other}"),
        }
    }

    pub fn url(&self) -> DatabaseUrl {
        let (base, _) = self.server.rsplit_once('/').unwrap();
        DatabaseUrl::try_from(format!("{base}/{}", self.name)).unwrap()
    }

    async fn ask(&self, statement: String) {
        let admin = Database::connect(&self.server).await.unwrap();
        admin.execute_unprepared(&statement).await.unwrap();
        admin.close().await.unwrap();
    }
}

/// A database that is copied for tests. It stays when they end; the next run drops those of processes that are gone.
pub struct Template(Made);

const TEMPLATE: &str = "signet_template_";

impl Template {
    /// `None` where `TEST_DATABASE` asks for SQLite.
    pub async fn new() -> Option<Self> {
        let mut made = Made::new().await?;
        let own = format!("{TEMPLATE}{}", std::process::id());
        let admin = Database::connect(&made.server).await.unwrap();
        let known = format!("SELECT datname FROM pg_database WHERE datname LIKE '{TEMPLATE}%'");
        for row in admin.query_all_raw(Statement::from_string(admin.get_database_backend(), known)).await.unwrap() {
            let name: String = row.try_get("", "datname").unwrap();
            let process = name.trim_start_matches(TEMPLATE);
            if name == own || !Path::new("/proc").join(process).exists() {
                admin.execute_unprepared(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await.unwrap();
            }
        }
        admin.close().await.unwrap();
        made.ask(format!("ALTER DATABASE {} RENAME TO {own}", made.name)).await;
        made.name = own;
        Some(Self(made))
    }

    pub fn url(&self) -> DatabaseUrl {
        self.0.url()
    }

    pub async fn copy(&self) -> Made {
        let copy = Made { server: self.0.server.clone(), name: format!("t{}", Env::system().uuid().simple()) };
        copy.ask(format!("CREATE DATABASE {} TEMPLATE {}", copy.name, self.0.name)).await;
        copy
    }
}

impl Drop for Made {
    /// On a thread of its own, because the test's runtime cannot wait here. By force: its servers may still run.
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(self.ask(statement));
            });
        });
    }
}

/// A table that is not there under its name: every statement that needs it fails, on either engine.
pub struct Aside {
    db: DatabaseConnection,
    table: &'static str,
}

impl Aside {
    pub async fn rename(server: &Server, table: &'static str) -> Self {
        let db = Database::connect(server.app.config.database().as_str()).await.unwrap();
        db.execute_unprepared(&format!("ALTER TABLE {table} RENAME TO {table}_aside")).await.unwrap();
        Self { db, table }
    }

    /// Gives the table its name again.
    pub async fn back(self) {
        let Self { db, table } = self;
        db.execute_unprepared(&format!("ALTER TABLE {table}_aside RENAME TO {table}")).await.unwrap();
        db.close().await.unwrap();
    }
}

/// Lets the PostgreSQL database `name` accept no connections, and returns when its last one is closed. A terminated
/// connection still answers until its process notices, and one that was just being opened is not listed at first.
pub async fn refuse_connections(admin: &DatabaseConnection, name: &str) {
    admin.execute_unprepared(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await.unwrap();
    let end = format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'");
    let mut without = 0;
    while without < 2 {
        let statement = Statement::from_string(admin.get_database_backend(), end.as_str());
        let ended = admin.query_all_raw(statement).await.unwrap();
        without = if ended.is_empty() { without + 1 } else { 0 };
    }
}
