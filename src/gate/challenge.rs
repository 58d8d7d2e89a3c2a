//! `WWW-Authenticate` (RFC 9110 §11.6.1): the challenges for every kind of credential that the API accepts, in one
//! line, because older nginx forwards only one. Bearer follows RFC 6750 §3, RFC 9470 §3 and RFC 9728 §5.1, Basic RFC
//! 7617 §2, OAuth RFC 5849 §3.5.1. There is no registered scheme for API keys, message signatures and certificates. The
//! schemes used for the first two name the header field that carries the credential.

use super::decision::{Denial, Reason};
use crate::domain::api::Api;
use crate::domain::gate::CredentialKind;
use crate::protocol::resource_metadata;

/// Returns the challenges for a denial; `None` if no other credential would help.
pub(super) fn of(api: &Api, refusal: &Denial) -> Option<String> {
    let realm = quoted(api.display_name());
    let bearer = || {
        let mut all = vec![format!("realm={realm}")];
        let error = match refusal.reason {
            Reason::MalformedCredential | Reason::TwoCredentials => Some("invalid_request"),
            // No error code if no token was presented (RFC 6750 §3.1).
            Reason::InvalidCredential if refusal.tried == Some(CredentialKind::Bearer) => Some("invalid_token"),
            Reason::InsufficientScope | Reason::MissingGroup | Reason::NoRule => Some("insufficient_scope"),
            Reason::InsufficientAuthentication => Some("insufficient_user_authentication"),
            _ => None,
        };
        if let Some(error) = error {
            all.push(format!("error=\"{error}\", error_description={}", quoted(&refusal.text)));
        }
        if !refusal.scopes.is_empty() {
            all.push(format!("scope=\"{}\"", refusal.scopes));
        }
        if let Some(acr) = refusal.acr {
            all.push(format!("acr_values=\"{acr}\""));
        }
        if let Some(address) = resource_metadata::address(&api.identifier) {
            all.push(format!("resource_metadata=\"{address}\""));
        }
        format!("Bearer {}", all.join(", "))
    };
    let one = |way: CredentialKind| match way {
        CredentialKind::Bearer => Some(bearer()),
        CredentialKind::ApiKey => Some(format!("ApiKey realm={realm}, header=\"X-API-Key\"")),
        CredentialKind::Basic => Some(format!("Basic realm={realm}, charset=\"UTF-8\"")),
        CredentialKind::MessageSignature => Some(format!("Signature realm={realm}, header=\"Signature-Input\"")),
        CredentialKind::Oauth1 => Some(format!("OAuth realm={realm}")),
        CredentialKind::Mtls => Some(format!("Certificate realm={realm}")),
        // A browser is redirected to the sign-in page instead.
        CredentialKind::Session => None,
    };
    match refusal.reason.status() {
        401 | 400 if refusal.reason != Reason::MalformedRequest && refusal.reason != Reason::AmbiguousPath => {
            let all: Vec<String> =
                CredentialKind::ALL.into_iter().filter(|way| api.allows_credential(*way)).filter_map(one).collect();
            Some(all.join(", ")).filter(|all| !all.is_empty())
        }
        // The caller is authenticated but not authorized: one bearer challenge, with the required scope if there is
        // one.
        403 => Some(bearer()),
        _ => None,
    }
}

/// Returns a quoted string (RFC 9110 §5.6.4) of the characters that a header value may contain.
fn quoted(text: &str) -> String {
    let kept = text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').filter(|c| !matches!(c, '"' | '\\'));
    format!("\"{}\"", kept.collect::<String>())
}
