//! The version of the values that a form was rendered from: a digest of each field, sealed by this server and
//! bound to the edited object. It cannot be forged or used for another object.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::FormField;
use crate::domain::secret::base64url;
use crate::keys::{KeyError, MasterKey, seal};

const USAGE: &str = "form-version";
/// The name of the form field with the version. Followed by `_` and a field's name, it names the choice for
/// that field.
pub const PREFIX: &str = "version";
/// The length of a truncated digest. 128 bits resist second preimages.
const DIGEST_BYTES: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FormVersion {
    of: String,
    fields: BTreeMap<String, String>,
    /// The names of the fields on which the form asks the user to decide.
    undecided: BTreeSet<String>,
}

impl FormVersion {
    pub fn new(of: &str, fields: &[FormField], undecided: &[&str]) -> Self {
        Self {
            of: of.to_owned(),
            fields: fields.iter().map(|field| (field.name.to_owned(), digest(field))).collect(),
            undecided: undecided.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    pub fn seal(&self, master: &MasterKey) -> Result<String, KeyError> {
        seal::seal(master, USAGE, serde_json::to_string(self).unwrap_or_default().as_bytes())
    }

    /// Opens a sealed version. Returns `None` if it was not sealed by this server for `of`.
    pub fn open(master: &MasterKey, of: &str, sealed: &str) -> Option<Self> {
        let plain = seal::open(master, USAGE, sealed).ok()?;
        serde_json::from_slice(&plain).ok().filter(|version: &Self| version.of == of)
    }

    /// Returns whether the form was rendered from this value. False if the form did not have the field.
    pub fn has(&self, field: &FormField) -> bool {
        self.fields.get(field.name).is_some_and(|known| *known == digest(field))
    }

    pub fn is_undecided(&self, field: &FormField) -> bool {
        self.undecided.contains(field.name)
    }
}

fn digest(field: &FormField) -> String {
    let digest: [u8; 32] = Sha256::digest(&field.value).into();
    base64url(digest.split_at(DIGEST_BYTES).0)
}
