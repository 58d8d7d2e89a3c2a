//! `signet export`: prints the present state as the JSON that `apply` reads.

use super::{error_line, print_json};
use crate::manage::{Manager, export};

pub(super) async fn run(manager: &Manager) -> Result<(), String> {
    print_json(&export::export(manager).await.map_err(error_line)?)
}
