//! `signet migrate`: brings the schema up to date, as `serve` does at its start.

use super::{print, said};
use crate::config::Config;
use crate::store;

pub(super) async fn run(config: &Config) -> Result<(), String> {
    store::migrate(config).await.map_err(said)?;
    print(&format!("{}: the schema is up to date", config.database().shown()));
    Ok(())
}
