//! https by setting: the certificate is read again when its file changes, and cookies are Secure.

use reqwest::{Certificate, Client as Http};

use crate::support::authority::Authority;
use crate::support::program::{Program, within};

impl Authority {
    /// Whether who trusts this authority alone gets through, on a connection of its own.
    async fn is_shown(&self, program: &Program) -> bool {
        let root = Certificate::from_pem(self.root.as_bytes()).unwrap();
        let http = Http::builder().tls_certs_only([root]).resolve("localhost", program.address).no_proxy();
        http.build().unwrap().get(format!("{}/readyz", program.url())).send().await.is_ok()
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_without_a_restart_and_a_broken_one_never() {
    let (old, new) = (Authority::new(), Authority::new());
    let mut program = Program::new().await;
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
    let mut program = Program::new().await;
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
