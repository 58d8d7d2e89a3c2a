//! Client certificates over TLS through the real proxies, with the configurations of docs/gate.md: which certificates open
//! the gate, and that headers which only look like one do not. Next door: [`super::certificate`], what a certificate means.

use reqwest::header::HeaderName;
use reqwest::{Certificate, Client as Http, Identity};
use serde_json::{Value, json};

use super::certificate::{its_own, subject, with_certificates_in};
use super::nginx::{address, got};
use super::proxies::{CERTIFICATES, SEPARATORS};
use super::signatures::apply_clients;
use super::webs_secret;
use crate::support::Server;
use crate::support::authority::{Authority, Callers, Shown};
use crate::support::proxies::{Kind, Site, Tls};
use crate::support::proxy::Proxy;
use crate::support::wire::{Api, Reply};

const HOST: &str = "localhost";

struct Gated {
    kind: Kind,
    server: Server,
    proxy: Proxy,
    api: Api,
    shown: Authority,
    url: String,
}

/// What came back: the status, and `X-Gate-Way` and `X-Gate-Client` as the API got them.
type Came = (u16, String, String);

impl Gated {
    /// With these clients, behind a proxy that trusts the certificates in `callers`.
    async fn start(kind: Kind, clients: Value, callers: &str) -> Self {
        let server = with_certificates_in(kind.certificate_header(), json!(["mtls", "bearer", "basic"])).await;
        server.client("web", json!({ "scope": "read" })).await;
        apply_clients(&server, clients).await.unwrap();
        let (api, shown) = (Api::start().await, Authority::new());
        let tls = Some(Tls { own: &shown, callers });
        let site = Site { host: HOST, tls, ..Site::new(address(&server.url), api.address) };
        let proxy = kind.start(&site).await;
        let url = format!("{}/orders/1", site.url(proxy.address));
        Self { kind, server, proxy, api, shown, url }
    }

