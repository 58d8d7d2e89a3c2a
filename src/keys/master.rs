//! The master key: 32 bytes from the setting or a file made on first start (0600). Keys for each purpose are derived
//! from it, so that what is made for one purpose is worth nothing for another.

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

/// In the data directory.
pub const FILE: &str = "master.key";

/// The keys that come from it, derived once; cheap to clone.
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
    /// HKDF's expand step (RFC 5869 §2.3).
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

/// What a MAC is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacPurpose {
    ClientSecret,
    RefreshToken,
    /// The key of the grants' ids in refresh tokens.
    RefreshTokenGrant,
    /// The cookies of browsers that have not signed in.
    Browser,
    /// Tokens in forms.
    Form,
    /// The keys of pairwise subjects, one for each sector.
    Pairwise,
    /// The keys of pairwise session ids, one for each sector.
    PairwiseSession,
    /// The keys of pairwise grant ids, one for each sector.
    PairwiseGrant,
    /// The versions in tokens of pairwise clients, under a key of each token.
    PairwiseVersions,
    /// What scripts may see of a browser session.
    BrowserState,
}

impl MasterKey {
    /// Loads the key of the setting, or of the file in the data directory, which is made for a database that holds nothing
    /// yet.
    ///
    /// # Errors
    /// [`KeyError::Master`] where it cannot be read, or is missing although data depend on it.
    pub async fn open(config: &Config, store: &Store) -> Result<Self, KeyError> {
        // Before the file is looked for: another node that starts at this moment makes the file first, and then data.
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

    /// Loads the key of the setting or of the file in the data directory; `None` where there is neither.
    ///
    /// # Errors
    /// [`KeyError::Master`] where it cannot be read.
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

    /// 32 bytes in base64.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let bytes = Zeroizing::new(STANDARD.decode(without_bom(text).trim()).map_err(|_| wrong("is not base64"))?);
        let bytes: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| wrong("does not have 32 bytes"))?;
        Ok(Self(Arc::new(DerivedKeys::from_master(bytes))))
    }

    /// Makes the file, unless another node has made it meanwhile.
    fn create(folder: &Path, env: &Env) -> Result<Self, KeyError> {
        let path = folder.join(FILE);
        let failed = |error: std::io::Error| unusable(&path, &error);
        std::fs::create_dir_all(folder).map_err(failed)?;
        let made = Zeroizing::new(STANDARD.encode(env.random::<32>()));
        // Written under a name of its own and then linked: whoever comes first has made it, and a second node that starts
        // at the same moment finds it whole or not at all.
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

    /// HMAC-SHA-256 under the key of that purpose (RFC 2104).
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
            // The length before each part: no two lists of parts are the same bytes.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// For encrypting what is kept or handed out sealed.
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
