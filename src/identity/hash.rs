//! Password hashes of this server: argon2id with OWASP's parameters. An imported hash is verified once and then
//! replaced by one of these. See also [`super::foreign_hash`], the imported hashes; [`super::password`], which runs
//! this on the blocking pool.

use argon2::password_hash::phc::{Output, PasswordHash as Phc, Salt};
use argon2::password_hash::try_generate_salt;
use argon2::{Algorithm, Argon2, AssociatedData, Block, Params, ParamsBuilder, PasswordVerifier as _, Version};
use sha2::{Digest as _, Sha256};

use super::foreign_hash;
use crate::domain::user::PasswordHash;

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;

/// A hash of no password, with the current parameters. It is verified if there is no such user, so that both cases take
/// the same time. It is a constant because computing it would cost time and 19 MiB at each start.
pub(super) const DUMMY_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$9ynljr3qs6eA3Ic4ZMqaNg$erHQBtRZ0SgQVxGy2anHTC/U0U0w5iaQBboRxGekDcc";

/// The memory of argon2id, reused between hashes. If it were freed each time, the allocator would keep it for each
/// thread, and forty sign-ins would hold 400 MB. Having the system zero new pages is a tenth of the work.
#[derive(Default)]
pub(super) struct Memory(Vec<Block>);

impl Memory {
    /// Returns the blocks that `params` need; `None` if they need more than this server's own hashes.
    fn blocks(&mut self, params: &Params) -> Option<&mut [Block]> {
        let needed = params.block_count();
        if needed <= MEMORY_KIB as usize {
            self.0.resize(self.0.len().max(needed), Block::new());
        }
        self.0.get_mut(..needed)
    }
}

