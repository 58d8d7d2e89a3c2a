//! A certificate authority, and what a server at `localhost` shows by it.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256,
    SignatureAlgorithm,
};

/// All as PEM.
pub struct Authority {
    pub root: String,
    pub cert: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        Self::with_keys(&PKCS_ECDSA_P256_SHA256)
    }

    pub fn rsa() -> Self {
        Self::with_keys(&PKCS_RSA_SHA256)
    }

    fn with_keys(alg: &'static SignatureAlgorithm) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate_for(alg).unwrap()).unwrap();
        let key = KeyPair::generate_for(alg).unwrap();
        let cert = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &root).unwrap();
        Self { root: root.pem(), cert: cert.pem(), key: key.serialize_pem() }
    }
}
