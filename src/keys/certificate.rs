//! Certificates that a client showed in a TLS handshake (RFC 5280). What they say is read here; that whoever showed one has
//! its key, and that its issuer is one to believe, was found out where the handshake was.
//!
//! Next door: `web::extract`, where they come from; `protocol::mtls`, whose they are.

use std::net::IpAddr;

use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::domain::certificate::{CertificateName, DistinguishedName, Thumbprint};

/// Alternative names beyond these are not looked at: each one may be looked up.
const MOST_NAMES: usize = 16;

/// Bytes that were handed on as one. Only their names need them to be one.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    pub thumbprint: Thumbprint,
    der: Vec<u8>,
}

impl ClientCertificate {
    #[must_use]
    pub fn from_der(der: Vec<u8>) -> Self {
        Self { thumbprint: Thumbprint::of(&der), der }
    }

    /// Everything by which a client may be known (RFC 8705 §2.1.2, §2.2): the certificate itself, its subject, and its
    /// alternative names.
    #[must_use]
    pub fn names(&self) -> Vec<CertificateName> {
        let mut names = vec![CertificateName::Itself(self.thumbprint)];
        let Ok(certificate) = Certificate::from_der(&self.der) else { return names };
        let subject = certificate.tbs_certificate().subject().as_ref();
        // RFC 5280 §4.1.2.6: it may be empty where there are alternative names.
        if !subject.as_ref().is_empty() {
            names.push(CertificateName::Subject(DistinguishedName::of(subject)));
        }
        let alternative = certificate.tbs_certificate().get_extension::<SubjectAltName>();
        let alternative = alternative.ok().flatten().map(|(_, names)| names.0).unwrap_or_default();
        names.extend(alternative.iter().filter_map(named).take(MOST_NAMES));
        names
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
