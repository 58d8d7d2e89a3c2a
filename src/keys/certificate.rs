//! Certificates that clients present in a TLS handshake (RFC 5280). This module only reads them. The proof of
//! possession of the key and the trust in the issuer were verified where the handshake took place.
//!
//! See also `web::extract`, which receives them; `protocol::mtls`, which matches them to clients.

use std::cmp::Ordering;
use std::net::IpAddr;
use std::sync::OnceLock;

use openssl::x509::X509;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::domain::certificate::{CertificateName, DistinguishedName, Thumbprint};
use crate::domain::secret::Digest;

/// The maximum number of alternative names that are used, because each one may cost a lookup.
const MAX_NAMES: usize = 16;

/// The bytes of a certificate as received. They are parsed only to read the names.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    pub thumbprint: Thumbprint,
    der: Vec<u8>,
    names: OnceLock<Vec<Digest>>,
}

impl ClientCertificate {
    #[must_use]
    pub fn from_der(der: Vec<u8>) -> Self {
        Self { thumbprint: Thumbprint::from_der(&der), der, names: OnceLock::new() }
    }

    /// Returns the digests of everything that may identify a client (RFC 8705 §2.1.2, §2.2), as they are indexed: the
    /// certificate itself and the names that its issuer asserts.
    pub fn identifier_digests(&self) -> &[Digest] {
        self.names.get_or_init(|| {
            let issued = if self.is_issued_by_another() { self.issued_names() } else { Vec::new() };
            std::iter::once(CertificateName::Thumbprint(self.thumbprint))
                .chain(issued)
                .map(|name| name.digest())
                .collect()
        })
    }

    /// Returns whether subject and issuer differ, by the name comparison that TLS verification uses (RFC 5280 §7.1).
    /// The owner of a self-issued certificate chose its names, so they prove nothing. The same applies to a certificate
    /// that OpenSSL cannot parse.
    fn is_issued_by_another(&self) -> bool {
        X509::from_der(&self.der).is_ok_and(|certificate| {
            certificate.subject_name().try_cmp(certificate.issuer_name()).is_ok_and(Ordering::is_ne)
        })
    }

    fn issued_names(&self) -> Vec<CertificateName> {
        let Ok(certificate) = Certificate::from_der(&self.der) else { return Vec::new() };
        let subject = certificate.tbs_certificate().subject().as_ref();
        let alternative = certificate.tbs_certificate().get_extension::<SubjectAltName>();
        let alternative = alternative.ok().flatten().map(|(_, names)| names.0).unwrap_or_default();
        // RFC 5280 §4.1.2.6: the subject may be empty if there are alternative names.
        let subject = Some(subject).filter(|name| !name.as_ref().is_empty());
        let subject = subject.map(|name| CertificateName::Subject(DistinguishedName::from_rdn_sequence(name)));
        subject.into_iter().chain(alternative.iter().filter_map(named).take(MAX_NAMES)).collect()
    }
}

fn named(name: &GeneralName) -> Option<CertificateName> {
    match name {
        GeneralName::DnsName(name) => Some(CertificateName::Dns(name.as_str().to_owned())),
        GeneralName::UniformResourceIdentifier(uri) => Some(CertificateName::Uri(uri.as_str().to_owned())),
        GeneralName::Rfc822Name(address) => Some(CertificateName::Email(address.as_str().to_owned())),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let four = || <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
            let sixteen = || <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from);
            four().or_else(sixteen).map(CertificateName::Ip)
        }
        _ => None,
    }
}