/// Hashes a password. A hash that replaces another one carries the digest of the old one as associated data. A document
/// with the old hash is thereby known to refer to the same password.
pub(super) fn make(password: &[u8], replaces: Option<&PasswordHash>, memory: &mut Memory) -> Option<PasswordHash> {
    let mut params = ParamsBuilder::new();
    params.m_cost(MEMORY_KIB).t_cost(PASSES).p_cost(1);
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

/// Computes argon2; `None` if it needs more memory than is kept.
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

/// Returns whether `password` matches `hash`.
pub(super) fn matches(password: &[u8], hash: &PasswordHash, memory: &mut Memory) -> bool {
    let argon2 = |phc: &Phc| Algorithm::try_from(phc.algorithm.as_str()).is_ok();
    let Some(phc) = Phc::new(&hash.0).ok().filter(argon2) else { return foreign_hash::matches(password, hash) };
    if let Some(ours) = recompute_argon2(password, &phc, memory) {
        // Comparing `Output` takes constant time.
        return phc.hash.is_some_and(|kept| kept == ours);
    }
    Argon2::default().verify_password(password, &phc).is_ok()
}

/// Hashes `password` with the parameters of `phc` in the reused memory; `None` if that is too small.
fn recompute_argon2(password: &[u8], phc: &Phc, memory: &mut Memory) -> Option<Output> {
    let algorithm = Algorithm::try_from(phc.algorithm.as_str()).ok()?;
    let version = Version::try_from(phc.version?).ok()?;
    argon2(algorithm, version, Params::try_from(phc).ok()?, password, phc.salt.as_ref()?, memory)
}

/// Returns whether a hash was imported or has outdated parameters. It is then replaced at the next sign-in.
pub fn is_outdated(hash: &PasswordHash) -> bool {
    let ours = |phc: Phc| {
        phc.algorithm.as_str() == "argon2id"
            && Params::try_from(&phc).is_ok_and(|params| params.m_cost() == MEMORY_KIB && params.t_cost() == PASSES)
    };
    !Phc::new(&hash.0).is_ok_and(ours)
}

/// Returns whether `present` is `given` or the hash that replaced it at a sign-in.
pub fn succeeds(present: &PasswordHash, given: &PasswordHash) -> bool {
    present == given || origin(present).is_some_and(|origin| origin == Sha256::digest(&given.0).as_slice())
}

/// Returns the digest of the hash that this one replaced.
fn origin(hash: &PasswordHash) -> Option<Vec<u8>> {
    let params = Params::try_from(&Phc::new(&hash.0).ok()?).ok()?;
    Some(params.data().to_vec()).filter(|data| !data.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{DUMMY_HASH, Memory, is_outdated, make, matches, succeeds};
    use crate::domain::user::PasswordHash;
    use crate::identity::foreign_hash::{canonical, check};

    const PASSWORD: &[u8] = b"correct horse battery staple";

    /// Hashes of the test password, made by Python's `argon2-cffi`, `hashlib` and `bcrypt`.
    const PHC_HASHES: [&str; 11] = [
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

    /// Hashes of the test password, made by passlib 1.7.4 and Django 5.2. Authelia writes PBKDF2, SHA-crypt and
    /// `bcrypt-sha256` like passlib.
    const PASSLIB_AND_DJANGO_HASHES: [&str; 17] = [
        "$pbkdf2$1000$./8CAwQFBgcICQoLDA0ODw$k85m3m5N9Y.xToTrTYISCv0V9Nk",
        "$pbkdf2-sha224$1000$./8CAwQFBgcICQoLDA0ODw$6PT8kCubjILAOwvdstbsu/M.btBwTrmQsG4LtA",
        "$pbkdf2-sha256$1000$./8CAwQFBgcICQoLDA0ODw$j/Lzaw6baxGABARC6xGPWA4dm36rpHjPZOZxv/pjkbY",
        "$pbkdf2-sha384$1000$./8CAwQFBgcICQoLDA0ODw$Pk7tQ8jcyjHh8OZlqhXn80.YULLjEK0lltWC0RUWsYCRbd2ZqM3QUT5xRUyFNbiR",
        "$pbkdf2-sha512$1000$./8CAwQFBgcICQoLDA0ODw$iZyljoCbtfjYwKkAAZGQxEUYLFqhPusGMrlOqeM4G5uLI6dq11D7M1Mya3Jh00Qo3wVjcIITYs3zXvh4tWFJ5Q",
        "$6$rounds=1000$AbC./9xYz0123456$SrJ3sg2E/NsDT3QHjMTOm12b9ONJn5mQSLRXCMNZlHszBtg79kAqKtD9XnAdFggJwIGfLWIgevWU7HgFcvbOX.",
        "$6$AbC./9xY$dsBSx5uOOVorfIDpBSPIXMZPzQ9o1QgvOUVBwYVC4oUMPWLgVW.PtUT5EbVh3HADyu/AzNqhkiDFTr.j9ow5A0",
        "$5$rounds=1000$AbC./9xYz0123456$R9HOWRswThZD1bFj1l7mVkYFY/yZoOZjhvv/Z2pwV35",
        "$bcrypt-sha256$2b,4$abcdefghijklmnopqrstuu$QFUZDSoSe.wmA0ORk2X1IjnANOtYIqu",
        "$bcrypt-sha256$v=2,t=2b,r=4$abcdefghijklmnopqrstuu$h8GCYhBqatMGV8VIjRD4nhRxM87r3yu",
        "$scrypt$ln=10,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$mp90zEQd5XGhjEv4WArVH4Z0XRSzkGWtJK2S/AXJlRU",
        "pbkdf2_sha256$1000$seasalt2seasalt2seasalt$YpOxCbFandtQDvh8LfxbwDEgWqL3CDKcP2YnJ2/04D8=",
        "pbkdf2_sha1$1000$seasalt2seasalt2$+AZfAbUTCiX4q3zLceLeWFGvHQ4=",
        "bcrypt_sha256$$2b$04$abcdefghijklmnopqrstuuaBT8mpw5tGdD3eO40znWcQP/dT9hEVK",
        "bcrypt$$2b$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG",
        "argon2$argon2id$v=19$m=8192,t=2,p=8$c2Vhc2FsdDJzZWFzYWx0Mg$d+15/mbP0vrT1N92NPd7A5/zsWGxb/cVMPNfRrqZKVs",
        "scrypt$1024$seasalt2seasalt2$8$5$SB+t556J5w45eqD8NxF1KJwHP+lAxQ9AlLvc36bDdAZyFtZ9AMEPjoXWnFOIWzzQYJ9MiOG+riB6AmCUM/E7FQ==",
    ];

    fn hash(text: &str) -> PasswordHash {
        PasswordHash(text.to_owned())
    }

    #[test]
    fn dummy_hash_costs_as_much_as_real_ones() {
        let nobodys = PasswordHash(DUMMY_HASH.to_owned());
        assert!(!is_outdated(&nobodys), "new parameters need a new one");
        assert!(check(&nobodys).is_ok() && !matches(b"", &nobodys, &mut Memory::default()));
    }

    #[test]
    fn foreign_hashes_verify_and_are_outdated() {
        for text in PHC_HASHES.into_iter().chain(PASSLIB_AND_DJANGO_HASHES) {
            let hash = canonical(text);
            assert_eq!(check(&hash), Ok(()), "{text}");
            assert!(matches(PASSWORD, &hash, &mut Memory::default()), "{text}");
            assert!(!matches(b"correct horse battery stable", &hash, &mut Memory::default()), "{text}");
            assert!(is_outdated(&hash), "{text}");
            assert_eq!(canonical(&hash.0), hash, "{text}");
        }
        for text in PHC_HASHES {
            assert_eq!(canonical(text).0, text);
        }
    }

    #[test]
    fn unverifiable_or_costly_hash_is_refused() {
        let salt = "AAECAwQFBgcICQoLDA0ODw";
        let output = "2zVoi0Aym5ac2GxgMx/Nx40Ih25M/0+prK2PHUy10e0";
        let sha512 = PASSLIB_AND_DJANGO_HASHES[6].rsplit('$').next().unwrap();
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
            "$pbkdf2-md5$i=1000$SALT$OUT",
            "$pbkdf2-sha512$i=1000,l=64$SALT$OUT",
            "$pbkdf2-sha256$4294967295$SALT$OUT",
            "$pbkdf2-sha256$999$SALT$OUT",
            "$pbkdf2-sha256$1000$SALT$AAAA",
            "$pbkdf2-sha256$1000$SALT",
            "$pbkdf2-md5$1000$SALT$OUT",
            "$pbkdf2-sha1$i=1500000,l=32$SALT$OUT",
            "pbkdf2_sha256$4294967295$saltsalt$OUT",
            "pbkdf2_sha256$1000$saltsalt$OUT!",
            "pbkdf2_md5$1000$saltsalt$OUT",
            "scrypt$1048576$saltsalt$8$1$OUT",
            "scrypt$1000$saltsalt$8$1$OUT",
            "scrypt$1024$saltsalt$8$1000000$OUT",
            "argon2$argon2id$v=19$m=4194304,t=1,p=1$SALT$OUT",
            "bcrypt$$2x$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG",
            "bcrypt_sha256$$2b$15$abcdefghijklmnopqrstuuaBT8mpw5tGdD3eO40znWcQP/dT9hEVK",
            "bcrypt_sha256$$2b$04$abcdefghijklmnopqrstuu",
            "$bcrypt-sha256$v=2,t=2b,r=15$abcdefghijklmnopqrstuu$h8GCYhBqatMGV8VIjRD4nhRxM87r3yu",
            "$bcrypt-sha256$v=2,t=2x,r=4$abcdefghijklmnopqrstuu$h8GCYhBqatMGV8VIjRD4nhRxM87r3yu",
            "$bcrypt-sha256$v=3,t=2b,r=4$abcdefghijklmnopqrstuu$h8GCYhBqatMGV8VIjRD4nhRxM87r3yu",
            "$6$rounds=1000001$AbC./9xY$SHA512",
            "$6$rounds=999$AbC./9xY$SHA512",
            "$6$rounds=4294967296$AbC./9xY$SHA512",
            "$6$AbC./9xY",
            "$6$$SHA512",
            "$6$AbC./9xYz01234567$SHA512",
            "$6$AbC./9xY$SHA51",
            "$5$AbC./9xY$SHA512",
            "$6$AbC./9xY$SHA512$x",
            "$7$AbC./9xY$SHA512",
            "$y$j9T$AbC./9xY$SHA512",
            "md5$salt$d41d8cd98f00b204e9800998ecf8427e",
        ] {
            let text = form.replace("SALT", salt).replace("OUT", output).replace("SHA512", sha512);
            assert!(check(&canonical(&text)).is_err(), "{text}");
        }
    }

    /// SHA-crypt's work grows with the password, unlike that of the other algorithms.
    #[test]
    fn sha_crypt_password_is_limited_to_256_bytes() {
        const X256: &str = "$6$rounds=1000$AbC./9xY$4uu3AiFm3NvjHilzpX38P61tKCVMWSVuMY0./UsTptYWKB83PlGq/foZWPrFNe9tTWBrAHo6K.V1pCHfVXUPy/";
        const X257: &str = "$6$rounds=1000$AbC./9xY$uaof.UAp9wn8fBwlwXV.f9bkvXtWOL5BSbM7p/Xwqz66VAhr.oPkuJgPQG9gofNJdMeie.kle5i1aSZ9GmMIv0";
        for (length, text, right) in [(256, X256, true), (257, X256, false), (257, X257, false), (1024, X256, false)] {
            let password = "x".repeat(length);
            assert_eq!(matches(password.as_bytes(), &hash(text), &mut Memory::default()), right, "{length}");
        }
    }

    #[test]
    fn rehash_remembers_the_hash_it_replaced() {
        let old = hash(PHC_HASHES[10]);
        let new = make(PASSWORD, Some(&old), &mut Memory::default()).unwrap();
        assert!(
            matches(PASSWORD, &new, &mut Memory::default())
                && !matches(b"another", &new, &mut Memory::default())
                && !is_outdated(&new)
        );
        assert!(succeeds(&new, &old) && succeeds(&old, &old) && !succeeds(&new, &hash(PHC_HASHES[9])));
        let newer = make(PASSWORD, Some(&new), &mut Memory::default()).unwrap();
        assert!(succeeds(&newer, &old), "through several renewals");
        let fresh = make(PASSWORD, None, &mut Memory::default()).unwrap();
        assert!(!succeeds(&fresh, &old) && check(&new).is_ok());
    }
}
