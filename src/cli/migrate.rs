//! `signet migrate`: brings the schema up to date, as `serve` does at its start.

use super::{error_line, print};
use crate::config::Config;
use crate::store;

pub(super) async fn run(config: &Config) -> Result<(), String> {
    store::migrate(config).await.map_err(error_line)?;
    print(&format!("{}: the schema is up to date", config.database().redacted()));
    Ok(())
}
