//! Certificate authorities: what a server at `localhost` shows by one, and what callers show to a server.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SanType, SignatureAlgorithm,
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
        // OpenSSL takes one who has its issuer's name for its own issuer.
        let mut params = named("Root", Vec::new());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate_for(alg).unwrap()).unwrap();
        let key = KeyPair::generate_for(alg).unwrap();
        let cert = CertificateParams::new(["localhost", "127.0.0.1"].map(str::to_owned))
            .unwrap()
            .signed_by(&key, &root)
            .unwrap();
        Self { root: root.pem(), cert: cert.pem(), key: key.serialize_pem() }
    }
}

/// A certificate that somebody shows to a server, as PEM.
pub struct Shown {
    pub cert: String,
    pub key: String,
    pub der: Vec<u8>,
}

impl Shown {
    /// One of its own, that no authority has signed.
    pub fn self_signed(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let cert = named(name, Vec::new()).self_signed(&key).unwrap();
        Self { cert: cert.pem(), key: key.serialize_pem(), der: cert.der().to_vec() }
    }
}

/// One who signs certificates of callers.
pub struct Callers(CertifiedIssuer<'static, KeyPair>);

impl Callers {
    pub fn new(name: &str) -> Self {
        let mut params = named(name, Vec::new());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn root(&self) -> String {
        self.0.pem()
    }

    /// For `CN=name,O=Example`, with these alternative names.
    pub fn sign(&self, name: &str, alternative: Vec<SanType>) -> Shown {
        let key = KeyPair::generate().unwrap();
        let cert = named(name, alternative).signed_by(&key, &self.0).unwrap();
        Shown { cert: cert.pem(), key: key.serialize_pem(), der: cert.der().to_vec() }
    }
}

fn named(name: &str, alternative: Vec<SanType>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names = alternative;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Example");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
