//! Verifies imported password hashes: argon2, scrypt, PBKDF2, bcrypt and SHA-crypt, as PHC strings and in the formats
//! of passlib, Django, Authelia and LDAP directories. Their cost is limited, so that an imported document cannot
//! exhaust the memory or occupy a core at each sign-in. See also [`super::hash`], which replaces them with hashes of
//! this server.

use argon2::Params as Argon2Params;
use argon2::password_hash::phc::{Output, PasswordHash as Phc};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bcrypt::HashParts;
use hmac::{Hmac, KeyInit as _, Mac as _};
use pbkdf2::pbkdf2_hmac;
use scrypt::Scrypt;
use sha_crypt::{PasswordVerifier as _, ShaCrypt};
use sha1::Sha1;
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};

use crate::domain::user::PasswordHash;

/// Memory in KiB, and memory multiplied by passes. OWASP's strongest recommendation for scrypt (N=2^17, r=8) needs 128
/// MiB.
const MAX_MEMORY: u64 = 128 * 1024;
const MAX_WORK: u64 = 512 * 1024;
const MAX_LANES: u32 = 16;
/// PBKDF2 iterations, for each block of output. OWASP recommends 600,000 for SHA-256; Django 6.0 uses 1,200,000.
const MAX_ROUNDS: u64 = 2_000_000;
/// bcrypt cost. Each step doubles the work; the maximum takes about a second.
const BCRYPT_COST: std::ops::RangeInclusive<u32> = 4..=14;
/// Starts at SHA-crypt's own minimum. passlib uses 656,000 for SHA-512, Authelia at most 1,000,000.
const SHA_CRYPT_ROUNDS: std::ops::RangeInclusive<u32> = 1_000..=1_000_000;
/// The minimum length of a hash in bytes. A shorter one could be matched by chance or by searching for any password
/// that fits.
const MIN_BYTES: usize = 16;
/// The maximum length in bytes of a password for SHA-crypt, whose work grows with the password. A longer one does not
/// match.
const MAX_SHA_CRYPT_PASSWORD: usize = 256;

/// Base64 with optional padding: Django pads, passlib does not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Returns the hash in the form that is stored: a PHC string if there is one for its algorithm, otherwise unchanged.
pub fn canonical(text: &str) -> PasswordHash {
    let known = text.strip_prefix("argon2").filter(|rest| rest.starts_with("$argon2")).map(str::to_owned);
    let known = known.or_else(|| text.strip_prefix("bcrypt$").map(str::to_owned));
    let known = known.or_else(|| from_ldap(text)).or_else(|| from_django(text)).or_else(|| from_passlib(text));
    PasswordHash(known.unwrap_or_else(|| text.to_owned()))
}

/// Parses `{CRYPT}$6$SALT$HASH`: the output of crypt(3) after a scheme name in any letter case (RFC 2307 §5.3).
fn from_ldap(text: &str) -> Option<String> {
    const SCHEME: &str = "{CRYPT}";
    let (scheme, hash) = text.split_at_checked(SCHEME.len())?;
    let is_known = scheme.eq_ignore_ascii_case(SCHEME) && (is_bcrypt(hash) || is_sha_crypt(hash));
    is_known.then(|| hash.to_owned())
}

/// Parses `pbkdf2_sha256$1000000$SALT$HASH` and `scrypt$16384$SALT$8$5$HASH`, whose salt is text and whose hash is
/// base64, and `bcrypt_sha256$$2b$12$…`, which has no PHC form.
fn from_django(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('$').collect();
    match parts.as_slice() {
        [algorithm @ ("pbkdf2_sha1" | "pbkdf2_sha256"), rounds, salt, hash] => {
            let hash = BASE64.decode(hash).ok()?;
            pbkdf2(&algorithm.replace('_', "-"), rounds, salt.as_bytes(), &hash)
        }
        ["scrypt", cost, salt, block_size, lanes, hash] => {
            let cost: u64 = cost.parse().ok().filter(|cost: &u64| cost.is_power_of_two())?;
            let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(BASE64.decode(hash).ok()?));
            Some(format!("$scrypt$ln={},r={block_size},p={lanes}${salt}${hash}", cost.ilog2()))
        }
        ["bcrypt_sha256", "", version, cost, rest] => {
            let (salt, hash) = rest.split_at_checked(22)?;
            Some(format!("$django-bcrypt-sha256$t={version},r={cost}${salt}${hash}"))
        }
        _ => None,
    }
}

