//! Password hashes: ours (argon2id with OWASP's parameters), and those that people bring along from elsewhere as PHC
//! strings of argon2, scrypt and PBKDF2 or as bcrypt's `$2a$`, `$2b$` and `$2y$`. These are verified once more and then
//! replaced by one of ours. What one of them may cost is bounded: a document must not be able to fill the memory or
//! occupy a core at each sign-in. Next door: [`super::password`], which runs this off the threads that serve.

use argon2::password_hash::phc::{Output, PasswordHash as Phc, Salt};
use argon2::password_hash::try_generate_salt;
use argon2::{Algorithm, Argon2, AssociatedData, Block, Params, ParamsBuilder, PasswordVerifier as _, Version};
use bcrypt::HashParts;
use pbkdf2::Pbkdf2;
use scrypt::Scrypt;
use sha2::{Digest as _, Sha256};

use crate::domain::user::PasswordHash;

/// Memory in KiB, and memory times passes: OWASP's strongest advice for scrypt (N=2^17, r=8) needs 128 MiB.
const MOST_MEMORY: u64 = 128 * 1024;
const MOST_WORK: u64 = 512 * 1024;
const MOST_LANES: u32 = 16;
/// OWASP advises 600,000 for SHA-256.
const MOST_ROUNDS: u32 = 2_000_000;
/// Each step doubles the work; this one takes about a second.
const MOST_BCRYPT_COST: u32 = 14;
/// A shorter one is met by accident, or by somebody who only needs any password that fits.
const LEAST_BYTES: usize = 16;

const MEMORY: u32 = 19_456;
const PASSES: u32 = 2;

/// Verified where there is no such person, so that both answers take as long: of today's parameters, and no password's.
/// It stands here because making one would take each start a moment, and nineteen megabytes.
pub(super) const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$9ynljr3qs6eA3Ic4ZMqaNg$erHQBtRZ0SgQVxGy2anHTC/U0U0w5iaQBboRxGekDcc";

/// argon2id's memory, kept from one hash to the next. Freed each time, it would stay with the thread that had it, and
/// forty sign-ins would hold 400 MB; and the system's zeroing of fresh pages is a tenth of the work.
#[derive(Default)]
pub(super) struct Memory(Vec<Block>);

impl Memory {
    /// As much as `params` ask for, up to what our own hashes do.
    fn blocks(&mut self, params: &Params) -> Option<&mut [Block]> {
        let needed = params.block_count();
        if needed <= MEMORY as usize {
            self.0.resize(self.0.len().max(needed), Block::new());
        }
        self.0.get_mut(..needed)
    }
}

/// A hash of ours. One that replaces another carries that one's digest as associated data, so that a document with the
/// old one is known to speak of the same password.
pub(super) fn make(password: &[u8], replaces: Option<&PasswordHash>, memory: &mut Memory) -> Option<PasswordHash> {
    let mut params = ParamsBuilder::new();
    params.m_cost(MEMORY).t_cost(PASSES).p_cost(1);
    if let Some(old) = replaces {
        let origin = origin(old).unwrap_or_else(|| Sha256::digest(&old.0).to_vec());
        params.data(AssociatedData::new(&origin).ok()?);
    }
    let (params, salt) = (params.build().ok()?, try_generate_salt().ok()?);
    let hash = argon2(Algorithm::Argon2id, Version::V0x13, params.clone(), password, &salt, memory)?;
    let (version, params) = (Some(Version::V0x13.into()), (&params).try_into().ok()?);
    let salt = Some(Salt::new(&salt).ok()?);
    let phc = Phc { algorithm: Algorithm::Argon2id.ident(), version, params, salt, hash: Some(hash) };
    Some(PasswordHash(phc.to_string()))
}

