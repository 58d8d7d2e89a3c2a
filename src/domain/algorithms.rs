//! The supported JOSE algorithms (RFC 7518, RFC 8037), each by its registered name. `none` is not supported.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! algorithms {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )+};
}

algorithms! {
    /// Signatures and MACs (RFC 7518 §3.1, RFC 8037 §3.1).
    SigningAlg {
        RS256 = "RS256",
        PS256 = "PS256",
        ES256 = "ES256",
        EdDSA = "EdDSA",
        /// A MAC whose key is the client secret.
        HS256 = "HS256",
    }

    /// Key management of encrypted JWTs (RFC 7518 §4.1).
    KeyManagementAlg {
        RsaOaep256 = "RSA-OAEP-256",
        EcdhEs = "ECDH-ES",
        EcdhEsA256Kw = "ECDH-ES+A256KW",
    }

    /// Content encryption of encrypted JWTs (RFC 7518 §5.1).
    ContentEncryption {
        A128CbcHs256 = "A128CBC-HS256",
        A256Gcm = "A256GCM",
    }
}

pub(super) use algorithms;

impl SigningAlg {
    /// The algorithms that have key pairs, the server's or a client's.
    pub const ASYMMETRIC: [Self; 4] = [Self::RS256, Self::PS256, Self::ES256, Self::EdDSA];
}