/// Parses `$pbkdf2-sha512$310000$SALT$HASH`, which Authelia uses too: base64 with `.` for `+` and no padding.
fn from_passlib(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('$').collect();
    let ["", algorithm, rounds, salt, hash] = parts.as_slice() else { return None };
    let algorithm = if *algorithm == "pbkdf2" { "pbkdf2-sha1" } else { algorithm };
    Prf::of(algorithm)?;
    let bytes = |text: &str| BASE64.decode(text.replace('.', "+")).ok();
    pbkdf2(algorithm, rounds, &bytes(salt)?, &bytes(hash)?)
}

fn pbkdf2(algorithm: &str, rounds: &str, salt: &[u8], hash: &[u8]) -> Option<String> {
    let rounds: u32 = rounds.parse().ok()?;
    // The default length of the algorithm is omitted.
    let length = if hash.len() == 32 { String::new() } else { format!(",l={}", hash.len()) };
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
    Some(format!("${algorithm}$i={rounds}{length}${salt}${hash}"))
}

/// The pseudo-random function of PBKDF2 (RFC 8018 §5.2): HMAC with this hash.
#[derive(Clone, Copy)]
enum Prf {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Prf {
    fn of(algorithm: &str) -> Option<Self> {
        Some(match algorithm.strip_prefix("pbkdf2-")? {
            "sha1" => Self::Sha1,
            "sha224" => Self::Sha224,
            "sha256" => Self::Sha256,
            "sha384" => Self::Sha384,
            "sha512" => Self::Sha512,
            _ => return None,
        })
    }

    /// Returns the output bytes of one block.
    const fn block(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    fn matches(self, password: &[u8], phc: &Phc) -> Option<bool> {
        let (rounds, salt, kept) = (pbkdf2::Params::try_from(phc).ok()?.rounds(), phc.salt.as_ref()?, phc.hash?);
        let derive = match self {
            Self::Sha1 => pbkdf2_hmac::<Sha1>,
            Self::Sha224 => pbkdf2_hmac::<Sha224>,
            Self::Sha256 => pbkdf2_hmac::<Sha256>,
            Self::Sha384 => pbkdf2_hmac::<Sha384>,
            Self::Sha512 => pbkdf2_hmac::<Sha512>,
        };
        let mut derived = [0; Output::MAX_LENGTH];
        let derived = derived.get_mut(..kept.len())?;
        derive(password, salt, rounds, derived);
        // Comparing `Output` takes constant time.
        Some(Output::new(derived).ok()? == kept)
    }
}

enum HashKind {
    Argon2(Phc),
    Scrypt(Phc),
    Pbkdf2(Prf, Phc),
    Bcrypt(String),
    BcryptSha256(BcryptSha256),
    ShaCrypt { rounds: u32 },
}

impl HashKind {
    fn of(text: &str) -> Option<Self> {
        if is_bcrypt(text) {
            return Some(Self::Bcrypt(text.to_owned()));
        }
        if is_sha_crypt(text) {
            return sha_crypt_rounds(text).map(|rounds| Self::ShaCrypt { rounds });
        }
        if let Some(known) = BcryptSha256::of(text) {
            return Some(Self::BcryptSha256(known));
        }
        let phc = Phc::new(text).ok()?;
        match phc.algorithm.as_str() {
            "argon2id" | "argon2i" | "argon2d" => Some(Self::Argon2(phc)),
            "scrypt" => Some(Self::Scrypt(phc)),
            algorithm => Prf::of(algorithm).map(|prf| Self::Pbkdf2(prf, phc)),
        }
    }

