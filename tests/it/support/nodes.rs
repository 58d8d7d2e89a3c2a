//! Servers that are not the usual one: with other settings, a second node on one database, the same one started again.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use futures::FutureExt as _;
use signet::app::AppState;
use signet::config::{Config, Issuer};
use signet::env::{Clock, Env};
use signet::server::listen;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::database::Made;
use super::{Server, installed, log};

/// What the nodes of one test share; gone when the last of them is.
pub(super) struct Home {
    folder: TempDir,
    database: Option<Made>,
}

impl Server {
    /// One with settings that `change` has made.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = installed::copy(folder.path()).await;
        Self::start_at(Home { folder, database }, change).await
    }

    /// One with keys that no other server of the tests has.
    pub async fn with_own_keys() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::start_at(Home { folder, database: Made::new().await }, |_| {}).await
    }

    async fn start_at(home: Home, change: impl FnOnce(&mut Config)) -> Self {
        let home = Arc::new(home);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        // By name: passkeys need a host that is one.
        let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let mut config = Config {
            issuer: Issuer::parse(&url).unwrap(),
            data_dir: home.folder.path().to_owned(),
            database_url: home.database.as_ref().map(Made::url),
            ..Config::default()
        };
        change(&mut config);
        let clock = Arc::new(AtomicI64::new(Clock::System.now().0));
        let env = Clock::Manual(clock.clone());
        Self::open(listener, config, (clock, env), home).await
    }

    async fn open(
        listener: std::net::TcpListener,
        config: Config,
        (clock, own): (Arc<AtomicI64>, Clock),
        home: Arc<Home>,
    ) -> Self {
        log::keep();
        let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let app = AppState::open(config, Env::with_clock(own)).await.unwrap();
        let served = app.clone();
        let (in_use, dropped) = oneshot::channel::<()>();
        let until_dropped = dropped.map(drop);
        tokio::spawn(async move { listen::serve(listener, None, &served, until_dropped).await.unwrap() });
        Self { url, app, clock, home, _in_use: in_use }
    }

    /// Another process on the same database and data directory, behind the same issuer, with nothing in its memory.
    pub async fn node(&self) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let config = self.app.config.clone();
        let own = Clock::Manual(self.clock.clone());
        Self::open(listener, config, (self.clock.clone(), own), self.home.clone()).await
    }

    /// The same with a clock that is off by so many seconds.
    pub async fn skewed_node(&self, seconds: i64) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let own = Clock::Skewed(self.clock.clone(), seconds * 1000);
        let config = self.app.config.clone();
        Self::open(listener, config, (self.clock.clone(), own), self.home.clone()).await
    }

    /// The nodes that requests may fall on: SQLite has one, PostgreSQL two.
    pub async fn nodes(self) -> Vec<Self> {
        if std::env::var("TEST_DATABASE").as_deref() == Ok("postgres") {
            let second = self.node().await;
            vec![self, second]
        } else {
            vec![self]
        }
    }
}