/// The hash itself; nothing where the memory is not for so much.
fn argon2(
    algorithm: Algorithm,
    version: Version,
    params: Params,
    password: &[u8],
    salt: &[u8],
    memory: &mut Memory,
) -> Option<Output> {
    let mut hash = [0; Output::MAX_LENGTH];
    let hash = hash.get_mut(..params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN))?;
    let blocks = memory.blocks(&params)?;
    Argon2::new(algorithm, version, params).hash_password_into_with_memory(password, salt, hash, blocks).ok()?;
    Output::new(hash).ok()
}

/// Whether `password` is the one of `hash`.
pub(super) fn matches(password: &[u8], hash: &PasswordHash, memory: &mut Memory) -> bool {
    if hash.0.starts_with("$2") {
        // Like all who use it, only the first 72 bytes are looked at.
        return bcrypt::verify(password, &hash.0).unwrap_or(false);
    }
    let Ok(phc) = Phc::new(&hash.0) else { return false };
    let verified = match Kind::of(&phc) {
        Some(Kind::Argon2) => {
            if let Some(ours) = argon2_again(password, &phc, memory) {
                // Output compares in constant time.
                return phc.hash.is_some_and(|kept| kept == ours);
            }
            Argon2::default().verify_password(password, &phc)
        }
        Some(Kind::Scrypt) => Scrypt::new().verify_password(password, &phc),
        Some(Kind::Pbkdf2) => Pbkdf2::default().verify_password(password, &phc),
        None => return false,
    };
    verified.is_ok()
}

/// What `password` hashes to in the way of `phc`, in the kept memory; nothing where that is too small.
fn argon2_again(password: &[u8], phc: &Phc, memory: &mut Memory) -> Option<Output> {
    let algorithm = Algorithm::try_from(phc.algorithm.as_str()).ok()?;
    let version = Version::try_from(phc.version?).ok()?;
    argon2(algorithm, version, Params::try_from(phc).ok()?, password, phc.salt.as_ref()?, memory)
}

/// Whether a hash was made elsewhere or with other parameters than today's, and is replaced at the next sign-in.
pub fn is_outdated(hash: &PasswordHash) -> bool {
    let ours = |phc: Phc| {
        phc.algorithm.as_str() == "argon2id"
            && Params::try_from(&phc).is_ok_and(|params| params.m_cost() == MEMORY && params.t_cost() == PASSES)
    };
    !Phc::new(&hash.0).is_ok_and(ours)
}

/// Whether `present` is `given`, or what `given` became when its owner signed in.
pub fn succeeds(present: &PasswordHash, given: &PasswordHash) -> bool {
    present == given || origin(present).is_some_and(|origin| origin == Sha256::digest(&given.0).as_slice())
}

/// The digest of the hash that this one came from.
fn origin(hash: &PasswordHash) -> Option<Vec<u8>> {
    let params = Params::try_from(&Phc::new(&hash.0).ok()?).ok()?;
    Some(params.data().to_vec()).filter(|data| !data.is_empty())
}

#[derive(Clone, Copy)]
enum Kind {
    Argon2,
    Scrypt,
    Pbkdf2,
}

impl Kind {
    fn of(phc: &Phc) -> Option<Self> {
        Some(match phc.algorithm.as_str() {
            "argon2id" | "argon2i" | "argon2d" => Self::Argon2,
            "scrypt" => Self::Scrypt,
            "pbkdf2-sha256" | "pbkdf2-sha512" => Self::Pbkdf2,
            _ => return None,
        })
    }
}

