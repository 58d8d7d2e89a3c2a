//! Certificates that a client showed in a TLS handshake (RFC 5280). What they say is read here; that whoever showed one has
//! its key, and that its issuer is one to believe, was found out where the handshake was.
//!
//! Next door: `web::extract`, where they come from; `protocol::mtls`, whose they are.

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

/// Alternative names beyond these are not looked at: each one may be looked up.
const MAX_NAMES: usize = 16;

/// Bytes that were handed on as one. Only their names need them to be one.
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

    /// Everything by which a client may be known (RFC 8705 §2.1.2, §2.2), as an index has it: the certificate itself, and
    /// what its issuer says of it.
    pub fn identifier_digests(&self) -> &[Digest] {
        self.names.get_or_init(|| {
            let issued = if self.is_issued_by_another() { self.issued_names() } else { Vec::new() };
            std::iter::once(CertificateName::Thumbprint(self.thumbprint))
                .chain(issued)
                .map(|name| name.digest())
                .collect()
        })
    }

    /// Whether it is not its own issuer, as whoever verified it compares names (RFC 5280 §7.1). What one that is says of
    /// itself is what its owner chose; and of one that OpenSSL cannot read nobody knows.
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
        // RFC 5280 §4.1.2.6: the subject may be empty where there are alternative names.
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
