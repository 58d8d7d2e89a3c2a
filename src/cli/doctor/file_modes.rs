//! Finds files with secrets that other users of the machine can read.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::keys::master::FILE;
use crate::store;

/// Returns the readable files, each with the mode to set with `chmod`.
///
/// Files that Signet creates are readable only by its own user. A key or settings file that another program
/// created may be readable by a group of which this user is a member.
pub(super) fn readable_by_others(config: &Config, settings: Option<&Path>) -> Vec<(PathBuf, &'static str)> {
    let own = std::iter::once(config.data_dir.join(FILE)).chain(database_files(config));
    let given = config.tls.key_file.clone().into_iter().chain(Config::file_with_secrets(settings));
    let own = own.filter(|path| has_bits(path, 0o077)).map(|path| (path, "600"));
    let given = given.filter(|path| has_bits(path, 0o007)).map(|path| (path, "o-rwx"));
    own.chain(given).collect()
}

/// Returns whether other users of the machine can replace files in the data directory.
pub(super) fn is_writable_by_others(config: &Config) -> bool {
    has_bits(&config.data_dir, 0o022) && !has_bits(&config.data_dir, 0o1000)
}

/// Returns the file of an `SQLite` database, and the files that `SQLite` creates beside it.
fn database_files(config: &Config) -> Vec<PathBuf> {
    let Some(path) = store::sqlite_path(&config.database()) else { return Vec::new() };
    let beside = |suffix: &str| {
        let mut name: OsString = path.clone().into();
        name.push(suffix);
        PathBuf::from(name)
    };
    ["", "-wal", "-shm"].map(beside).into()
}

fn has_bits(path: &Path, bits: u32) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & bits != 0)
}