    fn phc(&self) -> Option<&Phc> {
        match self {
            Self::Argon2(phc) | Self::Scrypt(phc) | Self::Pbkdf2(_, phc) => Some(phc),
            Self::Bcrypt(_) | Self::BcryptSha256(_) | Self::ShaCrypt { .. } => None,
        }
    }

    /// Returns whether the cost is within the limits; `None` if the parameters are invalid for the algorithm.
    fn is_affordable(&self) -> Option<bool> {
        Some(match self {
            Self::Argon2(phc) => {
                let params = Argon2Params::try_from(phc).ok()?;
                let memory = u64::from(params.m_cost());
                params.p_cost() <= MAX_LANES
                    && memory <= MAX_MEMORY
                    && memory.saturating_mul(u64::from(params.t_cost())) <= MAX_WORK
            }
            Self::Scrypt(phc) => {
                let params = scrypt::Params::try_from(phc).ok()?;
                // 128 · r · N bytes (RFC 7914 §2).
                let memory = params.n().saturating_mul(u64::from(params.r())).saturating_mul(128) / 1024;
                params.p() <= MAX_LANES
                    && memory <= MAX_MEMORY
                    && memory.saturating_mul(u64::from(params.p())) <= MAX_WORK
            }
            Self::Pbkdf2(prf, phc) => {
                let params = pbkdf2::Params::try_from(phc).ok()?;
                let blocks = params.output_len().div_ceil(prf.block());
                u64::from(params.rounds()).saturating_mul(u64::try_from(blocks).ok()?) <= MAX_ROUNDS
            }
            Self::Bcrypt(text) => is_affordable_bcrypt(text)?,
            Self::BcryptSha256(known) => is_affordable_bcrypt(&known.bcrypt)?,
            Self::ShaCrypt { rounds } => SHA_CRYPT_ROUNDS.contains(rounds),
        })
    }
}

fn is_bcrypt(text: &str) -> bool {
    ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| text.starts_with(prefix))
}

fn is_sha_crypt(text: &str) -> bool {
    ["$5$", "$6$"].iter().any(|prefix| text.starts_with(prefix))
}

fn is_affordable_bcrypt(text: &str) -> Option<bool> {
    let cost = text.parse::<HashParts>().ok()?.get_cost();
    (cost >= *BCRYPT_COST.start()).then(|| BCRYPT_COST.contains(&cost))
}

/// bcrypt over a digest of the password, so that every byte of a long password counts.
struct BcryptSha256 {
    bcrypt: String,
    digest: PrehashFn,
}

/// Computes the digest of a password; some formats use the salt as a key.
type PrehashFn = fn(&[u8], &str) -> String;

impl BcryptSha256 {
    /// Parses `$bcrypt-sha256$v=2,t=2b,r=12$SALT$HASH` of passlib and Authelia, passlib's older
    /// `$bcrypt-sha256$2b,12$SALT$HASH`, and the form that [`from_django`] produces.
    fn of(text: &str) -> Option<Self> {
        let forms: [(&str, &str, PrehashFn); 3] = [
            ("$django-bcrypt-sha256$t=", ",r=", |password, _| hex(&Sha256::digest(password))),
            ("$bcrypt-sha256$v=2,t=", ",r=", |password, salt| STANDARD.encode(keyed(salt, password))),
            ("$bcrypt-sha256$", ",", |password, _| STANDARD.encode(Sha256::digest(password))),
        ];
        let known = forms.into_iter().find_map(|form| Some((text.strip_prefix(form.0)?, form.1, form.2)));
        let (rest, separator, digest) = known?;
        let parts: Vec<&str> = rest.split('$').collect();
        let [parameters, salt, hash] = parts.as_slice() else { return None };
        let (version, cost) = parameters.split_once(separator)?;
        let cost: u32 = cost.parse().ok()?;
        let bcrypt = format!("${version}${cost:02}${salt}{hash}");
        is_bcrypt(&bcrypt).then_some(Self { bcrypt, digest })
    }

