//! Sealing: a compact JWE with `dir` and A256GCM (RFC 7516, RFC 7518 §4.5 and §5.3) under a key derived from the master
//! key.
//!
//! The usage is bound into each seal, and a seal opens only for that usage: a sealed signing key is not accepted as a
//! passkey ticket.

use josekit::jwe::{self, JweHeader};

use super::encryption::{GCM_IV_BYTES, TAG_BYTES};
use super::master::MasterKey;
use super::{KeyError, compact};
use crate::domain::secret::from_base64url;

/// Seals `plain` for `usage`.
pub fn seal(master: &MasterKey, usage: &str, plain: &[u8]) -> Result<String, KeyError> {
    let mut header = JweHeader::new();
    header.set_content_encryption("A256GCM");
    header.set_content_type(usage);
    let encrypter = jwe::Dir.encrypter_from_bytes(master.seal_key())?;
    Ok(jwe::serialize_compact(plain, &header, &encrypter)?)
}

/// Returns the plaintext if `sealed` was sealed here for `usage`.
pub fn open(master: &MasterKey, usage: &str, sealed: &str) -> Result<Vec<u8>, KeyError> {
    if !has_our_form(usage, sealed) {
        return Err(KeyError::WrongMasterKey);
    }
    let decrypter = jwe::Dir.decrypter_from_bytes(master.seal_key())?;
    let (plain, _) = jwe::deserialize_compact(sealed, &decrypter).map_err(|_| KeyError::WrongMasterKey)?;
    Ok(plain)
}

/// Returns whether a token has exactly the form that [`seal`] produces. Some seals pass through browsers. josekit would
/// accept a tag of a single byte, which can be guessed in 256 attempts, and panics if there is no initialization
/// vector.
fn has_our_form(usage: &str, sealed: &str) -> bool {
    let Some([head, "", iv, _, tag]) = compact::parts(sealed, sealed.len()) else { return false };
    let Some(header) = compact::object(head) else { return false };
    let is = |name, value| matches!(compact::text(&header, name), Ok(Some(said)) if said == value);
    let has = |part, length| from_base64url(part).is_some_and(|bytes| bytes.len() == length);
    is("alg", "dir")
        && is("enc", "A256GCM")
        && is("cty", usage)
        && header.len() == 3
        && has(iv, GCM_IV_BYTES)
        && has(tag, TAG_BYTES)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::secret::base64url;
    use crate::keys::test_keys::{master, other_master};

    #[test]
    fn seal_is_bound_to_usage_and_master_key() {
        let sealed = seal(&master(), "ticket", b"plain").unwrap();
        assert_eq!(open(&master(), "ticket", &sealed).unwrap(), b"plain");
        assert!(open(&master(), "signing-key", &sealed).is_err());
        assert!(open(&other_master(), "ticket", &sealed).is_err());
    }

    /// One in 256 one-byte tags is right; none of them may open a seal.
    #[test]
    fn shortened_tag_is_rejected() {
        let sealed = seal(&master(), "ticket", b"plain").unwrap();
        let (rest, tag) = sealed.rsplit_once('.').unwrap();
        let tag = from_base64url(tag).unwrap();
        for length in 0..tag.len() {
            let short = format!("{rest}.{}", base64url(&tag[..length]));
            assert!(open(&master(), "ticket", &short).is_err(), "{length}");
        }
        for guess in 0..=u8::MAX {
            assert!(open(&master(), "ticket", &format!("{rest}.{}", base64url(&[guess]))).is_err());
        }
    }

    #[test]
    fn foreign_jwe_forms_are_rejected() {
        let sealed = seal(&master(), "ticket", b"plain").unwrap();
        let [head, key, iv, content, tag] = compact::parts(&sealed, 1000).unwrap();
        for bad in [
            [head, key, "", content, tag],
            [head, key, "AAAA", content, tag],
            [head, "AAAA", iv, content, tag],
            [head, key, iv, content, ""],
            [head, key, iv, "", tag],
            ["", key, iv, content, tag],
        ] {
            assert!(open(&master(), "ticket", &bad.join(".")).is_err(), "{bad:?}");
        }
        for header in [
            r#"{"alg":"dir","enc":"A128CBC-HS256","cty":"ticket"}"#,
            r#"{"alg":"dir","enc":"A256GCM","cty":"ticket","zip":"DEF"}"#,
            r#"{"alg":"dir","enc":"A256GCM","cty":"ticket","crit":["exp"]}"#,
            r#"{"alg":"A256KW","enc":"A256GCM","cty":"ticket"}"#,
            r#"{"alg":"dir","enc":"A256GCM"}"#,
        ] {
            let bad = [&base64url(header.as_bytes()), key, iv, content, tag].join(".");
            assert!(open(&master(), "ticket", &bad).is_err(), "{header}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_input_is_rejected(text in "[A-Za-z0-9_.-]{0,200}", any in any::<String>()) {
            prop_assert!(open(&master(), "ticket", &text).is_err());
            prop_assert!(open(&master(), "ticket", &any).is_err());
        }
    }
}
