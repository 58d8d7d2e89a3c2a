//! The algorithms of RFC 9421 §3.3 that are taken, by their registered names. Which one a signature is made with follows
//! from the key (§3.2 step 6), never from the message.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// §3.3.3.
    HmacSha256,
    /// §3.3.6.
    Ed25519,
    /// §3.3.4: r and s, 32 bytes each.
    EcdsaP256Sha256,
    /// §3.3.1: MGF1 with SHA-512, salt of 64 bytes.
    RsaPssSha512,
}

impl Algorithm {
    pub const ALL: [Self; 4] = [Self::HmacSha256, Self::Ed25519, Self::EcdsaP256Sha256, Self::RsaPssSha512];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Self::RsaPssSha512 => "rsa-pss-sha512",
        }
    }

    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Algorithm;

    #[test]
    fn algorithm_names_round_trip() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::parse(&algorithm.to_string()), Some(algorithm));
        }
        for unknown in ["", "none", "rsa-v1_5-sha256", "ecdsa-p384-sha384", "HMAC-SHA256", "ed25519 "] {
            assert_eq!(Algorithm::parse(unknown), None);
        }
    }
}