/// Whether a hash that a document brings along can be verified here, at a cost that can be borne.
pub fn check_foreign(hash: &PasswordHash) -> Result<(), &'static str> {
    const FORM: &str = "is no PHC string of argon2, scrypt or PBKDF2 and no bcrypt hash ($2a$, $2b$, $2y$)";
    const PARAMETERS: &str =
        "has parameters that its algorithm does not take (PBKDF2 needs l, the hash's bytes, where they are not 32)";
    const COST: &str = "costs more to verify than a sign-in may: take smaller parameters";
    let affordable = if ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| hash.0.starts_with(prefix)) {
        let cost = hash.0.parse::<HashParts>().map_err(|_| FORM)?.get_cost();
        if cost < 4 {
            return Err(FORM);
        }
        cost <= MOST_BCRYPT_COST
    } else {
        let phc = Phc::new(&hash.0).map_err(|_| FORM)?;
        if phc.salt.is_none() || phc.hash.as_ref().is_none_or(|hash| hash.len() < LEAST_BYTES) {
            return Err("lacks its salt, or a hash of 16 bytes or more");
        }
        let kind = Kind::of(&phc).ok_or(FORM)?;
        is_affordable(kind, &phc).ok_or(PARAMETERS)?
    };
    if affordable { Ok(()) } else { Err(COST) }
}

/// Nothing where the parameters are not those of the algorithm.
fn is_affordable(kind: Kind, phc: &Phc) -> Option<bool> {
    Some(match kind {
        Kind::Argon2 => {
            let params = Params::try_from(phc).ok()?;
            let memory = u64::from(params.m_cost());
            params.p_cost() <= MOST_LANES
                && memory <= MOST_MEMORY
                && memory.saturating_mul(u64::from(params.t_cost())) <= MOST_WORK
        }
        Kind::Scrypt => {
            let params = scrypt::Params::try_from(phc).ok()?;
            // 128 · r · N bytes (RFC 7914 §2).
            let memory = params.n().saturating_mul(u64::from(params.r())).saturating_mul(128) / 1024;
            params.p() <= MOST_LANES
                && memory <= MOST_MEMORY
                && memory.saturating_mul(u64::from(params.p())) <= MOST_WORK
        }
        Kind::Pbkdf2 => pbkdf2::Params::try_from(phc).ok()?.rounds() <= MOST_ROUNDS,
    })
}

#[cfg(test)]
mod tests {
    use super::{Memory, NOBODYS, check_foreign, is_outdated, make, matches, succeeds};
    use crate::domain::user::PasswordHash;

    const PASSWORD: &[u8] = b"correct horse battery staple";

    /// Of that password, made by Python's argon2-cffi, hashlib and bcrypt.
    const ELSEWHERE: [&str; 11] = [
        "$argon2id$v=19$m=8192,t=2,p=2$AAECAwQFBgcICQoLDA0ODw$2zVoi0Aym5ac2GxgMx/Nx40Ih25M/0+prK2PHUy10e0",
        "$argon2i$v=19$m=8192,t=2,p=2$AAECAwQFBgcICQoLDA0ODw$LvrKnqYx6jJ0Ee2ht7scqUxSyictugi/RCEhUGe3Xbw",
        "$argon2d$v=19$m=8192,t=2,p=2$AAECAwQFBgcICQoLDA0ODw$FN9ywjyDM/lK5I4b7upb9JwaU898PHhwkg7Hh+V5EdE",
        "$argon2id$v=16$m=8192,t=2,p=2$AAECAwQFBgcICQoLDA0ODw$Gb1udFBJJzDwaLz2sbftw5nuNR2NWptm7xIqji+wfyg",
        "$scrypt$ln=12,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$0kAJcZMDMoI6NHVug+mGyKwmdluLX9KqpubH8OLxecs",
        "$scrypt$ln=10,r=4,p=3$AAECAwQFBgcICQoLDA0ODw$Jr2+K1GZpKub2lAUZ7slrN0LVHU6RbKurkgLTysHeWpYMnoqYs2BFl5Qhs1RNky4zCgLlatnk6hdcHTERjksJQ",
        "$pbkdf2-sha256$i=1000$AAECAwQFBgcICQoLDA0ODw$ppsXnjrdPB4KryJ6DrOqKqhkWrhv7PbKAMF1Eml8cZ4",
        "$pbkdf2-sha512$i=1000,l=64$AAECAwQFBgcICQoLDA0ODw$A6AmFIti7CKlYdoPiV9jf1d9llp37o27Wms8Zx8fwMJGCOigJzAthOW3Pg+XF5PnNiYnsQsIz1N5NtynrEm78w",
        "$2a$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG",
        "$2b$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG",
        "$2y$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG",
    ];