    /// Asks on a connection of its own, which the proxy may refuse. The API gets no certificate.
    async fn get(&self, certificate: Option<&Shown>, headers: &[(&str, &str)]) -> Result<Came, reqwest::Error> {
        let root = Certificate::from_pem(self.shown.root.as_bytes()).unwrap();
        let mut http = Http::builder().tls_certs_only([root]).resolve(HOST, self.proxy.address).no_proxy();
        if let Some(shown) = certificate {
            http = http.identity(Identity::from_pem(format!("{}{}", shown.cert, shown.key).as_bytes()).unwrap());
        }
        let mut request = http.build().unwrap().get(&self.url);
        for (name, value) in headers {
            request = request.header(HeaderName::from_bytes(name.as_bytes()).unwrap(), *value);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let reply = Reply { status, headers: Vec::new(), body: response.bytes().await?.into() };
        if status != 200 {
            return Ok((status, String::new(), String::new()));
        }
        assert_eq!(got(&reply, self.kind.certificate_header()), [""; 0], "{:?}", self.kind);
        Ok((status, got(&reply, "x-gate-way").concat(), got(&reply, "x-gate-client").concat()))
    }

    /// The same on a connection that the proxy takes.
    async fn came(&self, certificate: Option<&Shown>, headers: &[(&str, &str)]) -> Came {
        let came = self.get(certificate, headers).await;
        came.unwrap_or_else(|error| panic!("{:?}: {error:?}\n{}", self.kind, self.proxy.log()))
    }

    /// The proxy verifies certificates, so one that it does not trust ends the connection (nginx: 400) before the gate is asked.
    async fn refuses(&self, certificate: &Shown) {
        let asked = self.api.asked();
        let came = self.get(Some(certificate), &[]).await;
        assert!(came.as_ref().map_or(true, |came| came.0 == 400), "{:?} {came:?}", self.kind);
        assert_eq!(self.api.asked(), asked, "{:?}", self.kind);
    }
}

fn known(client: &str) -> Came {
    (200, "mtls".to_owned(), client.to_owned())
}

/// A request without a credential.
fn unknown() -> Came {
    (401, String::new(), String::new())
}

#[tokio::test]
async fn a_verified_certificate_opens_the_gate() {
    for kind in Kind::ALL {
        let (callers, others) = (Callers::new("Callers"), Callers::new("Others"));
        let clients = json!([subject("reports", "CN=reports,O=Example")]);
        let gated = Gated::start(kind, clients, &callers.root()).await;
        let reports = callers.sign("reports", vec![]);
        assert_eq!(gated.came(Some(&reports), &[]).await, known("reports"), "{kind:?}\n{}", gated.proxy.log());
        assert_eq!(gated.came(None, &[]).await, unknown(), "{kind:?}");
        // Signed by the authority, and of no client.
        assert_eq!(gated.came(Some(&callers.sign("nobody", vec![])), &[]).await, unknown(), "{kind:?}");
        // The right name, signed by another authority and by itself.
        gated.refuses(&others.sign("reports", vec![])).await;
        gated.refuses(&Shown::self_signed("reports")).await;
        // With its issuer's certificate behind it, as many programs send it.
        let cert = format!("{}{}", reports.cert, callers.root());
        let chain = Shown { cert, key: reports.key.clone(), der: reports.der.clone() };
        assert_eq!(gated.came(Some(&chain), &[]).await, known("reports"), "{kind:?}");
        // Beside another credential it says nothing, and without a certificate the others count as ever.
        for certificate in [Some(&reports), None] {
            let came = gated.came(certificate, &[("authorization", &webs_secret())]).await;
            assert_eq!(came, (200, "basic".to_owned(), "web".to_owned()), "{kind:?}");
        }
    }
}

/// The headers in which a proxy hands on a certificate are often one group with those that name the request.
#[tokio::test]
async fn no_other_request_is_spoken_of_over_tls() {
    for kind in Kind::ALL {
        let callers = Callers::new("Callers");
        let gated = Gated::start(kind, json!([subject("reports", "CN=reports,O=Example")]), &callers.root()).await;
        let reports = callers.sign("reports", vec![]);
        // A path that is open to everybody.
        let other = [
            ("x-forwarded-uri", "/public/a"),
            ("x-forwarded-method", "HEAD"),
            ("x-original-url", "https://localhost/public/a"),
            ("x-original-method", "HEAD"),
            ("x-forwarded-host", "forged.example.com"),
            ("x-forwarded-proto", "http"),
        ];
        for forged in [&other[..2], &other[2..4], &other[..]] {
            assert_eq!(gated.came(None, forged).await, unknown(), "{kind:?} {forged:?}");
            assert_eq!(gated.came(Some(&reports), forged).await, known("reports"), "{kind:?} {forged:?}");
        }
    }
}

/// Certificates are no secret: one that a caller writes into a header, under any name that an API or a proxy may take for
/// the header's, is not one that it has shown.
#[tokio::test]
async fn a_certificate_in_a_header_is_not_believed_over_tls() {
    for kind in Kind::ALL {
        let callers = Callers::new("Callers");
        let clients = json!([subject("reports", "CN=reports,O=Example"), subject("other", "CN=other,O=Example")]);
        let gated = Gated::start(kind, clients, &callers.root()).await;
        let (reports, other) = (callers.sign("reports", vec![]), callers.sign("other", vec![]));
        let value = kind.handed_on(&reports);
        // As the proxy itself would write it, it is believed.
        let direct = [
            ("x-original-method", "GET"),
            ("x-original-url", "https://localhost/orders/1"),
            (kind.certificate_header(), &value),
        ];
        assert_eq!(super::ask(&gated.server, "orders", &direct).await.header("x-gate-client"), "reports", "{kind:?}");
        for name in CERTIFICATES {
            let spelled: Vec<String> = SEPARATORS.iter().map(|between| name.replace('-', between)).collect();
            let once: Vec<(&str, &str)> = spelled.iter().map(|name| (name.as_str(), value.as_str())).collect();
            for forged in [once.clone(), [once.clone(), once].concat()] {
                assert_eq!(gated.came(None, &forged).await, unknown(), "{kind:?} {name}");
                assert_eq!(gated.came(Some(&other), &forged).await, known("other"), "{kind:?} {name}");
            }
        }
    }
}

/// nginx trusts such a certificate without letting it sign others, as docs/gate.md tells.
#[tokio::test]
async fn nginx_hands_on_a_clients_own_certificate() {
    let (robot, boaster) = (Shown::self_signed("robot"), Shown::self_signed("reports"));
    let clients = json!([subject("reports", "CN=reports,O=Example"), its_own("robot", &robot)]);
    let gated = Gated::start(Kind::Nginx, clients, &format!("{}{}", robot.cert, boaster.cert)).await;
    assert_eq!(gated.came(Some(&robot), &[]).await, known("robot"), "{}", gated.proxy.log());
    // What a certificate that is its own issuer says of itself, its owner chose.
    assert_eq!(gated.came(Some(&boaster), &[]).await, unknown());
}
