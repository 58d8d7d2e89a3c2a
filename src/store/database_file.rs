//! Notices that SQLite's file has been replaced under a running process: by a backup that was moved over it, or because it
//! was deleted. Connections stay with the old file, so that everything written from then on would be lost with it.
//!
//! Next door: [`super::writer`], which begins no transaction on a replaced file; [`super::authority`], which no longer
//! answers from memory; `feed::reader`, which notices a database whose content has been replaced.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Result, StoreError};

/// The file that was opened: its path, device and inode.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    opened: (u64, u64),
    /// It stays so: connections that were opened meanwhile are connections to the other file.
    is_replaced: AtomicBool,
}

impl DatabaseFile {
    /// The file that is at `path` now.
    ///
    /// # Errors
    /// Where there is none, or it cannot be looked at.
    pub(super) fn at(path: PathBuf) -> Result<Self> {
        let opened = identity(&path)?;
        Ok(Self { path, opened, is_replaced: AtomicBool::new(false) })
    }

    /// # Errors
    /// Where the path no longer leads to the file that was opened.
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
