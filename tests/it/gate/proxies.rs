//! The gate behind the real nginx, Caddy, Envoy and Traefik, with the configurations of docs/gate.md: a request with a
//! credential passes, and what a caller forges (identity headers, the original request, a certificate) reaches neither the
//! gate nor the API. Next door: [`super::nginx`], what the documented nginx does besides.

use serde_json::json;

use super::certificate::{its_own, with_certificates_in};
use super::nginx::{address, got};
use super::signatures::apply_clients;
use super::{IDENTITY, ORDERS, alices_token, bearer};
use crate::support::authority::Shown;
use crate::support::nginx::HOST;
use crate::support::proxies::{Kind, Site};
use crate::support::proxy::Proxy;
use crate::support::wire::{Api, Reply, once};
use crate::support::{Server, signer};

/// The headers in which proxies hand on certificates.
pub const CERTIFICATES: [&str; 4] =
    ["Client-Cert", "X-Forwarded-Client-Cert", "X-Forwarded-Tls-Client-Cert", "X-Forwarded-Tls-Client-Cert-Info"];

/// Every character of a header's name that a framework may take for the same as "-" (RFC 9110 §5.6.2): CGI writes "_" for
/// all of them.
pub const SEPARATORS: [&str; 15] = ["-", "_", ".", "!", "#", "$", "%", "&", "'", "*", "+", "^", "`", "|", "~"];

struct Gated {
    server: Server,
    proxy: Proxy,
    _api: Api,
}

impl Gated {
    async fn start(kind: Kind, accepts: serde_json::Value) -> Self {
        let server = with_certificates_in(kind.certificate_header(), accepts).await;
        server.client("web", json!({ "scope": "openid read write", "consent": "trusted" })).await;
        let api = Api::start().await;
        let proxy = kind.start(&Site::new(address(&server.url), api.address)).await;
        Self { server, proxy, _api: api }
    }

    async fn ask(&self, target: &str, headers: &[(&str, &str)]) -> Reply {
        once(self.proxy.address, "GET", target, headers, b"").await
    }
}

#[tokio::test]
async fn a_forged_identity_reaches_no_api() {
    for kind in Kind::ALL {
        let gated = Gated::start(kind, json!(["bearer"])).await;
        let token = bearer(&alices_token(&gated.server, "openid read").await).1;
        for between in SEPARATORS {
            let forged: Vec<String> = IDENTITY.iter().map(|name| name.replace('-', between)).collect();
            let mut headers: Vec<(&str, &str)> = forged.iter().map(|name| (name.as_str(), "forged")).collect();
            headers.extend([
                ("authorization", token.as_str()),
                ("x-original-url", "https://orders.example.com/forged"),
                ("x-original-method", "DELETE"),
                ("x-forwarded-uri", "/forged"),
                ("x-forwarded-method", "DELETE"),
                ("x-forwarded-host", "forged.example.com"),
                ("x-rewrite-url", "/forged"),
            ]);
            let reply = gated.ask("/orders/1?x=1", &headers).await;
            assert_eq!(reply.status, 200, "{kind:?} {between} {reply:?}\n{}", gated.proxy.log());
            let alice = gated.server.person("alice").await.id.to_string();
            assert_eq!(got(&reply, "x-gate-subject"), [alice], "{kind:?} {between}");
            let (way, host) = (got(&reply, "x-gate-way"), got(&reply, "host"));
            assert_eq!((way, host), (vec!["bearer".to_owned()], vec![HOST.to_owned()]));
            let told = reply.json().to_string();
            assert!(!told.contains("forged"), "{kind:?} {between} {told}");
            assert!(got(&reply, "authorization").is_empty(), "{kind:?}: the secret ends at the proxy");
        }
        let refused = gated.ask("/orders/1", &[("x-gate-subject", "forged")]).await;
        assert_eq!(refused.status, 401, "{kind:?}");
        assert!(refused.header("www-authenticate").contains("Bearer"), "{kind:?} {refused:?}");
        let unknown = signer::unsigned(&json!({ "alg": "none" }), &json!({ "aud": ORDERS }));
        assert_eq!(gated.ask("/orders/1", &[("authorization", &bearer(&unknown).1)]).await.status, 401, "{kind:?}");
    }
}

/// Certificates are no secret: one that a caller writes into a header is not one that it has shown.
#[tokio::test]
async fn a_forged_certificate_header_is_nobody() {
    for kind in Kind::ALL {
        let gated = Gated::start(kind, json!(["mtls", "bearer"])).await;
        let robot = Shown::self_signed("robot");
        apply_clients(&gated.server, json!([its_own("robot", &robot)])).await.unwrap();
        let value = kind.handed_on(&robot);
        // As the proxy itself would hand it on, it is believed.
        let direct = [("x-original-method", "GET"), ("x-original-url", "https://orders.example.com/orders/1")];
        let direct = [direct[0], direct[1], (kind.certificate_header(), value.as_str())];
        let reply = once(address(&gated.server.url), "GET", "/gate/verify/orders", &direct, b"").await;
        assert_eq!((reply.status, reply.header("x-gate-client")), (200, "robot"), "{kind:?} {reply:?}");
        for name in CERTIFICATES {
            for spelled in [name.to_owned(), name.to_lowercase(), name.replace('-', "_")] {
                let reply = gated.ask("/orders/1", &[(&spelled, &value)]).await;
                assert_eq!(reply.status, 401, "{kind:?} {spelled} {reply:?}");
            }
        }
    }
}

#[tokio::test]
async fn while_the_gate_is_down_no_request_passes() {
    for kind in Kind::ALL {
        let api = Api::start().await;
        let nobody = crate::support::program::free_address();
        let proxy = kind.start(&Site::new(nobody, api.address)).await;
        let reply = once(proxy.address, "GET", "/orders/1", &[], b"").await;
        assert!(reply.status >= 500, "{kind:?} {reply:?}");
        assert_eq!(api.asked(), 0, "{kind:?}");
    }
}
