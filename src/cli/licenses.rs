//! `signet licenses`: prints the licences of the libraries that the program contains, as those licences
//! require.
//!
//! `tests/it/licenses.rs` generates the text from Cargo.lock and fails if it is out of date.

use super::print;

const NOTICES: &str = include_str!("../../THIRD-PARTY-LICENSES.txt");

pub(super) fn run() {
    print(NOTICES.trim_end());
}