    fn hash(text: &str) -> PasswordHash {
        PasswordHash(text.to_owned())
    }

    #[test]
    fn nobodys_hash_costs_what_everybodys_does() {
        let nobodys = PasswordHash(NOBODYS.to_owned());
        assert!(!is_outdated(&nobodys), "new parameters need a new one");
        assert!(check_foreign(&nobodys).is_ok() && !matches(b"", &nobodys, &mut Memory::default()));
    }

    #[test]
    fn hashes_from_elsewhere_verify_and_are_to_be_replaced() {
        for text in ELSEWHERE {
            let hash = hash(text);
            assert_eq!(check_foreign(&hash), Ok(()), "{text}");
            assert!(matches(PASSWORD, &hash, &mut Memory::default()), "{text}");
            assert!(!matches(b"correct horse battery stable", &hash, &mut Memory::default()), "{text}");
            assert!(is_outdated(&hash), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_verified_or_costs_too_much_is_refused() {
        let salt = "AAECAwQFBgcICQoLDA0ODw";
        let output = "2zVoi0Aym5ac2GxgMx/Nx40Ih25M/0+prK2PHUy10e0";
        for form in [
            "",
            "correct horse battery staple",
            "$1$abcdefgh$OqVHJYJXq3pBGFxfKGcwx1",
            "$md5$SALT$OUT",
            "$2x$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG",
            "$2b$03$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG",
            "$2b$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6C",
            "$2b$15$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG",
            "$argon2id$v=19$m=8192,t=2,p=2$SALT",
            "$argon2id$v=19$m=8192,t=2,p=2$SALT$AAECAwQFBgcICQoLDA0O",
            "$argon2id$v=19$m=4194304,t=1,p=1$SALT$OUT",
            "$argon2id$v=19$m=65536,t=4000,p=1$SALT$OUT",
            "$argon2id$v=19$m=65536,t=4294967295,p=1$SALT$OUT",
            "$argon2id$v=19$m=65536,t=1,p=255$SALT$OUT",
            "$scrypt$ln=20,r=8,p=1$SALT$OUT",
            "$scrypt$ln=63,r=8,p=1$SALT$OUT",
            "$scrypt$ln=10,r=4000000,p=1$SALT$OUT",
            "$scrypt$ln=14,r=8,p=1000000$SALT$OUT",
            "$pbkdf2-sha256$i=4294967295$SALT$OUT",
            "$pbkdf2-sha1$i=1000$SALT$OUT",
            "$pbkdf2-sha512$i=1000,l=64$SALT$OUT",
        ] {
            let text = form.replace("SALT", salt).replace("OUT", output);
            assert!(check_foreign(&hash(&text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_renewed_hash_remembers_what_it_came_from() {
        let old = hash(ELSEWHERE[10]);
        let new = make(PASSWORD, Some(&old), &mut Memory::default()).unwrap();
        assert!(
            matches(PASSWORD, &new, &mut Memory::default())
                && !matches(b"another", &new, &mut Memory::default())
                && !is_outdated(&new)
        );
        assert!(succeeds(&new, &old) && succeeds(&old, &old) && !succeeds(&new, &hash(ELSEWHERE[9])));
        let newer = make(PASSWORD, Some(&new), &mut Memory::default()).unwrap();
        assert!(succeeds(&newer, &old), "through several renewals");
        let fresh = make(PASSWORD, None, &mut Memory::default()).unwrap();
        assert!(!succeeds(&fresh, &old) && check_foreign(&new).is_ok());
    }
}
