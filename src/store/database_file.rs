//! Detects that the file of an `SQLite` database has been replaced while the process runs: a backup was moved over it,
//! or it was deleted. Open connections keep the old file, so everything written from then on would be lost with it.
//!
//! [`super::writer`] begins no transaction on a replaced file. [`super::node_cache`] stops answering from memory.
//! `feed::reader` detects a database whose content has been replaced.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Result, StoreError};

/// The file that was opened: its path, device and inode.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    opened: (u64, u64),
    /// Never reset, because connections that were opened meanwhile belong to the other file.
    is_replaced: AtomicBool,
}

impl DatabaseFile {
    /// Returns the file that is at `path` now.
    ///
    /// # Errors
    /// Returns an error if there is no file, or its metadata cannot be read.
    pub(super) fn at(path: PathBuf) -> Result<Self> {
        let opened = identity(&path)?;
        Ok(Self { path, opened, is_replaced: AtomicBool::new(false) })
    }

    /// # Errors
    /// Returns an error if the path no longer leads to the file that was opened.
    pub(super) fn check(&self) -> Result<()> {
        if !self.is_replaced.load(Ordering::SeqCst) && identity(&self.path).is_ok_and(|now| now == self.opened) {
            return Ok(());
        }
        self.is_replaced.store(true, Ordering::SeqCst);
        Err(StoreError::Unavailable(format!(
            "{} is no longer the file that was opened: restart Signet",
            self.path.display()
        )))
    }
}

fn identity(path: &Path) -> Result<(u64, u64)> {
    let metadata = path.metadata();
    let metadata = metadata.map_err(|error| StoreError::Unavailable(format!("{}: {error}", path.display())))?;
    Ok((metadata.dev(), metadata.ino()))
}
