//! `/admin/clients/{id}/signature-keys`: an app's keys for signed requests, and the form for one more. A new secret is part of
//! exactly one answer, so this page has no `Debug`.

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
    /// What the app is called.
    pub app: String,
    /// The app's page, below which this one is.
    pub href: String,
    /// The new secret in base64, in the one answer that shows it.
    pub secret: Option<String>,
    pub keys: Vec<SignatureKeyLine>,
    pub form: SignatureKeyForm,
}

pub struct SignatureKeyLine {
    pub keyid: String,
    pub alg: &'static str,
}

/// What was typed for a new key, and what was wrong with it.
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
