//! Properties of TLS client certificates (RFC 8705): the thumbprint (§3.1), and the names by which a client can be
//! registered (§2.1.2), each in a form that can be compared.
//!
//! See also `keys::certificate`, which reads certificates, and [`super::client_metadata`], which has these names as
//! members.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::RdnSequence;

use super::secret::Digest;

/// The SHA-256 digest of a certificate's DER, in JSON as base64url (`x5t#S256`, RFC 7517 §4.9). It is not a secret:
/// every party that saw the certificate can compute it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    #[must_use]
    pub fn from_der(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }
}

impl TryFrom<String> for Thumbprint {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("is not a SHA-256 thumbprint in base64url")
    }
}

impl From<Thumbprint> for String {
    fn from(thumbprint: Thumbprint) -> Self {
        URL_SAFE_NO_PAD.encode(thumbprint.0)
    }
}

/// `cnf` (RFC 7800 §3.1): the proof of possession that a token requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Confirmation {
    /// RFC 8705 §3.1.
    #[serde(rename = "x5t#S256")]
    Certificate(Thumbprint),
}

/// A distinguished name in the text form of RFC 4514, in its original spelling.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DistinguishedName {
    original: String,
    normalized: String,
}

impl DistinguishedName {
    /// Returns the name in a certificate.
    #[must_use]
    pub fn from_rdn_sequence(name: &RdnSequence) -> Self {
        Self { original: name.to_string(), normalized: compared(name) }
    }

    /// Returns the comparable form (RFC 4517 §4.2.15): attribute types as OIDs, values case-folded and with runs of
    /// spaces collapsed.
    #[must_use]
    pub fn normalized(&self) -> &str {
        &self.normalized
    }
}

impl fmt::Debug for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.original)
    }
}

impl TryFrom<String> for DistinguishedName {
    type Error = &'static str;

    fn try_from(written: String) -> Result<Self, Self::Error> {
        if written.len() > 1000 {
            return Err("is longer than 1000 characters");
        }
        let name = RdnSequence::from_str(&written).ok().filter(|name| !name.as_ref().is_empty());
        let name =
            name.ok_or("is no distinguished name such as CN=reports,O=Example (RFC 4514), the commas without spaces")?;
        Ok(Self { normalized: compared(&name), original: written })
    }
}

impl From<DistinguishedName> for String {
    fn from(name: DistinguishedName) -> Self {
        name.original
    }
}

fn compared(name: &RdnSequence) -> String {
    let one = |attribute: &AttributeTypeAndValue| {
        let text = text(attribute).map(|text| {
            let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
            words.join(" ")
        });
        // Values that are not strings are compared exactly.
        let value = text.unwrap_or_else(|| format!("#{}", URL_SAFE_NO_PAD.encode(attribute.value.value())));
        format!("{}={:?}", attribute.oid, value.as_bytes())
    };
    let each = name.as_ref().iter().map(|relative| {
        let mut attributes: Vec<String> = relative.as_ref().iter().map(one).collect();
        attributes.sort_unstable();
        attributes.join("+")
    });
    each.collect::<Vec<_>>().join(",")
}

/// Returns the text of an attribute whose string type is UTF-8 or a subset of it (RFC 5280 §4.1.2.4).
fn text(attribute: &AttributeTypeAndValue) -> Option<&str> {
    use x509_cert::der::{Tag, Tagged as _};
    let is_text = matches!(attribute.value.tag(), Tag::Utf8String | Tag::PrintableString | Tag::Ia5String);
    std::str::from_utf8(attribute.value.value()).ok().filter(|_| is_text)
}

/// A property of a certificate by which it is matched to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateName {
    /// `tls_client_auth_subject_dn`.
    Subject(DistinguishedName),
    /// `tls_client_auth_san_dns`, case-insensitive.
    Dns(String),
    /// `tls_client_auth_san_uri`.
    Uri(String),
    /// `tls_client_auth_san_ip`.
    Ip(IpAddr),
    /// `tls_client_auth_san_email`, case-sensitive before the @ (RFC 5280 §7.5).
    Email(String),
    /// The certificate itself, if the client registered it (§2.2).
    Thumbprint(Thumbprint),
}

impl CertificateName {
    /// Returns the digest of the comparable form, which the index stores. Equal names have equal digests.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let (kind, value) = match self {
            Self::Subject(name) => ("subject", name.normalized().to_owned()),
            Self::Dns(name) => ("dns", name.to_ascii_lowercase()),
            Self::Uri(uri) => ("uri", uri.clone()),
            Self::Ip(address) => ("ip", address.to_string()),
            Self::Email(address) => match address.rsplit_once('@') {
                Some((whose, host)) => ("email", format!("{whose}@{}", host.to_ascii_lowercase())),
                None => ("email", address.clone()),
            },
            Self::Thumbprint(thumbprint) => ("itself", String::from(*thumbprint)),
        };
        Digest(Sha256::digest(format!("certificate {kind}\0{value}")).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DistinguishedName {
        DistinguishedName::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn distinguished_names_compare_by_rfc4517() {
        for (one, other) in [
            ("CN=reports,O=Example", "cn=Reports,o=EXAMPLE"),
            ("CN=two  words,O=Example", "CN=two words,O=Example"),
            ("OU=a+CN=b,DC=example", "CN=b+OU=a,DC=example"),
            ("CN=a\\,b", "CN=a\\2cb"),
            ("2.5.4.3=reports", "CN=reports"),
        ] {
            assert_eq!(name(one).normalized(), name(other).normalized(), "{one} {other}");
        }
        for (one, other) in [
            ("CN=reports,O=Example", "O=Example,CN=reports"),
            ("CN=reports,O=Example", "CN=reports"),
            ("CN=a\\,O=b", "CN=a,O=b"),
            ("CN=reports", "O=reports"),
            ("CN=a+OU=b", "CN=a,OU=b"),
        ] {
            assert_ne!(name(one).normalized(), name(other).normalized(), "{one} {other}");
        }
        assert_eq!(String::from(name("CN=reports,O=Example")), "CN=reports,O=Example");
        for bad in ["", "reports", "CN=a, O=b", "XX=a", &"CN=a,".repeat(300)] {
            assert!(DistinguishedName::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn digests_differ_by_name_kind() {
        let text = || "a.example".to_owned();
        let all = [CertificateName::Dns(text()), CertificateName::Uri(text()), CertificateName::Email(text())];
        let digests: Vec<Digest> = all.iter().map(CertificateName::digest).collect();
        assert!(digests[0] != digests[1] && digests[1] != digests[2] && digests[0] != digests[2]);
        assert_eq!(CertificateName::Dns("A.Example".into()).digest(), digests[0]);
        assert_eq!(CertificateName::Email("a@B.c".into()).digest(), CertificateName::Email("a@b.c".into()).digest());
        assert_ne!(CertificateName::Email("A@b.c".into()).digest(), CertificateName::Email("a@b.c".into()).digest());
    }

    #[test]
    fn confirmation_serializes_as_rfc8705() {
        let made = Confirmation::Certificate(Thumbprint::from_der(b""));
        let json = serde_json::json!({ "x5t#S256": "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU" });
        assert_eq!(serde_json::to_value(made).unwrap(), json);
        assert_eq!(serde_json::from_value::<Confirmation>(json).unwrap(), made);
        for bad in [r#"{"x5t#S256":"abc"}"#, r#"{"x5t#S256":""}"#, r#"{"jkt":"a"}"#, "{}"] {
            assert!(serde_json::from_str::<Confirmation>(bad).is_err(), "{bad}");
        }
    }
}