    fn matches(&self, password: &[u8]) -> bool {
        let salt = self.bcrypt.rsplit('$').next().and_then(|rest| rest.get(..22)).unwrap_or_default();
        bcrypt::verify((self.digest)(password, salt), &self.bcrypt).unwrap_or(false)
    }
}

fn keyed(salt: &str, password: &[u8]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(salt.as_bytes()).map(|mac| mac.chain_update(password));
    mac.map(|mac| mac.finalize().into_bytes().to_vec()).unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a `String` does not fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

/// Returns the rounds of `$6$rounds=5000$SALT$HASH`, which may be omitted.
fn sha_crypt_rounds(text: &str) -> Option<u32> {
    let parts: Vec<&str> = text.split('$').collect();
    let (algorithm, rounds, salt, hash) = match parts.as_slice() {
        ["", algorithm, salt, hash] => (algorithm, 5_000, salt, hash),
        ["", algorithm, rounds, salt, hash] => (algorithm, rounds.strip_prefix("rounds=")?.parse().ok()?, salt, hash),
        _ => return None,
    };
    let length = if *algorithm == "5" { 43 } else { 86 };
    let letters = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'/');
    let fits = (1..=16).contains(&salt.len()) && hash.len() == length && letters(salt) && letters(hash);
    fits.then_some(rounds)
}

/// Returns whether `password` matches a hash of another algorithm than argon2.
pub(super) fn matches(password: &[u8], hash: &PasswordHash) -> bool {
    match HashKind::of(&hash.0) {
        Some(HashKind::Scrypt(phc)) => Scrypt::new().verify_password(password, &phc).is_ok(),
        Some(HashKind::Pbkdf2(prf, phc)) => prf.matches(password, &phc).unwrap_or(false),
        // bcrypt uses only the first 72 bytes, as in other implementations.
        Some(HashKind::Bcrypt(text)) => bcrypt::verify(password, &text).unwrap_or(false),
        Some(HashKind::BcryptSha256(known)) => known.matches(password),
        Some(HashKind::ShaCrypt { .. }) => {
            let (head, is_whole) = match password.get(..MAX_SHA_CRYPT_PASSWORD) {
                Some(head) => (head, head.len() == password.len()),
                None => (password, true),
            };
            ShaCrypt::default().verify_password(head, hash.0.as_str()).is_ok() && is_whole
        }
        Some(HashKind::Argon2(_)) | None => false,
    }
}

/// Returns the class of password lengths, as a length in bytes, that determines the verification time; `None` if the
/// time does not depend on the length.
pub(super) fn length_class(hash: &PasswordHash, bytes: usize) -> Option<usize> {
    const STEP: usize = 64;
    let depends = matches!(HashKind::of(&hash.0), Some(HashKind::ShaCrypt { .. }));
    depends.then(|| bytes.clamp(1, MAX_SHA_CRYPT_PASSWORD).next_multiple_of(STEP))
}

/// Checks that an imported hash can be verified here at an acceptable cost.
pub fn check(hash: &PasswordHash) -> Result<(), &'static str> {
    const FORM: &str = "is no hash that can be verified: argon2, scrypt, PBKDF2, bcrypt or SHA-crypt ($5$, $6$), as a PHC \
                        string or as passlib, Django, Authelia or LDAP ({CRYPT}) write it";
    const PARAMETERS: &str =
        "has parameters that its algorithm does not take (PBKDF2 needs l, the hash's bytes, where they are not 32)";
    let kind = HashKind::of(&hash.0).ok_or(FORM)?;
    let lacks = |phc: &Phc| phc.salt.is_none() || phc.hash.as_ref().is_none_or(|hash| hash.len() < MIN_BYTES);
    if kind.phc().is_some_and(lacks) {
        return Err("lacks its salt, or a hash of 16 bytes or more");
    }
    if kind.is_affordable().ok_or(PARAMETERS)? {
        return Ok(());
    }
    Err("costs more to verify than a sign-in may: take smaller parameters")
}
