//! `/admin/clients/{id}/signature-keys`: the template values of a client's keys for signed requests, and of
//! the form for a new key. A new secret is shown in one response only and must not be logged, so this page
//! has no `Debug`.

use askama::Template;

use super::errors_of;
use crate::domain::signature_key::SignatureAlg;
use crate::web::view::{Choice, Chrome, Notice, Viewer};

#[derive(Template)]
#[template(path = "console/client_signature_keys.html")]
pub struct SignatureKeysPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    /// The name of the client.
    pub app: String,
    /// The URL of the client's page, below which this page is.
    pub href: String,
    /// The new secret in base64. It is shown in one response only.
    pub secret: Option<String>,
    pub keys: Vec<SignatureKeyLine>,
    pub form: SignatureKeyForm,
}

pub struct SignatureKeyLine {
    pub keyid: String,
    pub alg: &'static str,
}

/// The submitted values of a new key, and their errors.
#[derive(Default)]
pub struct SignatureKeyForm {
    pub keyid: String,
    pub algs: Vec<Choice>,
    pub jwk: String,
    /// Field (empty for the form as a whole) and message.
    pub errors: Vec<(String, String)>,
}

impl SignatureKeyForm {
    pub fn error(&self, field: &str) -> Option<String> {
        errors_of(&self.errors, field)
    }
}

pub fn algorithms(chosen: &str) -> Vec<Choice> {
    let label = |alg: SignatureAlg| match alg {
        SignatureAlg::Ed25519 => "ed25519: a public key",
        SignatureAlg::EcdsaP256Sha256 => "ecdsa-p256-sha256: a public key",
        SignatureAlg::RsaPssSha512 => "rsa-pss-sha512: a public key",
        SignatureAlg::HmacSha256 => "hmac-sha256: a shared secret, made here",
        SignatureAlg::RsaV15Sha256 => "rsa-v1_5-sha256: a public key, for OAuth 1.0 alone",
    };
    let choice = |alg: SignatureAlg| Choice {
        value: alg.as_str().to_owned(),
        label: label(alg).to_owned(),
        selected: alg.as_str() == chosen,
    };
    SignatureAlg::ALL.map(choice).to_vec()
}

super::in_section!(Apps: SignatureKeysPage);
