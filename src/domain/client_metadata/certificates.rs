//! The members by which a client is identified by a TLS certificate (RFC 8705), and their rules.
//!
//! See also [`super::rules`], the rules for the other members, and [`crate::domain::certificate`], the names.

use super::{ClientAuthMethod, ClientMetadata, ResponseType};
use crate::domain::certificate::CertificateName;
use crate::domain::jwks::JwkSet;

impl ClientMetadata {
    /// Returns what identifies the client's certificates, except those published at its `jwks_uri`.
    #[must_use]
    pub fn certificate_names(&self) -> Vec<CertificateName> {
        match self.token_endpoint_auth_method {
            ClientAuthMethod::TlsClientAuth => self.registered_certificate_names(),
            ClientAuthMethod::SelfSignedTlsClientAuth => {
                let own = self.jwks.iter().flat_map(JwkSet::certificates);
                own.map(CertificateName::Thumbprint).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Returns the registered names of the client's certificate. The rules allow only one of them.
    fn registered_certificate_names(&self) -> Vec<CertificateName> {
        let text = |name: &Option<String>, kind: fn(String) -> CertificateName| name.clone().map(kind);
        let all = [
            self.tls_client_auth_subject_dn.clone().map(CertificateName::Subject),
            text(&self.tls_client_auth_san_dns, CertificateName::Dns),
            text(&self.tls_client_auth_san_uri, CertificateName::Uri),
            self.tls_client_auth_san_ip.map(CertificateName::Ip),
            text(&self.tls_client_auth_san_email, CertificateName::Email),
        ];
        all.into_iter().flatten().collect()
    }

    /// Checks RFC 8705 §2.1.2, §2.2.2, §3.4.
    pub(super) fn certificates(&self, wrong: &mut impl FnMut(&'static str, &str)) {
        let method = self.token_endpoint_auth_method;
        let named = self.registered_certificate_names().len();
        match method {
            ClientAuthMethod::TlsClientAuth if named != 1 => {
                let text = "tls_client_auth needs one name of its certificate: tls_client_auth_subject_dn, or one of \
                            tls_client_auth_san_dns, _uri, _ip and _email";
                wrong("token_endpoint_auth_method", text);
            }
            ClientAuthMethod::SelfSignedTlsClientAuth if self.jwks.is_none() && self.jwks_uri.is_none() => {
                let text = "self_signed_tls_client_auth needs jwks or jwks_uri, with the certificates as x5c";
                wrong("token_endpoint_auth_method", text);
            }
            ClientAuthMethod::SelfSignedTlsClientAuth
                if self.jwks.as_ref().is_some_and(|keys| keys.certificates().next().is_none()) =>
            {
                wrong("jwks", "has no certificate (x5c), which self_signed_tls_client_auth needs");
            }
            ClientAuthMethod::TlsClientAuth => {}
            _ if named > 0 => {
                wrong("token_endpoint_auth_method", "is not tls_client_auth, which a name of a certificate is for");
            }
            _ => {}
        }
        let unfit = |text: &Option<String>| {
            text.as_ref()
                .is_some_and(|text| text.is_empty() || text.len() > 500 || !text.bytes().all(|b| b.is_ascii_graphic()))
        };
        for (field, text) in [
            ("tls_client_auth_san_dns", &self.tls_client_auth_san_dns),
            ("tls_client_auth_san_uri", &self.tls_client_auth_san_uri),
            ("tls_client_auth_san_email", &self.tls_client_auth_san_email),
        ] {
            if unfit(text) {
                wrong(field, "has 1 to 500 printable ASCII characters, as a certificate has it (RFC 5280)");
            }
        }
        let in_front = |it: &ResponseType| it.has_token();
        if self.tls_client_certificate_bound_access_tokens && self.response_types().iter().any(in_front) {
            let text = "a token that comes through the browser cannot be bound to a certificate";
            wrong("response_types", text);
        }
    }
}
