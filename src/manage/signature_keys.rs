//! The keys with which a client signs requests, as they are written in a document: `secret` in base64 for a new
//! one, `sealed_secret` for one that `export` printed, `jwk` for a public key (docs/gate.md).
//!
//! See also [`super::document`], whose rows contain them, and [`super::clients`], which saves them.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::row_reader::deserialize_optional_secret;
use super::{FieldError, ManageError, Result};
use crate::domain::ids::ClientId;
use crate::domain::secret::Secret;
use crate::domain::signature_key::{KeyId, KeyMaterial, MAX_KEYS, SealedSecret, SignatureAlg, SignatureKey};
use crate::keys::{MasterKey, signature_key};
use crate::store::{ChangeEvent, StoreError, Tx, signature_keys};

/// The length of a shared secret in bytes. It must not be shorter than the hash (RFC 2104 §3).
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 32..=512;

/// The standard alphabet (RFC 4648 §4), with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureKeyRow {
    pub keyid: KeyId,
    pub alg: SignatureAlg,
    #[serde(default, skip_serializing, deserialize_with = "deserialize_optional_secret")]
    pub secret: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "deserialize_optional_secret")]
    pub sealed_secret: Option<SealedSecret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwk: Option<Map<String, Value>>,
}

impl SignatureKeyRow {
    /// Returns the row as `export` prints it.
    pub(super) fn of(key: SignatureKey) -> Self {
        let (sealed_secret, jwk) = match key.material {
            KeyMaterial::SealedSecret(sealed) => (Some(sealed), None),
            KeyMaterial::Jwk(jwk) => (None, Some(jwk)),
        };
        Self { keyid: key.keyid, alg: key.alg, secret: None, sealed_secret, jwk }
    }

    fn problem(&self) -> Option<FieldError> {
        let wrong = |member: &str, text: String| Some(FieldError::new(member, text));
        let shared = self.alg == SignatureAlg::HmacSha256;
        match (&self.secret, &self.sealed_secret, &self.jwk) {
            (Some(secret), None, None) if shared => match decoded(secret) {
                Some(bytes) if SECRET_BYTES.contains(&bytes.len()) => None,
                Some(_) => wrong("secret", "has 32 to 512 bytes".to_owned()),
                None => wrong("secret", "is not base64 (RFC 4648 section 4)".to_owned()),
            },
            (None, Some(_), None) if shared => None,
            (None, None, Some(jwk)) if !shared => match signature_key::check_jwk(self.alg, jwk) {
                Ok(()) => None,
                Err(problem) => wrong("jwk", problem),
            },
            (None, None, None) if shared => wrong("secret", "is missing".to_owned()),
            (None, None, None) => wrong("jwk", "is missing".to_owned()),
            _ if shared => wrong("alg", "hmac-sha256 goes with one secret and nothing else".to_owned()),
            _ => wrong("alg", format!("{} goes with a jwk and nothing else", self.alg.as_str())),
        }
    }
}

fn decoded(secret: &Secret) -> Option<Zeroizing<Vec<u8>>> {
    BASE64.decode(secret.expose()).ok().map(Zeroizing::new)
}

/// Returns what is wrong with a client's keys, by member.
pub(super) fn problems(rows: &[SignatureKeyRow]) -> Vec<FieldError> {
    if rows.len() > MAX_KEYS {
        return vec![FieldError::new("signature_keys", format!("has more than {MAX_KEYS} keys"))];
    }
    let below = |(at, problem): (usize, FieldError)| {
        FieldError::new(format!("signature_keys[{at}].{}", problem.field), problem.message)
    };
    rows.iter().enumerate().filter_map(|(at, row)| row.problem().map(|problem| below((at, problem)))).collect()
}

/// Returns an error for each secret that was sealed with another master key.
pub(super) fn foreign_sealed_secrets(rows: &[SignatureKeyRow], master: &MasterKey) -> Vec<FieldError> {
    let foreign = |row: &SignatureKeyRow| {
        row.sealed_secret.as_ref().is_some_and(|sealed| master.open_shared_secret(&row.keyid, sealed).is_none())
    };
    let problem = |at: usize| {
        let text = "was sealed under another master key, or for another keyid: set master_key to that one, or say secret instead";
        FieldError::new(format!("signature_keys[{at}].sealed_secret"), text)
    };
    rows.iter().enumerate().filter(|(_, row)| foreign(row)).map(|(at, _)| problem(at)).collect()
}

/// Converts the rows to stored keys. A secret that equals the present one keeps its present seal.
pub(super) fn to_stored_keys(
    rows: Vec<SignatureKeyRow>,
    before: &[SignatureKey],
    master: &MasterKey,
) -> Result<Vec<SignatureKey>> {
    let one = |row: SignatureKeyRow| {
        let material = match (row.secret.as_ref().and_then(decoded), row.sealed_secret, row.jwk) {
            (Some(secret), _, _) => {
                let same = before.iter().filter(|key| key.keyid == row.keyid).find(|key| match &key.material {
                    KeyMaterial::SealedSecret(sealed) => {
                        master.open_shared_secret(&row.keyid, sealed).is_some_and(|present| present == secret)
                    }
                    KeyMaterial::Jwk(_) => false,
                });
                match same {
                    Some(key) => key.material.clone(),
                    None => KeyMaterial::SealedSecret(master.seal_shared_secret(&row.keyid, &secret)?),
                }
            }
            (None, Some(sealed), _) => KeyMaterial::SealedSecret(sealed),
            (None, None, jwk) => KeyMaterial::Jwk(jwk.unwrap_or_default()),
        };
        Ok(SignatureKey { keyid: row.keyid, alg: row.alg, material })
    };
    rows.into_iter().map(one).collect()
}

/// Updates the index of key ids to clients, if the keys have changed.
pub(super) async fn name_in(tx: &Tx, client: &ClientId, before: &[SignatureKey], after: &[SignatureKey]) -> Result<()> {
    let names = |keys: &'_ [SignatureKey]| keys.iter().map(|key| key.keyid.clone()).collect::<Vec<_>>();
    let (old, new) = (names(before), names(after));
    if old == new {
        return Ok(());
    }
    signature_keys::put(tx, client, new.iter()).await.map_err(|error| match error {
        StoreError::UniqueViolation => {
            ManageError::taken("signature_keys", "one of these names (keyid) is taken already")
        }
        error => error.into(),
    })?;
    tx.publish(ChangeEvent::SignatureKeys(old.iter().chain(&new).collect())).await?;
    Ok(())
}
