//! https by setting: the certificate is read again when its file changes, TLS is spoken as RFC 9325 recommends, and cookies
//! are Secure.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Certificate, Client as Http};
use rustls::crypto::aws_lc_rs::{ALL_CIPHER_SUITES, default_provider};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{CipherSuite, ClientConfig, ClientConnection, RootCertStore, SupportedCipherSuite};

use crate::support::authority::Authority;
use crate::support::program::{Program, within};

impl Authority {
    /// Whether who trusts this authority alone gets through, on a connection of its own.
    async fn is_shown(&self, program: &Program) -> bool {
        let root = Certificate::from_pem(self.root.as_bytes()).unwrap();
        let http = Http::builder().tls_certs_only([root]).resolve("localhost", program.address).no_proxy();
        http.build().unwrap().get(format!("{}/readyz", program.url())).send().await.is_ok()
    }

    /// Shakes hands as a client that knows this authority and one suite of one version.
    fn shakes_hands(&self, program: &Program, suite: SupportedCipherSuite) -> Result<CipherSuite, std::io::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.root.as_bytes()).unwrap()).unwrap();
        let mut provider = default_provider();
        provider.cipher_suites = vec![suite];
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[suite.version()])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut client = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        let mut stream = TcpStream::connect(program.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        while client.is_handshaking() {
            client.complete_io(&mut stream)?;
        }
        Ok(client.negotiated_cipher_suite().unwrap().suite())
    }
}

/// RFC 9325 §4.2. With a certificate of either kind each suite of that kind is tried, by a client that knows no other.
#[tokio::test]
async fn tls_1_3_is_spoken_and_of_tls_1_2_the_recommended_suites_alone() {
    use CipherSuite as S;
    let always = [S::TLS13_AES_256_GCM_SHA384, S::TLS13_AES_128_GCM_SHA256, S::TLS13_CHACHA20_POLY1305_SHA256];
    for (authority, recommended, refused) in [
        (
            Authority::new(),
            [S::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, S::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256],
            S::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        ),
        (
            Authority::rsa(),
            [S::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, S::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256],
            S::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        ),
    ] {
        let mut program = Program::installed().await;
        program.set("SIGNET_ISSUER", &format!("https://localhost:{}", program.address.port()));
        program.set("SIGNET_TLS__CERT_FILE", "cert.pem");
        program.set("SIGNET_TLS__KEY_FILE", "key.pem");
        program.write("cert.pem", &authority.cert);
        program.write("key.pem", &authority.key);
        let server = program.serve(&["serve"]);
        let with = |suite: CipherSuite| {
            let known = ALL_CIPHER_SUITES.iter().find(|known| known.suite() == suite).unwrap();
            authority.shakes_hands(&program, *known)
        };
        for suite in always.into_iter().chain(recommended) {
            assert_eq!(with(suite).unwrap(), suite);
        }
        let error = with(refused).unwrap_err().to_string();
        assert!(error.contains("HandshakeFailure"), "{refused:?}: {error}");
        server.stop();
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_without_a_restart_and_a_broken_one_never() {
    let (old, new) = (Authority::new(), Authority::new());
    let mut program = Program::installed().await;
    program.set("SIGNET_ISSUER", &format!("https://localhost:{}", program.address.port()));
    program.set("SIGNET_TLS__CERT_FILE", "cert.pem");
    program.set("SIGNET_TLS__KEY_FILE", "key.pem");
    program.write("cert.pem", &old.cert);
    program.write("key.pem", &new.key);
    assert!(program.run(&["serve"]).refused().contains("cert.pem"), "a key that does not fit");
    program.write("key.pem", &old.key);
    let server = program.serve(&["serve"]);
    assert!(old.is_shown(&program).await && !new.is_shown(&program).await);
    program.write("cert.pem", "nonsense");
    within(30, || async { server.log().contains("the old one stays") }).await;
    assert!(old.is_shown(&program).await);
    // One file after the other: in between they do not fit together.
    program.write("cert.pem", &new.cert);
    server.signal("HUP");
    assert!(old.is_shown(&program).await);
    program.write("key.pem", &new.key);
    within(30, || async { new.is_shown(&program).await }).await;
    assert!(!old.is_shown(&program).await);
    server.stop();
}

#[tokio::test]
async fn cookies_under_an_https_issuer_are_secure_and_bound_to_the_host() {
    let authority = Authority::new();
    let mut program = Program::installed().await;
    program.set("SIGNET_ISSUER", &format!("https://localhost:{}", program.address.port()));
    program.set("SIGNET_TLS__CERT_FILE", "cert.pem");
    program.set("SIGNET_TLS__KEY_FILE", "key.pem");
    program.write("cert.pem", &(authority.cert.clone() + &authority.root));
    program.write("key.pem", &authority.key);
    let _server = program.serve(&["serve"]);
    assert_eq!(program.done(&["healthcheck"]), "ready\n");
    let root = Certificate::from_pem(authority.root.as_bytes()).unwrap();
    let http = Http::builder().tls_certs_only([root]).resolve("localhost", program.address).no_proxy().build().unwrap();
    let login = http.get(format!("{}/login", program.url())).send().await.unwrap();
    assert!(login.headers()["strict-transport-security"].to_str().unwrap().contains("max-age"));
    let cookies: Vec<&str> =
        login.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap()).collect();
    assert!(!cookies.is_empty());
    for cookie in cookies {
        assert!(cookie.starts_with("__Host-signet-"), "{cookie}");
        assert!(["Secure", "HttpOnly", "SameSite=Lax", "Path=/"].iter().all(|part| cookie.contains(part)), "{cookie}");
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
}
