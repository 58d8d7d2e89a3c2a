//! The master key: 32 bytes from the configuration, or from a file created on first start (mode 0600). A separate key
//! is derived for each purpose, so that a value created for one purpose is not valid for another.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::KeyError;
use crate::config::Config;
use crate::domain::printable::without_bom;
use crate::env::Env;
use crate::store::Store;

/// The name of the file in the data directory.
pub const FILE: &str = "master.key";

/// The keys derived from the master key, computed once; cheap to clone.
#[derive(Clone)]
pub struct MasterKey(Arc<DerivedKeys>);

struct DerivedKeys {
    seal: Zeroizing<[u8; 32]>,
    client_secret: Hmac<Sha256>,
    refresh_token: Hmac<Sha256>,
    refresh_token_grant: Hmac<Sha256>,
    browser: Hmac<Sha256>,
    form: Hmac<Sha256>,
    pairwise: Hmac<Sha256>,
    pairwise_session: Hmac<Sha256>,
    pairwise_grant: Hmac<Sha256>,
    pairwise_versions: Hmac<Sha256>,
    browser_state: Hmac<Sha256>,
}

impl DerivedKeys {
    /// Derives the keys with the expand step of HKDF (RFC 5869 §2.3).
    fn from_master(master: &[u8; 32]) -> Self {
        let derive = |label: &[u8]| -> Zeroizing<[u8; 32]> {
            let mut mac = keyed(master);
            mac.update(label);
            Zeroizing::new(mac.finalize().into_bytes().into())
        };
        Self {
            seal: derive(b"signet seal 1\x01"),
            client_secret: keyed(&derive(b"signet client secret 1\x01")[..]),
            refresh_token: keyed(&derive(b"signet refresh token 1\x01")[..]),
            refresh_token_grant: keyed(&derive(b"signet refresh token grant 1\x01")[..]),
            browser: keyed(&derive(b"signet browser 1\x01")[..]),
            form: keyed(&derive(b"signet form 1\x01")[..]),
            pairwise: keyed(&derive(b"signet pairwise 1\x01")[..]),
            pairwise_session: keyed(&derive(b"signet pairwise session 1\x01")[..]),
            pairwise_grant: keyed(&derive(b"signet pairwise grant 1\x01")[..]),
            pairwise_versions: keyed(&derive(b"signet pairwise versions 1\x01")[..]),
            browser_state: keyed(&derive(b"signet browser state 1\x01")[..]),
        }
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey([secret])")
    }
}

/// The purpose of a MAC, which has its own derived key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacPurpose {
    ClientSecret,
    RefreshToken,
    /// The key of the encrypted grant ids in refresh tokens.
    RefreshTokenGrant,
    /// The cookies of browsers that have not signed in.
    Browser,
    /// The tokens in forms.
    Form,
    /// The keys of pairwise subjects, one for each sector.
    Pairwise,
    /// The keys of pairwise session ids, one for each sector.
    PairwiseSession,
    /// The keys of pairwise grant ids, one for each sector.
    PairwiseGrant,
    /// The versions in tokens of pairwise clients, under a key of each token.
    PairwiseVersions,
    /// The browser session state that is readable by scripts.
    BrowserState,
}

impl MasterKey {
    /// Loads the key from the configuration or the file in the data directory. The file is created if the database is
    /// empty.
    ///
    /// # Errors
    /// Returns [`KeyError::Master`] if the key cannot be read, or is missing although stored data depend on it.
    pub async fn open(config: &Config, store: &Store) -> Result<Self, KeyError> {
        // Checked before the file: another node that starts at the same time creates the file first and writes data
        // afterwards.
        let is_empty = config.master_key.is_some() || store.is_empty().await?;
        match Self::load(config)? {
            Some(key) => Ok(key),
            None if is_empty => Self::create(&config.data_dir, store.env()),
            None => {
                let path = config.data_dir.join(FILE);
                let path = std::path::absolute(&path).unwrap_or(path);
                Err(wrong(&format!(
                    "is missing: the setting master_key is not set and there is no file {}, but the database holds data \
                     that need it; restore the file from a backup, or set data_dir or master_key",
                    path.display()
                )))
            }
        }
    }

    /// Loads the key from the configuration or the file in the data directory; `None` if there is neither.
    ///
    /// # Errors
    /// Returns [`KeyError::Master`] if the key cannot be read.
    pub fn load(config: &Config) -> Result<Option<Self>, KeyError> {
        let path = config.data_dir.join(FILE);
        match &config.master_key {
            Some(text) => Self::parse(&text.0).map(Some),
            None => match std::fs::read_to_string(&path) {
                Ok(text) => Self::parse(&Zeroizing::new(text)).map(Some),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(unusable(&path, &error)),
            },
        }
    }

    /// Parses a key of 32 bytes in base64.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let bytes = Zeroizing::new(STANDARD.decode(without_bom(text).trim()).map_err(|_| wrong("is not base64"))?);
        let bytes: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| wrong("does not have 32 bytes"))?;
        Ok(Self(Arc::new(DerivedKeys::from_master(bytes))))
    }

    /// Creates the file, unless another node has created it meanwhile.
    fn create(folder: &Path, env: &Env) -> Result<Self, KeyError> {
        let path = folder.join(FILE);
        let failed = |error: std::io::Error| unusable(&path, &error);
        std::fs::create_dir_all(folder).map_err(failed)?;
        let made = Zeroizing::new(STANDARD.encode(env.random::<32>()));
        // The key is written to a temporary file and then linked. The first node to link it wins, and a node that
        // starts at the same time finds either the complete file or none.
        let draft = folder.join(format!("master.key.{}", env.uuid().simple()));
        let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft);
        let written = written.and_then(|mut file| file.write_all(made.as_bytes()).and_then(|()| file.sync_all()));
        let linked = written.and_then(|()| std::fs::hard_link(&draft, &path));
        std::fs::remove_file(&draft).ok();
        match linked {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(failed(error)),
            _ => Self::parse(&Zeroizing::new(std::fs::read_to_string(&path).map_err(failed)?)),
        }
    }

    /// Computes HMAC-SHA-256 under the key of that purpose (RFC 2104).
    pub fn mac(&self, purpose: MacPurpose, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = match purpose {
            MacPurpose::ClientSecret => &self.0.client_secret,
            MacPurpose::RefreshToken => &self.0.refresh_token,
            MacPurpose::RefreshTokenGrant => &self.0.refresh_token_grant,
            MacPurpose::Browser => &self.0.browser,
            MacPurpose::Form => &self.0.form,
            MacPurpose::Pairwise => &self.0.pairwise,
            MacPurpose::PairwiseSession => &self.0.pairwise_session,
            MacPurpose::PairwiseGrant => &self.0.pairwise_grant,
            MacPurpose::PairwiseVersions => &self.0.pairwise_versions,
            MacPurpose::BrowserState => &self.0.browser_state,
        }
        .clone();
        for part in parts {
            // Each part is preceded by its length, so that different lists of parts are different bytes.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// Returns the key that encrypts sealed values.
    pub(super) fn seal_key(&self) -> &[u8; 32] {
        &self.0.seal
    }
}

fn unusable(path: &Path, error: &std::io::Error) -> KeyError {
    wrong(&format!("file {} cannot be used: {error}", path.display()))
}

fn wrong(what: &str) -> KeyError {
    KeyError::Master(what.to_owned())
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104 section 2)")]
    Hmac::<Sha256>::new_from_slice(key).expect("a key of any length")
}
